"""A backup that misses a copy in one of its job's locations gets it, from a copy that is good."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from ..domain.catalogue import Entry
from ..domain.healing import Healing, healed, healing
from ..domain.planning import copy_run
from ..kube.jobs import Limits
from ..resources import storage_location
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from ..resources.storage_location import StorageLocation
from . import audited, side_jobs
from .context import Context, now
from .entry_status import change_execution, read_entry
from .side_jobs import Ended, SideJob, SideOperation

log = logging.getLogger(__name__)

TICK_S = 10.0
RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
TARGETS = "dataguardian.io/locations"  # annotation: those that are copied to


async def heal_all(context: Context) -> None:
    """Act on ended copies, and start those that are due, of the newest backups first; a step of the worker ``heal``."""
    await side_jobs.settle(context, COPY)
    for entry, found in _due(context):
        if not side_jobs.has_room(context, COPY):
            return
        name = f"copy-{entry.name}"
        if side_jobs.is_open(context, entry.namespace, name):
            continue
        execution = await read_entry(context, entry)
        job = context.catalog.known(BACKUP_JOB, entry.namespace, entry.job)
        if execution is None or job is None:
            continue
        wanted = SideJob(
            name=name,
            kind=BACKUP_EXECUTION,
            owner=execution,
            run=copy_run(entry.execution_id, found.key, job, found.sources, found.targets),
            notes={TARGETS: ",".join(location.metadata.name for location in found.targets)},
            template=job.spec.run_template,
        )
        await side_jobs.start_all(context, COPY, [wanted])


def _due(context: Context) -> Iterator[tuple[Entry, Healing]]:
    locations: dict[str, dict[str, StorageLocation]] = defaultdict(dict)
    for location in context.catalog.all(storage_location.KIND):
        locations[location.metadata.namespace][location.metadata.name] = location
    for entry in context.catalog.entries.incomplete():
        job = context.catalog.known(BACKUP_JOB, entry.namespace, entry.job)
        found = healing(entry, job, locations[entry.namespace]) if job else None
        if found is None:
            continue
        targets = [
            target for target in found.targets if context.pauses.is_over(_pause(entry.uid, target.metadata.name), now())
        ]
        if targets:
            yield entry, replace(found, targets=targets)


def _pause(uid: str, location: str) -> tuple[str, str, str]:
    return "heal", uid, location


async def _ended(context: Context, end: Ended) -> None:
    execution = await context.catalog.read(BACKUP_EXECUTION, end.namespace, end.name)
    if execution is None or execution.metadata.uid != end.uid:
        return
    targets = end.notes[TARGETS].split(",")
    audited.tell_copies(context, end, targets)
    await change_execution(context, execution, lambda status: healed(status, end.report, targets))
    stored = {copy.location for copy in end.report.copies if copy.stored}
    for target in targets:
        fields = {"namespace": end.namespace, "run": end.name, "location": target}
        if target in stored:
            context.pauses.forget(_pause(end.uid, target))
            log.info("Copy made", extra={"action": "copy_made", **fields})
        else:
            context.pauses.begin(_pause(end.uid, target), first=RETRY, longest=LONGEST_RETRY, now=now())
            log.warning("Copy failed", extra={"action": "copy_failed", **fields})


COPY = SideOperation(
    worker="heal",
    operation="copy",
    owners=(BACKUP_EXECUTION,),
    limits=Limits(active_deadline_seconds=86400, backoff_limit=0),
    at_once=2,
    ended=_ended,
)
