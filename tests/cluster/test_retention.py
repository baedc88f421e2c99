"""Old backups go by the rule, everywhere they are stored; what a location missed is caught up."""

from __future__ import annotations

from .cluster import eventually
from .shop import Shop
from .stores import OwnStore

STORAGE = {"strategy": "Replicate", "locations": [{"name": "primary"}, {"name": "offsite"}], "minCopies": 1}
THREE = {"maxBackups": 3, "autoDelete": True}


def folders(files: list[str], job: str) -> set[str]:
    """The folders of a job's whole backups."""
    return {path.rpartition("/")[0] for path in files if path.endswith("manifest.json") and f"/{job}-" in path}


def folder(shop: Shop, name: str) -> str:
    run = shop.cluster.get(shop.namespace, "backupexecution", name)
    assert run is not None
    return "prod/" + str(run["status"]["copies"][0]["key"]).rpartition("/")[0]


def test_the_fourth_backup_removes_the_oldest_from_every_location_and_no_other_jobs(shop: Shop) -> None:
    store = OwnStore(shop)
    store.start()
    shop.cluster.apply(
        shop.bucket_location("offsite", endpoint=store.endpoint),
        shop.job(storage=STORAGE, retention=THREE),
        shop.job("other", storage=STORAGE),
    )
    shop.backup("other-1", "other")
    for number in (1, 2, 3):
        shop.backup(f"run-{number}")
    kept = {folder(shop, f"run-{number}") for number in (2, 3)}
    others = folders(shop.files(), "other")
    oldest = folder(shop, "run-1")
    assert folders(shop.files(), "nightly") == folders(store.files(), "nightly") == kept | {oldest}

    store.stop()
    fourth = shop.backup("run-4")["status"]

    assert {copy["location"]: copy["state"] for copy in fourth["copies"]} == {"primary": "Stored", "offsite": "Failed"}
    kept.add(folder(shop, "run-4"))
    eventually("the oldest is gone where it can be", lambda: folders(shop.files(), "nightly") == kept)
    store.start()
    eventually("heal and cleanup catch up", lambda: folders(store.files(), "nightly") == kept, deadline_s=300)
    assert folders(shop.files(), "other") == folders(store.files(), "other") == others

    def states(name: str) -> dict[str, str]:
        run = shop.cluster.get(shop.namespace, "backupexecution", name)
        assert run is not None
        return {copy["location"]: copy["state"] for copy in run["status"]["copies"]}

    eventually("the fourth has both copies", lambda: set(states("run-4").values()) == {"Stored"})
    eventually("the first has none", lambda: set(states("run-1").values()) == {"Removed"})
    run = shop.cluster.get(shop.namespace, "backupexecution", "run-4")
    assert run is not None
    assert "maxBackups 1/3" in run["status"]["keptBy"]
    events = shop.cluster.list(shop.namespace, "events")
    removed = [event for event in events if event["reason"] == "BackupRemoved"]
    assert sorted(event["involvedObject"]["name"] for event in removed) == ["run-1", "run-1"]
    query = f"SELECT count(*) FROM audit_logs WHERE namespace = '{shop.namespace}' AND action = 'backup.removed'"
    eventually("each removal is audited", lambda: shop.ask(query) == [["2"]])
    shop.restore("back", "run-4", storageLocationRef={"name": "offsite"}, dropExisting=True)
