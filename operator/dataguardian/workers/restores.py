"""What a restore needs to start: the backup, its copies and the target, as the API server has them now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from ..domain.catalogue import STORED, Entry
from ..domain.plan import RestorePlan
from ..domain.planning import Server
from ..domain.readiness import datasource_missing, location_missing
from ..domain.restores import (
    CopyAt,
    at_key,
    best_first,
    decided,
    newest,
    refuse_other_engine,
    refuse_strange_key,
    restore_run,
    server_for,
    stored_copies,
)
from ..errors import BackupNotCompleted, NotFound, SpecInvalid
from ..kube.jobs import Limits
from ..resources import backup, datasource, drill, storage_location
from ..resources.backup import BackupExecution, BackupJob, Copy
from ..resources.common import ObjectReference
from ..resources.datasource import Datasource
from ..resources.execution import ManifestSource
from ..resources.restore import RestoreRequest
from ..resources.run_template import RunTemplate
from .catalog import Catalog
from .prepared import NotYet, Prepared, missing_backup, require_phase


async def prepare_restore(catalog: Catalog, request: RestoreRequest) -> Prepared:
    """Choose the backup, the copies in the order in which they are tried, and the target.

    Raises NotYet while something that is named is missing, and a NotFound or SpecInvalid to refuse the restore.
    """
    spec = request.spec
    entry, copies = await _backup(catalog, request)
    job = await _job(catalog, entry)
    located = await _located(catalog, request, copies, job)
    target = await _target(catalog, request, entry)
    run = restore_run(request, entry, located, target, job)
    return Prepared(
        datasources=[target] if isinstance(target, Datasource) else [],
        run=run,
        limits=Limits(active_deadline_seconds=spec.active_deadline_seconds, backoff_limit=0),
        template=job.spec.run_template if job else RunTemplate(),
        chosen=decided(request, cast(RestorePlan, run.plan)),
    )


async def _backup(catalog: Catalog, request: RestoreRequest) -> tuple[BackupExecution | None, list[Copy]]:
    """The backup, as far as the catalogue knows it, and its copies."""
    source, location = request.spec.source, request.spec.storage_location_ref
    if source:
        refuse_strange_key(request.metadata.namespace, source.key)
        copy = Copy(location=source.storage_location_ref.name, key=source.key, state=STORED)
        return await _entry_at(catalog, request, source), [copy]
    entry = await _named(catalog, request)
    return entry, stored_copies(entry, location.name if location else None)


async def _named(catalog: Catalog, request: RestoreRequest) -> BackupExecution:
    spec, namespace = request.spec, request.metadata.namespace
    if spec.restore_drill_ref:
        field, name = "spec.restoreDrillRef", await _newest(catalog, request, spec.restore_drill_ref)
    elif spec.backup_execution_ref:
        field, name = "spec.backupExecutionRef", spec.backup_execution_ref.name
    else:
        raise SpecInvalid("No backup is named.", remedy="Name a completed BackupExecution in spec.backupExecutionRef.")
    entry = await catalog.read(backup.BACKUP_EXECUTION, namespace, name)
    if entry is None:
        raise missing_backup(field, name, "Completed")
    require_phase(
        entry,
        field=field,
        phase="Completed",
        refused=BackupNotCompleted,
        remedy="Name a completed one; `kubectl get backupexecutions` lists them.",
    )
    return entry


async def _newest(catalog: Catalog, request: RestoreRequest, reference: ObjectReference) -> str:
    """The backup that a drill is about now."""
    namespace = request.metadata.namespace
    found = await catalog.read(drill.KIND, namespace, reference.name)
    if found is None:
        raise NotFound(
            f"spec.restoreDrillRef: RestoreDrill {reference.name!r} does not exist.",
            remedy="Create it, or name a backup in spec.backupExecutionRef.",
        )
    await _entries(catalog, namespace)
    entries = catalog.entries.of_job(namespace, found.spec.backup_job_ref.name)
    return newest(found, entries, now=datetime.now(UTC)).name


async def _entry_at(catalog: Catalog, request: RestoreRequest, source: ManifestSource) -> BackupExecution | None:
    """The catalogue's entry of a backup that is named by its key."""
    entries = await _entries(catalog, request.metadata.namespace)
    entry = at_key(entries, source.storage_location_ref.name, source.key)
    return await catalog.read(backup.BACKUP_EXECUTION, entry.namespace, entry.name) if entry else None


async def _entries(catalog: Catalog, namespace: str) -> Sequence[Entry]:
    """All entries of the namespace, also when the operator has just started."""
    if not catalog.entries.loaded:
        await catalog.entries.load(namespace)
    return catalog.entries.of_namespace(namespace)


async def _job(catalog: Catalog, entry: BackupExecution | None) -> BackupJob | None:
    if entry is None:
        return None
    return await catalog.read(backup.BACKUP_JOB, entry.metadata.namespace, entry.spec.backup_job_ref.name)


async def _located(
    catalog: Catalog, request: RestoreRequest, copies: Sequence[Copy], job: BackupJob | None
) -> list[CopyAt]:
    namespace = request.metadata.namespace
    locations = {copy.location: await catalog.read(storage_location.KIND, namespace, copy.location) for copy in copies}
    found = best_first(copies, locations, job)
    if not found:
        raise NotYet(location_missing(copies[0].location))
    return found


async def _target(catalog: Catalog, request: RestoreRequest, entry: BackupExecution | None) -> Datasource | Server:
    namespace, backed_up = request.metadata.namespace, entry.status.datasource if entry else None
    source = await catalog.read(datasource.KIND, namespace, backed_up) if backed_up else None
    if request.spec.verification_target == "Ephemeral":
        return server_for(entry, source)
    reference = request.spec.target_datasource_ref
    name = reference.name if reference else backed_up
    if name is None:
        raise SpecInvalid(
            "The catalogue does not tell where the backup came from.", remedy="Set spec.targetDatasourceRef."
        )
    target = source if name == backed_up else await catalog.read(datasource.KIND, namespace, name)
    if target is None:
        raise NotYet(datasource_missing(name))
    refuse_other_engine(source, target)
    return target
