"""What a dashboard shows of history: each statement is served by an index, however many executions there are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed

from ..domain.executions import Attempt, State

Shape = TypeVar("Shape")
Namespaces = Collection[str] | None  # None is all

DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """How many executions of one operation are in one state now."""

    operation: Attempt
    status: State
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedCount:
    """How many executions of one operation came to one end in a namespace."""

    namespace: str
    operation: Attempt
    status: State
    day: int  # in the last 24 hours
    week: int  # in the last 7 days


@dataclass(frozen=True, kw_only=True, slots=True)
class LocationUse:
    """What a storage location holds, as history saw it last."""

    namespace: str
    location: str
    copies: int
    bytes: int  # of the stored dumps


OF_READER = SQL("(%(namespaces)s::text[] IS NULL OR namespace = ANY (%(namespaces)s::text[]))")
UNFINISHED = SQL("""
    SELECT operation, status, count(*) FROM backup_executions
     WHERE finished_at IS NULL AND {of_reader} GROUP BY operation, status
     UNION ALL
    SELECT 'sync', status, count(*) FROM database_sync_executions
     WHERE finished_at IS NULL AND {of_reader} GROUP BY status
""").format(of_reader=OF_READER)
ENDED = SQL("""
    SELECT namespace, operation, status, count(*) FILTER (WHERE finished_at >= %(day)s) AS day, count(*) AS week
      FROM backup_executions WHERE finished_at >= %(week)s GROUP BY namespace, operation, status
     UNION ALL
    SELECT namespace, 'sync', status, count(*) FILTER (WHERE finished_at >= %(day)s), count(*)
      FROM database_sync_executions WHERE finished_at >= %(week)s GROUP BY namespace, status
""")
RUNNING_ORDER = SQL("ORDER BY queued_at DESC, id LIMIT %(limit)s")
RUNNING = SQL("""
    (SELECT id, operation, namespace, name, job, datasource, queued_at, started_at, metadata -> 'progress' AS progress
       FROM backup_executions WHERE status = 'running' AND finished_at IS NULL AND {of_reader} {first})
     UNION ALL
    (SELECT id, 'sync', namespace, name, job, target, queued_at, started_at, metadata -> 'progress'
       FROM database_sync_executions WHERE status = 'running' AND finished_at IS NULL AND {of_reader} {first})
    {first}
""").format(of_reader=OF_READER, first=RUNNING_ORDER)
FAILURES_ORDER = SQL("ORDER BY finished_at DESC, id LIMIT %(limit)s")
FAILURES = SQL("""
    (SELECT id, operation, namespace, name, job, datasource, finished_at, error_code, error_message
       FROM backup_executions WHERE status = 'failed' AND {of_reader} {first})
     UNION ALL
    (SELECT id, 'sync', namespace, name, job, target, finished_at, error_code, error_message
       FROM database_sync_executions WHERE status = 'failed' AND {of_reader} {first})
    {first}
""").format(of_reader=OF_READER, first=FAILURES_ORDER)
LOCATION_USES = SQL("""
    SELECT namespace, location, copies, bytes FROM stored_copies WHERE copies > 0 AND {of_reader}
     ORDER BY bytes DESC, namespace, location
""").format(of_reader=OF_READER)


async def unfinished(connection: AsyncConnection, namespaces: Namespaces) -> list[Count]:
    """What waits and runs now."""
    return await _read(connection, Count, UNFINISHED, namespaces=_listed(namespaces))


async def ended(connection: AsyncConnection, *, now: datetime) -> list[EndedCount]:
    """What ended in the last days, of all namespaces."""
    return await _read(connection, EndedCount, ENDED, day=now - DAY, week=now - WEEK)


async def running(
    connection: AsyncConnection, shape: type[Shape], namespaces: Namespaces, *, limit: int
) -> list[Shape]:
    """What runs, newest first, each made a ``shape``; ``progress`` is None where nobody told it."""
    return await _read(connection, shape, RUNNING, namespaces=_listed(namespaces), limit=limit)


async def failures(
    connection: AsyncConnection, shape: type[Shape], namespaces: Namespaces, *, limit: int
) -> list[Shape]:
    """What failed last, newest first, each made a ``shape``."""
    return await _read(connection, shape, FAILURES, namespaces=_listed(namespaces), limit=limit)


async def location_uses(connection: AsyncConnection, namespaces: Namespaces) -> list[LocationUse]:
    """What the storage locations hold, the fullest first."""
    return await _read(connection, LocationUse, LOCATION_USES, namespaces=_listed(namespaces))


async def _read(
    connection: AsyncConnection, shape: type[Shape], statement: SQL | Composed, **values: object
) -> list[Shape]:
    async with connection.cursor(row_factory=class_row(shape)) as cursor:
        return await (await cursor.execute(statement, values)).fetchall()


def _listed(namespaces: Namespaces) -> list[str] | None:
    return None if namespaces is None else list(namespaces)
