"""A backup whose runner could not tell how it ended: its manifest in the store does, if it is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from ..domain import report as reports
from ..domain.health import is_usable
from ..domain.imports import stored_report
from ..domain.naming import backup_folder, job_folder
from ..domain.outcome import LOST
from ..domain.planning import index_run
from ..domain.report import Report, StoredCopy
from ..domain.told import ManifestFound
from ..errors import NodeLost, RunnerLost
from ..kube.jobs import Limits
from ..resources import storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupJob
from ..resources.storage_location import StorageLocation
from . import side_jobs
from .context import Context, Search, now
from .side_jobs import Ended, SideJob, SideOperation

TICK_S = 2.0
ASKED = "dataguardian.io/locations"  # annotation: those that a search asks
DEADLINE = timedelta(minutes=10)  # for the store to be asked
RETRY = timedelta(seconds=30)
FOUND = "The result was lost with the runner's pod, and was found again in the store."
MISSED = "The runner was lost, and the copy was not found."


async def settle_all(context: Context) -> None:
    """Take the answers of ended searches; a step of the worker ``lost-results``."""
    await side_jobs.settle(context, FIND)


async def verdict(context: Context, execution: BackupExecution, lost: Report) -> Report | None:
    """How a backup ended whose runner was lost; None while the store is being asked. ``lost`` when it has nothing.

    One manifest is enough: none is stored before ``minCopies`` copies were verified.
    """
    uid = execution.metadata.uid
    search = context.searches.setdefault(uid, Search(since=now()))
    if search.answer is None and now() - search.since < DEADLINE:
        await _ask(context, execution, search)
        return None
    del context.searches[uid]
    if search.answer is None:
        failure = lost.failure
        what = f"{failure.message if failure else ''} Whether it is stored could not be found out: {search.obstacle}"
        remedy = "List its StorageLocation when it is available, or run again."
        kind = LOST.get(failure.code, RunnerLost) if failure else RunnerLost
        if failure and kind not in (RunnerLost, NodeLost):
            remedy = f"{remedy} {failure.remedy}"
        return reports.failed(kind(what.strip(), remedy=remedy), failure.step if failure else "connect")
    return _report(search.answer, search.asked) if search.answer else lost


def _report(found: Sequence[ManifestFound], asked: Sequence[str]) -> Report:
    report = stored_report(found)
    there = {copy.location for copy in found}
    missing = [
        StoredCopy(location=name, key=found[0].key, stored=False, reason=MISSED) for name in asked if name not in there
    ]
    return msgspec.structs.replace(report, copies=[*report.copies, *missing], warnings=[FOUND])


async def _ask(context: Context, execution: BackupExecution, search: Search) -> None:
    namespace = execution.metadata.namespace
    job = await context.catalog.read(BACKUP_JOB, namespace, execution.spec.backup_job_ref.name)
    if job is None:
        search.obstacle = f"BackupJob {execution.spec.backup_job_ref.name!r} is gone."
        return
    names = [location.name for location in job.spec.storage.locations]
    found = [await context.catalog.find(storage_location.KIND, namespace, name) for name in names]
    usable = [location for location in found if location and is_usable(location)]
    search.asked = names
    if not usable:
        search.obstacle = "No StorageLocation of its BackupJob is available."
    elif context.pauses.is_over(("find", execution.metadata.uid), now()):
        await side_jobs.start_all(context, FIND, [_side_job(execution, job, usable)])


def _side_job(execution: BackupExecution, job: BackupJob, locations: Sequence[StorageLocation]) -> SideJob:
    meta, owner = execution.metadata, job.metadata
    folder = backup_folder(meta.namespace, owner.name, owner.uid, meta.uid, meta.creation_timestamp)
    if execution.spec.retry_of:  # it may have completed what another run had stored
        folder = job_folder(meta.namespace, owner.name, owner.uid)
    return SideJob(
        name=f"find-{meta.name}",
        kind=BACKUP_EXECUTION,
        owner=execution,
        run=index_run(locations, folder),
        notes={ASKED: ",".join(location.metadata.name for location in locations)},
        # With what the run had it would go the same way, if it was its memory that was too small.
        template=job.spec.run_template.model_copy(update={"resources": None}),
    )


async def _ended(context: Context, end: Ended) -> None:
    search = context.searches.get(end.uid)
    if search is None:
        return
    found = [
        line
        for line in end.told or ()
        if isinstance(line, ManifestFound) and line.whole and line.execution_id == end.uid
    ]
    unasked = sorted(set(search.asked) - set(end.notes[ASKED].split(",")))
    failure = end.report.failure
    if found or (failure is None and end.told is not None and not unasked):
        search.answer = found
        return
    context.pauses.begin(("find", end.uid), first=RETRY, longest=RETRY, now=now())
    if failure:
        search.obstacle = failure.message
    elif unasked:
        search.obstacle = f"StorageLocation {', '.join(unasked)} is not available."
    else:
        search.obstacle = "The log of the pod that asked it is lost."


FIND = SideOperation(
    worker="lost-results",
    operation="index",
    owners=(BACKUP_EXECUTION,),
    limits=Limits(active_deadline_seconds=540, backoff_limit=0),
    at_once=8,
    ended=_ended,
)
