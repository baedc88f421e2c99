"""What the one operator does that leads: Kopf, and the workers beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

import kopf

from ..domain.token_bucket import TokenBucket
from ..history import History
from ..kube.client import PAGE, Kubernetes
from ..kube.connection import Fence, connect
from ..queue import Queue
from ..settings import OperatorSettings
from ..workers import (
    audit_head,
    backfill,
    cleanup,
    dispatcher,
    entries,
    expire,
    heal,
    health,
    health_history,
    history_limits,
    index,
    judging,
    live_lines,
    lost_results,
    mirror,
    recorder,
    recoverability,
    rows,
    run_logs,
    watcher,
)
from ..workers.audit_head import AuditHead
from ..workers.catalog import Catalog
from ..workers.context import Context
from ..workers.loop import forever
from ..workers.scheduler import Scheduler
from ..workers.sweep import EVERY_S, sweep
from .triggers import register

RECORD_EVERY_S = 2.0


async def work(settings: OperatorSettings, *, fence: Fence, listen: Callable[[], None]) -> None:
    """Work until cancelled; a worker that dies ends all of it. ``listen`` takes the signals of the process back."""
    for chatty in ("kopf", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    limits = settings.requests
    async with (
        connect(fence=fence) as api,
        History(settings.postgres) as history,
        Queue(settings.redis) as queue,
    ):
        kube = Kubernetes(api, bucket=TokenBucket(per_second=limits.per_second, burst=limits.burst))
        context = Context(
            kube=kube,
            queue=queue,
            history=history,
            runner=settings.runner,
            catalog=Catalog(kube),
            limits=settings.limits,
        )
        await dispatcher.take_over(context)
        scheduler = Scheduler(context)
        registry = kopf.OperatorRegistry()
        _configure(registry)
        register(registry, context, scheduler)
        await _until_first_ends([_kopf(registry, listen), *_workers(context, scheduler)])


async def _kopf(registry: kopf.OperatorRegistry, listen: Callable[[], None]) -> None:
    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        clusterwide=True,
        standalone=True,
        # Kopf would ask for the user's name, which a numeric user in a container does not have.
        identity=cast(Any, "dataguardian"),
    )
    listen()  # Kopf has taken the signals, and would wait for tasks that are not its own
    await kopf.run_tasks(tasks, ignored=others)


def _workers(context: Context, scheduler: Scheduler) -> list[Coroutine[Any, Any, None]]:
    return [
        scheduler.run(),
        watcher.watch_jobs(context),
        watcher.watch_pods(context),
        forever("judge", partial(judging.judge_all, context, scheduler), every_s=judging.TICK_S),
        forever("sweep", partial(sweep, context), every_s=EVERY_S),
        forever("recorder", partial(recorder.record_all, context), every_s=RECORD_EVERY_S),
        forever("history", partial(rows.write_waiting, context), every_s=rows.WRITE_EVERY_S),
        forever("live-log", partial(live_lines.send_all, context), every_s=live_lines.SEND_EVERY_S),
        forever("logs", partial(run_logs.write_all, context), every_s=run_logs.WRITE_EVERY_S),
        *(
            forever(f"mirror-{each.kind.plural}", mirror.Mirror(context, each).step, every_s=mirror.WRITE_EVERY_S)
            for each in mirror.MIRRORED
        ),
        forever("backfill", backfill.Backfill(context).step, every_s=backfill.TICK_S),
        forever("audit-head", AuditHead(context).step, every_s=audit_head.TICK_S),
        forever("health", partial(health.check_all, context), every_s=health.TICK_S),
        forever("health-history", health_history.HealthHistory(context).step, every_s=health_history.WRITE_EVERY_S),
        forever("lost-results", partial(lost_results.settle_all, context), every_s=lost_results.TICK_S),
        forever("catalogue", context.catalog.entries.refresh, every_s=entries.TICK_S),
        forever("index", partial(index.index_all, context), every_s=index.TICK_S),
        forever("cleanup", cleanup.Cleanup(context).step, every_s=cleanup.TICK_S),
        forever("expire", partial(expire.expire_all, context), every_s=expire.TICK_S),
        forever("heal", partial(heal.heal_all, context), every_s=heal.TICK_S),
        forever("recoverability", recoverability.Assessor(context).step, every_s=recoverability.TICK_S),
        forever("history-limits", partial(history_limits.limit_all, context), every_s=history_limits.TICK_S),
        dispatcher.work(context),
    ]


async def _until_first_ends(parts: list[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _configure(registry: kopf.OperatorRegistry) -> None:
    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.watching.server_timeout = 300
        settings.watching.chunk_size = PAGE
        settings.queueing.worker_limit = 32
        # An idle worker keeps its place among them: with Kopf's 5 s only 6 objects a second would be looked at, and
        # the bodies of all others held.
        settings.queueing.idle_timeout = 0.001
        settings.persistence.diffbase_storage = _NoLastState()

    # Kopf would read the same files through a second client library when left to itself.
    kopf.on.login(registry=registry, id="service-account", errors=kopf.ErrorsMode.IGNORED)(
        kopf.login_with_service_account
    )
    kopf.on.login(registry=registry, id="kubeconfig", errors=kopf.ErrorsMode.IGNORED)(kopf.login_with_kubeconfig)


class _NoLastState(kopf.DiffBaseStorage):
    """Our handlers compare nothing with an earlier state, for which Kopf would copy each object at each event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None
