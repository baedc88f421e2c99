"""Kubernetes Jobs that are done for an object that exists, not for a run object: checks, listings, cleanups, copies.

Each has a deterministic name and one owner. Its end is acted on before it is deleted, as often as that takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..domain import report as reports
from ..domain.naming import BEGAN, OPERATION, OWNER_NAME, OWNER_UID, Operation
from ..domain.outcome import finished, outcome
from ..domain.planning import Run
from ..domain.report import Report
from ..domain.startup import waits_for
from ..domain.told import Told
from ..errors import ConfigInvalid, HistoryUnavailable, NotStarted, SpecInvalid
from ..kube.client import JSON, Absent, ApiRefused, Conflict, jobs_path
from ..kube.jobs import Limits, job_manifest
from ..resources.common import Kind, Resource
from ..resources.run_template import RunTemplate
from . import audited
from .context import Context, now
from .loop import attempt
from .pod_log import read_told

START_DEADLINE = timedelta(seconds=30)  # for a pod that tells why it waits
POD_DEADLINE = timedelta(minutes=2)  # for a Kubernetes Job to have a pod
HISTORY_RETRY = timedelta(seconds=30)  # for an end that history has to know of first
CURE = "Cure what Kubernetes says."
JOB_UID = "batch.kubernetes.io/controller-uid"  # label of every pod of a Kubernetes Job


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a side job ended."""

    kind: str  # of its owner
    namespace: str
    name: str  # of its owner
    uid: str  # of its owner
    began: datetime  # by the operator's clock
    notes: Mapping[str, str]  # what was noted at its start
    report: Report
    told: Sequence[Told] | None = None  # None: its log is lost


@dataclass(frozen=True, kw_only=True)
class SideOperation:
    """One kind of side jobs. ``ended`` may be called again for the same end."""

    worker: str
    operation: Operation
    owners: tuple[Kind[Any], ...]
    limits: Limits
    at_once: int  # so that they cannot flood a cluster
    ended: Callable[[Context, Ended], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class SideJob:
    """One Kubernetes Job to start. Notes are annotations, for ``Ended``."""

    name: str
    kind: Kind[Any]
    owner: Resource[Any, Any]
    run: Run
    notes: Mapping[str, str] = field(default_factory=dict)
    template: RunTemplate = field(default_factory=RunTemplate)


def observe(context: Context, change: str, job: JSON) -> None:
    """Know a side job as the watch tells of it."""
    key = _key(job)
    if change != "DELETED":
        if _is_ours(job):
            context.side_jobs[key] = job
    elif key in context.side_jobs and context.side_jobs[key]["metadata"]["uid"] == job["metadata"]["uid"]:
        del context.side_jobs[key]


def observe_pod(context: Context, change: str, pod: JSON) -> None:
    """Know the pod of a side job as the watch tells of it."""
    meta = pod["metadata"]
    key = meta["labels"].get(JOB_UID, meta["uid"])
    if change == "DELETED":
        context.side_pods.pop(key, None)
    else:
        context.side_pods[key] = {"metadata": meta, "status": pod["status"]}


async def start_all(context: Context, side: SideOperation, wanted: Iterable[SideJob]) -> None:
    """Start those that are not under way, in this order, as many as there is room for. A refusal is an end."""
    room = _room(context, side)
    for each in wanted:
        if room <= 0:
            return
        if not is_open(context, each.owner.metadata.namespace, each.name):
            await attempt(side.worker, partial(_start, context, side, each))
            room -= 1


def is_open(context: Context, namespace: str, name: str) -> bool:
    """Whether a side job has not been acted on."""
    return (namespace, name) in context.side_jobs


def notes_of(context: Context, namespace: str, name: str) -> Mapping[str, str] | None:
    """What was noted at the start of a side job that goes on, or is being made; None when there is none.

    One whose end only history has still to know of does nothing any more.
    """
    job = context.side_jobs.get((namespace, name))
    if job is None:
        return context.side_starts.get((namespace, name))
    is_over = finished(job) and not context.pauses.is_over(("end", job["metadata"]["uid"]), now())
    return None if is_over else job["metadata"]["annotations"]


def has_room(context: Context, side: SideOperation) -> bool:
    """Whether another one may be started."""
    return _room(context, side) > 0


def _room(context: Context, side: SideOperation) -> int:
    return side.at_once - sum(_belongs(job, side) for job in context.side_jobs.values())


async def _start(context: Context, side: SideOperation, wanted: SideJob) -> None:
    key = wanted.owner.metadata.namespace, wanted.name
    context.side_starts[key] = wanted.notes
    try:
        await _make(context, side, wanted)
    finally:
        del context.side_starts[key]


async def _make(context: Context, side: SideOperation, wanted: SideJob) -> None:
    owner = wanted.owner.metadata
    body = job_manifest(
        name=wanted.name,
        operation=side.operation,
        owner=wanted.owner,
        kind=wanted.kind,
        run=wanted.run,
        limits=side.limits,
        settings=context.runner,
        template=wanted.template,
    )
    body["metadata"]["annotations"].update({**wanted.notes, BEGAN: now().isoformat()})
    try:
        made = await context.kube.create(jobs_path(owner.namespace), body)
    except Conflict:
        made = await context.kube.get(jobs_path(owner.namespace, wanted.name))
        if made["metadata"].get("labels", {}).get(OWNER_UID) != owner.uid:
            stranger = SpecInvalid(
                f"A Kubernetes Job {wanted.name!r} exists that was not made for {wanted.kind.name} {owner.name!r}.",
                remedy="Delete it.",
            )
            await side.ended(context, _refused(wanted, stranger))
            return
    except ApiRefused as refusal:
        await side.ended(context, _refused(wanted, refusal))
        return
    observe(context, "ADDED", made)


async def settle(context: Context, side: SideOperation) -> bool:
    """Act on the ends of all that have ended, or that cannot start, and delete them. True when there was one."""
    jobs = [job for job in context.side_jobs.values() if _belongs(job, side)]
    for job in jobs:
        await attempt(side.worker, partial(_settle, context, side, job))
    return any(_key(job) not in context.side_jobs for job in jobs)


async def _settle(context: Context, side: SideOperation, job: JSON) -> None:
    pause = ("end", job["metadata"]["uid"])
    if not context.pauses.is_over(pause, now()):
        return
    over = finished(job)
    obstacle = None if over else await _obstacle(context, job)
    if not over and obstacle is None:
        return
    path = jobs_path(*_key(job))
    try:
        # A late word of the watch about one that was acted on must not be taken for another end.
        there = await context.kube.get(path)
    except Absent:
        there = None
    if there is not None and there["metadata"]["uid"] == job["metadata"]["uid"]:
        end = await _end_of(context, there) if over else _stuck(job, obstacle or "")
        try:
            await side.ended(context, end)
            await audited.tell_drops(context, end)
        except (HistoryUnavailable, ConfigInvalid):
            context.pauses.begin(pause, first=HISTORY_RETRY, longest=HISTORY_RETRY, now=now())
            raise
        await context.kube.delete(path)
    context.pauses.forget(pause)
    observe(context, "DELETED", job)


async def _obstacle(context: Context, job: JSON) -> str | None:
    """Why the pod does not start, once it had time to."""
    meta = job["metadata"]
    age = now() - datetime.fromisoformat(meta["creationTimestamp"])
    pod = context.side_pods.get(meta["uid"])
    if pod is None:
        # The watch may not have told of the pod yet.
        if age < POD_DEADLINE or await context.kube.pods_of(meta["namespace"], meta["name"]):
            return None
        return "The Kubernetes Job has no pod: its events name the quota, account or policy that refuses it."
    if pod["status"].get("phase") != "Pending" or age < START_DEADLINE:
        return None
    found = waits_for(pod)
    return found[1] if found else None


async def _end_of(context: Context, job: JSON) -> Ended:
    meta = job["metadata"]
    pods = await context.kube.pods_of(meta["namespace"], meta["name"])
    lines = await read_told(context.kube, job, pods, now=now())
    return _ended(job, outcome(job, pods, step="connect"), told=lines)


def _stuck(job: JSON, reason: str) -> Ended:
    return _ended(job, reports.failed(NotStarted(f"The pod could not start. {reason}", remedy=CURE), "connect"))


def _ended(job: JSON, report: Report, told: Sequence[Told] | None = None) -> Ended:
    meta = job["metadata"]
    return Ended(
        kind=meta["ownerReferences"][0]["kind"],
        namespace=meta["namespace"],
        name=meta["annotations"][OWNER_NAME],
        uid=meta["labels"][OWNER_UID],
        began=datetime.fromisoformat(meta["annotations"].get(BEGAN, meta["creationTimestamp"])),
        notes=meta["annotations"],
        report=report,
        told=told,
    )


def _refused(wanted: SideJob, refusal: SpecInvalid | ApiRefused) -> Ended:
    owner = wanted.owner.metadata
    return Ended(
        kind=wanted.kind.name,
        namespace=owner.namespace,
        name=owner.name,
        uid=owner.uid,
        began=now(),
        notes=wanted.notes,
        report=reports.failed(refusal, "connect"),
    )


def _belongs(job: JSON, side: SideOperation) -> bool:
    meta = job["metadata"]
    owner = meta["ownerReferences"][0]["kind"]
    return meta["labels"][OPERATION] == side.operation and any(kind.name == owner for kind in side.owners)


def _is_ours(job: JSON) -> bool:
    """Whether it is complete: anybody may make one that bears our labels."""
    meta = job["metadata"]
    return bool(meta.get("ownerReferences")) and OWNER_NAME in meta.get("annotations", {})


def _key(job: JSON) -> tuple[str, str]:
    return job["metadata"]["namespace"], job["metadata"]["name"]
