"""A verification proves that a backup can be restored, or names what is wrong with it, and leaves nothing behind."""

from __future__ import annotations

import json
import re

from .cluster import JSON, eventually
from .services import NAMESPACE
from .shop import SLOW, Shop
from .tampering import edited_manifest, manifest_path, with_changed_bytes

COUNTS = (
    "SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND relkind"
)


def temporary(shop: Shop) -> list[str]:
    """The temporary databases of this shop's verifications."""
    like = f"dg_verify_{shop.database}_%".replace("_", "\\_")
    return shop.services.sql("postgres", f"SELECT datname FROM pg_database WHERE datname LIKE '{like}'").split()


def failed(shop: Shop, name: str) -> tuple[str, str]:
    """Code, and all that the status says."""
    status = shop.ended("RestoreRequest", name)["status"]
    assert status["phase"] == "Failed", json.dumps(status)
    return status["error"]["code"], json.dumps(status)


def verified(shop: Shop, name: str) -> JSON:
    status: JSON = shop.ended("RestoreRequest", name)["status"]
    assert status["phase"] == "Completed", json.dumps(status.get("error"))
    return status


def test_a_good_backup_is_proven(shop: Shop) -> None:
    before = shop.fingerprint()
    shop.backup("first")

    shop.start_verification("look", "first")
    status = verified(shop, "look")

    report = status["verification"]
    assert report["result"] == "Passed"
    assert report["rows"] == 22_000
    assert report["tables"] == int(shop.services.sql(shop.database, f"{COUNTS} = 'r'"))
    assert report["sequences"] == int(shop.services.sql(shop.database, f"{COUNTS} = 'S'"))
    assert report["sampledRows"] > 0
    assert temporary(shop) == []
    assert shop.fingerprint() == before


def test_a_proof_stands_beside_the_backup_in_postgres_and_in_the_objects(shop: Shop) -> None:
    shop.backup("first")

    shop.start_verification("look", "first")
    status = verified(shop, "look")

    proof = json.loads(shop.services.in_store("cat", f"/data/{shop.bucket}/prod/{status['verification']['proofKey']}"))
    assert proof["passed"] is True
    folder = manifest_path(shop).rpartition("/")[0]
    assert f"/data/{shop.bucket}/prod/{status['verification']['proofKey']}".startswith(folder)

    def told() -> bool:
        backup = shop.cluster.get(shop.namespace, "BackupExecution", "first") or {}
        job = shop.cluster.get(shop.namespace, "BackupJob", "nightly") or {}
        known = job["status"].get("recoverability") or {}
        return bool(backup["status"].get("lastVerifiedTime") and known.get("verifiedBackup") == "first")

    eventually("backup and job tell of it", told)
    wanted = ["verify", "completed", "Passed"]
    result = "operation, status, metadata -> 'verification' ->> 'result'"
    eventually("the row tells of it", lambda: wanted in shop.history(result))


def test_altered_bytes_are_found(shop: Shop) -> None:
    shop.backup("first")
    with_changed_bytes(shop)

    shop.start_verification("look", "first")

    code, told = failed(shop, "look")
    assert code == "backup-corrupt"
    assert "checksum" in told
    assert temporary(shop) == []


def test_a_dump_that_lost_a_table_is_found_and_the_table_named(shop: Shop) -> None:
    shop.services.sql(shop.database, "DROP VIEW big_orders")  # its definition alone would fail the load
    shop.backup("whole")
    whole = json.loads(shop.services.in_store("cat", manifest_path(shop)))
    lost = next(table for table in whole["fingerprint"]["tables"] if table["name"] == "orders")
    pattern = f'"{lost["schema"]}"."{lost["name"]}"'
    lossy = shop.bucket_location("lossy", prefix="lossy")
    options = {"excludeTables": [pattern]}
    shop.cluster.apply(lossy, shop.job("lossy", location="lossy", options=options))
    shop.backup("first", "lossy")
    (path,) = [each for each in shop.files() if each.startswith("lossy/") and each.endswith("/manifest.json")]
    edited_manifest(shop, at=f"/data/{shop.bucket}/{path}", fingerprint=whole["fingerprint"])

    shop.start_verification("look", "first")

    code, told = failed(shop, "look")
    assert code == "verification-failed"
    assert lost["name"] in told
    assert temporary(shop) == []


def test_a_server_that_lacks_an_extension_is_named(shop: Shop) -> None:
    shop.backup("first")
    edited_manifest(shop, fingerprint={"extensions": {"postgis": "3.5.0"}})

    shop.start_verification("look", "first")

    code, told = failed(shop, "look")
    assert code == "prerequisite-missing"
    assert "postgis" in told
    assert temporary(shop) == []


def test_a_kept_database_can_be_queried(shop: Shop) -> None:
    shop.backup("first")

    shop.start_verification("look", "first", keepVerificationDatabase=True)
    name = verified(shop, "look")["verification"]["database"]

    assert re.fullmatch(rf"dg_verify_{shop.database}_[0-9]{{14}}", name)
    assert shop.services.fingerprint(name) == shop.fingerprint()
    shop.services.sql("postgres", f'DROP DATABASE "{name}"')


def test_a_killed_verification_leaves_no_database(big_shop: Shop) -> None:
    shop = big_shop
    shop.cluster.apply(shop.datasource(check={"intervalSeconds": 30}), shop.job())
    shop.backup("first")
    shop.cluster.apply(shop.job(runTemplate=SLOW))
    shop.start_verification("look", "first")
    eventually("the temporary database is there", lambda: temporary(shop))
    run = shop.cluster.get(shop.namespace, "restorerequest", "look") or {}

    shop.cluster.kill(command="dataguardian run restore", environment=run["metadata"]["uid"])

    assert failed(shop, "look")[0] == "runner-killed"
    eventually("the temporary database is swept", lambda: not temporary(shop), deadline_s=240)


def test_an_ephemeral_verification_never_touches_the_source(bare_shop: Shop) -> None:
    shop = bare_shop
    shop.services.sql("postgres", "ALTER SYSTEM SET log_connections = on", "SELECT pg_reload_conf()")
    shop.credentials()
    # Its check is a connection too: there is one now, and the next one is tomorrow.
    shop.cluster.apply(shop.datasource(check={"intervalSeconds": 86400}), shop.bucket_location(), shop.job())
    shop.until_condition("Datasource", "orders", "Ready", "True")
    shop.backup("first")

    def connections() -> int:
        told = shop.cluster.logs(NAMESPACE, "db-0")
        return len(re.findall(rf"connection authorized: .*database={shop.database}\b", told))

    assert connections() > 0
    before = connections()

    shop.start_verification("look", "first", verificationTarget="Ephemeral")
    report = verified(shop, "look")["verification"]

    assert connections() == before
    assert report["result"] == "Passed"
    assert report["rows"] == 22_000
