"""A bucket is enough: with all objects and all history gone, its backups are listed and restored."""

from __future__ import annotations

import json

from .cluster import JSON, eventually
from .shop import Shop


def imported(shop: Shop) -> list[JSON]:
    runs = shop.cluster.list(shop.namespace, "backupexecutions")
    return [run for run in runs if run.get("status", {}).get("phase") == "Completed"]


def test_an_emptied_cluster_lists_and_restores_the_backups_of_its_bucket(shop: Shop) -> None:
    before = shop.fingerprint()
    old = {name: shop.backup(name) for name in ("first", "second")}
    shop.cluster.kubectl("delete", "-n", shop.namespace, "dataguardian", "--all", "--timeout=60s")
    eventually("no row is left", lambda: wipe(shop))
    shop.services.sql(shop.database, "DROP TABLE orders CASCADE")

    shop.cluster.apply(shop.datasource(), shop.bucket_location())

    runs = eventually("both are listed", lambda: found if len(found := imported(shop)) == 2 else None)
    for run in runs:
        was = old[run["metadata"]["name"]]
        assert (run["spec"]["trigger"], run["status"]["executionId"]) == ("Import", was["metadata"]["uid"])
        same = ("checksum", "dumpBytes", "storedBytes", "datasource", "engineVersion")
        assert [run["status"][field] for field in same] == [was["status"][field] for field in same]
    ids = sorted([was["metadata"]["uid"], "completed", "import"] for was in old.values())
    eventually("both have a row", lambda: sorted(shop.history("id, status, trigger")) == ids)
    location = shop.cluster.get(shop.namespace, "storagelocation", "primary")
    assert location is not None
    assert location["status"]["backups"] == 2
    shop.restore("back", "first", dropExisting=True)
    assert shop.fingerprint() == before


def wipe(shop: Shop) -> bool:
    shop.ask(f"DELETE FROM backup_executions WHERE namespace = '{shop.namespace}'")
    return shop.history("id") == []


def test_a_backup_whose_objects_vanished_shows_as_missing_and_comes_back(shop: Shop) -> None:
    key = shop.backup("first")["status"]["copies"][0]["key"]
    folder = f"/data/{shop.bucket}/prod/{key.rpartition('/')[0]}"
    shop.services.in_store("mv", folder, f"/data/{shop.bucket}/aside")

    look_again(shop, "1")
    eventually("it is missing", lambda: state(shop) == "Missing")
    shop.services.in_store("mv", f"/data/{shop.bucket}/aside", folder)
    look_again(shop, "2")

    eventually("it is stored", lambda: state(shop) == "Stored")


def look_again(shop: Shop, value: str) -> None:
    meta = {"metadata": {"annotations": {"dataguardian.io/index-requested": value}}}
    shop.cluster.kubectl(
        "patch", "-n", shop.namespace, "storagelocation/primary", "--type=merge", "-p", json.dumps(meta)
    )


def state(shop: Shop) -> str:
    run = shop.cluster.get(shop.namespace, "backupexecution", "first")
    assert run is not None
    return str(run["status"]["copies"][0]["state"])
