"""The table ``backup_jobs``: the BackupJobs as they are, and those that were, with the time of their next run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ..domain.executions import State


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """What the table has of a BackupJob; its last execution is the one that ended last."""

    uid: str  # a UUID
    namespace: str
    name: str
    datasource: str
    schedule: str | None
    time_zone: str
    suspended: bool
    next_execution_at: datetime | None
    last_execution_name: str | None
    last_execution_status: State | None
    last_execution_at: datetime | None
    last_successful_at: datetime | None


PRESENT = """
    SELECT uid::text, namespace, name, datasource, schedule, time_zone, suspended, next_execution_at,
           last_execution_name, last_execution_status, last_execution_at, last_successful_at
      FROM backup_jobs
     WHERE deleted_at IS NULL
"""

UPSERT = """
    INSERT INTO backup_jobs (
        uid, namespace, name, datasource, schedule, time_zone, suspended, next_execution_at,
        last_execution_name, last_execution_status, last_execution_at, last_successful_at
    ) VALUES (
        %(uid)s, %(namespace)s, %(name)s, %(datasource)s, %(schedule)s, %(time_zone)s, %(suspended)s,
        %(next_execution_at)s, %(last_execution_name)s, %(last_execution_status)s, %(last_execution_at)s,
        %(last_successful_at)s
    )
    ON CONFLICT (uid) DO UPDATE SET
        datasource            = excluded.datasource,
        schedule              = excluded.schedule,
        time_zone             = excluded.time_zone,
        suspended             = excluded.suspended,
        next_execution_at     = excluded.next_execution_at,
        last_execution_name   = excluded.last_execution_name,
        last_execution_status = excluded.last_execution_status,
        last_execution_at     = excluded.last_execution_at,
        last_successful_at    = excluded.last_successful_at,
        deleted_at            = NULL,
        updated_at            = now()
"""

MARK_DELETED = """
    UPDATE backup_jobs
       SET deleted_at = now(), next_execution_at = NULL, updated_at = now()
     WHERE uid = ANY (%(uids)s::uuid[]) AND deleted_at IS NULL
"""


async def present(connection: AsyncConnection) -> list[JobRow]:
    """The jobs that are not marked as deleted."""
    async with connection.cursor(row_factory=class_row(JobRow)) as cursor:
        return await (await cursor.execute(PRESENT)).fetchall()


async def upsert(connection: AsyncConnection, rows: Sequence[JobRow]) -> None:
    """Let the table have these rows, in one round trip."""
    async with connection.cursor() as cursor:
        await cursor.executemany(UPSERT, [dataclasses.asdict(row) for row in rows])


async def mark_deleted(connection: AsyncConnection, uids: Sequence[str]) -> None:
    """These jobs are gone; their rows stay."""
    await connection.execute(MARK_DELETED, {"uids": list(uids)})
