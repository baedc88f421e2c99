"""The Kubernetes Job of a run: made once, because it has one name, and found again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..domain import plan as plans
from ..domain.naming import DATASOURCE, MANAGED_BY, OPERATION, OWNER_UID, PROGRAM, kubernetes_job_name
from ..domain.outcome import going
from ..domain.readiness import Obstacle
from ..errors import ConfigInvalid, NotStarted, SpecInvalid
from ..kube.client import JSON, Absent, Conflict, KubernetesUnavailable, jobs_path
from ..kube.jobs import job_manifest, planned
from ..resources.common import Resource
from .context import Context
from .operations import RunKind
from .prepared import Known, NotYet, Prepared

Run = Resource[Any, Any]


async def under_name(context: Context, run_kind: RunKind, run: Run) -> JSON | None:
    """The Kubernetes Job that has the run's name, whoever it belongs to."""
    name = kubernetes_job_name(run_kind.operation, run.metadata.name)
    try:
        return await context.kube.get(jobs_path(run.metadata.namespace, name))
    except Absent:
        return None


async def find(context: Context, run_kind: RunKind, run: Run) -> JSON | None:
    """The Kubernetes Job of this very run."""
    job = await under_name(context, run_kind, run)
    return job if job is not None and _labels(job).get(OWNER_UID) == run.metadata.uid else None


async def create(context: Context, run_kind: RunKind, run: Run, prepared: Prepared) -> None:
    """Return when the run has its Kubernetes Job.

    Raises NotYet when it is known that there is none, and SpecInvalid when a stranger has its name. After
    KubernetesUnavailable there may be one.
    """
    body = job_manifest(
        name=kubernetes_job_name(run_kind.operation, run.metadata.name),
        operation=run_kind.operation,
        owner=run,
        kind=run_kind.kind,
        run=prepared.run,
        limits=prepared.limits,
        settings=context.runner,
        template=prepared.template,
    )
    try:
        await context.kube.create(jobs_path(run.metadata.namespace), body)
    except Conflict:
        _adopt(run, await under_name(context, run_kind, run), body["metadata"]["name"])
    except KubernetesUnavailable as error:
        if await find(context, run_kind, run) is None:
            held = Obstacle("KubernetesUnavailable", str(error)[:1024])
            raise NotYet(held, overdue=NotStarted) from error


def chosen(run_kind: RunKind, run: Run, job: JSON) -> Known:
    """What was decided when the run's Kubernetes Job was made, as fields of the run's status."""
    with suppress(ConfigInvalid):  # somebody else has made it
        return run_kind.decided(run, plans.decode(planned(job), run_kind.plan))
    return {"datasource": job["metadata"]["annotations"].get(DATASOURCE) or None}


def _adopt(run: Run, there: JSON | None, name: str) -> None:
    """Take the Kubernetes Job that has the name if it is the run's, and wait for one that goes away by itself."""
    if there is not None and _labels(there).get(OWNER_UID) == run.metadata.uid:
        return
    if there is None or going(there) or _is_ours(there):
        message = f"Kubernetes Job {name!r} is of an earlier run of this name, and is being deleted."
        raise NotYet(Obstacle("NameTaken", message), overdue=NotStarted)
    raise SpecInvalid(
        f"A Kubernetes Job {name!r} exists that does not belong to this run.",
        remedy="Delete it, or create the run with another name.",
    )


def _is_ours(job: JSON) -> bool:
    labels = _labels(job)
    return labels.get(MANAGED_BY) == PROGRAM and OPERATION in labels and OWNER_UID in labels


def _labels(job: JSON) -> Mapping[str, str]:
    found: Mapping[str, str] = job["metadata"].get("labels", {})
    return found
