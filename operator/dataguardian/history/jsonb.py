"""Values on their way into a jsonb column."""

from __future__ import annotations

import msgspec
from psycopg.types.json import Jsonb


def jsonb(value: object) -> Jsonb:
    """The value as JSON that Postgres can hold: U+FFFD stands for NUL."""
    return Jsonb(value, dumps=_encode)


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode().replace("\\u0000", "\ufffd")
