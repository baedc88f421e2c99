"""``GET /metrics``: Prometheus text. State is that of the objects, so that it outlives Postgres and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__
from ..domain.executions import STATES, Attempt, as_phase
from ..workers.loop import Pulses
from .inventory import JOB_KINDS, Inventory, JobKind, Jobs
from .pulses import OWN_POD, OWN_S, pulses_at, pulses_url
from .sending import Sent
from .services import Found
from .state import STATE
from .totals import OBJECT, Counted, families

PREFIX = "dataguardian_"

Samples = Mapping[Any, float]  # a tuple of label values → value


@dataclass(frozen=True, kw_only=True)
class Snapshot(Collector):
    """Everything that one answer tells."""

    found: Found
    inventory: Inventory | None
    own: Pulses | None  # of the operator in the same pod; None when it does not answer
    counted: Counted

    def collect(self) -> Iterator[Metric]:
        """The metric families; those of objects are left out when the objects cannot be read."""
        yield _gauge("build_info", "The release that runs.", ("version",), {(__version__,): 1})
        for name, service in self.found.services.items():
            yield _gauge(f"{name}_up", f"Whether {name} answers.", (), {(): service.status == "up"})
        depths = {(queue,): depth for queue, depth in self.found.depths.items()}
        yield _gauge("queue_depth", "Entries of a queue that are not acknowledged.", ("queue",), depths)
        leading = {(): self.own.leading} if self.own else {}
        yield _gauge("operator_leader", "Whether the operator of this pod leads.", (), leading)
        workers = self.own.workers if self.own else {}
        heartbeats = {(worker,): pulse.heartbeat for worker, pulse in workers.items()}
        yield _gauge(
            "worker_last_heartbeat_timestamp_seconds",
            "When a worker of the operator of this pod last ended a step.", ("worker",), heartbeats,
        )  # fmt: skip
        if self.inventory is not None:
            yield from _of_objects(self.inventory)
        if self.counted.totals is not None and self.counted.existing:
            yield from families(self.counted.totals, self.counted.existing, PREFIX)


async def show(request: web.Request) -> web.Response:
    """All metrics; what is down is missing in them, and its ``_up`` is 0."""
    state = request.app[STATE]
    url = pulses_url(OWN_POD, state.clients.operators.liveness_port)
    found, own, _ = await asyncio.gather(state.services.get(), pulses_at(url, within_s=OWN_S), state.counted.begun())
    inventory = await state.inventory.get() if found.services["kubernetes"].status == "up" else None
    if inventory is not None:
        state.counted.existing = inventory.existing
    snapshot = Snapshot(found=found, inventory=inventory, own=own, counted=state.counted)
    # Beside the loop: thousands of jobs take a second, in which all others would wait.
    text = await asyncio.to_thread(generate_latest, snapshot)
    answer = Sent(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})
    answer.enable_compression()
    return answer


def _of_objects(found: Inventory) -> Iterable[Metric]:
    executions = {
        (operation, state): found.executions[operation, as_phase(state)]
        for operation in get_args(Attempt)
        for state in STATES
    }
    return (
        *(metric for job_kind in JOB_KINDS for metric in _of_jobs(job_kind, found.jobs[job_kind.operation])),
        _gauge("backup_size_bytes", "Stored size of the newest good backup.", OBJECT, found.size_bytes),
        *_of_recoverability(found),
        _gauge(
            "restore_last_success_timestamp_seconds",
            "When the newest completed restore into a Datasource ended.", OBJECT, found.restored,
        ),
        _gauge(
            "restore_last_attempt_timestamp_seconds",
            "When the newest restore into a Datasource started.", OBJECT, found.restore_attempted,
        ),
        _gauge("executions", "Run objects by state.", ("operation", "status"), executions),
        _gauge("datasource_up", "Whether the last check could log in.", OBJECT, found.datasource_up),
        _gauge("storage_up", "Whether the last check could write.", OBJECT, found.storage_up),
    )  # fmt: skip


def _of_jobs(job_kind: JobKind, figures: Jobs) -> Iterable[Metric]:
    prefix, kind = job_kind.operation, job_kind.kind.name
    return (
        _gauge(
            f"{prefix}_last_success_timestamp_seconds",
            f"When the newest good {prefix} of a {kind} ended.", OBJECT, figures.last_success,
        ),
        _gauge(
            f"{prefix}_last_attempt_timestamp_seconds",
            f"When the newest run of a {kind} started.", OBJECT, figures.last_attempt,
        ),
        _gauge(
            f"{prefix}_next_schedule_timestamp_seconds",
            f"When a {kind} is due next.", OBJECT, figures.next_schedule,
        ),
        _gauge(
            f"{prefix}_expected_interval_seconds",
            f"From the next slot of a {kind} to the one after it.", OBJECT, figures.expected_interval,
        ),
        _family(
            CounterMetricFamily, f"{prefix}_missed_schedules_total",
            f"Slots of a {kind} that did not run.", OBJECT, figures.missed_schedules,
        ),
    )  # fmt: skip


def _of_recoverability(found: Inventory) -> Iterable[Metric]:
    return (
        _gauge(
            "recoverable",
            "Whether a BackupJob meets its objectives; absent when that is unknown.", OBJECT, found.recoverable,
        ),
        _gauge(
            "recoverable_to_timestamp_seconds",
            "Moment of the data in the newest good backup of a BackupJob.", OBJECT, found.recoverable_to,
        ),
        _gauge(
            "last_verified_timestamp_seconds",
            "When the last verification of a BackupJob ended that passed.", OBJECT, found.last_verified,
        ),
        _gauge(
            "restore_measured_seconds",
            "How long the last restore or verification of a BackupJob took.", OBJECT, found.restore_measured,
        ),
        _gauge(
            "objective_seconds",
            "What the spec.objectives of a BackupJob ask for.", (*OBJECT, "objective"), found.objectives,
        ),
    )  # fmt: skip


def _gauge(name: str, help_text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    return _family(GaugeMetricFamily, name, help_text, labels, samples)


def _family(
    family: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    samples: Samples,
) -> Metric:
    made = family(PREFIX + name, help_text, labels=labels)
    for values, value in samples.items():
        made.add_metric(values, value)
    return made
