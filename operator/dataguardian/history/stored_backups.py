"""Stored backups as the API lists them: completed backups of which a copy is left, by the moment of their data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed

Shape = TypeVar("Shape")
Verified = Literal["passed", "failed", "never"]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is looked for; None means all. An empty set of namespaces finds nothing."""

    namespaces: Collection[str] | None = None
    job: str | None = None
    datasource: str | None = None
    since: datetime | None = None  # by the moment of the data
    until: datetime | None = None
    verified: Verified | None = None  # what the latest verification found
    location: str | None = None  # that has a copy


# Both as the partial indexes have them, letter by letter.
STORED = SQL("""operation = 'backup' AND status = 'completed' AND copies @> '[{"state": "Stored"}]'""")
MOMENT = SQL("COALESCE(dumped_at, started_at, finished_at)")
CONDITIONS: Mapping[str, Composed] = {
    "namespaces": SQL("namespace = ANY (%(namespaces)s)").format(),
    "job": SQL("job = %(job)s").format(),
    "datasource": SQL("datasource = %(datasource)s").format(),
    "since": SQL("{moment} >= %(since)s").format(moment=MOMENT),
    "until": SQL("{moment} < %(until)s").format(moment=MOMENT),
    "verified": SQL("COALESCE(verification, 'never') = %(verified)s").format(),
    "location": SQL(
        "copies @> jsonb_build_array(jsonb_build_object('location', %(location)s::text, 'state', 'Stored'))"
    ).format(),
}
AFTER = SQL("({moment} < %(after_at)s OR ({moment} = %(after_at)s AND id > %(after_id)s))").format(moment=MOMENT)
SELECT = SQL(
    "SELECT id AS execution_id, namespace, name, job, datasource, trigger, engine_version, {moment} AS data_at, "
    "finished_at, dump_bytes, stored_bytes, checksum, copies, COALESCE(kept_by, '{{}}') AS kept_by, verification, "
    "verification_at FROM backup_executions WHERE {stored}"
).format(moment=MOMENT, stored=STORED)
NEWEST_FIRST = SQL(" ORDER BY {moment} DESC, id LIMIT %(limit)s").format(moment=MOMENT)


async def backups(
    connection: AsyncConnection,
    shape: type[Shape],
    wanted: Filter,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Shape]:
    """Those of the newest data that are wanted, ``limit`` at most, from after a place in the order on.

    Each is made a ``shape``, which is given the columns of SELECT by name: times have a zone, sizes are bytes.
    """
    given: dict[str, Any] = {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = [CONDITIONS[name] for name in given]
    if wanted.namespaces is not None:
        given["namespaces"] = list(wanted.namespaces)
    if after is not None:
        conditions.append(AFTER)
        given |= {"after_at": after[0], "after_id": after[1]}
    statement = SQL(" AND ").join([SELECT, *conditions]) + NEWEST_FIRST
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, {**given, "limit": limit})).fetchall()


async def backup(connection: AsyncConnection, shape: type[Shape], wanted: UUID) -> Shape | None:
    """One stored backup by the id of its execution, as a ``shape``."""
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(SELECT + SQL(" AND id = %(id)s"), {"id": wanted})).fetchone()
