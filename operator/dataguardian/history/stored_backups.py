"""Stored backups as the API lists them: completed backups of which a copy is left, by the moment of their data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL

from .filtering import Place, filtered

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
CONDITIONS: Mapping[str, SQL] = {
    "namespaces": SQL("namespace = ANY (%(namespaces)s)"),
    "job": SQL("job = %(job)s"),
    "datasource": SQL("datasource = %(datasource)s"),
    "since": SQL("{moment} >= %(since)s"),
    "until": SQL("{moment} < %(until)s"),
    "verified": SQL("COALESCE(verification, 'never') = %(verified)s"),
    "location": SQL(
        "copies @> jsonb_build_array(jsonb_build_object('location', %(location)s::text, 'state', 'Stored'))"
    ),
}
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
    after: Place | None,
    limit: int,
) -> list[Shape]:
    """Those of the newest data that are wanted, ``limit`` at most, from after a place in the order on.

    Each is made a ``shape``, which is given the columns of SELECT by name: times have a zone, sizes are bytes.
    """
    conditions, given = filtered(wanted, CONDITIONS, after=after, moment=MOMENT)
    statement = SQL(" AND ").join([SELECT, *conditions]) + NEWEST_FIRST
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, {**given, "limit": limit})).fetchall()


async def backup(connection: AsyncConnection, shape: type[Shape], wanted: UUID) -> Shape | None:
    """One stored backup by the id of its execution, as a ``shape``."""
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(SELECT + SQL(" AND id = %(id)s"), {"id": wanted})).fetchone()
