"""The logs of ended runs → history; only then may a Kubernetes Job be collected."""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

from ..domain.line_id import LineId, line_id, pod_number
from ..domain.naming import OWNER_UID, Operation, human_seconds, kubernetes_job_name
from ..domain.outcome import finished
from ..errors import DataGuardianError, Unavailable
from ..history import LogLine, RunRow
from ..kube.client import JSON, Absent, jobs_path, pods_path
from ..resources.common import timestamp
from . import rows, runner_lines
from .context import Context, Unlogged, now
from .loop import attempt

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.5
TTL_SECONDS = 3600  # a recorded Kubernetes Job stays this long, for kubectl logs
LINES = 10_000  # of each try, the last ones: they tell how it ended
SILENCE_S = 10.0  # of a kubelet
RETRY = timedelta(seconds=15)
GIVE_UP = timedelta(minutes=10)  # after which a log that could not be read is lost


def expect(context: Context, job: JSON, pods: Sequence[JSON], row: RunRow) -> None:
    """Have the log of an ended run added to its row, and its Kubernetes Job collected after that."""
    meta = job["metadata"]
    tries = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    waiting = Unlogged(namespace=meta["namespace"], job=meta["name"], pods=[pod["metadata"] for pod in tries], row=row)
    context.unlogged.setdefault(meta["uid"], waiting)


async def look_for(context: Context, operation: Operation, row: RunRow) -> None:
    """Expect the log of a run that history knew nothing of, while its Kubernetes Job is there."""
    name = kubernetes_job_name(operation, row.name)
    try:
        job = await context.kube.get(jobs_path(row.namespace, name))
    except Absent:
        return
    if finished(job) and job["metadata"].get("labels", {}).get(OWNER_UID) == row.id:
        expect(context, job, await context.kube.pods_of(row.namespace, name), row)


async def write_all(context: Context) -> None:
    """Write each expected log; a step of the worker ``logs``. Raises HistoryUnavailable."""
    for uid, waiting in list(context.unlogged.items()):
        if waiting.next_try is None or waiting.next_try <= now():
            await context.history.check()  # no log is read that cannot be written
            await attempt("logs", partial(_write, context, uid, waiting))


async def let_go(context: Context, namespace: str, job: str) -> None:
    """Let Kubernetes collect a Kubernetes Job that nothing is wanted of any more."""
    try:
        await context.kube.patch(jobs_path(namespace, job), {"spec": {"ttlSecondsAfterFinished": TTL_SECONDS}})
    except Absent:
        return


async def _write(context: Context, uid: str, waiting: Unlogged) -> None:
    lines = await _read(context, waiting)
    if lines is None:
        return
    await rows.write(context.history.record, dataclasses.replace(waiting.row, logs=lines))
    await let_go(context, waiting.namespace, waiting.job)
    context.unlogged.pop(uid, None)


async def _read(context: Context, waiting: Unlogged) -> list[LogLine] | None:
    """The lines of all tries, oldest first; None when the log is to be read again later."""
    found: list[LogLine] = []
    for pod in waiting.pods:
        lines: deque[LogLine] = deque(maxlen=LINES)
        try:
            async for line in lines_of(context, pod, silence_s=SILENCE_S):
                lines.append(line)
        except Unavailable as error:
            if not _was_last_try(waiting):
                return None
            lines.append(_gap(waiting, pod, str(error), after=lines[-1].id if lines else ""))
        except (Absent, DataGuardianError) as error:
            # It never ran, or is gone; the result counts more.
            fields = {"action": "log_lost", "namespace": waiting.namespace, "pod": pod["name"]}
            log.warning("A log cannot be read: %s", error, extra=fields)
        found += lines
    return found


def _was_last_try(waiting: Unlogged) -> bool:
    """Note that a log could not be read; false when there is time for another try."""
    moment = now()
    waiting.unreadable_since = waiting.unreadable_since or moment
    waiting.next_try = moment + RETRY
    return moment - waiting.unreadable_since >= GIVE_UP


def _gap(waiting: Unlogged, pod: JSON, reason: str, *, after: str) -> LogLine:
    """A line, after the one with an id, about what is missing of a pod's log."""
    name = pod["name"]
    message = f"The log of pod {name} could not be read for {human_seconds(GIVE_UP.total_seconds())}: {reason}"
    log.error("%s", message, extra={"action": "log_lost", "namespace": waiting.namespace, "pod": name})
    last = line_id(after) or LineId(pod_number(pod["creationTimestamp"]), 0)
    return LogLine(
        ts=timestamp(now()),
        level="error",
        message=f"[{waiting.row.operation.upper()}] {message}",
        id=str(LineId(last.pod, last.number + 1)),
    )


async def lines_of(context: Context, pod: JSON, *, silence_s: float, **query: str) -> AsyncIterator[LogLine]:
    """The lines of a pod, of its metadata; all of them, as the place of a line tells which it is."""
    path, first = pods_path(pod["namespace"], pod["name"]) + "/log", pod_number(pod["creationTimestamp"])
    number = 0
    async for raw in context.kube.lines(path, query, silence_s=silence_s):
        number += 1
        yield as_line(raw, id=str(LineId(first, number)))


def as_line(line: bytes, *, id: str = "") -> LogLine:
    """A line of the runner, or of something else in the pod as it is."""
    return log_line(runner_lines.read(line), id=id)


def log_line(told: runner_lines.RunnerLine, *, id: str = "") -> LogLine:
    """What is kept of a line."""
    return LogLine(ts=told.ts, level=told.level, message=told.message, id=id)
