"""The end that somebody asked for with ``spec.cancel``.

Whatever dies in between: the run object still says so, and the next look at it goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from ..domain import status as moves
from ..domain.naming import CONTAINER, kubernetes_job_name
from ..domain.outcome import cancelled, finished, going
from ..domain.pods import last_try, pending, terminated
from ..errors import DataGuardianError
from ..history import LogLine
from ..kube.client import JSON, Absent, jobs_path
from ..kube.status import change_status
from ..resources.common import Resource
from . import recorder, run_jobs, run_logs, running
from .context import Context, now
from .loop import attempt
from .operations import RunKind

log = logging.getLogger(__name__)

# The pod has 30 s to end; a node that is silent for longer does not tell how it ended.
STOP_S = 60.0
LOOK_S = 10.0  # at the Kubernetes Job, should a watch be away
SETTLE_S = 2.0
LOG_S = 5.0  # for the rest of the log of a pod that has ended

Run = Resource[Any, Any]


async def cancel(context: Context, run_kind: RunKind, run: Run) -> None:
    """End a run as Cancelled: at once while it is Queued, when its pod has ended while it is Running."""
    if run.status.phase == "Queued":
        run = await _cancel_queued(context, run_kind, run)
    if run.status.phase == "Running" and run.metadata.uid not in context.stopping:
        context.stopping[run.metadata.uid] = asyncio.Event()
        stop = asyncio.create_task(attempt("cancel", partial(_stop, context, run_kind, run)))
        context.tasks.add(stop)
        stop.add_done_callback(context.tasks.discard)
        stop.add_done_callback(lambda _: context.stopping.pop(run.metadata.uid, None))


async def _cancel_queued(context: Context, run_kind: RunKind, run: Run) -> Run:
    """Cancelled; or Running, when there is a Kubernetes Job that has to be stopped first."""
    if context.slots.is_starting(run.metadata.uid):
        return run  # who starts it sees that it is cancelled
    job = await run_jobs.find(context, run_kind, run)
    if job is not None:
        known = run_jobs.chosen(run_kind, run, job)
        run = await change_status(
            context.kube, run_kind.kind, run, lambda current: moves.started(current.status, now=now(), **known)
        )
        context.catalog.put(run_kind.kind, run)
        return run
    report = cancelled(None, step=recorder.step_of(run))
    run = await recorder.end(context, run_kind, run, report, ended_at=now(), only_queued=True)
    recorder.record_state(context, run_kind, run)
    return run


async def _stop(context: Context, run_kind: RunKind, run: Run) -> None:
    """Delete the Kubernetes Job, wait for what its pod says at its end, and end the run."""
    job = await run_jobs.under_name(context, run_kind, run)
    if job is not None and finished(job) and not going(job):
        return  # it ended by itself: the recorder has the result
    name = kubernetes_job_name(run_kind.operation, run.metadata.name)
    pods = await context.kube.pods_of(run.metadata.namespace, name)
    for pod in pods:
        running.remember(context, run.metadata.uid, pod)
    newest = last_try(pods)
    lines: deque[LogLine] = deque(maxlen=run_logs.LINES)
    for earlier in pods:
        if earlier is not newest:
            await _read_log(context, earlier, lines)
    # Before the deletion: the log goes with the pod.
    followers = [asyncio.create_task(_read_log(context, pod, lines, follow="true")) for pod in pods if pod is newest]
    try:
        if job is not None:
            await context.kube.delete(jobs_path(run.metadata.namespace, name), foreground=True)
        await _until_ended(context, run_kind, run)
        if followers:
            await asyncio.wait(followers, timeout=LOG_S)
    finally:
        for follower in followers:
            follower.cancel()
    last = context.pods.get(run.metadata.uid)
    # Without a pod's end nobody knows whether there is a backup; one that never began has made none.
    is_lost = not (terminated(last) or pending(last)) if last else job is None
    report = cancelled(last, step=recorder.step_of(run))
    found = await recorder.found_again(context, run, report, is_lost=is_lost)
    if found is None:
        return  # the store is being asked; the sweep comes back
    run = await recorder.end(context, run_kind, run, found, ended_at=now())
    recorder.record_state(context, run_kind, run, lines)


async def _until_ended(context: Context, run_kind: RunKind, run: Run) -> None:
    """Return when the pod has ended or there is none any more; after STOP_S in any case."""
    news, deadline = context.stopping[run.metadata.uid], time.monotonic() + STOP_S
    while time.monotonic() < deadline:
        news.clear()
        pod = context.pods.get(run.metadata.uid)
        if pod is None or terminated(pod) or running.is_gone(pod):
            return
        if await run_jobs.under_name(context, run_kind, run) is None:
            # Two watches tell of the Kubernetes Job and of its pod, in any order.
            deadline = min(deadline, time.monotonic() + SETTLE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(deadline - time.monotonic(), LOOK_S)):
                await news.wait()


async def _read_log(context: Context, pod: JSON, lines: deque[LogLine], **query: str) -> None:
    """Add the log of a pod. One that cannot be read adds nothing: that the run ends counts more."""
    meta = pod["metadata"]
    try:
        async for line in run_logs.lines_of(context, meta, silence_s=STOP_S, container=CONTAINER, **query):
            lines.append(line)
    except (Absent, DataGuardianError) as error:
        log.warning("A log cannot be read: %s", error, extra={"action": "log_lost", "pod": meta["name"]})
