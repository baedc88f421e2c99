"""A sync that breaks in the middle leaves its target as it was, and the next one succeeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from .cluster import eventually
from .services import DATABASE_PASSWORD, secret
from .shop import SLOW, Shop
from .staging import Staging

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'dataguardian%'"
DUMPING = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COPY%TO stdout%' AND state = 'active'"
LOADING = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COPY%FROM stdin%' AND state = 'active'"
BUILDING = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'CREATE INDEX%' AND state = 'active'"
KEY = "canary-masking-key-5d1c"


class Breaking:
    """A sync in the middle of its work, and what its target held before."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.staging = shop, Staging(shop)
        self.staging.sql("CREATE TABLE ours AS SELECT 1 AS number", "CREATE TABLE big AS SELECT 2 AS id")
        self.before = self.staging.fingerprint()
        shop.cluster.apply(self.staging.job(runTemplate=SLOW))

    def start(self) -> None:
        self.staging.start("broken")
        eventually(
            "rows are being loaded",
            lambda: self.staging.sql(LOADING.format(self.shop.database), database="postgres").strip(),
        )

    def kill_runner(self) -> None:
        run = self.shop.cluster.get(self.shop.namespace, "databasesyncexecution", "broken") or {}
        self.shop.cluster.kill(command="dataguardian run sync", environment=run["metadata"]["uid"])

    def end_dump(self) -> None:
        found = DUMPING.format(self.shop.database)
        self.shop.services.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM ({found}) AS found")

    def end_load(self) -> None:
        found = LOADING.format(self.shop.database)
        self.staging.sql(f"SELECT pg_terminate_backend(pid) FROM ({found}) AS found", database="postgres")

    def cancel(self) -> None:
        patch = '{"spec": {"cancel": true}}'
        name = "databasesyncexecution/broken"
        self.shop.cluster.kubectl("patch", "-n", self.shop.namespace, name, "--type=merge", "-p", patch)

    def until_no_session(self) -> None:
        left = SESSIONS.format(self.shop.database)
        eventually("no session in the source", lambda: not self.shop.services.sql("postgres", left).strip())
        eventually("no session in the target", lambda: not self.staging.sql(left, database="postgres").strip())


@pytest.fixture
def breaking(big_shop: Shop) -> Iterator[Breaking]:
    found = Breaking(big_shop)
    yield found
    found.staging.remove()


@pytest.mark.parametrize(
    ("act", "phase", "codes", "named"),
    [
        (Breaking.kill_runner, "Failed", {"runner-killed"}, ""),
        (Breaking.end_dump, "Failed", {"dump-failed", "database-unavailable"}, "orders"),
        (Breaking.end_load, "Failed", {"load-failed", "database-unavailable"}, "staging"),
        (Breaking.cancel, "Cancelled", {"cancelled"}, ""),
    ],
    ids=["runner", "source", "target", "cancel"],
)
def test_a_sync_that_breaks_leaves_its_target_as_it_was_and_the_next_one_succeeds(
    breaking: Breaking, act: Callable[[Breaking], None], phase: str, codes: set[str], named: str
) -> None:
    breaking.start()

    act(breaking)

    status = breaking.staging.ended("broken")
    assert status["phase"] == phase, json.dumps(status)
    assert status["error"]["code"] in codes
    assert named in status["error"]["message"]
    breaking.until_no_session()
    assert breaking.staging.fingerprint() == breaking.before

    breaking.shop.cluster.apply(breaking.staging.job())
    breaking.staging.sync("good")
    assert breaking.staging.fingerprint() == breaking.shop.fingerprint()


def test_a_masked_sync_shows_no_source_value_and_keeps_its_key_to_itself(shop: Shop, staging: Staging) -> None:
    shop.cluster.apply(secret(shop.namespace, "masking", key=KEY))
    rules = [
        {"table": "customers", "column": "name", "how": "name"},
        {"table": "customers", "column": "settings", "how": "sql", "expression": "jsonb_build_object('level', 0)"},
        {"table": "customers", "column": "photo", "how": "hash"},
    ]
    staging.sql(f"ALTER DATABASE {staging.database} SET log_statement = 'all'")
    masking = {"requireAll": True, "keySecretRef": {"name": "masking", "key": "key"}, "rules": rules}
    shop.cluster.apply(staging.job(masking=masking))

    status = staging.sync("masked")

    assert status["maskedColumns"] == 3
    assert staging.sql("SELECT count(*) FROM customers WHERE name LIKE 'customer %'").strip() == "0"
    assert staging.sql("SELECT count(*) FROM customers JOIN orders ON customer = customers.id").strip() == "20000"
    comment = f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{staging.database}'"
    assert status["maskingDigest"] in staging.sql(comment)
    seen = shop.cluster.kubectl("get", "databasesyncexecutions,jobs,pods,events", "-n", shop.namespace, "-o", "json")
    seen += shop.cluster.logs(shop.namespace, "job/sync-masked")
    statements = shop.cluster.logs("services", "staging-0")
    assert "dataguardian" in statements
    assert KEY not in seen + statements
    assert KEY.encode().hex() not in seen + statements
    assert DATABASE_PASSWORD not in seen
