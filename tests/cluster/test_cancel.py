"""``spec.cancel: true`` ends a run within seconds and leaves nothing behind."""

from __future__ import annotations

import time

from .cluster import eventually
from .shop import Shop

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'dataguardian%'"


def cancel(shop: Shop, kind: str, name: str) -> None:
    patch = '{"spec": {"cancel": true}}'
    shop.cluster.kubectl("patch", "-n", shop.namespace, f"{kind}/{name}", "--type=merge", "-p", patch)


def test_a_cancelled_upload_leaves_no_object_no_upload_and_no_process(big_shop: Shop) -> None:
    shop = big_shop
    shop.start_backup("first")
    shop.until_uploading()
    started = time.monotonic()

    cancel(shop, "backupexecution", "first")

    status = shop.ended("BackupExecution", "first")["status"]
    assert time.monotonic() - started < 20  # 10 s of the runner, and the kubelet's and our own
    assert (status["phase"], status["error"]["code"]) == ("Cancelled", "cancelled")
    assert shop.files() == []
    assert shop.services.uploads(shop.bucket) == []
    assert shop.cluster.processes(command="pg_dump", environment=f"PGDATABASE={shop.database}") == []
    eventually("no session is left", lambda: not shop.services.sql("postgres", SESSIONS.format(shop.database)))
    eventually(
        "no pod is left", lambda: not shop.cluster.list(shop.namespace, "pods", "dataguardian.io/operation=backup")
    )
    logged = "name, status, jsonb_array_length(metadata -> 'execution_logs') > 2"
    eventually("the row has its log", lambda: shop.history(logged) == [["first", "cancelled", "t"]])


def test_a_waiting_run_is_cancelled_before_it_starts(big_shop: Shop) -> None:
    shop = big_shop
    shop.start_backup("first")
    shop.until_uploading()
    shop.start_backup("second")
    waits = shop.until_condition("backupexecution", "second", "Ready", "False", "LimitReached")
    second = shop.cluster.get(shop.namespace, "backupexecution", "second")

    cancel(shop, "backupexecution", "second")

    assert "orders" in waits["message"]
    assert second is not None
    assert second["status"]["queuePosition"] == 1
    assert shop.ended("BackupExecution", "second")["status"]["phase"] == "Cancelled"
    assert shop.cluster.get(shop.namespace, "job", "backup-second") is None
    assert shop.ended("BackupExecution", "first")["status"]["phase"] == "Completed"


def test_a_cancelled_restore_leaves_the_target_as_it_was(big_shop: Shop) -> None:
    shop = big_shop
    before = shop.fingerprint()
    shop.backup("first")
    shop.start_restore("back", "first", dropExisting=True)
    eventually("it loads", lambda: step(shop) == "load")

    cancel(shop, "restorerequest", "back")

    assert shop.ended("RestoreRequest", "back")["status"]["phase"] == "Cancelled"
    eventually("no session is left", lambda: not shop.services.sql("postgres", SESSIONS.format(shop.database)))
    assert shop.fingerprint() == before


def step(shop: Shop) -> str:
    run = shop.cluster.get(shop.namespace, "restorerequest", "back")
    assert run is not None
    return str(run.get("status", {}).get("progress", {}).get("step", ""))
