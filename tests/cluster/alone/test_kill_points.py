"""SIGKILL finds the operator at each point of a scheduled run: the slot still runs once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ..cluster import JSON, eventually
from ..operator_pods import OperatorPods
from ..shop import SLOW, Shop

HOURLY = "0 * * * *"
DUMPS = "[BACKUP] Step dump"


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def make_due(shop: Shop, **job: Any) -> str:
    """A job whose slot passed while no operator ran; the name of its run."""
    slot = last_hour()
    shop.cluster.apply(shop.job(schedule=HOURLY, startingDeadlineSeconds=7200, **job))
    status = {"status": {"nextScheduleTime": f"{slot:%Y-%m-%dT%H:%M:%SZ}"}}
    shop.cluster.kubectl(
        "patch", "-n", shop.namespace, "backupjob/nightly", "--subresource=status", "--type=merge",
        "-p", json.dumps(status),
    )  # fmt: skip
    return f"nightly-{slot:%Y%m%d%H%M}"


def times(message: str) -> str:
    """SQL: how often a row's log says this."""
    lines = "jsonb_array_elements(metadata -> 'execution_logs') AS line"
    return f"(SELECT count(*) FROM {lines} WHERE line ->> 'message' = '{message}')"


def assert_ran_once(shop: Shop, name: str) -> None:
    run = shop.ended("BackupExecution", name)
    assert run["status"]["phase"] == "Completed", run["status"].get("error")
    wanted = [name, run["metadata"]["uid"], "completed", "1"]
    eventually("one row with its log", lambda: shop.history(f"name, id, status, {times(DUMPS)}")[-1] == wanted)
    assert [row[0] for row in shop.history("name")].count(name) == 1
    (job,) = of_run(shop, "jobs", run)
    assert [pod["metadata"]["ownerReferences"][0]["uid"] for pod in of_run(shop, "pods", run)] == [
        job["metadata"]["uid"]
    ]

    def told() -> JSON | None:
        found = shop.cluster.get(shop.namespace, "backupjob", "nightly") or {}
        return found["status"] if "lastScheduleTime" in found.get("status", {}) else None

    # A run may be quicker than the scheduler that finds its slot started.
    status = eventually("the job tells of the slot", told)
    assert status["lastScheduleTime"] == run["spec"]["scheduledTime"]
    assert status.get("missedSchedules", 0) == 0
    assert [each["metadata"]["name"] for each in scheduled(shop)] == [name]


def of_run(shop: Shop, kind: str, run: JSON) -> list[JSON]:
    return shop.cluster.list(shop.namespace, kind, f"dataguardian.io/owner-uid={run['metadata']['uid']}")


def scheduled(shop: Shop) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "backupexecutions")
    return [run for run in runs if run["spec"]["trigger"] == "Schedule"]


@pytest.mark.parametrize("point", ["run-created", "entry-queued", "job-created", "job-ended"])
def test_an_operator_killed_at_any_point_runs_the_slot_once(shop: Shop, operator: OperatorPods, point: str) -> None:
    operator.stop()
    name = make_due(shop)
    operator.start(halt_at=point)
    operator.until_halted()

    operator.kill()

    assert_ran_once(shop, name)


def test_an_operator_killed_during_a_run_runs_the_slot_once(big_shop: Shop, operator: OperatorPods) -> None:
    shop = big_shop
    operator.stop()
    name = make_due(shop, runTemplate=SLOW)
    operator.start()
    shop.until_uploading()

    operator.kill()

    assert_ran_once(shop, name)


def test_deleting_the_operators_pod_in_mid_dump_changes_nothing(big_shop: Shop) -> None:
    shop = big_shop
    shop.start_backup("first")
    shop.until_uploading()

    shop.cluster.kubectl(
        "delete", "pod", "-n", "dataguardian", "-l", "app.kubernetes.io/component=operator", "--force",
        "--grace-period=0",
    )  # fmt: skip

    run = shop.ended("BackupExecution", "first")
    assert run["status"]["phase"] == "Completed"
    logged = f"id, status, {times(DUMPS)}, {times('[BACKUP] Backup completed')}"
    wanted = [[run["metadata"]["uid"], "completed", "1", "1"]]
    eventually("the row is complete", lambda: shop.history(logged) == wanted)
    assert len(shop.cluster.list(shop.namespace, "jobs", "dataguardian.io/operation=backup")) == 1
    assert len(shop.cluster.list(shop.namespace, "pods", "dataguardian.io/operation=backup")) == 1


def test_an_operator_killed_between_the_record_and_retention_still_removes_the_oldest(
    shop: Shop, operator: OperatorPods
) -> None:
    oldest = shop.backup("oldest")["status"]["copies"][0]["key"].rpartition("/")[0]
    operator.stop()
    name = make_due(shop, retention={"maxBackups": 1, "autoDelete": True})
    operator.start(halt_at="recorded")
    operator.until_halted()

    operator.kill()

    assert_ran_once(shop, name)
    eventually("the oldest is gone", lambda: not any(oldest in path for path in shop.files()))
    assert len([path for path in shop.files() if path.endswith("manifest.json")]) == 1

    def told() -> bool:
        run = shop.cluster.get(shop.namespace, "backupexecution", "oldest")
        return run is None or [copy["state"] for copy in run["status"]["copies"]] == ["Removed"]

    eventually("its entry says so", told)


def test_a_result_lost_with_its_pod_is_found_in_the_store(shop: Shop, operator: OperatorPods) -> None:
    operator.stop()
    name = make_due(shop)
    operator.start(halt_at="job-ended")
    operator.until_halted()
    shop.cluster.kubectl("delete", "-n", shop.namespace, f"job/backup-{name}", "--cascade=foreground", "--wait=true")

    operator.kill()

    run = shop.ended("BackupExecution", name)
    assert run["status"]["phase"] == "Completed", run["status"].get("error")
    assert run["status"]["checksum"].startswith("sha256:")
    assert [copy["state"] for copy in run["status"]["copies"]] == ["Stored"]
    assert len(scheduled(shop)) == 1
    eventually("its row is complete", lambda: shop.history("name, status") == [[name, "completed"]])
