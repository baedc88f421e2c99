"""What the tests of history share: operators that start, write and forget, and where they work."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, LiteralString

from dataguardian.history import History, HistoryUnavailable
from dataguardian.kube.client import JSON, Kubernetes, jobs_path
from dataguardian.queue import Queue
from dataguardian.settings import RunnerSettings
from dataguardian.workers import recorder, rows, run_logs
from dataguardian.workers.backfill import Backfill
from dataguardian.workers.catalog import Catalog
from dataguardian.workers.context import Context
from dataguardian.workers.operations import RUN_KINDS

from .ended import backup_run, finished_job, refused_restore
from .kubelet import Kubelet
from .services import PostgresServer

BACKUP, RESTORE, SYNC = RUN_KINDS["backup"], RUN_KINDS["restore"], RUN_KINDS["sync"]
ENDED = "2026-01-02T02:09:00Z"
LOG = '{"ts": "2026-11-24T02:09:00.000Z", "level": "success", "message": "[BACKUP] Stored"}\n'
SEEN = "name, status, metadata -> 'execution_logs' -> 0 ->> 'message'"
WHOLE = [("first", "completed", "[BACKUP] Stored"), ("of-nothing", "failed", None)]  # of ``end_two``


@dataclass
class Operator:
    """An operator's memory, which a restart throws away."""

    context: Context
    backfill: Backfill

    async def see_end(self, namespace: str) -> None:
        """What the watch and the recorder do."""
        for job in (await self.context.kube.list(jobs_path(namespace)))[0]:
            recorder.observe(self.context, job)
        await recorder.record_all(self.context)

    async def write(self) -> None:
        """What the workers of history do, one after the other."""
        for step in (rows.write_waiting, run_logs.write_all):
            with suppress(HistoryUnavailable):
                await step(self.context)
        with suppress(HistoryUnavailable):
            await self.backfill.step()
        with suppress(HistoryUnavailable):
            await run_logs.write_all(self.context)


@dataclass
class Place:
    """Where one test's operators work."""

    kube: Kubernetes
    queue: Queue
    history: History
    server: PostgresServer
    database: str
    namespace: str

    def operator(self) -> Operator:
        """An operator that has just started."""
        runner = RunnerSettings(image="unused", image_pull_policy="Never", image_pull_secrets=())
        context = Context(
            kube=self.kube, queue=self.queue, history=self.history, runner=runner, catalog=Catalog(self.kube)
        )
        return Operator(context, Backfill(context))

    def recorded(self, columns: LiteralString, table: LiteralString = "backup_executions") -> list[tuple[Any, ...]]:
        """Columns of the rows of this namespace, by name."""
        query = "SELECT namespace, " + columns + " FROM " + table + " ORDER BY name"
        return [row[1:] for row in self.server.rows(self.database, query) if row[0] == self.namespace]

    async def job(self, name: str) -> JSON:
        """A Kubernetes Job."""
        return await self.kube.get(jobs_path(self.namespace, name))


async def end_two(place: Place, node: Kubelet) -> None:
    """A backup that ran, and a restore that was refused."""
    await finished_job(place.kube, await backup_run(place.kube, place.namespace, "first"), node.name)
    await refused_restore(place.kube, place.namespace, "of-nothing")
