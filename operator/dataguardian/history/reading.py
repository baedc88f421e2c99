"""Executions as the API lists them: those of both tables in one order, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Composed

from ..domain.executions import State
from .filtering import Place, filtered, where

Shape = TypeVar("Shape")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is looked for; None means all. An empty set of namespaces finds nothing."""

    namespaces: Collection[str] | None = None
    job: str | None = None
    datasource: str | None = None
    status: State | None = None
    operation: str | None = None
    trigger: str | None = None
    since: datetime | None = None  # by the time at which they were queued
    until: datetime | None = None


CONDITIONS: Mapping[str, SQL] = {
    "namespaces": SQL("namespace = ANY (%(namespaces)s)"),
    "job": SQL("job = %(job)s"),
    "datasource": SQL("{datasource} = %(datasource)s"),
    "status": SQL("status = %(status)s"),
    "operation": SQL("{operation} = %(operation)s"),
    "trigger": SQL("trigger = %(trigger)s"),
    "since": SQL("queued_at >= %(since)s"),
    "until": SQL("queued_at < %(until)s"),
}
QUEUED_AT = SQL("queued_at")
COMMON = SQL(
    "id, {operation} AS operation, namespace, job, name, {datasource} AS datasource, {source} AS source, "
    "trigger, status, queued_at, started_at, finished_at, dump_bytes, {stored_bytes} AS stored_bytes, "
    "{checksum} AS checksum, {copies} AS copies, error_code, error_message, "
    "CASE WHEN status = 'running' THEN metadata -> 'progress' END AS progress"
)
# Of one execution only: to read metadata unpacks the log that is in it.
FOUND = SQL(
    ", metadata ? 'dry_run' AS dry_run, metadata -> 'verification' AS verification, metadata -> 'preview' AS preview"
)
TABLES: tuple[Mapping[str, SQL], ...] = (
    {
        "table": SQL("backup_executions"),
        "operation": SQL("operation"),
        "datasource": SQL("datasource"),
        "source": SQL("NULL"),
        "stored_bytes": SQL("stored_bytes"),
        "checksum": SQL("checksum"),
        "copies": SQL("copies"),
    },
    {
        "table": SQL("database_sync_executions"),
        "operation": SQL("'sync'"),
        "datasource": SQL("target"),
        "source": SQL("source"),
        "stored_bytes": SQL("NULL::bigint"),
        "checksum": SQL("NULL"),
        "copies": SQL("NULL::jsonb"),
    },
)
NOTHING = SQL("")
END = SQL(
    "SELECT id, status, metadata ? 'execution_logs' AS has_log, "
    "COALESCE(EXTRACT(epoch FROM clock_timestamp() - finished_at), 0)::float AS age_s "
    "FROM {table} WHERE id = ANY (%(ids)s)"
)
STAMPS = SQL("SELECT id, recorded_at FROM {table} WHERE recorded_at > %(since)s LIMIT %(limit)s")
CHANGES = SQL(
    "SELECT {columns}, recorded_at FROM {table} WHERE recorded_at > %(since)s AND (id, recorded_at) NOT IN "
    "(SELECT * FROM unnest(%(ids)s::uuid[], %(stamps)s::timestamptz[])) ORDER BY recorded_at, id LIMIT %(limit)s"
)
NEWEST_FIRST = SQL(" ORDER BY queued_at DESC, id LIMIT %(limit)s")


async def executions(
    connection: AsyncConnection,
    shape: type[Shape],
    wanted: Filter,
    *,
    after: Place | None,
    limit: int,
) -> list[Shape]:
    """The newest that are wanted, ``limit`` at most, from after a place in the order on; each is made a ``shape``.

    It is given the columns of COMMON by name: times have a zone, sizes are bytes, a sync's datasource is its target.
    """
    parts, given = [], dict[str, Any]()
    for table in TABLES:
        conditions, given = filtered(wanted, CONDITIONS, after=after, moment=QUEUED_AT, **table)
        parts.append(SQL("({})").format(_select(table, conditions, NEWEST_FIRST)))
    statement = SQL(" UNION ALL ").join(parts) + NEWEST_FIRST
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, {**given, "limit": limit})).fetchall()


async def execution(connection: AsyncConnection, shape: type[Shape], wanted: UUID) -> Shape | None:
    """One execution, as a ``shape``: it is given the columns of COMMON and FOUND by name.

    The latter are what a restore or a verification found, as its status has it, and whether it was a dry run.
    """
    parts = [_select(table, [SQL("id = %(id)s")], NOTHING, more=FOUND) for table in TABLES]
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(SQL(" UNION ALL ").join(parts), {"id": wanted})).fetchone()


async def named(connection: AsyncConnection, shape: type[Shape], namespace: str, name: str) -> Shape | None:
    """The newest execution whose run object has, or had, this name, as a ``shape``."""
    conditions = [SQL("namespace = %(namespace)s"), SQL("name = %(name)s")]
    parts = [SQL("({})").format(_select(table, conditions, NEWEST_FIRST)) for table in TABLES]
    statement = SQL(" UNION ALL ").join(parts) + NEWEST_FIRST
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        found = await cursor.execute(statement, {"namespace": namespace, "name": name, "limit": 1})
        return await found.fetchone()


async def request_of(connection: AsyncConnection, wanted: UUID) -> str | None:
    """The digest of the request that asked for it; None when no request did, or its row was written by the operator."""
    digest = SQL("SELECT metadata ->> 'request' FROM {table} WHERE id = %(id)s")
    parts = [digest.format(table=table["table"]) for table in TABLES]
    found = await (await connection.execute(SQL(" UNION ALL ").join(parts), {"id": wanted})).fetchone()
    return found[0] if found else None


async def log_of(connection: AsyncConnection, wanted: UUID) -> list[dict[str, str]]:
    """The lines of its log, oldest first; empty when none was recorded yet."""
    lines = SQL("SELECT metadata -> 'execution_logs' FROM {table} WHERE id = %(id)s")
    parts = [lines.format(table=table["table"]) for table in TABLES]
    found = await (await connection.execute(SQL(" UNION ALL ").join(parts), {"id": wanted})).fetchone()
    return (found and found[0]) or []


@dataclass(frozen=True, kw_only=True)
class End:
    """Whether an execution has ended."""

    id: UUID
    status: State
    age_s: float  # since its end, by the server's clock; 0 before
    has_log: bool


async def ends_of(connection: AsyncConnection, wanted: Collection[UUID]) -> dict[UUID, End]:
    """Whether executions have ended, by id; without those that have no row."""
    statement = SQL(" UNION ALL ").join(END.format(table=table["table"]) for table in TABLES)
    async with connection.cursor(row_factory=class_row(End)) as cursor:
        found = await (await cursor.execute(statement, {"ids": list(wanted)})).fetchall()
    return {end.id: end for end in found}


async def clock(connection: AsyncConnection) -> datetime:
    """The server's time."""
    found = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    assert found is not None  # noqa: S101 - a SELECT without FROM has a row
    at: datetime = found[0]
    return at


async def stamps(connection: AsyncConnection, *, since: datetime, limit: int) -> dict[UUID, datetime]:
    """When the executions were recorded that were recorded after a time, by id; any ``limit`` of them if more were."""
    parts = [SQL("({})").format(STAMPS.format(table=table["table"])) for table in TABLES]
    statement = SQL(" UNION ALL ").join(parts) + SQL(" LIMIT %(limit)s")
    return dict(await (await connection.execute(statement, {"since": since, "limit": limit})).fetchall())


async def changes(
    connection: AsyncConnection, shape: type[Shape], *, since: datetime, told: Mapping[UUID, datetime], limit: int
) -> list[Shape]:
    """The executions that were recorded after a time, oldest record first, without those that were told as they are.

    Each is made a ``shape`` of the columns of COMMON and ``recorded_at``.
    """
    parts = [SQL("({})").format(CHANGES.format(columns=COMMON.format(**table), **table)) for table in TABLES]
    statement = SQL(" UNION ALL ").join(parts) + SQL(" ORDER BY recorded_at, id LIMIT %(limit)s")
    given = {"since": since, "ids": list(told), "stamps": list(told.values()), "limit": limit}
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, given)).fetchall()


def _select(
    table: Mapping[str, SQL], conditions: Collection[Composable], rest: SQL, *, more: SQL = NOTHING
) -> Composed:
    columns = COMMON.format(**table) + more
    return SQL("SELECT ") + columns + SQL(" FROM {}").format(table["table"]) + where(conditions) + rest
