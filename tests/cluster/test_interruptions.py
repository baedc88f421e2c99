"""What breaks in the middle of a dump ends as Failed, and leaves no half backup behind."""

from __future__ import annotations

import pytest

from .cluster import eventually
from .shop import SLOW, Shop
from .stores import OwnStore

MANIFEST = "manifest.json"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'dataguardian%'"


def assert_failed(shop: Shop, name: str, code: str) -> None:
    error = shop.ended("BackupExecution", name)["status"]["error"]
    assert (error["code"], error["step"]) == (code, "dump")
    assert error["message"]
    assert error["remedy"]


def assert_unharmed(shop: Shop, before: str) -> None:
    assert shop.fingerprint() == before
    eventually(
        "no connection of a run is left", lambda: not shop.services.sql("postgres", BACKENDS.format(shop.database))
    )


@pytest.fixture
def dumping(big_shop: Shop) -> tuple[Shop, str]:
    """A backup in the middle of its dump, and the fingerprint of its database."""
    before = big_shop.fingerprint()
    big_shop.start_backup("first")
    big_shop.until_uploading()
    return big_shop, before


def uid(shop: Shop) -> str:
    run = shop.cluster.get(shop.namespace, "backupexecution", "first")
    assert run is not None
    return str(run["metadata"]["uid"])


def test_a_terminated_database_connection_fails_the_run_and_leaves_nothing(dumping: tuple[Shop, str]) -> None:
    shop, before = dumping

    shop.services.sql(
        "postgres",
        f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS.format(shop.database)} AND query LIKE 'COPY%') AS found",
    )

    assert_failed(shop, "first", "dump-failed")
    assert shop.files() == []
    assert shop.services.uploads(shop.bucket) == []
    assert_unharmed(shop, before)


def test_a_killed_pg_dump_fails_the_run_and_leaves_nothing(dumping: tuple[Shop, str]) -> None:
    shop, before = dumping

    shop.cluster.kill(command="bin/pg_dump", environment=f"PGDATABASE={shop.database}")

    assert_failed(shop, "first", "dump-failed")
    assert shop.files() == []
    assert shop.services.uploads(shop.bucket) == []
    assert_unharmed(shop, before)


def test_a_killed_runner_fails_the_run_and_leaves_no_backup(dumping: tuple[Shop, str]) -> None:
    shop, before = dumping

    shop.cluster.kill(command="dataguardian run backup", environment=uid(shop))

    assert_failed(shop, "first", "runner-killed")
    assert [path for path in shop.files() if path.endswith(MANIFEST)] == []
    assert_unharmed(shop, before)


def test_a_run_is_tried_again_when_its_runner_was_killed(big_shop: Shop) -> None:
    shop = big_shop
    shop.cluster.apply(shop.job(backoffLimit=1, runTemplate=SLOW))
    shop.start_backup("first")
    shop.until_uploading()

    shop.cluster.kill(command="dataguardian run backup", environment=uid(shop))

    assert shop.ended("BackupExecution", "first")["status"]["phase"] == "Completed"
    assert [path.rpartition("/")[2] for path in shop.files()] == ["data.dump.zst", MANIFEST, "schema.dump"]
    assert shop.services.uploads(shop.bucket) == []


def test_a_killed_s3_server_fails_the_run_and_the_next_one_completes(big_shop: Shop) -> None:
    shop = big_shop
    store = OwnStore(shop)
    store.start()
    shop.cluster.apply(shop.bucket_location(endpoint=store.endpoint))
    before = shop.fingerprint()
    shop.start_backup("first")
    eventually("an upload is under way", store.uploads)

    store.kill()

    assert_failed(shop, "first", "storage-unavailable")
    assert_unharmed(shop, before)
    store.stop()
    store.start()
    assert store.files() == []
    shop.cluster.apply(shop.job())
    shop.backup("second")
