"""What a person can ask of a restore beside the restore: a look, a safety backup, another copy, a manifest's key."""

from __future__ import annotations

import json

from .cluster import eventually
from .shop import Shop
from .tampering import manifest_path


def test_a_dry_run_tells_what_would_happen_and_changes_nothing(shop: Shop) -> None:
    backup = shop.backup("first")
    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 2 = 0", "CREATE TABLE later AS SELECT 7 AS kept")
    before = shop.fingerprint()

    spec = {"backupExecutionRef": {"name": "first"}, "dryRun": True}
    shop.apply("RestoreRequest", "look", {**spec, "dropExisting": True})
    shop.apply("RestoreRequest", "look-again", spec)
    status = shop.ended("RestoreRequest", "look")["status"]
    without = shop.ended("RestoreRequest", "look-again")["status"]["preview"]

    assert status["phase"] == "Completed"
    preview = status["preview"]
    assert preview["backupRows"] == 22_000
    assert preview["backupBytes"] == backup["status"]["dumpBytes"]
    assert preview["targetTables"] == preview["backupTables"] + 1
    assert preview["droppedCount"] > 0
    assert any("orders" in name for name in preview["dropped"])
    assert not any("later" in name for name in preview["dropped"])
    assert preview.get("obstacles", []) == []
    assert [obstacle.partition(":")[0] for obstacle in without["obstacles"]] == ["target-not-empty"]
    assert without["droppedCount"] == 0
    assert shop.fingerprint() == before


def held(shop: Shop, backup: str, why: str) -> bool:
    """Whether a backup's entry says that it is kept for this."""
    found = shop.cluster.get(shop.namespace, "BackupExecution", backup) or {}
    return why in found.get("status", {}).get("keptBy", [])


def test_a_safety_backup_is_made_first_and_kept_until_the_restore_is_confirmed(shop: Shop) -> None:
    shop.cluster.apply(shop.job(retention={"maxBackups": 1}))
    shop.backup("first")
    shop.services.sql(shop.database, "CREATE TABLE precious AS SELECT 7 AS kept")

    restore = shop.restore("back", "first", dropExisting=True, safetyBackup=True)
    safety = restore["status"]["safetyBackup"]
    shop.backup("second")

    made = shop.cluster.get(shop.namespace, "backupexecution", safety) or {}
    assert made["status"]["phase"] == "Completed"
    assert made["status"]["completionTime"] <= restore["status"]["startTime"]
    eventually("both are held", lambda: held(shop, safety, "safetyBackup back") and held(shop, "first", "restore back"))
    assert shop.copies("first") == shop.copies(safety) == ["Stored"]

    shop.cluster.kubectl(
        "patch", "-n", shop.namespace, "restorerequest", "back", "--type=merge", "-p", '{"spec": {"confirmed": true}}'
    )

    eventually("they are removed", lambda: shop.copies("first") == shop.copies(safety) == ["Removed"])


def test_a_corrupt_copy_is_passed_over(shop: Shop) -> None:
    before = shop.fingerprint()
    shop.cluster.apply(
        shop.bucket_location("second", prefix="second"),
        shop.job(storage={"locations": [{"name": "primary"}, {"name": "second"}], "minCopies": 2}),
    )
    shop.backup("first")
    (data,) = [path for path in shop.files() if path.startswith("prod/") and path.endswith("data.dump.zst")]
    script = 'printf oops | dd of="$1" bs=1 seek=20000 conv=notrunc'
    shop.services.in_store("sh", "-c", script, "damage", f"/data/{shop.bucket}/{data}")
    shop.services.sql(shop.database, "DROP TABLE customers CASCADE")

    restore = shop.restore("back", "first", dropExisting=True)

    assert restore["status"]["storageLocation"] == "second"
    ready = shop.condition("RestoreRequest", "back")
    assert "primary" in ready["message"]
    assert shop.fingerprint() == before


def test_a_manifests_key_is_enough(shop: Shop) -> None:
    before = shop.fingerprint()
    shop.backup("first")
    key = manifest_path(shop).removeprefix(f"/data/{shop.bucket}/prod/")
    shop.services.sql(shop.database, "DROP TABLE customers CASCADE")
    spec = {
        "source": {"storageLocationRef": {"name": "primary"}, "key": key},
        "targetDatasourceRef": {"name": "orders"},
        "dropExisting": True,
        "confirmationPhrase": "RESTAURAR",
    }

    shop.apply("RestoreRequest", "back", spec)

    assert shop.ended("RestoreRequest", "back")["status"]["phase"] == "Completed"
    assert shop.fingerprint() == before


def test_a_restore_has_a_row_from_the_beginning_and_a_log_of_its_own(shop: Shop) -> None:
    shop.backup("first")
    shop.restore("back", "first", dropExisting=True)

    def row() -> bool:
        logged = "(SELECT count(*) FROM jsonb_array_elements(metadata -> 'execution_logs') AS line "
        logged += "WHERE line ->> 'message' LIKE '[RESTORE] %') > 0"
        return ["restore", "completed", "t"] in shop.history(f"operation, status, {logged}")

    eventually("the row is complete", row)


def test_a_restore_that_needs_not_be_atomic_brings_all_of_it_back(shop: Shop) -> None:
    before = shop.fingerprint()
    indexes = "SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public'"
    defined = shop.services.sql(shop.database, indexes)
    shop.backup("first")
    shop.services.sql(shop.database, "DROP TABLE customers CASCADE")

    restore = shop.restore("back", "first", dropExisting=True, atomic=False)

    assert shop.fingerprint() == before
    assert shop.services.sql(shop.database, indexes) == defined
    assert restore["status"]["restoreSeconds"] >= 0, json.dumps(restore["status"])
