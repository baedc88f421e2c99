"""Two operators at once: one acts, and one that was frozen does not act when it wakes up."""

from __future__ import annotations

import time

from ..cluster import JSON, eventually
from ..operator_pods import OperatorPods
from ..shop import Shop

FROZEN_S = 60.0


def scheduled(shop: Shop) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "backupexecutions")
    return [run for run in runs if run["spec"]["trigger"] == "Schedule"]


def is_promised(shop: Shop) -> bool:
    """Whether the operator that leads has said when the next slot is due."""
    job = shop.cluster.get(shop.namespace, "backupjob", "nightly") or {}
    return "nextScheduleTime" in job.get("status", {})


def until_one_more_ran(shop: Shop, before: int) -> None:
    eventually("one more slot ran", lambda: len(scheduled(shop)) > before, deadline_s=90)


def test_a_frozen_leader_is_replaced_and_each_slot_runs_once(shop: Shop, operator: OperatorPods) -> None:
    operator.start(replicas=2)
    eventually("those before are gone", lambda: len(operator.names()) == 2)
    shop.cluster.apply(shop.job(schedule="* * * * *"))
    eventually("the leader waits for a slot", lambda: is_promised(shop))
    frozen = operator.leader()
    operator.signal("STOP", frozen)
    stopped, before = time.monotonic(), len(scheduled(shop))
    try:
        eventually("the standby leads", lambda: operator.leader() != frozen, deadline_s=30)
        until_one_more_ran(shop, before)
        eventually("the leader was frozen for a minute", lambda: time.monotonic() - stopped > FROZEN_S)
    finally:
        operator.signal("CONT", frozen)

    eventually("the frozen one ends", lambda: operator.restarts(frozen) == 1)
    until_one_more_ran(shop, len(scheduled(shop)))
    shop.cluster.apply(shop.job(schedule="* * * * *", suspend=True))

    runs = [shop.ended("BackupExecution", run["metadata"]["name"]) for run in scheduled(shop)]
    assert operator.leader() != frozen
    assert [run["status"]["phase"] for run in runs] == ["Completed"] * len(runs)
    slots = [run["spec"]["scheduledTime"] for run in runs]
    assert len(set(slots)) == len(slots)
    jobs = shop.cluster.list(shop.namespace, "jobs", "dataguardian.io/operation=backup")
    assert sorted(job["metadata"]["labels"]["dataguardian.io/owner-uid"] for job in jobs) == sorted(
        run["metadata"]["uid"] for run in runs
    )
    eventually("one row for each", lambda: sorted(shop.history("name, status")) == sorted(
        [run["metadata"]["name"], "completed"] for run in runs
    ))  # fmt: skip
