"""BackupJobs → the table ``backup_jobs``: what there is, when it runs next, and what was deleted."""

from __future__ import annotations

import msgspec

from ..domain.executions import as_state
from ..history import backup_jobs
from ..history.backup_jobs import JobRow
from ..kube.listing import pages
from ..resources.backup import BACKUP_JOB, BackupJob
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


class Mirror:
    """Writes the jobs that differ from what the table has; while history is away, they wait."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._comparison = Comparison(context.history)
        self._news = News(context.catalog, BACKUP_JOB)
        self._table: dict[str, JobRow] = {}  # what the table has, by UID
        self._shown: dict[str, str | None] = {}  # the version of each known job that the table shows, by UID

    async def step(self) -> None:
        """A step of the worker ``mirror``. Raises HistoryUnavailable."""
        is_news = self._news.is_there()
        if self._comparison.is_due():
            with self._comparison.made():
                await self._compare()
        elif not is_news:
            return
        jobs = {job.metadata.uid: job for job in self._context.catalog.all(BACKUP_JOB)}
        changed = [job for uid, job in jobs.items() if self._shown.get(uid) != job.metadata.resource_version]
        await self._write([row for job in changed if (row := row_of(job)) != self._table.get(row.uid)])
        await self._mark_deleted([uid for uid in self._shown if uid not in jobs])
        self._shown.update({job.metadata.uid: job.metadata.resource_version for job in changed})
        self._news.is_taken()

    async def _compare(self) -> None:
        """Read what the table has, and mark the jobs in it that vanished while no operator saw it."""
        async with self._context.history.connection() as connection:
            self._table = {row.uid: row for row in await backup_jobs.present(connection)}
        known = {job.metadata.uid for job in self._context.catalog.all(BACKUP_JOB)}
        self._shown = dict.fromkeys(known)
        if strangers := self._table.keys() - known:
            # At the start not all jobs may have been seen yet.
            await self._mark_deleted(list(strangers - await self._present()))

    async def _present(self) -> set[str]:
        """The UIDs of all jobs, as the API server has them."""
        found = pages(self._context.kube, BACKUP_JOB, _Object, silence_s=SILENCE_S)
        return {each.metadata.uid async for page in found for each in page}

    async def _write(self, rows: list[JobRow]) -> None:
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            async with self._context.history.connection() as connection:
                await backup_jobs.upsert(connection, batch)
            self._table.update({row.uid: row for row in batch})

    async def _mark_deleted(self, uids: list[str]) -> None:
        if not uids:
            return
        async with self._context.history.connection() as connection:
            await backup_jobs.mark_deleted(connection, uids)
        for uid in uids:
            self._table.pop(uid, None)
            self._shown.pop(uid, None)


def row_of(job: BackupJob) -> JobRow:
    """What the object says, as a row."""
    spec, status = job.spec, job.status
    last = status.last_execution
    return JobRow(
        uid=job.metadata.uid,
        namespace=job.metadata.namespace,
        name=job.metadata.name,
        datasource=spec.datasource_ref.name,
        schedule=spec.schedule,
        time_zone=spec.time_zone,
        suspended=spec.suspend,
        next_execution_at=status.next_schedule_time,
        last_execution_name=last.name if last else None,
        last_execution_status=as_state(last.phase) if last else None,
        last_execution_at=last.completion_time if last else None,
        last_successful_at=status.last_successful_time,
    )
