"""One cluster for the session, with the chart installed; a namespace, a database and a bucket for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest

from .cluster import ROOT, Cluster
from .operator_pods import OperatorPods
from .services import Services
from .sharing import shared, turn
from .shop import Shop
from .staging import Staging

os.environ["DATAGUARDIAN_CLUSTER"] = os.environ.get("DATAGUARDIAN_TEST_CLUSTER", "test")
RELEASE = "dataguardian"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the images too."""
    for item in items:
        if "/tests/cluster/" in str(item.path):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with DataGuardian in the namespace ``dataguardian``, which enforces the restricted profile."""
    found = Cluster()
    with shared(partial(_prepare, found), partial(_take_down, found)):
        found.enter()
        yield found


@pytest.fixture(scope="module", autouse=True)
def beside(cluster: Cluster) -> Iterator[None]:
    """Other processes may test something meanwhile, but for what is in ``alone``."""
    with turn(alone=False):
        yield


def _prepare(cluster: Cluster) -> None:
    cluster.up()
    cluster.enter()
    services = Services(cluster)
    services.create()
    _install(cluster)
    services.fill()


def _take_down(cluster: Cluster) -> None:
    if os.environ.get("DATAGUARDIAN_KEEP_CLUSTER") != "1":
        cluster.program("down")


def _install(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": RELEASE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
    )
    kept = cluster.get(RELEASE, "deployment", RELEASE)
    cluster.helm(
        "upgrade", "--install", RELEASE, str(ROOT / "charts/dataguardian"), "--namespace", RELEASE,
        "--set", "image.repository=localhost/dataguardian,image.tag=test",
        "--set", "postgres.embedded.image.repository=localhost/dataguardian-postgres",
        "--set", "redis.embedded.image.repository=localhost/dataguardian-redis",
        # Several processes test at once, and none is to wait for another one's runs.
        "--set", "maxConcurrentExecutions=30",
        "--set", "verification.postgresql.image.repository=localhost/dataguardian-postgres",
        "--wait", "--timeout", "5m",
    )  # fmt: skip
    if kept:  # an image of the same name may have changed since this cluster was used last
        cluster.kubectl("rollout", "restart", "-n", RELEASE, f"deployment/{RELEASE}")
        cluster.kubectl("rollout", "status", "-n", RELEASE, f"deployment/{RELEASE}", "--timeout=180s")


@pytest.fixture(scope="session")
def services(cluster: Cluster) -> Services:
    """The databases and the S3 server of the tests."""
    return Services(cluster)


@pytest.fixture
def shop(cluster: Cluster, services: Services) -> Iterator[Shop]:
    """A test's own namespace, database and bucket, with the credentials and a BackupJob ``nightly``."""
    found = Shop(cluster, services)
    found.stock()
    yield found
    found.remove()


@pytest.fixture
def bare_shop(cluster: Cluster, services: Services) -> Iterator[Shop]:
    """The same without any object."""
    found = Shop(cluster, services)
    yield found
    found.remove()


@pytest.fixture
def big_shop(cluster: Cluster, services: Services) -> Iterator[Shop]:
    """A database of 200 MB, and a BackupJob whose runs are slow."""
    from .shop import SLOW

    found = Shop(cluster, services, "big")
    found.stock(runTemplate=SLOW)
    yield found
    found.remove()


@pytest.fixture
def staging(shop: Shop) -> Iterator[Staging]:
    """An empty database on another server."""
    found = Staging(shop)
    yield found
    found.remove()


@pytest.fixture
def operator(cluster: Cluster) -> Iterator[OperatorPods]:
    """The operator's pods, which the test may stop, freeze and kill; afterwards one runs as before."""
    found = OperatorPods(cluster)
    yield found
    found.start()
