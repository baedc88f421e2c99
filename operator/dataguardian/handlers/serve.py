"""The operator's process: Kopf, and the workers beside it, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, cast

import kopf

from .. import settings
from ..history import History
from ..kube.client import Kubernetes, connect
from ..queue import Queue
from ..workers import (
    backfill,
    cleanup,
    dispatcher,
    entries,
    heal,
    health,
    history_limits,
    index,
    lost_results,
    mirror,
    recorder,
    rows,
    run_logs,
    watcher,
)
from ..workers.catalog import Catalog
from ..workers.context import Context
from ..workers.loop import forever
from ..workers.operations import RUN_KINDS
from ..workers.scheduler import Scheduler
from .triggers import register

LIVENESS = "http://0.0.0.0:8081/healthz"
RECORD_EVERY_S = 2.0


def serve(env: settings.Environment) -> None:
    """Run until SIGTERM or SIGINT; a worker that dies ends the process, so that it starts again."""
    asyncio.run(_serve(env))


async def _serve(env: settings.Environment) -> None:
    for chatty in ("kopf", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    async with (
        connect() as api,
        History(settings.postgres(env)) as history,
        Queue(settings.redis(env)) as queue,
    ):
        kube = Kubernetes(api)
        context = Context(kube=kube, queue=queue, history=history, runner=settings.runner(env), catalog=Catalog(kube))
        scheduler = Scheduler(context)
        registry = kopf.OperatorRegistry()
        _configure(registry)
        register(registry, context, scheduler)
        operator = kopf.operator(
            registry=registry,
            clusterwide=True,
            standalone=True,
            liveness_endpoint=LIVENESS,
            # Kopf would ask for the user's name, which a numeric user in a container does not have.
            identity=cast(Any, "dataguardian"),
        )
        await _until_first_ends([operator, *_workers(context, scheduler)])


def _workers(context: Context, scheduler: Scheduler) -> list[Coroutine[Any, Any, None]]:
    return [
        scheduler.run(),
        watcher.watch_jobs(context),
        watcher.watch_pods(context),
        forever("sweep", partial(dispatcher.sweep, context), every_s=dispatcher.SWEEP_S),
        forever("recorder", partial(recorder.record_all, context), every_s=RECORD_EVERY_S),
        forever("history", partial(rows.write_waiting, context), every_s=rows.WRITE_EVERY_S),
        forever("logs", partial(run_logs.write_all, context), every_s=run_logs.WRITE_EVERY_S),
        forever("mirror", mirror.Mirror(context).step, every_s=mirror.WRITE_EVERY_S),
        forever("backfill", backfill.Backfill(context).step, every_s=backfill.TICK_S),
        forever("health", partial(health.check_all, context), every_s=health.TICK_S),
        forever("lost-results", partial(lost_results.settle_all, context), every_s=lost_results.TICK_S),
        forever("catalogue", context.catalog.entries.refresh, every_s=entries.TICK_S),
        forever("index", partial(index.index_all, context), every_s=index.TICK_S),
        forever("cleanup", partial(cleanup.clean_all, context), every_s=cleanup.TICK_S),
        forever("heal", partial(heal.heal_all, context), every_s=heal.TICK_S),
        forever("history-limits", partial(history_limits.limit_all, context), every_s=history_limits.TICK_S),
        *(dispatcher.work(context, run_kind) for run_kind in RUN_KINDS.values()),
    ]


async def _until_first_ends(parts: list[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.ensure_future(part) for part in parts]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


def _configure(registry: kopf.OperatorRegistry) -> None:
    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.watching.server_timeout = 300
        settings.queueing.worker_limit = 32

    # Kopf would read the same files through a second client library when left to itself.
    kopf.on.login(registry=registry, id="service-account", errors=kopf.ErrorsMode.IGNORED)(
        kopf.login_with_service_account
    )
    kopf.on.login(registry=registry, id="kubeconfig", errors=kopf.ErrorsMode.IGNORED)(kopf.login_with_kubeconfig)
