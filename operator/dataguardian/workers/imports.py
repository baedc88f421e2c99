"""What a listing of a storage location told → entries: new ones for backups that nobody knows, copies as they are."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from ..domain.imports import changed_copies, changes, import_names, imported, refused, unfit
from ..domain.naming import is_sync_backup
from ..domain.told import ManifestFound
from ..errors import DataGuardianError, NotFound, SpecInvalid
from ..kube.client import JSON, Absent, ApiRefused, Conflict, objects_path
from ..resources.backup import BACKUP_EXECUTION, BACKUP_JOB, BackupExecution, BackupExecutionStatus, Trigger
from ..resources.common import API_VERSION
from ..resources.storage_location import StorageLocation
from .context import Context, now
from .entry_status import change_entry, change_execution

log = logging.getLogger(__name__)

T = TypeVar("T")
CHOOSE = "Name the key of a manifest in the location, or delete this object."


def place_of(execution: BackupExecution) -> tuple[str, str] | None:
    """Namespace and name of the location that an import names; None for a run."""
    source = execution.spec.source
    return (execution.metadata.namespace, source.storage_location_ref.name) if source else None


async def take(
    context: Context, location: StorageLocation, found: Sequence[ManifestFound], *, began: datetime, complete: bool
) -> None:
    """Bring the catalogue in line with a listing that began then. Doing it twice is doing it once.

    ``complete``: what is not in it is gone. Raises KubernetesUnavailable; what is refused is told, and left out.
    """
    namespace, name = location.metadata.namespace, location.metadata.name
    listed = await context.catalog.entries.load(namespace)
    names = {each.execution_id: each.name for each in listed}
    by_key = {each.key: each for each in found}
    for execution in context.catalog.entries.waiting():
        if place_of(execution) == (namespace, name):
            await alone(execution.metadata.name, _finish(context, execution, by_key, names, complete=complete))
    for each in found:
        if each.execution_id not in names:
            await alone(each.key, _import(context, location, each, names))
    await _tell_copies(context, location, found, began=began, complete=complete)


async def refuse(context: Context, execution: BackupExecution, error: DataGuardianError) -> None:
    """End an import whose backup cannot be had."""
    meta = execution.metadata
    await change_execution(
        context, execution, lambda status: refused(status, error, uid=meta.uid, generation=meta.generation, now=now())
    )


async def _finish(
    context: Context,
    execution: BackupExecution,
    by_key: dict[str, ManifestFound],
    names: dict[str, str],
    *,
    complete: bool,
) -> None:
    """Give an import its status: made by a person, or by an operator that was killed before it could."""
    key = execution.spec.source.key if execution.spec.source else ""
    found = by_key.get(key)
    if found is None:
        if complete:
            await refuse(context, execution, NotFound(f"The location has no manifest {key!r}.", remedy=CHOOSE))
    elif reason := unfit(found):
        await refuse(context, execution, SpecInvalid(f"The backup {key!r} is of no use. {reason}", remedy=CHOOSE))
    elif found.execution_id in names:
        known = f"The backup {key!r} is known already, as BackupExecution {names[found.execution_id]!r}."
        await refuse(context, execution, SpecInvalid(known, remedy="Use that one, and delete this object."))
    else:
        await _complete(context, execution, found, names)


async def _import(context: Context, location: StorageLocation, found: ManifestFound, names: dict[str, str]) -> None:
    if reason := unfit(found):
        fields = {"action": "backup_unfit", "location": location.metadata.name, "key": found.key}
        log.warning("A stored backup is left out: %s", reason, extra=fields)
        return
    for name in import_names(found):
        try:
            made = await context.kube.create(
                objects_path(BACKUP_EXECUTION, location.metadata.namespace), _body(location, found, name)
            )
        except Conflict:
            continue
        await _complete(context, BackupExecution.read(made), found, names)
        return
    log.warning("The names for a stored backup are taken", extra={"action": "import_name_taken", "key": found.key})


async def _complete(context: Context, execution: BackupExecution, found: ManifestFound, names: dict[str, str]) -> None:
    meta = execution.metadata
    names[found.execution_id] = meta.name
    of_sync = is_sync_backup(found.execution_name, found.execution_id)
    job = await context.catalog.find(BACKUP_JOB, meta.namespace, found.backup_job) if of_sync else None
    change = partial(imported, found=found, generation=meta.generation, job=job)
    await change_execution(context, execution, change)
    fields = {"action": "backup_imported", "namespace": meta.namespace, "run": meta.name, "key": found.key}
    log.info("Backup imported", extra={**fields, "execution": found.execution_id})


def _body(location: StorageLocation, found: ManifestFound, name: str) -> JSON:
    return {
        "apiVersion": API_VERSION,
        "kind": BACKUP_EXECUTION.name,
        "metadata": {"name": name, "namespace": location.metadata.namespace},
        "spec": entry_spec("Import", found.backup_job, location.metadata.name, found.key),
    }


def entry_spec(trigger: Trigger, job: str, location: str, key: str) -> JSON:
    """The spec of a BackupExecution that is the entry of a stored backup, and no run."""
    return {
        "backupJobRef": {"name": job},
        "trigger": trigger,
        "source": {"storageLocationRef": {"name": location}, "key": key},
    }


async def _tell_copies(
    context: Context, location: StorageLocation, found: Sequence[ManifestFound], *, began: datetime, complete: bool
) -> None:
    name = location.metadata.name
    by_id: dict[str, list[ManifestFound]] = defaultdict(list)
    for each in found:
        by_id[each.execution_id].append(each)
    for entry in context.catalog.entries.of_namespace(location.metadata.namespace):
        there = by_id.get(entry.execution_id, [])
        known_since = complete and entry.seen <= began  # one that has changed since may have been stored since
        if changes(entry, name, there, complete=known_since):
            change = partial(_with_copies, name, there, known_since)
            await alone(entry.name, change_entry(context, entry, change))


def _with_copies(
    location: str, found: Sequence[ManifestFound], complete: bool, status: BackupExecutionStatus
) -> BackupExecutionStatus:
    copies = changed_copies(status.copies, location, found, complete=complete)
    return status.model_copy(update={"copies": copies})


async def alone(what: str, step: Awaitable[T]) -> T | None:
    """Do one step of several; what it is refused is no reason to leave out the others. None when it was."""
    try:
        return await step
    except (ApiRefused, Conflict) as refusal:
        log.error("%s is left out: %s", what, refusal, extra={"action": "import_refused"})
    except Absent:
        log.debug("%s is gone", what, extra={"action": "object_gone"})
    return None
