"""What ends a run from outside: its deadline, its memory limit, the deletion of its object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .cluster import JSON, Cluster, eventually
from .services import Services
from .shop import SLOW, Shop

TINY: JSON = {"resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "16Mi"}}}


@dataclass
class Ended:
    """The runs that ended, by name, and where they were."""

    shop: Shop
    runs: dict[str, JSON]
    deleted: str


@pytest.fixture(scope="module")
def ended(cluster: Cluster, services: Services) -> Iterator[Ended]:
    shop = Shop(cluster, services, "big")
    shop.stock(runTemplate=SLOW)
    shop.cluster.apply(
        shop.job("late", activeDeadlineSeconds=15, runTemplate=SLOW),
        shop.job("greedy", runTemplate=TINY),
    )
    for name in ("late", "greedy"):
        shop.start_backup(name, name)
    shop.start_backup("deleted")
    deleted = eventually("bytes of the dump are told", lambda: progress(shop, "deleted"))
    shop.cluster.kubectl("delete", "-n", shop.namespace, "backupexecution/deleted")
    yield Ended(shop, {name: shop.ended("BackupExecution", name) for name in ("late", "greedy")}, deleted)
    shop.remove()


def progress(shop: Shop, name: str) -> str | None:
    """The uid of a run in the middle of its dump."""
    run = shop.cluster.get(shop.namespace, "backupexecution", name)
    assert run is not None
    told = run.get("status", {}).get("progress", {})
    return run["metadata"]["uid"] if told.get("step") == "dump" and told.get("bytes", 0) > 0 else None


@pytest.mark.parametrize(("name", "code"), [("late", "deadline-exceeded"), ("greedy", "out-of-memory")])
def test_a_limit_ends_a_run_as_failed_and_names_the_field_to_raise(ended: Ended, name: str, code: str) -> None:
    status = ended.runs[name]["status"]

    assert status["phase"] == "Failed"
    assert status["error"]["code"] == code
    assert "aise" in status["error"]["remedy"]


def test_a_deleted_run_ends_at_once_and_stays_in_history(ended: Ended) -> None:
    shop = ended.shop

    eventually("its Kubernetes Job is gone", lambda: shop.cluster.get(shop.namespace, "job", "backup-deleted") is None)
    eventually("its row says so", lambda: ["deleted", ended.deleted, "cancelled"] in shop.history("name, id, status"))


def test_no_ended_run_leaves_objects_uploads_or_sessions(ended: Ended) -> None:
    shop = ended.shop
    sessions = f"SELECT pid FROM pg_stat_activity WHERE datname = '{shop.database}' AND pid <> pg_backend_pid()"

    eventually("no session is left", lambda: not shop.services.sql("postgres", sessions))
    eventually("no upload is left", lambda: not shop.services.uploads(shop.bucket))
    assert shop.files() == []
