"""What is wrong with the input ends as Failed with step, code, message and remedy, and leaves nothing behind.

All runs are started at once and awaited together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from .cluster import JSON, Cluster, eventually
from .services import S3_KEY_ID, Services, secret
from .shop import Shop

VOLUMES = "/var/tmp/dataguardian-test-volumes"


@dataclass(frozen=True)
class Case:
    """One thing that is wrong, and how its run ends."""

    code: str
    steps: tuple[str, ...] = ("connect",)
    says: str = ""
    datasource: JSON = field(default_factory=dict)
    s3: JSON = field(default_factory=dict)
    claim: str | None = None


CASES = {
    "wrong-password": Case("permission-refused", datasource={"credentialsSecretRef": {"name": "wrong"}}),
    "unreachable-host": Case("database-unavailable", datasource={"host": "nowhere.services.svc"}, says="nowhere"),
    "closed-port": Case("database-unavailable", datasource={"port": 5433}),
    "unknown-database": Case("not-found", datasource={"database": "nowhere"}, says="nowhere"),
    "no-select": Case(
        "permission-refused",
        steps=("connect", "dump"),
        datasource={"credentialsSecretRef": {"name": "reader"}},
        says="orders",
    ),
    "no-secret": Case("not-found", datasource={"credentialsSecretRef": {"name": "absent"}}, says="username"),
    "missing-bucket": Case("not-found", s3={"bucket": "no-such-bucket"}, says="no-such-bucket"),
    "wrong-key": Case("permission-refused", s3={"credentialsSecretRef": {"name": "wrong-s3"}}),
    "unreachable-store": Case("storage-unavailable", s3={"endpoint": "http://nowhere.services.svc:7070"}),
    "read-only-volume": Case("permission-refused", steps=("connect", "dump"), claim="read-only"),
    "full-volume": Case("storage-full", steps=("dump",), claim="full"),
}


def volume(shop: Shop, name: str) -> list[JSON]:
    """A claim that is bound to a folder of the node."""
    path = f"{VOLUMES}/{shop.namespace}/{name}"
    bound = f"{shop.namespace}-{name}"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": bound},
            "spec": {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": path}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": shop.namespace},
            "spec": {**common, "volumeName": bound, "resources": {"requests": {"storage": "1Gi"}}},
        },
    ]


def mount(cluster: Cluster, path: str, options: str) -> None:
    cluster.program("node-exec", "mkdir", "-p", path)
    cluster.program("node-exec", "mount", "-t", "tmpfs", "-o", options, "tmpfs", path)


def prepare(shop: Shop) -> None:
    """Credentials that are wrong, a role that may not read one table, and volumes that take nothing."""
    reader = f"reader_{shop.database}"
    shop.services.sql(
        shop.database,
        f"CREATE ROLE {reader} LOGIN PASSWORD 'reads'",
        f"GRANT USAGE ON SCHEMA public TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
        f"REVOKE SELECT ON orders FROM {reader}",
    )
    shop.cluster.apply(
        secret(shop.namespace, "wrong", username="admin", password="wrong"),
        secret(shop.namespace, "reader", username=reader, password="reads"),
        secret(shop.namespace, "wrong-s3", accessKeyId=S3_KEY_ID, secretAccessKey="wrong"),
        *volume(shop, "read-only"),
        *volume(shop, "full"),
    )
    folder = f"{VOLUMES}/{shop.namespace}"
    mount(shop.cluster, f"{folder}/read-only", "ro,size=1m")
    mount(shop.cluster, f"{folder}/full", "size=128k,mode=0777")


def start(shop: Shop, name: str, case: Case) -> None:
    location = (
        shop.object("StorageLocation", name, {"filesystem": {"claimName": case.claim}})
        if case.claim
        else shop.bucket_location(name, **case.s3)
    )
    shop.cluster.apply(shop.datasource(name, **case.datasource), location, shop.job(name, name, name))
    shop.start_backup(name, name)


@dataclass
class Ended:
    """The ended runs, by case, and where they were."""

    shop: Shop
    runs: dict[str, JSON]
    before: str


@pytest.fixture(scope="module")
def ended(cluster: Cluster, services: Services) -> Iterator[Ended]:
    shop = Shop(cluster, services)
    shop.stock()
    prepare(shop)
    before = shop.fingerprint()
    try:
        for name, case in CASES.items():
            start(shop, name, case)
        yield Ended(shop, {name: shop.ended("BackupExecution", name) for name in CASES}, before)
    finally:
        for name in ("read-only", "full"):
            cluster.program("node-exec", "umount", "-l", f"{VOLUMES}/{shop.namespace}/{name}")
        cluster.program("node-exec", "rm", "-r", f"{VOLUMES}/{shop.namespace}")
        shop.remove()
        cluster.kubectl("delete", "pv", f"{shop.namespace}-read-only", f"{shop.namespace}-full", "--wait=false")


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_cannot_succeed_fails_with_step_code_message_and_remedy(ended: Ended, name: str) -> None:
    case, status = CASES[name], ended.runs[name]["status"]

    assert status["phase"] == "Failed"
    error = status["error"]
    assert error["code"] == case.code
    assert error["step"] in case.steps
    assert case.says in error["message"]
    assert error["remedy"]
    ready = next(each for each in status["conditions"] if each["type"] == "Ready")
    assert ready["status"] == "False"
    assert ready["message"] == f"{error['message']} {error['remedy']}"


def test_runs_that_failed_leave_nothing_in_the_store_and_nothing_on_the_database(ended: Ended) -> None:
    assert ended.shop.files() == []
    assert ended.shop.services.uploads(ended.shop.bucket) == []
    assert ended.shop.fingerprint() == ended.before


def test_history_has_each_failure_with_its_code_and_log(ended: Ended) -> None:
    wanted = sorted([name, "failed", case.code, "t"] for name, case in CASES.items())

    columns = "name, status, error_code, jsonb_array_length(metadata -> 'execution_logs') > 0"
    eventually("all rows", lambda: sorted(ended.shop.history(columns)) == wanted)


def test_the_checks_of_the_same_objects_tell_the_same(ended: Ended) -> None:
    shop = ended.shop

    for name in ("wrong-password", "no-secret"):
        told = shop.until_condition("datasource", name, "Ready", "False")
        assert told["message"] == " ".join(ended.runs[name]["status"]["error"][key] for key in ("message", "remedy"))
    shop.until_condition("storagelocation", "missing-bucket", "Ready", "False", "NotFound")
    shop.until_condition("storagelocation", "wrong-key", "Ready", "False", "PermissionRefused")
    shop.until_condition("backupjob", "wrong-password", "Stalled", "True", "DatasourceNotReady")


def test_an_empty_database_is_backed_up_and_restored(bare_shop: Shop) -> None:
    shop = bare_shop
    shop.credentials()
    empty = f"empty_{shop.database}"
    shop.new_database(empty, "template0")
    shop.cluster.apply(shop.datasource(database=empty), shop.bucket_location(), shop.job())

    backup = shop.backup("first")
    restore = shop.restore("back", "first")

    assert backup["status"]["storedBytes"] > 0
    assert restore["status"]["tables"] == 0
