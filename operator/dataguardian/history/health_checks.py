"""The table ``health_checks``: how datasources and storage locations were, a row for each change."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from ..domain.health import Health
from .filtering import Place, filtered, where
from .logs import storable

Shape = TypeVar("Shape")
Object = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True, kw_only=True)
class HealthRow:
    """From when on an object was how. Its id follows from the object and the moment."""

    id: str  # a UUID
    at: datetime
    kind: str
    namespace: str
    name: str
    status: Health
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is looked for; None means all. An empty set of namespaces finds nothing."""

    namespaces: Collection[str] | None = None
    kind: str | None = None
    name: str | None = None
    status: Health | None = None
    since: datetime | None = None
    until: datetime | None = None


ADD = """
    INSERT INTO health_checks (id, at, kind, namespace, name, status, reason, message)
    SELECT %(id)s, %(at)s, %(kind)s, %(namespace)s, %(name)s, %(status)s, %(reason)s, %(message)s
     WHERE %(status)s IS DISTINCT FROM (
           SELECT status FROM health_checks
            WHERE kind = %(kind)s AND namespace = %(namespace)s AND name = %(name)s
            ORDER BY at DESC, id LIMIT 1)
    ON CONFLICT (id) DO NOTHING
"""
# The newest one of an object that is there stays, however old: it says how the object is.
PRUNE = """
    DELETE FROM health_checks WHERE id IN (
        SELECT id
          FROM (SELECT id, at, kind, namespace, name,
                       row_number() OVER (PARTITION BY kind, namespace, name ORDER BY at DESC, id) AS place
                  FROM health_checks) AS ranked
         WHERE place > %(most)s
            OR (at < now() - %(age)s AND (place > 1 OR (kind, namespace, name) NOT IN (
                   SELECT * FROM unnest(%(kinds)s::text[], %(namespaces)s::text[], %(names)s::text[])))))
"""
CONDITIONS: Mapping[str, SQL] = {
    "namespaces": SQL("namespace = ANY (%(namespaces)s)"),
    "kind": SQL("kind = %(kind)s"),
    "name": SQL("name = %(name)s"),
    "status": SQL("status = %(status)s"),
    "since": SQL("at >= %(since)s"),
    "until": SQL("at < %(until)s"),
}
AT = SQL("at")


async def add(connection: AsyncConnection, row: HealthRow) -> bool:
    """Add the row; false when the object was so already, or it is there."""
    values = {name: storable(value) if isinstance(value, str) else value for name, value in vars(row).items()}
    return (await connection.execute(ADD, values)).rowcount == 1


async def prune(connection: AsyncConnection, *, age: timedelta, most: int, present: Collection[Object]) -> int:
    """Delete what is older, and of each object all but the newest ``most``; tells how many rows that were.

    The newest row of an object that is ``present`` stays.
    """
    kinds, namespaces, names = ([each[part] for each in present] for part in range(3))
    given = {"age": age, "most": most, "kinds": kinds, "namespaces": namespaces, "names": names}
    return (await connection.execute(PRUNE, given)).rowcount


async def changes(
    connection: AsyncConnection,
    shape: type[Shape],
    wanted: Filter,
    *,
    after: Place | None,
    limit: int,
) -> list[Shape]:
    """The newest that are wanted, ``limit`` at most, from after a place on; a ``shape`` is given a row's fields."""
    conditions, given = filtered(wanted, CONDITIONS, after=after, moment=AT)
    columns = SQL(", ").join(Identifier(field.name) for field in dataclasses.fields(HealthRow))
    order = SQL(" ORDER BY at DESC, id LIMIT %(limit)s")
    statement = SQL("SELECT ") + columns + SQL(" FROM health_checks") + where(conditions) + order
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, {**given, "limit": limit})).fetchall()
