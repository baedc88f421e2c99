"""Retention: each job's backups are judged by their entries, and a cleanup deletes what no rule keeps.

Nothing else deletes stored data. A cleanup goes by the rules that the job has when it is started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import cast

from ..domain import judgement
from ..domain.catalogue import Entry
from ..domain.naming import GENERATION, HELD, REFUTED
from ..domain.plan import CleanupPlan, RestorePlan, RetentionPolicy
from ..domain.planning import cleanup_run
from ..domain.policies import caught_up, retention_policy, unfinished_before
from ..domain.readiness import Obstacle
from ..domain.report import Report, failed
from ..errors import SpecInvalid
from ..kube.jobs import Limits
from ..kube.status import change_status
from ..resources import restore, storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupJob
from ..resources.common import ObjectMeta
from ..resources.restore import RestoreRequest
from . import line, rows, side_jobs
from .context import Context, now
from .in_use import folders_in_use
from .judgements import usable_locations, write_judgement
from .loop import attempt
from .news import News
from .prepared import NotYet, Prepared
from .removals import learn
from .side_jobs import Ended, SideJob, SideOperation

log = logging.getLogger(__name__)

TICK_S = 5.0
RUNNING = "CleanupRunning"  # what a restore waits for
# Only the stores know what runs have left there that did not complete.
LOOK = timedelta(days=1)


class Cleanup:
    """The worker: looks at the jobs when something has happened to them, their runs or their locations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news = News(context.catalog, BACKUP_JOB, BACKUP_EXECUTION, storage_location.KIND, restore.KIND)

    async def step(self) -> None:
        """A step of the worker ``cleanup``."""
        if not self._news.is_there():
            await _settle_ended(self._context)
        elif await clean_all(self._context):
            self._news.is_taken()


async def clean_all(context: Context) -> bool:
    """Act on ended cleanups, judge the jobs that are due, and start the cleanups that these need, as many as there is
    room for. True when none was due."""
    await _settle_ended(context)
    if not context.catalog.entries.loaded:
        return False
    jobs, running, any_due = context.catalog.all(BACKUP_JOB), _running(context), False
    unproven = {(found.namespace, found.job) for found in context.unproven.values()}
    for job, policy in _due(context, jobs):
        if (job.metadata.namespace, job.metadata.name) in unproven:
            continue  # a verification has just ended: its backup may be no good one
        any_due = True
        is_running = (job.metadata.namespace, job.metadata.name) in running
        await attempt("cleanup", partial(_act, context, job, policy, is_running=is_running))
        await asyncio.sleep(0)  # there may be thousands
    for job in jobs:
        stored = context.catalog.entries.stored(job.metadata.namespace, job.metadata.name)
        if stored != (job.status.backups or 0):
            await attempt("cleanup", partial(_count, context, job, stored))
    return not any_due


async def _settle_ended(context: Context) -> None:
    """Act on ended cleanups; the restores that have waited for one go on."""
    if await side_jobs.settle(context, CLEANUP):
        await line.call(context, RUNNING)


def spare(context: Context, request: RestoreRequest, prepared: Prepared) -> None:
    """From here on no cleanup removes the backup that the restore is about to read.

    Raises NotYet while one goes on that was started without knowing so: what it removes was decided then.
    """
    status = request.status.model_copy(update=dict(prepared.chosen))
    context.catalog.holds.put(request.model_copy(update={"status": status}))
    name, plan = _name_for(status.backup_job or ""), cast(RestorePlan, prepared.run.plan)
    notes = side_jobs.notes_of(context, request.metadata.namespace, name)
    if notes is None or plan.backup_execution_id in notes.get(HELD, "").split():
        return
    told = f"Kubernetes Job {name!r} removes old backups, and may not know that this one is to be restored."
    raise NotYet(Obstacle(RUNNING, f"{told} The restore starts at its end."), overdue=None, known=prepared.chosen)


def _due(context: Context, jobs: Iterable[BackupJob]) -> Iterator[tuple[BackupJob, RetentionPolicy]]:
    for job in jobs:
        policy = retention_policy(job)
        open_already = side_jobs.is_open(context, job.metadata.namespace, _name_for(job.metadata.name))
        if policy is not None and not open_already and _is_due(context, job):
            yield job, policy


def _is_due(context: Context, job: BackupJob) -> bool:
    back, away, entries = False, context.away.get(job.metadata.uid), _entries(context, job)
    if away is not None:
        context.away[job.metadata.uid], back = caught_up(away, usable_locations(context, job).keys())
    return bool(entries) and (back or judgement.is_due(job, entries, now=now(), held=_held(context, job)))


def _running(context: Context) -> set[tuple[str, str]]:
    """Namespace and name of the jobs that have a run which holds their volumes."""
    return {
        (run.metadata.namespace, run.spec.backup_job_ref.name)
        for run in context.catalog.all(BACKUP_EXECUTION)
        if run.status.phase == "Running"
    }


def _entries(context: Context, job: BackupJob) -> list[Entry]:
    return context.catalog.entries.of_job(job.metadata.namespace, job.metadata.name)


def _held(context: Context, job: BackupJob) -> dict[str, str]:
    holds = context.catalog.holds.of_namespace(job.metadata.namespace)
    return judgement.held_backups(_entries(context, job), holds) if holds else {}


def _name_for(job: str) -> str:
    return f"cleanup-{job}"


async def _act(context: Context, job: BackupJob, policy: RetentionPolicy, *, is_running: bool) -> None:
    """Judge a job by its entries, write that down, and start its cleanup if it needs one."""
    entries, held = _entries(context, job), _held(context, job)
    judged = judgement.judged(job, policy, entries, now=now(), held=held)
    await learn(context, job, judged.told)
    if not judged.needs_cleanup:
        await _settle(context, job, judged.report, judgement.digest(entries, held))
    # It may want a volume that a run holds. Where runs overlap, there may never be a moment without one.
    elif not is_running or job.spec.concurrency_policy == "Allow":
        await _start(context, job, policy)


async def _start(context: Context, job: BackupJob, policy: RetentionPolicy) -> None:
    """Start the cleanup of a job, unless its rules have just changed: then it is judged by the new ones first."""
    locations, meta = list(usable_locations(context, job).values()), job.metadata
    if not locations or not side_jobs.has_room(context, CLEANUP):
        return
    before = unfinished_before(job, now=now())
    in_use = [] if before is None else await folders_in_use(context.catalog, job)
    refuted = judgement.refuted(_entries(context, job))
    current = await context.catalog.read(BACKUP_JOB, meta.namespace, meta.name)
    if current is None or (current.metadata.uid, current.metadata.generation) != (meta.uid, meta.generation):
        return
    held = _held(context, job)  # nothing is awaited from here until it is known that the cleanup starts: see ``spare``
    try:
        run = cleanup_run(job, policy, locations, unfinished_before=before, in_use=in_use, held=held, refuted=refuted)
    except SpecInvalid as error:
        await _settle(context, job, failed(error, "cleanup"), judgement.digest(_entries(context, job), held))
        return
    if before is not None and cast(CleanupPlan, run.plan).unfinished_before is None:
        told = f"{len(in_use)} folders of BackupJob {meta.name!r} are in use: too many to remove what is unfinished."
        log.warning(told, extra={"action": "unfinished_kept", "namespace": meta.namespace, "job": meta.name})
    notes = {GENERATION: str(meta.generation), HELD: " ".join(held), REFUTED: " ".join(refuted)}
    wanted = SideJob(
        name=_name_for(meta.name), kind=BACKUP_JOB, owner=job, run=run, notes=notes, template=job.spec.run_template
    )
    await side_jobs.start_all(context, CLEANUP, [wanted])


async def _settle(context: Context, job: BackupJob, report: Report, backups: str) -> None:
    """Write a judgement that leaves nothing to delete."""
    known, moment = job.status.retention, now()
    due = known.next_check_time if known else None
    await write_judgement(
        context,
        job,
        report,
        generation=job.metadata.generation,
        backups=backups,
        look=due if due is not None and due > moment and _looks(job) else None,
    )


async def _ended(context: Context, end: Ended) -> None:
    job = await context.catalog.read(BACKUP_JOB, end.namespace, end.name)
    told = end.told or []
    await learn(context, job or _gone(end), told)
    # The log of this Kubernetes Job is all that knows of the removals: until they are written, nothing is judged.
    await rows.write_audit(context)
    if job is None or job.metadata.uid != end.uid:
        return
    await write_judgement(
        context,
        job,
        end.report,
        told,
        generation=int(end.notes[GENERATION]),
        backups=judgement.observed(
            _entries(context, job),
            told,
            began=end.began,
            held=end.notes.get(HELD, "").split(),
            refuted=end.notes.get(REFUTED, "").split(),
        ),
        look=now() + LOOK if _looks(job) else None,
    )


def _gone(end: Ended) -> BackupJob:
    """What is known of a job that was deleted while its cleanup ran: whose backups these were."""
    meta = ObjectMeta(name=end.name, namespace=end.namespace, uid=end.uid, creation_timestamp=end.began)
    return BackupJob.model_construct(metadata=meta)  # type: ignore[call-arg]  # nobody knows its spec any more


def _looks(job: BackupJob) -> bool:
    """Whether the stores are looked at for what the entries do not tell."""
    return job.spec.retention.unfinished_max_age is not None and job.spec.retention.auto_delete


async def _count(context: Context, job: BackupJob, stored: int) -> None:
    changed = await change_status(
        context.kube, BACKUP_JOB, job, lambda current: current.status.model_copy(update={"backups": stored})
    )
    context.catalog.put(BACKUP_JOB, changed)


CLEANUP = SideOperation(
    worker="cleanup",
    operation="cleanup",
    owners=(BACKUP_JOB,),
    limits=Limits(active_deadline_seconds=3600, backoff_limit=0),
    at_once=8,
    ended=_ended,
)
