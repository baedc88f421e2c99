"""What Prometheus reads of a sidecar, and what it finds to scrape."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client.parser import text_string_to_metric_families

from dataguardian.api.clients import Clients

from .callers import Client
from .services import free_port
from .sidecars import served

DATASOURCE = {
    "engine": "postgresql", "host": "orders-db", "database": "orders", "credentialsSecretRef": {"name": "orders"},
}  # fmt: skip
LOCATION = {"filesystem": {"claimName": "backups"}}

Samples = dict[str, dict[str, float]]  # name → labels as JSON → value


@asynccontextmanager
async def sidecar(clients: Clients, *, liveness_port: int | None = None) -> AsyncIterator[Client]:
    """A sidecar that has just started; without a port, nobody is beside it."""
    beside = dataclasses.replace(clients.operators, liveness_port=liveness_port or free_port())
    async with served(dataclasses.replace(clients, operators=beside)) as http:
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
