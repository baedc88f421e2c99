"""Two operators at once: one acts, and one that was frozen does not act when it wakes up."""

from __future__ import annotations

import time

from .cluster import JSON, eventually
from .operator_pods import OperatorPods
from .shop import Shop

FROZEN_S = 60.0


def scheduled(shop: Shop) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "backupexecutions")
    return [run for run in runs if run["spec"]["trigger"] == "Schedule"]


def test_a_frozen_leader_is_replaced_and_each_slot_runs_once(shop: Shop, operator: OperatorPods) -> None:
    operator.start(replicas=2)
    shop.cluster.apply(shop.job(schedule="* * * * *"))
    eventually("a slot ran", lambda: len(scheduled(shop)) == 1)
    frozen = operator.leader()
    operator.signal("STOP", frozen)
    stopped = time.monotonic()
    try:
        eventually("the standby leads", lambda: operator.leader() != frozen, deadline_s=30)
        eventually("it runs a slot", lambda: len(scheduled(shop)) >= 2, deadline_s=90)
        eventually("the leader was frozen for a minute", lambda: time.monotonic() - stopped > FROZEN_S)
    finally:
        operator.signal("CONT", frozen)

    eventually("the frozen one ends", lambda: operator.restarts(frozen) == 1)
    eventually("another slot ran", lambda: len(scheduled(shop)) >= 3, deadline_s=90)
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
