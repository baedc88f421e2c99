"""The checks of datasources and storage locations: a runner's pod logs in, or writes and reads, as a run would.

So the operator itself needs no right to read Secrets, and a check passes through the same network as a backup.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..domain.health import datasource_status, is_due, location_status
from ..domain.naming import GENERATION
from ..domain.planning import Run, datasource_probe, storage_probe
from ..kube.jobs import Limits
from ..kube.status import change_status
from ..resources import datasource, storage_location
from ..resources.common import Kind, Resource
from . import side_jobs
from .context import Context, now
from .health_history import CHECKED, note
from .side_jobs import Ended, SideJob, SideOperation

TICK_S = 2.0
NEVER = datetime.min.replace(tzinfo=UTC)


async def check_all(context: Context) -> None:
    """Write what ended checks say, and start those that are due; a step of the worker ``health``."""
    await side_jobs.settle(context, CHECK)
    due = [
        (checked.status.last_checked_time or NEVER, kind, checked)
        for kind in CHECKED
        for checked in context.catalog.all(kind)
        if is_due(checked, now=now())
    ]
    longest_first = sorted(due, key=lambda each: each[0])
    await side_jobs.start_all(context, CHECK, (_check(kind, checked) for _, kind, checked in longest_first))


def _check(kind: Kind[Any], checked: Resource[Any, Any]) -> SideJob:
    return SideJob(
        name=f"check-{kind.short_name}-{checked.metadata.uid}",
        kind=kind,
        owner=checked,
        run=_probe(checked),
        notes={GENERATION: str(checked.metadata.generation)},
    )


def _probe(checked: Resource[Any, Any]) -> Run:
    if isinstance(checked, datasource.Datasource):
        return datasource_probe(checked)
    if isinstance(checked, storage_location.StorageLocation):
        return storage_probe(checked)
    raise TypeError(f"{type(checked).__name__} has no check")


async def _ended(context: Context, end: Ended) -> None:
    kind = next(kind for kind in CHECKED if kind.name == end.kind)
    checked = await context.catalog.read(kind, end.namespace, end.name)
    if checked is None or checked.metadata.uid != end.uid:
        return
    judge: Any = datasource_status if kind is datasource.KIND else location_status
    generation = int(end.notes[GENERATION])
    changed = await change_status(
        context.kube, kind, checked, lambda current: judge(current, end.report, generation=generation, now=now())
    )
    context.catalog.put(kind, changed)
    note(context, kind, changed)


CHECK = SideOperation(
    worker="health",
    operation="probe",
    owners=CHECKED,
    limits=Limits(active_deadline_seconds=90, backoff_limit=0, ttl_seconds=300),
    at_once=100,
    ended=_ended,
)
