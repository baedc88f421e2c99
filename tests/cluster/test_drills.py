"""Drills prove the newest backup again and again; objectives tell when that is not enough."""

from __future__ import annotations

from .cluster import JSON, eventually
from .shop import Shop


def drill(shop: Shop, **changes: object) -> JSON:
    return shop.object("RestoreDrill", "weekly", {"backupJobRef": {"name": "nightly"}, **changes})


def drills(shop: Shop) -> list[JSON]:
    """The RestoreRequests of the drill that have ended."""
    found = shop.cluster.list(shop.namespace, "restorerequests")
    return [run for run in found if run.get("status", {}).get("phase") in ("Completed", "Failed")]


def test_a_drill_on_a_schedule_produces_proofs(shop: Shop) -> None:
    shop.backup("first")

    shop.cluster.apply(drill(shop, schedule="* * * * *"))
    run = eventually("a drill has ended", lambda: drills(shop), deadline_s=150)[0]

    assert run["spec"]["trigger"] == "Schedule"
    assert run["status"]["phase"] == "Completed"
    assert run["status"]["backupExecution"] == "first"
    assert run["status"]["verification"]["result"] == "Passed"
    assert [path for path in shop.files() if "/proofs/" in path]

    def told() -> bool:
        found = shop.cluster.get(shop.namespace, "RestoreDrill", "weekly") or {}
        status = found.get("status", {})
        return bool(status.get("lastResult") == "Passed" and status.get("lastDrillTime"))

    eventually("the drill tells of it", told)
    eventually(
        "the row is written", lambda: ["verify", "schedule", "completed"] in shop.history("operation, trigger, status")
    )


def test_a_drill_without_a_backup_fails_with_its_own_reason(shop: Shop) -> None:
    shop.cluster.apply(drill(shop))
    spec = {
        "restoreDrillRef": {"name": "weekly"},
        "verificationMode": True,
        "confirmationPhrase": "VERIFICAR RESTORE",
    }

    shop.apply("RestoreRequest", "now", spec)

    status = shop.ended("RestoreRequest", "now")["status"]
    assert (status["phase"], status["error"]["code"]) == ("Failed", "no-recent-backup")


def test_a_backup_that_is_older_than_the_objective_is_not_recoverable_enough(shop: Shop) -> None:
    shop.cluster.apply(shop.job(objectives={"recoveryPoint": "40s"}))
    shop.backup("first")
    shop.until_condition("BackupJob", "nightly", "Recoverable", "True")

    told = shop.until_condition("BackupJob", "nightly", "Recoverable", "False", "RecoveryPointMissed")
    assert "40s" in told["message"]

    shop.backup("second")
    shop.until_condition("BackupJob", "nightly", "Recoverable", "True")


def test_a_verification_is_what_an_objective_asks_for(shop: Shop) -> None:
    shop.cluster.apply(shop.job(objectives={"verifiedWithin": "1h"}))
    shop.backup("first")
    shop.until_condition("BackupJob", "nightly", "Recoverable", "False", "NeverVerified")

    shop.start_verification("look", "first")

    shop.until_condition("BackupJob", "nightly", "Recoverable", "True")
    job = shop.cluster.get(shop.namespace, "BackupJob", "nightly") or {}
    known = job["status"]["recoverability"]
    assert known["backup"] == known["verifiedBackup"] == "first"
    assert known["recoverableTo"]
    assert known["restoreSeconds"] >= 0
