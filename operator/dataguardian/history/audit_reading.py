"""The audit log as the API lists it: newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL

from .audit import Outcome
from .filtering import filtered, where

Shape = TypeVar("Shape")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is looked for; None means all. An empty set of namespaces finds nothing."""

    namespaces: Collection[str] | None = None
    who: str | None = None
    action: str | None = None
    object_kind: str | None = None
    object_name: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None  # by the time of the deed
    until: datetime | None = None
    execution_id: UUID | None = None
    before: int | None = None  # by the seq


CONDITIONS: Mapping[str, SQL] = {
    "namespaces": SQL("namespace = ANY (%(namespaces)s)"),
    "who": SQL("who = %(who)s"),
    "action": SQL("action = %(action)s"),
    "object_kind": SQL("object_kind = %(object_kind)s"),
    "object_name": SQL("object_name = %(object_name)s"),
    "outcome": SQL("outcome = %(outcome)s"),
    "since": SQL("at >= %(since)s"),
    "until": SQL("at < %(until)s"),
    "execution_id": SQL("execution_id = %(execution_id)s"),
    "before": SQL("seq < %(before)s"),
}
ROWS = SQL(
    "SELECT seq, id, at, who, action, namespace, object_kind, object_name, outcome, detail, execution_id, request_id, "
    "hash FROM audit_logs"
)
NEWEST_FIRST = SQL(" ORDER BY seq DESC LIMIT %(limit)s")


async def audit_rows(connection: AsyncConnection, shape: type[Shape], wanted: Filter, *, limit: int) -> list[Shape]:
    """The newest that are wanted, ``limit`` at most; each is made a ``shape`` of its columns."""
    conditions, given = filtered(wanted, CONDITIONS)
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        found = await cursor.execute(ROWS + where(conditions) + NEWEST_FIRST, {**given, "limit": limit})
        return await found.fetchall()
