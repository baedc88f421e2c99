"""A schedule runs its slots, and nothing else makes a job run."""

from __future__ import annotations

from .cluster import JSON, eventually
from .shop import Shop

EVERY_MINUTE = "* * * * *"


def runs_of(shop: Shop, job: str) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "backupexecutions")
    return [run for run in runs if run["spec"]["backupJobRef"]["name"] == job]


def status(shop: Shop, job: str) -> JSON:
    found = shop.cluster.get(shop.namespace, "backupjob", job)
    assert found is not None
    return dict(found["status"])


def test_each_slot_runs_once_and_neither_a_suspended_nor_an_edited_job_runs(shop: Shop) -> None:
    shop.cluster.apply(
        shop.job("asleep", schedule=EVERY_MINUTE, suspend=True),
        shop.job("edited", schedule="0 0 1 1 *"),
        shop.job("every-minute", schedule=EVERY_MINUTE),
    )
    job = shop.cluster.get(shop.namespace, "backupjob", "every-minute")
    assert job is not None
    shop.cluster.apply(shop.job("edited", schedule="0 0 1 1 *", compression={"codec": "gzip"}))

    (run,) = eventually("the first slot", lambda: runs_of(shop, "every-minute"))
    shop.cluster.apply(shop.job("every-minute", schedule=EVERY_MINUTE, suspend=True))
    shop.cluster.apply(shop.job("asleep", schedule="0 0 1 1 *", suspend=False))
    ended = shop.ended("BackupExecution", run["metadata"]["name"])

    slot = run["spec"]["scheduledTime"]
    assert slot > job["metadata"]["creationTimestamp"]
    assert slot.endswith(":00Z")
    assert run["metadata"]["name"] == "every-minute-" + slot.translate(str.maketrans("", "", "-:TZ"))[:12]
    assert run["spec"]["trigger"] == "Schedule"
    assert ended["status"]["phase"] == "Completed"
    assert status(shop, "every-minute")["lastScheduleTime"] == slot
    eventually("no next slot while suspended", lambda: "nextScheduleTime" not in status(shop, "every-minute"))
    eventually("a next slot once resumed", lambda: "nextScheduleTime" in status(shop, "asleep"))
    assert len(runs_of(shop, "every-minute")) == 1
    assert runs_of(shop, "asleep") == runs_of(shop, "edited") == []
    assert shop.history("name, trigger") == [[run["metadata"]["name"], "schedule"]]
