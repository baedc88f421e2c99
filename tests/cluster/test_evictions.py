"""An evicted backup is made again; an evicted restore ends, because it may have committed."""

from __future__ import annotations

import json

from .cluster import eventually
from .shop import SLOW, Shop


def evict(shop: Shop, operation: str) -> None:
    (pod,) = shop.cluster.list(shop.namespace, "pods", f"dataguardian.io/operation={operation}")
    meta = {"name": pod["metadata"]["name"], "namespace": shop.namespace}
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{meta['name']}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    shop.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def test_an_evicted_backup_is_made_again_without_counting_as_a_try(big_shop: Shop) -> None:
    shop = big_shop
    shop.cluster.apply(shop.job(backoffLimit=0, runTemplate=SLOW))
    shop.start_backup("first")
    shop.until_uploading()

    evict(shop, "backup")

    assert shop.ended("BackupExecution", "first")["status"]["phase"] == "Completed"
    assert len([path for path in shop.files() if path.endswith("manifest.json")]) == 1
    assert shop.services.uploads(shop.bucket) == []


def test_an_evicted_restore_ends_and_leaves_the_target_as_it_was(big_shop: Shop) -> None:
    shop = big_shop
    shop.backup("first")
    before = shop.fingerprint()
    shop.start_restore("back", "first", dropExisting=True)

    def loads() -> bool:
        run = shop.cluster.get(shop.namespace, "restorerequest", "back")
        assert run is not None
        return bool(run.get("status", {}).get("progress", {}).get("step") == "load")

    eventually("it loads", loads)

    evict(shop, "restore")

    status = shop.ended("RestoreRequest", "back")["status"]
    assert status["phase"] == "Failed"
    assert status["error"]["code"] == "evicted"
    assert shop.fingerprint() == before
