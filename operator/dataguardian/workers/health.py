"""The checks of datasources and storage locations: a runner's pod logs in, or writes and reads, as a run would.

So the operator itself needs no right to read Secrets, and a check passes through the same network as a backup.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain.health import datasource_status, is_due, location_status
from ..domain.naming import OWNER_NAME, OWNER_UID
from ..domain.outcome import outcome, waiting_reason
from ..domain.planning import Run, datasource_probe, storage_probe
from ..domain.report import Report
from ..errors import NotStarted
from ..kube.client import JSON, ApiRefused, Conflict, jobs_path
from ..kube.jobs import Limits, job_manifest
from ..kube.status import change_status
from ..resources import datasource, storage_location
from ..resources.backup import RunTemplate
from ..resources.common import Kind, Resource
from .context import Context, now
from .loop import attempt

TICK_S = 5.0
LIMITS = Limits(active_deadline_seconds=90, backoff_limit=0, ttl_seconds=300)
START_DEADLINE = timedelta(seconds=30)  # for the pod of a check
GENERATION = "dataguardian.io/generation"
CHECKED: tuple[Kind[Any], ...] = (datasource.KIND, storage_location.KIND)


async def check_all(context: Context) -> None:
    """Start each check that is due; a step of the worker ``health``."""
    for kind in CHECKED:
        for checked in context.catalog.all(kind):
            if is_due(checked, now=now()):
                await attempt("health", partial(_start, context, kind, checked))


async def _start(context: Context, kind: Kind[Any], checked: Resource[Any, Any]) -> None:
    body = job_manifest(
        name=f"check-{kind.short_name}-{checked.metadata.uid}",
        operation="probe",
        owner=checked,
        kind=kind,
        run=_probe(checked),
        limits=LIMITS,
        settings=context.runner,
        template=RunTemplate(),
    )
    generation = checked.metadata.generation
    body["metadata"]["annotations"][GENERATION] = str(generation)
    path = jobs_path(checked.metadata.namespace)
    try:
        await context.kube.create(path, body)
    except Conflict:
        # The check before is still under way; its pod may never start.
        if reason := _held_up(context.pods.get(checked.metadata.uid)):
            error = NotStarted(f"The pod of the check could not start. {reason}", remedy="Cure what Kubernetes says.")
            await _write(context, kind, checked, reports.failed(error, "connect"), generation)
            await context.kube.delete(f"{path}/{body['metadata']['name']}")
    except ApiRefused as refusal:
        await _write(context, kind, checked, reports.failed(refusal, "connect"), generation)


def _held_up(pod: JSON | None) -> str | None:
    """Why the pod of a check does not start, once it had time to."""
    if pod is None or pod["status"].get("phase") != "Pending":
        return None
    age = now() - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return waiting_reason(pod) if age > START_DEADLINE else None


def _probe(checked: Resource[Any, Any]) -> Run:
    if isinstance(checked, datasource.Datasource):
        return datasource_probe(checked)
    if isinstance(checked, storage_location.StorageLocation):
        return storage_probe(checked)
    raise TypeError(f"{type(checked).__name__} has no check")


async def ended(context: Context, job: JSON) -> None:
    """Write what a finished check says, and remove it so that the next one can start."""
    meta = job["metadata"]
    namespace = meta["namespace"]
    kind = next(kind for kind in CHECKED if kind.name == meta["ownerReferences"][0]["kind"])
    pods = await context.kube.pods_of(namespace, meta["name"])
    report = outcome(job, pods, step="connect")
    generation = int(meta["annotations"][GENERATION])
    checked = await context.catalog.read(kind, namespace, meta["annotations"][OWNER_NAME])
    if checked is not None and checked.metadata.uid == meta["labels"][OWNER_UID]:
        await _write(context, kind, checked, report, generation)
    await context.kube.delete(jobs_path(namespace, meta["name"]))


async def _write(
    context: Context, kind: Kind[Any], checked: Resource[Any, Any], report: Report, generation: int
) -> None:
    judge: Any = datasource_status if kind is datasource.KIND else location_status
    changed = await change_status(
        context.kube, kind, checked, lambda current: judge(current, report, generation=generation, now=now())
    )
    context.catalog.put(kind, changed)
