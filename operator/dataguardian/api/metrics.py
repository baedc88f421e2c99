"""``GET /metrics``: Prometheus text, from the objects, so that it survives Postgres and Redis being down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..domain.executions import STATES, as_phase
from ..errors import QueueUnavailable
from ..queue import QUEUES, Queue
from .clients import Remembered
from .health import SERVICES, Services
from .inventory import Inventory

PREFIX = "dataguardian_"
OBJECT = ("namespace", "name")
OPERATIONS = ("backup", "restore")

INVENTORY: web.AppKey[Remembered[Inventory | None]] = web.AppKey("inventory")
QUEUE: web.AppKey[Queue] = web.AppKey("queue")

Samples = Mapping[Any, float]  # a tuple of label values → value


@dataclass(frozen=True, kw_only=True)
class Snapshot(Collector):
    """Everything that one answer tells."""

    services: Services
    depths: Mapping[str, int]  # empty when Redis is down
    inventory: Inventory | None

    def collect(self) -> Iterator[Metric]:
        """The metric families; those of objects are left out when the objects cannot be read."""
        yield _gauge("build_info", "The release that runs.", ("version",), {(__version__,): 1})
        for service in ("kubernetes", "postgres", "redis"):
            up = getattr(self.services, service) == "up"
            yield _gauge(f"{service}_up", f"Whether {service} answers.", (), {(): up})
        depths = {(queue,): depth for queue, depth in self.depths.items()}
        yield _gauge("queue_depth", "Entries of a queue that are not acknowledged.", ("queue",), depths)
        if self.inventory is not None:
            yield from _of_objects(self.inventory)


async def show(request: web.Request) -> web.Response:
    """All metrics; what is down is missing in them, and its ``_up`` is 0."""
    services = await request.app[SERVICES].get()
    snapshot = Snapshot(
        services=services,
        depths=await _depths(request.app[QUEUE]) if services.redis == "up" else {},
        inventory=await request.app[INVENTORY].get() if services.kubernetes == "up" else None,
    )
    return web.Response(body=generate_latest(snapshot), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _depths(queue: Queue) -> dict[str, int]:
    try:
        return {name: await queue.depth(name) for name in QUEUES}
    except QueueUnavailable:
        return {}


def _of_objects(found: Inventory) -> Iterable[Metric]:
    executions = {
        (operation, state): found.executions[operation, as_phase(state)] for operation in OPERATIONS for state in STATES
    }
    return (
        _gauge(
            "backup_last_success_timestamp_seconds",
            "When the newest good backup of a BackupJob ended.", OBJECT, found.last_success,
        ),
        _gauge(
            "backup_last_attempt_timestamp_seconds",
            "When the newest run of a BackupJob started.", OBJECT, found.last_attempt,
        ),
        _gauge(
            "backup_next_schedule_timestamp_seconds",
            "When a BackupJob is due next.", OBJECT, found.next_schedule,
        ),
        _gauge("backup_size_bytes", "Stored size of the newest good backup.", OBJECT, found.size_bytes),
        _gauge("executions", "Run objects by state.", ("operation", "status"), executions),
        _gauge("datasource_up", "Whether the last check could log in.", OBJECT, found.datasource_up),
        _gauge("storage_up", "Whether the last check could write.", OBJECT, found.storage_up),
    )  # fmt: skip


def _gauge(name: str, help_text: str, labels: tuple[str, ...], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, value)
    return family
