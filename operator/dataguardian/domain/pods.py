"""What the status of a runner's pod says of its container and its node."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from . import report as reports
from .naming import CONTAINER
from .report import Report

JSON = dict[str, Any]
# For a node that answers nothing. Its pods are marked for deletion five minutes after it fell silent.
SILENCE = timedelta(minutes=5)


def last_try(pods: Sequence[JSON]) -> JSON | None:
    """The newest pod of a Kubernetes Job."""
    return max(pods, key=_created, default=None)


def pending(pod: JSON) -> bool:
    """Whether no container of the pod has run yet."""
    return bool(pod["status"].get("phase") == "Pending")


def terminated(pod: JSON) -> JSON | None:
    """How the runner's container ended; None while it has not."""
    for container in pod.get("status", {}).get("containerStatuses", []):
        # Others, such as a mesh's, are put into the pod by the cluster.
        if container["name"] == CONTAINER and "terminated" in container["state"]:
            return dict(container["state"]["terminated"])
    return None


def runner_report(pod: JSON | None) -> Report | None:
    """The runner's own word; None when it left none."""
    end = terminated(pod) if pod else None
    return reports.decode(end.get("message", "")) if end else None


def disruption(pod: JSON) -> JSON | None:
    """Why Kubernetes took the pod away: an eviction, a preemption, a drained or lost node."""
    return condition(pod, "DisruptionTarget", "True")


def node_lost(pod: JSON, *, now: datetime) -> bool:
    """Whether the pod's node has been silent for so long that nothing more is to be heard of the runner."""
    if terminated(pod):
        return False
    if pod["status"].get("reason") == "NodeLost":
        return True
    # The moment by which the pod should have been gone, its grace included.
    gone_by = pod["metadata"].get("deletionTimestamp")
    unknown = condition(pod, "Ready", "Unknown") or {}
    silent_since = gone_by or unknown.get("lastTransitionTime")
    return silent_since is not None and datetime.fromisoformat(silent_since) + SILENCE < now


def condition(thing: JSON, type: str, status: str) -> JSON | None:
    """The condition of a pod or a Kubernetes Job, when it has this status."""
    for each in thing.get("status", {}).get("conditions", []):
        if each["type"] == type and each["status"] == status:
            return dict(each)
    return None


def _created(pod: JSON) -> str:
    return str(pod["metadata"]["creationTimestamp"])
