"""Why a runner's pod does not start, read from the Kubernetes Job, its pod, and their events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import (
    ImagePullFailed,
    NotStarted,
    PodRefused,
    PodSecurityRefused,
    QuotaExceeded,
    Unschedulable,
    VolumeUnavailable,
)
from .pods import pending, terminated

JSON = dict[str, Any]

REMEDIES: dict[type[NotStarted], str] = {
    ImagePullFailed: "Check the image, its registry, and the pull Secrets in the namespace of the run.",
    Unschedulable: "Give the cluster room, or correct nodeSelector, tolerations, affinity or requests in "
    "spec.runTemplate.",
    QuotaExceeded: "Raise the namespace's quota, or free what uses it, and run again.",
    PodSecurityRefused: "Correct spec.runTemplate, or the Pod Security level of the namespace.",
    PodRefused: "Create what spec.runTemplate names, or correct it, and run again.",
    VolumeUnavailable: "Check the PersistentVolumeClaims that the run mounts, and their events.",
    NotStarted: "Cure what Kubernetes says, and run again.",
}
IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
    "SignatureValidationFailed",
}
CREATING = (None, "ContainerCreating", "PodInitializing")
# The scheduler's and the admission plugins' own words; there is no field that says it.
VOLUME_WORDS = re.compile(r"persistentvolumeclaim|persistent volume|volume node affinity", re.IGNORECASE)
REFUSALS: tuple[tuple[str, type[NotStarted]], ...] = (
    ("exceeded quota", QuotaExceeded),
    ("failed quota", QuotaExceeded),
    ("violates PodSecurity", PodSecurityRefused),
)
POD_EVENTS: dict[str, type[NotStarted]] = {
    "FailedMount": VolumeUnavailable,
    "FailedAttachVolume": VolumeUnavailable,
    "FailedCreatePodSandBox": NotStarted,
}


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What keeps a pod from starting: ``told`` in Kubernetes' words, None while nothing notable is known."""

    kind: type[NotStarted]
    told: str | None
    since: datetime

    @property
    def final(self) -> bool:
        """Whether waiting cures nothing: what is refused is the pod as it is written."""
        return self.kind is PodSecurityRefused

    @property
    def error(self) -> NotStarted:
        """What the run ends with when the hold lasts."""
        told = self.told or "Nothing tells why: look at the events of its Kubernetes Job and pod."
        return self.kind(f"The pod could not start. {told}", remedy=REMEDIES[self.kind])


def hold(job: JSON, pod: JSON | None, events: Sequence[JSON]) -> Hold | None:
    """What an unfinished Kubernetes Job waits for; None when its newest pod has started, or another one will be made.

    ``events`` are those of what ``to_ask`` names.
    """
    if pod is None:
        began = job.get("status", {}).get("startTime") or job["metadata"]["creationTimestamp"]
        return _refused(_moment(began), events) or Hold(kind=NotStarted, told=None, since=_moment(began))
    if end := terminated(pod):
        ended = _moment(end.get("finishedAt") or pod["metadata"]["creationTimestamp"])
        return _refused(ended, [event for event in events if _seen_at(event) > ended])
    if not pending(pod):
        return None
    since = _moment(pod["metadata"]["creationTimestamp"])
    kind, told = waits_for(pod) or _pod_event(events) or (NotStarted, None)
    return Hold(kind=kind, told=told, since=since)


def to_ask(job: JSON, pod: JSON | None) -> str | None:
    """The UID of the object whose events tell more; None when none is needed."""
    if pod is None or terminated(pod):
        return str(job["metadata"]["uid"])
    if pending(pod) and waits_for(pod) is None:
        return str(pod["metadata"]["uid"])
    return None


def waits_for(pod: JSON) -> tuple[type[NotStarted], str] | None:
    """What a pod's status says that it waits for; None when that is nothing notable."""
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            text = _sentence(condition)
            return (VolumeUnavailable if VOLUME_WORDS.search(text) else Unschedulable), text
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container["state"].get("waiting")
        if waiting and waiting.get("reason") not in CREATING:
            return (ImagePullFailed if waiting["reason"] in IMAGE_REASONS else NotStarted), _sentence(waiting)
    return None


def refusal(message: str) -> type[NotStarted]:
    """What the API server means that did not take a pod, or a Kubernetes Job."""
    return next((kind for words, kind in REFUSALS if words in message), PodRefused)


def _refused(since: datetime, events: Iterable[JSON]) -> Hold | None:
    """Why the Kubernetes Job's controller could not make a pod."""
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    if not failed:
        return None
    message = str(max(failed, key=_seen_at).get("message", ""))
    return Hold(kind=refusal(message), told=message.rstrip(". ")[:800] + ".", since=since)


def _pod_event(events: Iterable[JSON]) -> tuple[type[NotStarted], str] | None:
    notable = [event for event in events if event.get("reason") in POD_EVENTS]
    if not notable:
        return None
    newest = max(notable, key=_seen_at)
    return POD_EVENTS[newest["reason"]], _sentence(newest)


def _sentence(state: JSON) -> str:
    text = f"{state.get('reason')}: {state.get('message') or 'no more is told'}"
    return text.rstrip(". ")[:800] + "."


def _seen_at(event: JSON) -> datetime:
    """When an event was last seen; events have been written in several forms."""
    series = event.get("series") or {}
    told = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return _moment(told or event["metadata"]["creationTimestamp"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
