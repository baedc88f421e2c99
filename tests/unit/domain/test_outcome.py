"""How a Kubernetes Job ended, read from what Kubernetes shows."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dataguardian.domain.outcome import cancelled, finished, lost, outcome, overdue, vanished

REPORT = json.dumps({"completed": True, "stored_bytes": 5})
REFUSED = json.dumps(
    {"completed": False, "failure": {"code": "dump-failed", "step": "dump", "message": "m", "remedy": "r"}}
)

STOPPED = json.dumps(
    {"completed": False, "failure": {"code": "cancelled", "step": "dump", "message": "m", "remedy": "r"}}
)
NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)


def job(condition: str, reason: str = "") -> dict[str, Any]:
    return {"status": {"conditions": [{"type": condition, "status": "True", "reason": reason}]}}


def pod(created: str = "2026-11-24T12:00:00Z", **state: Any) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": created},
        "status": {"containerStatuses": [{"name": "runner", "state": state}] if state else []},
    }


def evicted(reason: str, told: str, **terminated: Any) -> dict[str, Any]:
    found = pod(terminated={"exitCode": 143, **terminated})
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": told}
    found["status"]["conditions"] = [condition]
    return found


def running_job(started: str = "2026-11-24T12:00:00Z", deadline: int = 86400) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"activeDeadlineSeconds": deadline}, "status": {"startTime": started}}


def test_a_job_without_a_final_condition_goes_on() -> None:
    assert not finished({"status": {"conditions": [{"type": "FailureTarget", "status": "True"}]}})
    assert finished(job("Complete"))
    assert finished(job("Failed"))


def test_the_runners_own_word_counts() -> None:
    assert outcome(job("Complete"), [pod(terminated={"message": REPORT})], step="dump").stored_bytes == 5
    failed = outcome(job("Failed"), [pod(terminated={"message": REFUSED})], step="connect")
    assert failed.failure is not None
    assert failed.failure.code == "dump-failed"


@pytest.mark.parametrize(
    ("word", "code"), [(STOPPED, "deadline-exceeded"), (REFUSED, "dump-failed")], ids=["stopped", "failed"]
)
def test_the_backup_that_a_sync_has_stored_is_told_whatever_ends_the_sync(word: str, code: str) -> None:
    copy = {"location": "primary", "key": "a/manifest.json", "stored": True}
    told = json.dumps({**json.loads(word), "copies": [copy], "synced": {"backup_execution_id": "id"}})
    end = pod(terminated={"message": told})

    reports = [
        outcome(job("Failed", "DeadlineExceeded"), [end], step="load"),
        cancelled(end, step="load"),
        vanished(end, step="load"),
    ]

    assert [report.synced is not None and report.synced.backup_execution_id for report in reports] == ["id"] * 3
    assert [copy.stored for report in reports for copy in report.copies] == [True] * 3
    assert reports[0].failure is not None
    assert reports[0].failure.code == code


def test_of_several_tries_the_newest_counts() -> None:
    older = pod("2026-11-24T12:00:00Z", terminated={"message": REFUSED})
    newer = pod("2026-11-24T12:05:00Z", terminated={"message": REPORT})

    assert outcome(job("Complete"), [newer, older], step="dump").completed


def test_a_job_that_failed_is_never_completed_by_an_old_word() -> None:
    older = pod("2026-11-24T12:00:00Z", terminated={"message": REPORT})
    newest = pod("2026-11-24T12:05:00Z", terminated={"exitCode": 137})

    assert not outcome(job("Failed"), [newest, older], step="finalize").completed


@pytest.mark.parametrize("reason", ["DeadlineExceeded", "BackoffLimitExceeded"])
def test_what_the_runner_has_completed_is_completed_however_its_pod_ends(reason: str) -> None:
    killed_late = pod(terminated={"message": REPORT, "exitCode": 137})

    assert outcome(job("Failed", reason), [killed_late], step="finalize").completed


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((job("Failed"), [pod(terminated={"reason": "OOMKilled", "exitCode": 137})]), "out-of-memory"),
        ((job("Failed"), [pod(terminated={"exitCode": 137})]), "runner-killed"),
        ((job("Failed", "DeadlineExceeded"), []), "deadline-exceeded"),
        ((job("Failed", "BackoffLimitExceeded"), []), "runner-lost"),
        ((job("Complete"), []), "runner-lost"),
        ((job("Failed"), [pod(waiting={"reason": "ImagePullBackOff", "message": "no"})]), "image-pull-failed"),
        ((job("Failed"), [evicted("TerminationByKubelet", "low on memory")]), "evicted"),
        ((job("Failed"), [evicted("EvictionByEvictionAPI", "by the eviction API")]), "evicted"),
        ((job("Failed"), [evicted("PreemptionByScheduler", "for a pod with a higher priority")]), "evicted"),
        ((job("Failed"), [evicted("DeletionByPodGC", "Node is gone")]), "node-lost"),
        ((job("Failed"), [evicted("DeletionByTaintManager", "unreachable")]), "node-lost"),
        ((job("Failed"), [pod(terminated={"message": STOPPED, "exitCode": 143})]), "runner-killed"),
        ((job("Failed"), [evicted("EvictionByEvictionAPI", "x", message=STOPPED)]), "evicted"),
    ],
)
def test_a_runner_that_left_no_word_fails_with_what_kubernetes_says(found: tuple[Any, Any], code: str) -> None:
    report = outcome(*found, step="dump")

    assert report.failure is not None
    assert (report.failure.code, report.failure.step) == (code, "dump")
    assert report.failure.remedy


def test_of_an_evicted_pod_that_is_gone_the_kubernetes_job_tells() -> None:
    ended = job("Failed", "PodFailurePolicy")
    told = "Pod shop/restore-back-x has condition DisruptionTarget matching FailJob rule at index 0"
    ended["status"]["conditions"][0]["message"] = told

    failure = outcome(ended, [], step="load").failure

    assert failure is not None
    assert failure.code == "evicted"
    assert told in failure.message


def test_a_run_that_was_stopped_at_its_deadline_is_not_cancelled() -> None:
    report = outcome(job("Failed", "DeadlineExceeded"), [pod(terminated={"message": STOPPED})], step="dump")

    assert report.failure is not None
    assert report.failure.code == "deadline-exceeded"


def test_a_container_that_the_cluster_put_into_the_pod_has_no_say() -> None:
    both = pod(terminated={"message": REPORT})
    both["status"]["containerStatuses"].insert(0, {"name": "mesh", "state": {"terminated": {"exitCode": 1}}})

    assert outcome(job("Complete"), [both], step="dump").completed


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        (None, "cancelled"),
        (pod(), "cancelled"),
        (pod(terminated={"exitCode": 137}), "cancelled"),
        (pod(terminated={"message": STOPPED}), "cancelled"),
        (pod(terminated={"message": REFUSED}), "cancelled"),
        (pod(terminated={"message": REPORT}), None),
    ],
)
def test_a_cancelled_run_is_completed_only_when_its_runner_says_so(found: Any, ends: str | None) -> None:
    report = cancelled(found, step="dump")

    assert (report.failure and report.failure.code, report.completed) == (ends, ends is None)


def test_of_a_vanished_job_the_last_word_of_its_pod_counts() -> None:
    assert vanished(pod(terminated={"message": REPORT}), step="dump").completed
    codes = [vanished(found, step="dump").failure for found in (None, pod(), pod(terminated={"message": STOPPED}))]
    assert [failure and failure.code for failure in codes] == ["runner-lost"] * 3
    failed = vanished(pod(terminated={"message": REFUSED}), step="x").failure
    assert failed is not None
    assert failed.code == "dump-failed"


def silent(**meta: Any) -> dict[str, Any]:
    found = pod(running={"startedAt": "2026-11-24T12:00:00Z"})
    found["metadata"].update(meta)
    found["spec"] = {"nodeName": "node-7"}
    return found


def test_a_pod_that_should_be_gone_and_is_not_has_lost_its_node() -> None:
    gone = overdue(running_job(), silent(deletionTimestamp="2026-11-24T13:50:00Z"), now=NOW)

    assert gone is not None
    assert (gone.code, "node-7" in gone.what) == ("node-lost", True)
    assert overdue(running_job(), silent(deletionTimestamp="2026-11-24T13:58:00Z"), now=NOW) is None
    assert overdue(running_job(), silent(), now=NOW) is None


@pytest.mark.parametrize(("since", "is_lost"), [("2026-11-24T13:50:00Z", True), ("2026-11-24T13:58:00Z", False)])
def test_a_pod_of_which_nothing_is_known_for_long_has_lost_its_node(since: str, is_lost: bool) -> None:
    found = silent()
    found["status"]["conditions"] = [{"type": "Ready", "status": "Unknown", "lastTransitionTime": since}]

    assert (overdue(running_job(), found, now=NOW) is not None) == is_lost


def test_a_pod_whose_runner_has_ended_has_not_lost_its_node() -> None:
    ended = pod(terminated={"message": REPORT})
    ended["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"

    assert overdue(running_job(), ended, now=NOW) is None


def test_a_job_that_does_not_end_at_its_deadline_is_given_up_after_a_while() -> None:
    late = overdue(running_job(deadline=3600), silent(), now=NOW)

    assert late is not None
    assert late.code == "deadline-exceeded"
    assert overdue(running_job(deadline=7200 - 60), silent(), now=NOW) is None


def test_a_runner_that_ended_without_its_own_word_is_lost() -> None:
    assert lost(outcome(job("Complete"), [], step="dump"))
    assert lost(outcome(job("Failed"), [evicted("DeletionByPodGC", "Node is gone")], step="dump"))
    assert lost(outcome(job("Failed"), [pod(terminated={"exitCode": 137})], step="dump"))
    assert lost(outcome(job("Failed"), [pod(terminated={"reason": "OOMKilled", "exitCode": 137})], step="dump"))
    assert lost(outcome(job("Failed", "DeadlineExceeded"), [], step="dump"))
    assert not lost(outcome(job("Failed"), [evicted("TerminationByKubelet", "low on memory")], step="dump"))
    assert not lost(outcome(job("Failed"), [pod(terminated={"message": REFUSED})], step="dump"))
    assert not lost(outcome(job("Complete"), [pod(terminated={"message": REPORT})], step="dump"))
