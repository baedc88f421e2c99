"""How a Kubernetes Job ended, read from the Job and its pods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..errors import (
    Cancelled,
    DeadlineExceeded,
    Evicted,
    Interrupted,
    NotStarted,
    OutOfMemory,
    RunnerKilled,
    RunnerLost,
)
from . import report as reports
from .naming import CONTAINER
from .report import Report

JSON = dict[str, Any]


def finished(job: JSON) -> bool:
    """Whether the Kubernetes Job has ended, either way."""
    return _condition(job, "Complete") is not None or _condition(job, "Failed") is not None


def finished_at(job: JSON) -> datetime | None:
    """When the Kubernetes Job ended, the same however often it is asked; None when it has not."""
    end = _condition(job, "Complete") or _condition(job, "Failed")
    return datetime.fromisoformat(end["lastTransitionTime"]) if end else None


def outcome(job: JSON, pods: Sequence[JSON], *, step: str) -> Report:
    """The result of a finished Kubernetes Job: the runner's own word, or what Kubernetes says of a runner that could
    not leave one. ``step`` is the last step that is known."""
    newest = last_try(pods)
    report = _runner_report(newest) if newest else None
    succeeded = _condition(job, "Complete") is not None
    if report is not None and _out_of_time(job, report):
        report = None
    if report is not None and (report.completed == succeeded or report.failure is not None):
        return report
    return reports.failed(_interruption(job, newest), step)


def _out_of_time(job: JSON, report: Report) -> bool:
    """Whether the runner was asked to end because its deadline had passed; it cannot know that."""
    failed = _condition(job, "Failed") or {}
    asked = report.failure is not None and report.failure.code == Cancelled.code
    return asked and failed.get("reason") == "DeadlineExceeded"


def last_try(pods: Sequence[JSON]) -> JSON | None:
    """The newest pod of a Kubernetes Job."""
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def waiting_reason(pod: JSON) -> str | None:
    """Why a pod does not start, in Kubernetes' words; None when it does not wait for anything notable."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _sentence(condition)
    for container in pod.get("status", {}).get("containerStatuses", []):
        waiting = container["state"].get("waiting")
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return _sentence(waiting)
    return None


def _sentence(state: JSON) -> str:
    text = f"{state.get('reason')}: {state.get('message') or 'no more is told'}"
    return text.rstrip(". ") + "."


def _condition(job: JSON, type: str) -> JSON | None:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == type and condition["status"] == "True":
            return dict(condition)
    return None


def _terminated(pod: JSON) -> JSON | None:
    for container in pod.get("status", {}).get("containerStatuses", []):
        # Others, such as a mesh's, are put into the pod by the cluster.
        if container["name"] == CONTAINER and "terminated" in container["state"]:
            return dict(container["state"]["terminated"])
    return None


def _runner_report(pod: JSON) -> Report | None:
    terminated = _terminated(pod)
    return reports.decode(terminated.get("message", "")) if terminated else None


def _interruption(job: JSON, pod: JSON | None) -> Interrupted:
    """Why a runner could not leave a report."""
    failed = _condition(job, "Failed") or {}
    terminated = (_terminated(pod) if pod else None) or {}
    waiting = waiting_reason(pod) if pod else None
    again = "Run again; look at the node's events if it happens again."
    if terminated.get("reason") == "OOMKilled":
        return OutOfMemory(
            "The runner used more memory than its limit.",
            remedy="Raise the memory limit in spec.runTemplate.resources.",
        )
    if pod and pod["status"].get("reason") == "Evicted":
        return Evicted(f"The pod was evicted: {pod['status'].get('message')}", remedy="Give the node room. " + again)
    if waiting:
        return NotStarted(f"The pod could not start. {waiting}", remedy="Cure what Kubernetes says, and run again.")
    if failed.get("reason") == "DeadlineExceeded":
        return DeadlineExceeded(
            "The run took longer than spec.activeDeadlineSeconds.",
            remedy="Raise the deadline, or find what holds the run up in its log.",
        )
    if terminated:
        status = terminated.get("exitCode")
        return RunnerKilled(f"The runner ended with exit status {status} and left no report.", remedy=again)
    return RunnerLost(f"The pod of the run is gone. {failed.get('message', '')}".strip(), remedy=again)
