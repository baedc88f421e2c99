"""The table ``audit_logs``: who did what, to which object, and how it came out. Rows are added, never changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from .jsonb import jsonb
from .logs import storable


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One deed. Its id follows from the deed, so that telling it twice leaves one row."""

    id: str  # a UUID
    at: datetime
    who: str
    action: str  # e.g. backup.removed
    namespace: str
    object_kind: str
    object_name: str
    outcome: str
    detail: Mapping[str, Any] = field(default_factory=dict)


ADD = """
    INSERT INTO audit_logs (id, at, who, action, namespace, object_kind, object_name, outcome, detail)
    VALUES (%(id)s, %(at)s, %(who)s, %(action)s, %(namespace)s, %(object_kind)s, %(object_name)s, %(outcome)s,
            %(detail)s)
    ON CONFLICT (id) DO NOTHING
"""


async def add(connection: AsyncConnection, row: AuditRow) -> bool:
    """Add the row; false when it is there already, as it was told first."""
    values = {column.name: getattr(row, column.name) for column in dataclasses.fields(row)}
    texts = {name: storable(text) for name, text in values.items() if isinstance(text, str)}
    return (await connection.execute(ADD, {**values, **texts, "detail": jsonb(row.detail)})).rowcount == 1
