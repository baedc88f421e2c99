"""The checks of datasources and storage locations: a runner's pod logs in, or writes and reads, as a run would.

So the operator itself needs no right to read Secrets, and a check passes through the same network as a backup.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ..domain.health import datasource_status, is_due, location_status
from ..domain.naming import OWNER_NAME, OWNER_UID
from ..domain.outcome import outcome
from ..domain.planning import Run, datasource_probe, storage_probe
from ..kube.client import JSON, Conflict, jobs_path, pods_path
from ..kube.jobs import Limits, job_manifest
from ..kube.status import change_status
from ..resources import datasource, storage_location
from ..resources.backup import RunTemplate
from ..resources.common import Kind, Resource
from .context import Context, now
from .loop import attempt

TICK_S = 5.0
LIMITS = Limits(active_deadline_seconds=90, backoff_limit=0, ttl_seconds=300)
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
    body["metadata"]["annotations"][GENERATION] = str(checked.metadata.generation)
    try:
        await context.kube.create(jobs_path(checked.metadata.namespace), body)
    except Conflict:
        return  # the check before is still under way


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
    pods, _ = await context.kube.list(
        pods_path(namespace), label_selector=f"batch.kubernetes.io/job-name={meta['name']}"
    )
    report = outcome(job, pods, step="connect")
    generation = int(meta["annotations"][GENERATION])
    checked = await context.catalog.read(kind, namespace, meta["annotations"][OWNER_NAME])
    if checked is not None and checked.metadata.uid == meta["labels"][OWNER_UID]:
        judge: Any = datasource_status if kind is datasource.KIND else location_status
        checked = await change_status(
            context.kube,
            kind,
            checked,
            lambda current: judge(current, report, generation=generation, now=now()),
        )
        context.catalog.put(kind, checked)
    await context.kube.delete(jobs_path(namespace, meta["name"]))
