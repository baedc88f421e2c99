"""A restore that breaks in the middle leaves the target as it was."""

from __future__ import annotations

import json
import threading

import pytest

from .cluster import eventually
from .shop import SLOW, Shop

LOADING = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COPY%' AND state = 'active'"


@pytest.fixture
def loading(big_shop: Shop) -> tuple[Shop, str]:
    """A restore in the middle of its load, and the fingerprint of its target, which differs from the backup."""
    shop = big_shop
    shop.cluster.apply(shop.job())
    shop.backup("first")
    shop.cluster.apply(shop.job(runTemplate=SLOW))
    shop.services.sql(shop.database, "DELETE FROM big WHERE id % 2 = 0", "CREATE TABLE kept AS SELECT 7 AS number")
    before = shop.fingerprint()
    shop.start_restore("back", "first", dropExisting=True)
    eventually("rows are being loaded", lambda: shop.services.sql("postgres", LOADING.format(shop.database)))
    return shop, before


def assert_failed_and_unharmed(shop: Shop, before: str, *codes: str) -> None:
    status = shop.ended("RestoreRequest", "back")["status"]
    assert status["phase"] == "Failed", json.dumps(status)
    assert status["error"]["code"] in codes
    left = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{shop.database}' AND application_name LIKE 'dataguardian%'"
    eventually("no session of the run is left", lambda: not shop.services.sql("postgres", left))
    assert shop.fingerprint() == before


def test_a_killed_runner_leaves_the_target_as_it_was(loading: tuple[Shop, str]) -> None:
    shop, before = loading
    run = shop.cluster.get(shop.namespace, "restorerequest", "back") or {}

    shop.cluster.kill(command="dataguardian run restore", environment=run["metadata"]["uid"])

    assert_failed_and_unharmed(shop, before, "runner-killed")


def test_a_terminated_connection_leaves_the_target_as_it_was(loading: tuple[Shop, str]) -> None:
    shop, before = loading

    shop.services.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM ({LOADING.format(shop.database)}) AS found")

    assert_failed_and_unharmed(shop, before, "load-failed", "database-unavailable")


def test_a_cancelled_restore_leaves_the_target_as_it_was(loading: tuple[Shop, str]) -> None:
    shop, before = loading

    shop.cluster.kubectl(
        "patch", "-n", shop.namespace, "restorerequest", "back", "--type=merge", "-p", '{"spec": {"cancel": true}}'
    )

    assert shop.ended("RestoreRequest", "back")["status"]["phase"] == "Cancelled"
    assert shop.fingerprint() == before


def test_a_session_that_holds_a_lock_is_named_and_waited_for_no_longer_than_asked(shop: Shop) -> None:
    shop.backup("first")
    before = shop.fingerprint()
    hold = (
        "SET application_name = 'checkout-api'",
        "BEGIN",
        "LOCK TABLE orders IN ACCESS SHARE MODE",
        "SELECT pg_sleep(60)",
    )

    def until_terminated() -> None:
        with pytest.raises(AssertionError):
            shop.services.sql(shop.database, *hold)

    holder = threading.Thread(target=until_terminated)
    holder.start()
    held = f"SELECT pid FROM pg_stat_activity WHERE datname = '{shop.database}' AND application_name = 'checkout-api'"
    eventually("the lock is held", lambda: shop.services.sql("postgres", f"{held} AND query LIKE '%pg_sleep%'"))

    shop.start_restore("back", "first", dropExisting=True, lockTimeoutSeconds=3)

    error = shop.ended("RestoreRequest", "back")["status"]["error"]
    assert error["code"] == "target-locked"
    assert "checkout-api" in error["message"]
    assert shop.fingerprint() == before
    shop.services.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM ({held}) AS found")
    holder.join()
