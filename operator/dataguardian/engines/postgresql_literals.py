"""Texts inside SQL statements: the runner has no driver that would take them as parameters.

Every statement is run with standard_conforming_strings, so that the quote is the only character with a meaning.
"""

from __future__ import annotations

import msgspec


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def json_literal(value: object) -> str:
    """Any value as the literal of its JSON, from which the server takes names and numbers."""
    return literal(msgspec.json.encode(value).decode())
