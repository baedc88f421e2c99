"""The operator's workers against a real API server, with watches of our own in the place of Kopf's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from dataguardian.handlers.triggers import GONE, SEEN
from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.kube.watch import follow
from dataguardian.queue import QUEUES
from dataguardian.resources import KINDS
from dataguardian.resources.common import Kind
from dataguardian.workers import dispatcher, live_lines, lost_results, recorder, rows, run_logs, watcher
from dataguardian.workers.context import Context
from dataguardian.workers.loop import attempt, forever
from dataguardian.workers.scheduler import Scheduler
from dataguardian.workers.sweep import sweep

SWEEP_S = 0.3


class Counting(Kubernetes):
    """Our own client, which keeps the paths that it has written to."""

    def __init__(self, api: Any, **options: Any) -> None:
        super().__init__(api, **options)
        self.patched: list[str] = []

    async def patch(self, path: str, body: JSON) -> JSON:
        answer = await super().patch(path, body)
        self.patched.append(path)
        return answer


@asynccontextmanager
async def operator(context: Context, *, sweep_s: float = SWEEP_S) -> AsyncIterator[None]:
    """All workers of the operator, with watches of our own in the place of Kopf's."""
    await dispatcher.take_over(context)
    scheduler = Scheduler(context)

    def trigger(kind: Kind[Any], change: str, body: JSON) -> Any:
        resource = kind.model.read(body)
        table = GONE if change == "DELETED" else SEEN
        return attempt("handler", lambda: table[kind.plural](context, scheduler, kind, resource))

    tasks = [
        asyncio.create_task(part)
        for part in (
            *(
                follow(context.kube, objects_path(kind), label_selector="", seen=partial(trigger, kind))
                for kind in KINDS
            ),
            watcher.watch_jobs(context),
            watcher.watch_pods(context),
            dispatcher.work(context),
            forever("sweep", partial(sweep, context), every_s=sweep_s),
            forever("recorder", partial(recorder.record_all, context), every_s=0.2),
            forever("lost-results", partial(lost_results.settle_all, context), every_s=0.2),
            forever("history", partial(rows.write_waiting, context), every_s=0.2),
            forever("live-log", partial(live_lines.send_all, context), every_s=0.2),
            forever("logs", partial(run_logs.write_all, context), every_s=0.2),
        )
    ]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in [*tasks, *context.tasks]:
            task.cancel()
        _, left = await asyncio.wait([*tasks, *context.tasks], timeout=10)
        assert not left


async def depth(context: Context) -> int:
    """All entries of all queues."""
    return sum([await context.queue.depth(name) for name in QUEUES])
