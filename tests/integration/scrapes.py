"""What Prometheus reads of a sidecar, and what it finds to scrape."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from dataguardian.api.app import make_app
from dataguardian.api.clients import Clients
from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.resources.common import API_VERSION, Kind

from .callers import Client
from .services import free_port

JOB = {"datasourceRef": {"name": "orders"}, "storage": {"locations": [{"name": "primary"}]}}
SYNC_JOB = {"sourceRef": {"name": "orders"}, "targetRef": {"name": "staging"}}
DATASOURCE = {
    "engine": "postgresql", "host": "orders-db", "database": "orders", "credentialsSecretRef": {"name": "orders"},
}  # fmt: skip
LOCATION = {"filesystem": {"claimName": "backups"}}

Samples = dict[str, dict[str, float]]  # name → labels as JSON → value


@asynccontextmanager
async def sidecar(clients: Clients, *, liveness_port: int | None = None) -> AsyncIterator[Client]:
    """A sidecar that has just started; without a port, nobody is beside it."""
    beside = dataclasses.replace(clients.operators, liveness_port=liveness_port or free_port())
    app = make_app(dataclasses.replace(clients, operators=beside))
    async with TestClient(TestServer(app)) as http:
        yield http


async def text_of(http: Client) -> str:
    """What it tells."""
    async with http.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        return await answer.text()


async def read(http: Client) -> Samples:
    """What it tells, without the prefix."""
    found: Samples = {}
    for family in text_string_to_metric_families(await text_of(http)):
        assert family.name.startswith("dataguardian_")
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("dataguardian_"), {})[key(**sample.labels)] = sample.value
    return found


async def scrape(clients: Clients) -> Samples:
    """What a sidecar that has just started tells."""
    async with sidecar(clients) as http:
        return await read(http)


def key(**labels: str) -> str:
    """The labels of a sample."""
    return json.dumps(labels, sort_keys=True)


def of_namespace(found: Samples, metric: str, namespace: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by its labels but the namespace, in the order of their names."""
    samples = {name: json.loads(name) for name in found.get(metric, {})}
    return {
        tuple(labels[each] for each in sorted(labels) if each != "namespace"): found[metric][name]
        for name, labels in samples.items()
        if labels.get("namespace") == namespace
    }


async def make(
    kube: Kubernetes,
    kind: Kind[Any],
    namespace: str,
    name: str,
    spec: dict[str, Any],
    status: dict[str, Any] | None = None,
) -> None:
    """An object with its status."""
    body = {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, "spec": spec}
    await kube.create(objects_path(kind, namespace), body)
    if status is not None:
        await kube.patch(objects_path(kind, namespace, name) + "/status", {"status": status})
