"""The catalogue, kept true: what a storage location holds becomes entries, and copies that are gone are told."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from ..domain import imports
from ..domain.health import is_usable
from ..domain.naming import GENERATION
from ..domain.planning import index_run
from ..domain.told import ManifestFound
from ..errors import NotFound
from ..kube.jobs import Limits
from ..kube.status import change_status
from ..resources import storage_location
from ..resources.backup import BackupExecution
from ..resources.storage_location import StorageLocation, StorageLocationStatus
from . import side_jobs
from .context import Context, now
from .imports import place_of, refuse, take
from .loop import attempt
from .side_jobs import Ended, SideJob, SideOperation

log = logging.getLogger(__name__)

TICK_S = 5.0
RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
IMPORT_DEADLINE = timedelta(hours=1)  # for an import whose location cannot be listed
REQUEST = "dataguardian.io/index-request"  # annotation: what the listing answers


async def index_all(context: Context) -> None:
    """Act on ended listings, and start those that are due; a step of the worker ``index``."""
    await side_jobs.settle(context, INDEX)
    asked = {place_of(execution) for execution in context.catalog.entries.waiting()}
    due = [
        location
        for location in context.catalog.all(storage_location.KIND)
        if imports.index_due(location, asked=_key(location) in asked, now=now())
        and context.pauses.is_over(("index", location.metadata.uid), now())
    ]
    await side_jobs.start_all(context, INDEX, (_side_job(location) for location in due))
    for execution in context.catalog.entries.waiting():
        await attempt("index", partial(_give_up, context, execution))


def _key(location: StorageLocation) -> tuple[str, str]:
    return location.metadata.namespace, location.metadata.name


def _side_job(location: StorageLocation) -> SideJob:
    return SideJob(
        name=f"index-{location.metadata.uid}",
        kind=storage_location.KIND,
        owner=location,
        # Never those of other namespaces: many may share a bucket.
        run=index_run([location], location.metadata.namespace),
        notes={REQUEST: imports.request_of(location) or "", GENERATION: str(location.metadata.generation)},
    )


async def _give_up(context: Context, execution: BackupExecution) -> None:
    """End an import whose location could not be listed for too long."""
    place = place_of(execution)
    if now() - execution.metadata.creation_timestamp < IMPORT_DEADLINE:
        return
    location = place and await context.catalog.find(storage_location.KIND, *place)
    if location and is_usable(location):
        return
    name = place[1] if place else ""
    error = NotFound(
        f"StorageLocation {name!r} does not exist, or was not available for an hour.",
        remedy="Cure it; its listing imports the backup by itself. Or create this object again.",
    )
    await refuse(context, execution, error)


async def _ended(context: Context, end: Ended) -> None:
    location = await context.catalog.read(storage_location.KIND, end.namespace, end.name)
    if location is None or location.metadata.uid != end.uid:
        return
    if end.notes[GENERATION] != str(location.metadata.generation):
        return  # another bucket, maybe; it is listed again
    pause = ("index", end.uid)
    if end.report.failure is not None or end.told is None:
        reason = end.report.failure.message if end.report.failure else "the log of its pod is lost"
        log.warning("A listing failed: %s", reason, extra={"action": "index_failed", "location": end.name})
        context.pauses.begin(pause, first=RETRY, longest=LONGEST_RETRY, now=now())
        return
    lines = [line for line in end.told if isinstance(line, ManifestFound)]
    # The kubelet gives only the newest part of a very long log.
    complete = len(lines) == end.report.backups
    await take(context, location, lines, began=end.began, complete=complete)
    await _write(context, location, end)
    if complete:
        context.pauses.forget(pause)
    else:
        context.pauses.begin(pause, first=RETRY, longest=LONGEST_RETRY, now=now())


async def _write(context: Context, location: StorageLocation, end: Ended) -> None:
    def change(current: StorageLocation) -> StorageLocationStatus:
        return current.status.model_copy(
            update={
                "last_indexed_time": now(),
                "last_index_request": end.notes[REQUEST] or None,
                "backups": end.report.backups,
                "stored_bytes": end.report.stored_bytes,
                "unfinished": end.report.unfinished,
                "unfinished_bytes": end.report.unfinished_bytes,
            }
        )

    context.catalog.put(
        storage_location.KIND, await change_status(context.kube, storage_location.KIND, location, change)
    )


INDEX = SideOperation(
    worker="index",
    operation="index",
    owners=(storage_location.KIND,),
    limits=Limits(active_deadline_seconds=3600, backoff_limit=0),
    at_once=4,
    ended=_ended,
)
