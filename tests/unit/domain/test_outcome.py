"""How a Kubernetes Job ended, read from what Kubernetes shows."""

import json
from typing import Any

import pytest

from dataguardian.domain.outcome import finished, outcome, waiting_reason

REPORT = json.dumps({"completed": True, "stored_bytes": 5})
REFUSED = json.dumps(
    {"completed": False, "failure": {"code": "dump-failed", "step": "dump", "message": "m", "remedy": "r"}}
)


def job(condition: str, reason: str = "") -> dict[str, Any]:
    return {"status": {"conditions": [{"type": condition, "status": "True", "reason": reason}]}}


def pod(created: str = "2026-11-24T12:00:00Z", **state: Any) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": created},
        "status": {"containerStatuses": [{"name": "runner", "state": state}] if state else []},
    }


def test_a_job_without_a_final_condition_goes_on() -> None:
    assert not finished({"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}})
    assert finished(job("Complete"))
    assert finished(job("Failed"))


def test_the_runners_own_word_counts() -> None:
    assert outcome(job("Complete"), [pod(terminated={"message": REPORT})], step="dump").stored_bytes == 5
    failed = outcome(job("Failed"), [pod(terminated={"message": REFUSED})], step="connect")
    assert failed.failure is not None
    assert failed.failure.code == "dump-failed"


def test_of_several_tries_the_newest_counts() -> None:
    older = pod("2026-11-24T12:00:00Z", terminated={"message": REFUSED})
    newer = pod("2026-11-24T12:05:00Z", terminated={"message": REPORT})

    assert outcome(job("Complete"), [newer, older], step="dump").completed


def test_a_job_that_failed_is_never_completed_by_an_old_word() -> None:
    killed_late = pod(terminated={"message": REPORT, "exitCode": 137})

    assert not outcome(job("Failed"), [killed_late], step="finalize").completed


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((job("Failed"), [pod(terminated={"reason": "OOMKilled", "exitCode": 137})]), "out-of-memory"),
        ((job("Failed"), [pod(terminated={"exitCode": 137})]), "runner-killed"),
        ((job("Failed", "DeadlineExceeded"), []), "deadline-exceeded"),
        ((job("Failed", "BackoffLimitExceeded"), []), "runner-lost"),
        ((job("Complete"), []), "runner-lost"),
        ((job("Failed"), [pod(waiting={"reason": "ImagePullBackOff", "message": "no"})]), "not-started"),
    ],
)
def test_a_runner_that_left_no_word_fails_with_what_kubernetes_says(found: tuple[Any, Any], code: str) -> None:
    report = outcome(*found, step="dump")

    assert report.failure is not None
    assert (report.failure.code, report.failure.step) == (code, "dump")
    assert report.failure.remedy


def test_a_pod_that_cannot_be_scheduled_says_why() -> None:
    status = {
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no pvc"}]
    }

    assert waiting_reason({"status": status}) == "Unschedulable: no pvc."
    assert waiting_reason(pod(waiting={"reason": "ContainerCreating"})) is None


def test_a_run_that_was_stopped_at_its_deadline_is_not_cancelled() -> None:
    cancelled = json.dumps(
        {"completed": False, "failure": {"code": "cancelled", "step": "dump", "message": "m", "remedy": "r"}}
    )

    report = outcome(job("Failed", "DeadlineExceeded"), [pod(terminated={"message": cancelled})], step="dump")

    assert report.failure is not None
    assert report.failure.code == "deadline-exceeded"


def test_a_container_that_the_cluster_put_into_the_pod_has_no_say() -> None:
    both = pod(terminated={"message": REPORT})
    both["status"]["containerStatuses"].insert(0, {"name": "mesh", "state": {"terminated": {"exitCode": 1}}})

    assert outcome(job("Complete"), [both], step="dump").completed
