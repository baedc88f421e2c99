"""How a Kubernetes Job ended, read from the Job and its pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..errors import (
    Cancelled,
    DataGuardianError,
    DeadlineExceeded,
    Evicted,
    Interrupted,
    NodeLost,
    OutOfMemory,
    RunnerKilled,
    RunnerLost,
)
from . import report as reports
from .pods import condition, disruption, last_try, node_lost, runner_report, terminated
from .report import Report
from .startup import REMEDIES, waits_for

JSON = dict[str, Any]
AGAIN = "Run again; look at the node's events if it happens again."
NODE_GONE = {"DeletionByTaintManager", "DeletionByPodGC"}
# Ends that take a runner in any step, also after the manifest is stored. A pod that is evicted has the time to tell.
LOST: Mapping[str, type[Interrupted]] = {
    kind.code: kind for kind in (RunnerLost, NodeLost, OutOfMemory, RunnerKilled, DeadlineExceeded)
}
GRACE = timedelta(minutes=5)  # after the deadline of a Kubernetes Job, for its pods to end


def finished(job: JSON) -> bool:
    """Whether the Kubernetes Job has ended, either way."""
    return condition(job, "Complete", "True") is not None or condition(job, "Failed", "True") is not None


def going(job: JSON) -> bool:
    """Whether the Kubernetes Job is being deleted."""
    return job["metadata"].get("deletionTimestamp") is not None


def finished_at(job: JSON) -> datetime | None:
    """When the Kubernetes Job ended, the same however often it is asked; None when it has not."""
    end = condition(job, "Complete", "True") or condition(job, "Failed", "True")
    return datetime.fromisoformat(end["lastTransitionTime"]) if end else None


def outcome(job: JSON, pods: Sequence[JSON], *, step: str) -> Report:
    """The result of a finished Kubernetes Job: the runner's own word, or what Kubernetes says of a runner that could
    not leave one. ``step`` is the last step that is known."""
    newest = last_try(pods)
    report = runner_report(newest)
    # A deadline may pass between what the runner has completed and the end of its pod.
    if report is not None and not _was_stopped(report) and (report.completed or report.failure is not None):
        return report
    return _failed(_interruption(job, newest), step, report)


def cancelled(pod: JSON | None, *, step: str) -> Report:
    """The result of a run whose Kubernetes Job was deleted because somebody asked for its end: it is completed when
    the runner says that it had completed by then."""
    report = runner_report(pod)
    if report is not None and (report.completed or _was_stopped(report)):
        return report
    return _failed(Cancelled("The run was cancelled.", remedy="Run it again when it is wanted."), step, report)


def vanished(pod: JSON | None, *, step: str) -> Report:
    """The result of a run whose Kubernetes Job is gone, by its pod as it was last seen."""
    report = runner_report(pod)
    if report is not None and not _was_stopped(report):
        return report
    return _failed(RunnerLost("The Kubernetes Job of the run is gone.", remedy=AGAIN), step, report)


def overdue(job: JSON, pod: JSON | None, *, now: datetime) -> DataGuardianError | None:
    """Why an unfinished Kubernetes Job will not tell its end any more; None while it may."""
    if pod is not None and node_lost(pod, now=now):
        node = pod.get("spec", {}).get("nodeName") or "of the pod"
        return NodeLost(f"The node {node} does not answer any more.", remedy=AGAIN)
    started = job.get("status", {}).get("startTime")
    limit = timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
    if started is None or datetime.fromisoformat(started) + limit + GRACE >= now:
        return None
    return _too_late()


def lost(report: Report) -> bool:
    """Whether the runner ended without a word of its own: it may have done its work all the same."""
    return report.failure is not None and report.failure.code in LOST


def _failed(error: DataGuardianError, step: str, told: Report | None) -> Report:
    """The run failed; the backup that a sync had stored by then, as its runner told, is one all the same."""
    found = told if told is not None and told.synced is not None else reports.NOTHING
    return reports.failed(error, step, copies=found.copies, found=found)


def _was_stopped(report: Report) -> bool:
    """Whether the runner ended because it was asked to; it cannot know by whom."""
    return report.failure is not None and report.failure.code == Cancelled.code


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded(
        "The run took longer than spec.activeDeadlineSeconds.",
        remedy="Raise the deadline, or find what holds the run up in its log.",
    )


def _interruption(job: JSON, pod: JSON | None) -> Interrupted:
    """Why a runner could not leave a report."""
    failed = condition(job, "Failed", "True") or {}
    end = (terminated(pod) if pod else None) or {}
    if end.get("reason") == "OOMKilled":
        return OutOfMemory(
            "The runner used more memory than its limit.",
            remedy="Raise the memory limit in spec.runTemplate.resources.",
        )
    if pod and (gone := _made_way(pod)):
        return gone
    if pod and (waiting := waits_for(pod)):
        kind, told = waiting
        return kind(f"The pod could not start. {told}", remedy=REMEDIES[kind])
    if failed.get("reason") == "DeadlineExceeded":
        return _too_late()
    if end:
        report = runner_report(pod)
        status = end.get("exitCode")
        how = "was stopped from outside" if report else f"ended with exit status {status} and left no report"
        return RunnerKilled(f"The runner {how}.", remedy=AGAIN)
    told = failed.get("message", "")
    if failed.get("reason") == "PodFailurePolicy" and "DisruptionTarget" in told:
        # An evicted pod is deleted, so that only the Kubernetes Job knows of it.
        return _evicted(told)
    return RunnerLost(f"The pod of the run is gone. {told}".strip(), remedy=AGAIN)


def _made_way(pod: JSON) -> Interrupted | None:
    """What Kubernetes says of a pod that it took away."""
    found = disruption(pod) or {}
    told = found.get("message") or found.get("reason")
    if found.get("reason") in NODE_GONE:
        return NodeLost(f"The node of the pod is gone: {told}", remedy=AGAIN)
    if pod["status"].get("reason") == "Evicted":
        told = pod["status"].get("message")
    return _evicted(told) if told else None


def _evicted(told: str) -> Evicted:
    return Evicted(f"The pod was evicted: {told}", remedy="Give the node room. " + AGAIN)
