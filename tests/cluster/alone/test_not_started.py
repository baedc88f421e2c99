"""A pod that Kubernetes does not let start ends its run in bounded time, with a reason of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ..cluster import JSON, Cluster
from ..operator_pods import OperatorPods
from ..services import Services
from ..shop import Shop

# code → what its message names
CASES = {
    "image-pull-failed": "localhost/absent:1",
    "unschedulable": "node affinity/selector",
    "quota-exceeded": "pods=1",
    "pod-refused": "no-such-account",
}


@dataclass
class Ended:
    """The ended runs, by case."""

    shop: Shop
    runs: dict[str, JSON]


@pytest.fixture(scope="module")
def ended(cluster: Cluster, services: Services) -> Iterator[Ended]:
    operator = OperatorPods(cluster)
    shops = [Shop(cluster, services) for _ in range(3)]
    plain, full, absent = shops
    for shop in shops:
        shop.stock()
    plain.cluster.apply(
        plain.datasource("second"),
        plain.datasource("third"),
        plain.job("lost", "orders", runTemplate={"nodeSelector": {"no-such": "node"}}),
        plain.job("nobody", "second", runTemplate={"serviceAccountName": "no-such-account"}),
    )
    hard = {"hard": {"pods": "0"}}
    meta = {"name": "none", "namespace": full.namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": hard})
    try:
        operator.start(DATAGUARDIAN_START_DEADLINE_SECONDS="20")
        plain.start_backup("unschedulable", "lost")
        plain.start_backup("pod-refused", "nobody")
        full.start_backup("quota-exceeded")
        runs = {name: plain.ended("BackupExecution", name) for name in ("unschedulable", "pod-refused")}
        runs["quota-exceeded"] = full.ended("BackupExecution", "quota-exceeded")
        operator.start(DATAGUARDIAN_START_DEADLINE_SECONDS="20", DATAGUARDIAN_RUNNER_IMAGE=CASES["image-pull-failed"])
        absent.start_backup("image-pull-failed")
        runs["image-pull-failed"] = absent.ended("BackupExecution", "image-pull-failed")
        yield Ended(plain, runs)
    finally:
        image = "localhost/dataguardian:test"
        operator.start(DATAGUARDIAN_START_DEADLINE_SECONDS="600", DATAGUARDIAN_RUNNER_IMAGE=image)
        for shop in shops:
            shop.remove()


@pytest.mark.parametrize("code", ["image-pull-failed", "unschedulable", "quota-exceeded", "pod-refused"])
def test_a_pod_that_cannot_start_ends_its_run_with_kubernetes_own_words(ended: Ended, code: str) -> None:
    status = ended.runs[code]["status"]

    assert (status["phase"], status["error"]["code"]) == ("Failed", code)
    assert CASES[code] in status["error"]["message"]
    assert status["error"]["remedy"]


def test_no_kubernetes_job_stays_that_could_start_later(ended: Ended) -> None:
    for run in ended.runs.values():
        found = ended.shop.cluster.get(run["metadata"]["namespace"], "job", f"backup-{run['metadata']['name']}")
        assert found is None
