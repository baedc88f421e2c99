"""A backup, a loss, a restore."""

from __future__ import annotations

import json
import re

from .cluster import JSON, eventually
from .services import DATABASE_PASSWORD, S3_SECRET_KEY
from .shop import Shop


def lose(shop: Shop) -> None:
    shop.services.sql(shop.database, "DELETE FROM orders WHERE id % 2 = 0", "DROP TABLE customers CASCADE")


def claim(shop: Shop) -> JSON:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "backups", "namespace": shop.namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def test_a_backup_to_s3_brings_back_what_was_lost(shop: Shop) -> None:
    before = shop.fingerprint()
    backup = shop.backup("first")
    lose(shop)

    restore = shop.restore("back", "first", dropExisting=True)

    assert shop.fingerprint() == before
    assert backup["status"]["checksum"].startswith("sha256:")
    assert backup["status"]["dumpBytes"] > backup["status"]["storedBytes"] > 0
    assert [copy["state"] for copy in backup["status"]["copies"]] == ["Stored"]
    assert restore["status"]["rows"] == 22_000
    assert {each["type"]: each["status"] for each in backup["status"]["conditions"]} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }


def test_a_backup_to_a_volume_brings_back_what_was_lost(bare_shop: Shop) -> None:
    shop = bare_shop
    shop.credentials()
    location = {"filesystem": {"claimName": "backups", "path": "prod"}}
    shop.cluster.apply(
        claim(shop), shop.datasource(), shop.object("StorageLocation", "local", location), shop.job(location="local")
    )
    before = shop.fingerprint()
    shop.backup("first")
    lose(shop)

    shop.restore("back", "first", dropExisting=True)

    assert shop.fingerprint() == before


def test_a_job_tells_of_its_last_good_backup(shop: Shop) -> None:
    backup = shop.backup("first")

    job = shop.cluster.get(shop.namespace, "backupjob", "nightly")

    assert job is not None
    assert job["status"]["lastExecution"]["name"] == "first"
    assert job["status"]["lastSuccessfulTime"] == backup["status"]["completionTime"]
    assert job["status"]["lastSuccessfulSizeBytes"] == backup["status"]["storedBytes"]
    ready = next(each for each in job["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Completed")


def columns(shop: Shop, kind: str) -> dict[str, str]:
    """What kubectl shows of the only object of a kind, by heading."""
    heading, line = shop.cluster.kubectl("get", "-n", shop.namespace, kind).splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", heading)]
    ends = [*starts[1:], None]
    return {heading[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)}


def test_kubectl_shows_at_a_glance_whether_it_is_safe(shop: Shop) -> None:
    shop.cluster.apply(shop.job(schedule="0 2 * * *", timeZone="America/Sao_Paulo"))
    backup = shop.backup("first")
    shop.restore("back", "first", dropExisting=True)

    job, run, restore = (columns(shop, kind) for kind in ("dgb", "dgbx", "dgr"))

    assert (job["SCHEDULE"], job["SUSPENDED"], job["LAST-RESULT"]) == ("0 2 * * *", "false", "Completed")
    assert job["SIZE"] == str(backup["status"]["storedBytes"])
    assert job["NEXT"].endswith("T05:00:00Z")
    assert job["LAST-SUCCESS"]
    assert (run["JOB"], run["PHASE"]) == ("nightly", "Completed")
    assert (run["SIZE"], run["DURATION"]) == (backup["status"]["storedSize"], backup["status"]["duration"])
    assert (restore["BACKUP"], restore["TARGET"], restore["PHASE"]) == ("first", "orders", "Completed")


def test_history_has_each_run_once_with_its_log(shop: Shop) -> None:
    shop.backup("first")
    shop.restore("back", "first", dropExisting=True)

    lines = "jsonb_array_elements(metadata -> 'execution_logs') AS line"
    prefixes = f"(SELECT string_agg(DISTINCT split_part(line ->> 'message', ' ', 1), ' ') FROM {lines})"
    wanted = [
        ["backup", "first", "nightly", "completed", "[BACKUP]"],
        ["restore", "back", "nightly", "completed", "[RESTORE]"],
    ]

    eventually("both rows", lambda: shop.history(f"operation, name, job, status, {prefixes}") == wanted)


def test_the_manifests_own_commands_restore_a_backup_without_us(shop: Shop) -> None:
    before = shop.fingerprint()
    key = shop.backup("first")["status"]["copies"][0]["key"]
    folder = f"/data/{shop.bucket}/prod/{key.rpartition('/')[0]}"
    manifest = json.loads(shop.services.in_store("cat", f"{folder}/manifest.json"))
    check, load = manifest["restore_commands"]
    shop.new_database("by_hand_" + shop.database, "template0")
    load = load.replace(shop.database, f"by_hand_{shop.database}")
    assert "zstd -dc" in load
    copied = f"/tmp/{shop.database}"
    shop.cluster.inside("services", "db-0", "mkdir", copied)
    for name in (*(segment["name"] for segment in manifest["segments"]), "schema.dump"):
        encoded = shop.services.in_store("base64", f"{folder}/{name}")
        shop.cluster.inside("services", "db-0", "sh", "-c", f"base64 -d > {copied}/{name}", stdin=encoded)

    for command in (check, load):
        line = f"cd {copied} && export PGUSER=admin && set -o pipefail && {command}"
        shop.cluster.inside("services", "db-0", "bash", "-c", line)

    assert shop.services.fingerprint("by_hand_" + shop.database) == before


def test_no_secret_is_seen_anywhere(shop: Shop) -> None:
    shop.backup("first")
    shop.restore("back", "first", dropExisting=True)

    namespace = ["-n", shop.namespace]
    seen = [
        shop.cluster.kubectl("get", *namespace, "dataguardian,jobs,pods,events,configmaps", "-o", "json"),
        shop.cluster.logs(shop.namespace, "job/backup-first"),
        shop.cluster.logs(shop.namespace, "job/restore-back"),
        shop.cluster.kubectl("logs", "-n", "dataguardian", "deployment/dataguardian", "--all-containers"),
        json.dumps(shop.history("backup_executions::text")),
    ]

    for text in seen:
        assert text
        assert DATABASE_PASSWORD not in text
        assert S3_SECRET_KEY not in text


def test_deleting_objects_deletes_no_stored_data(shop: Shop) -> None:
    shop.backup("first")
    stored = shop.files()

    shop.cluster.kubectl("delete", "-n", shop.namespace, "backupexecution/first", "backupjob/nightly")
    shop.cluster.kubectl("delete", "namespace", shop.namespace, "--timeout=120s")

    assert shop.files() == stored
    assert [path.rpartition("/")[2] for path in stored] == ["data.dump.zst", "manifest.json", "schema.dump"]
    shop.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop.namespace}})
