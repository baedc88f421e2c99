"""What runs by a schedule → its table in history: what there is, when it runs next, and what was deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import msgspec

from ..domain.executions import as_state
from ..history.scheduled_jobs import BACKUP_JOBS, SYNC_JOBS, BackupJobRow, RowT, SyncJobRow, Table
from ..kube.listing import pages
from ..resources.backup import BACKUP_JOB, BackupJob
from ..resources.common import Kind
from ..resources.sync import DATABASE_SYNC_JOB, DatabaseSyncJob
from .comparison import Comparison
from .context import Context
from .news import News

WRITE_EVERY_S = 5.0
BATCH = 500  # rows of one transaction
SILENCE_S = 30.0  # of the API server


class _Metadata(msgspec.Struct):
    uid: str


class _Object(msgspec.Struct):
    metadata: _Metadata


@dataclass(frozen=True, kw_only=True)
class Mirrored(Generic[RowT]):
    """A kind, and the table that shows it."""

    kind: Kind[Any]
    table: Table[RowT]
    row_of: Callable[[Any], RowT]  # what the object says, as a row


class Mirror(Generic[RowT]):
    """Writes the jobs that differ from what their table has; while history is away, they wait."""

    def __init__(self, context: Context, mirrored: Mirrored[RowT]) -> None:
        self._context = context
        self._kind, self._table, self._row_of = mirrored.kind, mirrored.table, mirrored.row_of
        self._comparison = Comparison(context.history)
        self._news = News(context.catalog, mirrored.kind)
        self._rows: dict[str, RowT] = {}  # what the table has, by UID
        self._shown: dict[str, str | None] = {}  # the version of each known job that the table shows, by UID

    async def step(self) -> None:
        """A step of the kind's worker ``mirror-…``. Raises HistoryUnavailable."""
        is_news = self._news.is_there()
        if self._comparison.is_due():
            with self._comparison.made():
                await self._compare()
        elif not is_news:
            return
        jobs = {job.metadata.uid: job for job in self._context.catalog.all(self._kind)}
        changed = [job for uid, job in jobs.items() if self._shown.get(uid) != job.metadata.resource_version]
        await self._write([row for job in changed if (row := self._row_of(job)) != self._rows.get(row.uid)])
        await self._mark_deleted([uid for uid in self._shown if uid not in jobs])
        self._shown.update({job.metadata.uid: job.metadata.resource_version for job in changed})
        self._news.is_taken()

    async def _compare(self) -> None:
        """Read what the table has, and mark the jobs in it that vanished while no operator saw it."""
        async with self._context.history.connection() as connection:
            self._rows = {row.uid: row for row in await self._table.present(connection)}
        known = {job.metadata.uid for job in self._context.catalog.all(self._kind)}
        self._shown = dict.fromkeys(known)
        if strangers := self._rows.keys() - known:
            # At the start not all jobs may have been seen yet.
            await self._mark_deleted(list(strangers - await self._present()))

    async def _present(self) -> set[str]:
        """The UIDs of all jobs, as the API server has them."""
        found = pages(self._context.kube, self._kind, _Object, silence_s=SILENCE_S)
        return {each.metadata.uid async for page in found for each in page}

    async def _write(self, rows: list[RowT]) -> None:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            async with self._context.history.connection() as connection:
                await self._table.upsert(connection, batch)
            self._rows.update({row.uid: row for row in batch})

    async def _mark_deleted(self, uids: list[str]) -> None:
        if not uids:
            return
        async with self._context.history.connection() as connection:
            await self._table.mark_deleted(connection, uids)
        for uid in uids:
            self._rows.pop(uid, None)
            self._shown.pop(uid, None)


def _common(job: BackupJob | DatabaseSyncJob) -> dict[str, Any]:
    spec, status = job.spec, job.status
    last = status.last_execution
    return {
        "uid": job.metadata.uid,
        "namespace": job.metadata.namespace,
        "name": job.metadata.name,
        "schedule": spec.schedule,
        "time_zone": spec.time_zone,
        "suspended": spec.suspend,
        "next_execution_at": status.next_schedule_time,
        "last_execution_name": last.name if last else None,
        "last_execution_status": as_state(last.phase) if last else None,
        "last_execution_at": last.completion_time if last else None,
        "last_successful_at": status.last_successful_time,
    }


def _backup_row(job: BackupJob) -> BackupJobRow:
    return BackupJobRow(**_common(job), datasource=job.spec.datasource_ref.name)


def _sync_row(job: DatabaseSyncJob) -> SyncJobRow:
    return SyncJobRow(**_common(job), source=job.spec.source_ref.name, target=job.spec.target_ref.name)


BACKUPS = Mirrored(kind=BACKUP_JOB, table=BACKUP_JOBS, row_of=_backup_row)
SYNCS = Mirrored(kind=DATABASE_SYNC_JOB, table=SYNC_JOBS, row_of=_sync_row)
MIRRORED: tuple[Mirrored[Any], ...] = (BACKUPS, SYNCS)
