"""Runs under way: those whose pod does not start, whose node is gone, whose Kubernetes Job has vanished."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain import status as moves
from ..domain.naming import kubernetes_job_name
from ..domain.outcome import finished, overdue, vanished
from ..domain.pods import last_try
from ..domain.report import Report
from ..domain.startup import Hold, hold, to_ask
from ..kube.client import JSON, Absent, jobs_path
from ..kube.status import change_status
from ..resources.common import Resource
from . import recorder
from .context import Context, now
from .operations import RunKind

LOST_AFTER = timedelta(seconds=30)  # a Running run without a Kubernetes Job, which had one

Run = Resource[Any, Any]


async def check(context: Context, run_kind: RunKind, run: Run) -> None:
    """End a Running run that will not end by itself; tell what one waits for whose pod has not started."""
    namespace, name = run.metadata.namespace, kubernetes_job_name(run_kind.operation, run.metadata.name)
    try:
        job = await context.kube.get(jobs_path(namespace, name))
    except Absent:
        await _check_vanished(context, run_kind, run)
        return
    if finished(job):
        return  # the recorder's
    pod = context.pods.get(run.metadata.uid)
    if pod is None or is_gone(pod):  # the watch may not have told of the next one yet
        pod = last_try(await context.kube.pods_of(namespace, name))
    if error := overdue(job, pod, now=now()):
        await _give_up(context, run_kind, run, reports.failed(error, recorder.step_of(run)))
        return
    uid = to_ask(job, pod)
    if held := hold(job, pod, await context.kube.events_of(namespace, uid) if uid else []):
        await _hold_up(context, run_kind, run, held)


async def _check_vanished(context: Context, run_kind: RunKind, run: Run) -> None:
    """Nobody but a person deletes a Kubernetes Job whose result is not recorded."""
    if now() - (run.status.start_time or now()) > LOST_AFTER:
        report = vanished(context.pods.get(run.metadata.uid), step=recorder.step_of(run))
        await _give_up(context, run_kind, run, report)


async def _give_up(context: Context, run_kind: RunKind, run: Run, report: Report) -> None:
    """End a run of which nothing more is to be heard, unless its result is found elsewhere; that may take a while."""
    found = await recorder.found_again(context, run, report)
    if found is None:
        return
    name = kubernetes_job_name(run_kind.operation, run.metadata.name)
    await context.kube.delete(jobs_path(run.metadata.namespace, name))
    run = await recorder.end(context, run_kind, run, found, ended_at=now())
    recorder.record_state(context, run_kind, run)


async def _hold_up(context: Context, run_kind: RunKind, run: Run, held: Hold) -> None:
    """Say what the pod waits for, and end the run when it has waited for too long."""
    patience = timedelta(seconds=context.limits.start_deadline_seconds)
    if held.final or now() - held.since > patience:
        name = kubernetes_job_name(run_kind.operation, run.metadata.name)
        # Deleted first: a restore that is told to have failed must not start afterwards.
        await context.kube.delete(jobs_path(run.metadata.namespace, name))
        await recorder.fail(context, run_kind, run, held.error)
    elif held.told:
        move = partial(moves.held_up, message=held.told, now=now())
        await change_status(context.kube, run_kind.kind, run, lambda current: move(current.status))


def remember(context: Context, owner: str, pod: JSON, *, gone: bool = False) -> None:
    """Keep the newest pod of a run or check; one of an earlier try is passed by."""
    known = context.pods.get(owner)
    if known is None or last_try([known, pod]) is pod or known["metadata"]["uid"] == pod["metadata"]["uid"]:
        spec = {"nodeName": pod["spec"].get("nodeName")}
        context.pods[owner] = {"metadata": pod["metadata"], "status": pod["status"], "spec": spec, "gone": gone}


def is_gone(pod: JSON) -> bool:
    """Whether a remembered pod has been deleted since."""
    return bool(pod["gone"])
