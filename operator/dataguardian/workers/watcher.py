"""Our Kubernetes Jobs and pods as they change: ends go to the recorder, progress to the status, the rest is noted."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from functools import partial
from typing import Any

from ..domain import status as moves
from ..domain.naming import CONTAINER, OPERATION, OWNER_UID
from ..domain.outcome import finished
from ..kube.client import JSON, jobs_path, pods_path
from ..kube.jobs import SELECTOR
from ..kube.status import change_status
from ..kube.watch import follow
from ..resources.common import Resource
from ..resources.execution import RunStatus
from . import recorder, running, side_jobs
from .context import Context, now
from .loop import attempt
from .operations import RUN_KINDS

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 5.0
LOG_SILENCE_S = 120.0


async def watch_jobs(context: Context) -> None:
    """Follow all Kubernetes Jobs of ours; never returns."""

    async def seen(change: str, job: JSON) -> None:
        if job["metadata"]["labels"][OPERATION] not in RUN_KINDS:
            side_jobs.observe(context, change, job)
        elif change == "DELETED":
            recorder.unobserve(context, job)
            _tell_stopper(context, job)
        elif finished(job):
            recorder.observe(context, job)

    await follow(context.kube, jobs_path(), label_selector=SELECTOR, seen=seen)


async def watch_pods(context: Context) -> None:
    """Follow the pods of runs, and the log of each that runs; never returns."""
    followers: dict[str, asyncio.Task[None]] = {}

    async def seen(change: str, pod: JSON) -> None:
        labels = pod["metadata"]["labels"]
        uid, owner = pod["metadata"]["uid"], labels[OWNER_UID]
        if labels[OPERATION] not in RUN_KINDS:
            side_jobs.observe_pod(context, change, pod)
            return
        if change == "DELETED" and not context.slots.find(owner):
            context.pods.pop(owner, None)
            return
        running.remember(context, owner, pod, gone=change == "DELETED")
        _tell_stopper(context, pod)
        if change == "DELETED":
            return
        if pod["status"].get("phase") == "Running" and uid not in followers:
            followers[uid] = asyncio.create_task(_follow_log(context, pod))
            followers[uid].add_done_callback(lambda _: followers.pop(uid, None))

    await follow(context.kube, pods_path(), label_selector=SELECTOR, seen=seen)


def _tell_stopper(context: Context, changed: JSON) -> None:
    """A run that is being cancelled waits for news of its Kubernetes Job and pod."""
    if news := context.stopping.get(changed["metadata"]["labels"][OWNER_UID]):
        news.set()


async def _follow_log(context: Context, pod: JSON) -> None:
    """Write the progress that a runner tells into the status of its run."""
    await attempt("watcher", partial(_progress, context, pod))


async def _progress(context: Context, pod: JSON) -> None:
    meta = pod["metadata"]
    run_kind = RUN_KINDS[meta["labels"][OPERATION]]
    path = pods_path(meta["namespace"], meta["name"]) + "/log"
    query = {"follow": "true", "container": CONTAINER}
    step, written = "", 0.0
    async for line in context.kube.lines(path, query, silence_s=LOG_SILENCE_S):
        told = _told(line)
        if told is None or (told[0] == step and time.monotonic() - written < PROGRESS_EVERY_S):
            continue
        step, written = told[0], time.monotonic()
        found = context.slots.find(meta["labels"][OWNER_UID])
        if found is None:
            return
        changed = await change_status(
            context.kube,
            run_kind.kind,
            found[1],
            partial(_progressed, told),
        )
        context.catalog.put(run_kind.kind, changed)


def _progressed(told: tuple[str, int], run: Resource[Any, Any]) -> RunStatus | None:
    status: RunStatus = run.status
    return moves.progressed(status, step=told[0], bytes=told[1], now=now())


def _told(line: bytes) -> tuple[str, int] | None:
    """Step and bytes of a progress line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("action") not in ("step_started", "progress"):
        return None
    return str(fields.get("step", "")), int(fields.get("bytes", 0))
