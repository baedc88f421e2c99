"""What a sync is refused for, with which code and remedy; its target stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .cluster import JSON, Cluster
from .services import NAMESPACE, Services, secret
from .shop import Shop
from .staging import SERVER, Staging

ALLOWED = [{"table": "customers", "column": column} for column in ("name", "settings", "photo")]
# The code of each refusal, a word of its message, and what the DatabaseSyncJob has in addition.
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "same": ("same-database", "alias", {"targetRef": {"name": "alias"}}),
    "production": ("production-target", "live", {"targetRef": {"name": "live"}}),
    "filled": ("target-not-empty", "dropExisting", {"dropExisting": False}),
    "powerless": ("permission-refused", "powerless", {"targetRef": {"name": "powerless"}}),
    "no-target": ("database-unavailable", "nowhere", {"targetRef": {"name": "nowhere"}}),
    "no-source": ("database-unavailable", "nowhere", {"sourceRef": {"name": "nowhere"}}),
    "no-column": (
        "masking-invalid",
        "customers.phone",
        {"masking": {"rules": [{"table": "customers", "column": "phone"}]}},
    ),
    "unclassified": ("columns-unclassified", "photo", {"masking": {"requireAll": True, "allow": ALLOWED[:2]}}),
    "violated": (
        "masking-failed",
        "orders",
        {"masking": {"rules": [{"table": "orders", "column": "total", "how": "sql", "expression": "-1 - total"}]}},
    ),
    "no-backup-job": ("not-found", "storageLocationRef", {"storageLocationRef": {"name": "elsewhere"}}),
}


@dataclass
class Refused:
    """How the runs ended, and the target before and afterwards."""

    runs: dict[str, JSON]
    before: str
    after: str


@pytest.fixture(scope="module")
def refused(cluster: Cluster, services: Services) -> Iterator[Refused]:
    shop = Shop(cluster, services)
    shop.stock()
    staging = Staging(shop)
    staging.sql("CREATE TABLE ours AS SELECT 1 AS number", "CREATE ROLE powerless LOGIN PASSWORD 'canary-powerless'")
    before = staging.fingerprint()
    at, many = f"{SERVER}.{NAMESPACE}.svc", 20
    cluster.apply(
        secret(shop.namespace, "powerless", username="powerless", password="canary-powerless"),
        shop.datasource(maxConcurrentExecutions=many),
        shop.datasource("staging", host=at, maxConcurrentExecutions=many),
        shop.datasource("alias", host=f"db.{NAMESPACE}.svc.cluster.local", maxConcurrentExecutions=many),
        shop.datasource("live", host=at, database="live", maxConcurrentExecutions=many, classification=["Production"]),
        shop.datasource("powerless", host=at, maxConcurrentExecutions=many, credentialsSecretRef={"name": "powerless"}),
        shop.datasource("nowhere", host=f"s3.{NAMESPACE}.svc", maxConcurrentExecutions=many),
        shop.bucket_location("elsewhere"),
        *(staging.job(name, **changes) for name, (_, _, changes) in CASES.items()),
    )
    for name in CASES:
        staging.start(name, name)
    runs = {name: staging.ended(name) for name in CASES}
    yield Refused(runs, before, staging.fingerprint())
    staging.remove()
    staging.sql("DROP ROLE powerless", database="postgres")
    shop.remove()


@pytest.mark.parametrize("name", CASES)
def test_a_sync_that_could_do_harm_is_refused_with_code_and_remedy(refused: Refused, name: str) -> None:
    code, word, _ = CASES[name]
    status = refused.runs[name]

    assert status["phase"] == "Failed", status
    assert status["error"]["code"] == code, status["error"]
    assert word in f"{status['error']['message']} {status['error']['remedy']}"
    assert status["error"]["remedy"]


def test_no_refused_sync_has_touched_its_target(refused: Refused) -> None:
    assert refused.after == refused.before
