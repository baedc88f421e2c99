"""Why a pod does not start, from Kubernetes Jobs, pods and events as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dataguardian.domain.startup import REMEDIES, hold, refusal, to_ask, waits_for
from dataguardian.errors import NotStarted, every_error

JSON = dict[str, Any]

JOB: JSON = {
    "metadata": {"uid": "job-uid", "creationTimestamp": "2026-11-24T02:00:00Z"},
    "status": {"startTime": "2026-11-24T02:00:01Z", "active": 0, "ready": 0, "terminating": 0},
}
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes "
    "are available: 1 Preemption is not helpful for scheduling.",
    "lastTransitionTime": "2026-11-24T02:00:05Z",
}
SCHEDULED = {"type": "PodScheduled", "status": "True"}


def pod(*conditions: JSON, phase: str = "Pending", **state: JSON) -> JSON:
    containers = [{"name": "runner", "ready": False, "restartCount": 0, "state": state}] if state else []
    return {
        "metadata": {"name": "backup-a-x1", "uid": "pod-uid", "creationTimestamp": "2026-11-24T02:00:02Z"},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": containers},
    }


def waiting(reason: str, message: str = "") -> JSON:
    return pod(SCHEDULED, waiting={"reason": reason, "message": message})


def event(reason: str, message: str, at: str = "2026-11-24T02:05:00Z") -> JSON:
    meta = {"name": "e", "creationTimestamp": "2026-11-24T02:00:02Z"}
    return {"metadata": meta, "reason": reason, "message": message, "type": "Warning", "lastTimestamp": at, "count": 3}


def refused(message: str) -> tuple[JSON | None, list[JSON]]:
    return None, [event("FailedCreate", f'Error creating: pods "backup-a-x1" is forbidden: {message}')]


CLAIM = 'persistentvolumeclaim "absent" not found'
CASES: dict[str, tuple[str, str, tuple[JSON | None, list[JSON]]]] = {
    "no-such-image": ("image-pull-failed", "ImagePullBackOff", (waiting("ImagePullBackOff", "Back-off pulling"), [])),
    "odd-image-name": ("image-pull-failed", "InvalidImageName", (waiting("InvalidImageName", "bad"), [])),
    "no-node": ("unschedulable", "node affinity/selector", (pod(UNSCHEDULED), [])),
    "no-claim": ("volume-unavailable", CLAIM, (pod({**UNSCHEDULED, "message": CLAIM}), [])),
    "not-mounted": (
        "volume-unavailable",
        "MountVolume.SetUp failed",
        (waiting("ContainerCreating"), [event("FailedMount", 'MountVolume.SetUp failed for volume "volume-0"')]),
    ),
    "not-attached": (
        "volume-unavailable",
        "Multi-Attach",
        (waiting("ContainerCreating"), [event("FailedAttachVolume", "Multi-Attach error for volume")]),
    ),
    "no-sandbox": (
        "not-started",
        "cni",
        (waiting("ContainerCreating"), [event("FailedCreatePodSandBox", "cni plugin not initialized")]),
    ),
    "config-error": ("not-started", "secret", (waiting("CreateContainerConfigError", 'secret "x" not found'), [])),
    "quota": (
        "quota-exceeded",
        "pods=1",
        refused("exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0"),
    ),
    "quota-needs-limits": ("quota-exceeded", "limits.cpu", refused("failed quota: q: must specify limits.cpu")),
    "pod-security": (
        "pod-security-refused",
        "hostPath",
        refused('violates PodSecurity "restricted:latest": restricted volume types (volume uses hostPath)'),
    ),
    "no-account": (
        "pod-refused",
        "no-such-account",
        refused('error looking up service account shop/no-such-account: serviceaccount "no-such-account" not found'),
    ),
    "no-priority-class": ("pod-refused", "urgent", refused("no PriorityClass with name urgent was found")),
    "webhook": ("pod-refused", "denied", refused('admission webhook "policy.example.com" denied the request')),
    "nothing-told": ("not-started", "events", (None, [])),
    "creating": ("not-started", "events", (waiting("ContainerCreating"), [])),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pod_that_does_not_start_has_a_reason_of_its_own(name: str) -> None:
    code, says, (found, events) = CASES[name]

    held = hold(JOB, found, events)

    assert held is not None
    assert held.error.code == code
    assert says in held.error.what
    assert held.error.remedy
    assert held.since < datetime(2026, 11, 24, 2, 0, 3, tzinfo=UTC)


def test_only_what_no_time_cures_ends_a_run_at_once() -> None:
    final = {name for name, (_, _, found) in CASES.items() if (held := hold(JOB, *found)) and held.final}

    assert final == {"pod-security"}


@pytest.mark.parametrize("name", ["nothing-told", "creating"])
def test_a_pod_that_was_just_made_says_nothing_yet(name: str) -> None:
    held = hold(JOB, *CASES[name][2])

    assert held is not None
    assert held.told is None


def test_a_pod_that_has_started_is_not_held() -> None:
    assert hold(JOB, pod(SCHEDULED, phase="Running", running={"startedAt": "2026-11-24T02:00:04Z"}), []) is None


def test_between_two_tries_nothing_is_held_unless_the_next_pod_is_refused() -> None:
    failed = pod(SCHEDULED, phase="Failed", terminated={"exitCode": 75, "finishedAt": "2026-11-24T02:04:00Z"})
    early, late = (event("FailedCreate", "exceeded quota", f"2026-11-24T02:0{minute}:00Z") for minute in (3, 5))

    assert hold(JOB, failed, [early]) is None
    held = hold(JOB, failed, [early, late])
    assert held is not None
    assert (held.error.code, held.since) == ("quota-exceeded", datetime(2026, 11, 24, 2, 4, tzinfo=UTC))


def test_events_are_asked_for_only_where_a_status_does_not_tell() -> None:
    running = pod(SCHEDULED, phase="Running", running={})

    assert [to_ask(JOB, found) for found in (None, waiting("ContainerCreating"), pod(UNSCHEDULED), running)] == [
        "job-uid",
        "pod-uid",
        None,
        None,
    ]


def test_an_event_in_the_newer_form_has_a_time_too() -> None:
    told = event("FailedCreate", "exceeded quota")
    told |= {"lastTimestamp": None, "eventTime": "2026-11-24T02:01:00.123456Z"}

    assert hold(JOB, None, [told]) is not None


def test_a_pod_that_is_being_created_waits_for_nothing_notable() -> None:
    assert waits_for(waiting("ContainerCreating")) is None
    assert waits_for(waiting("PodInitializing")) is None


def test_a_refused_kubernetes_job_is_read_in_the_same_way() -> None:
    assert refusal('jobs.batch "x" is forbidden: exceeded quota: jobs').code == "quota-exceeded"
    assert refusal("anything else").code == "pod-refused"


def test_each_reason_has_a_remedy() -> None:
    assert set(REMEDIES) == {error for error in every_error() if issubclass(error, NotStarted)}
