"""An index: which backups a location holds, told by their manifests alone."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..domain.naming import folder_time
from ..domain.plan import IndexPlan, Target
from ..domain.report import Report
from ..domain.told import ManifestFound
from ..errors import Cancelled, DataGuardianError
from ..storage import Storage
from . import finding
from .attended import attended
from .finding import Folder
from .run import Run

NAMED = 3  # unreadable manifests that are named each


def index(plan: IndexPlan, run: Run) -> Report:
    """Tell each backup in the folder of each location. Raises the first location's error that is not served, once the
    others have been told."""
    run.enter("index")
    backups: list[int] = []
    unfinished: list[int] = []
    failures: list[DataGuardianError] = []
    for target in plan.targets:
        try:
            storage = attended(target, run)
            folders = finding.folders(storage, plan.folder)
            backups += _told(target, storage, folders, run)
            unfinished += [sum(folder.sizes.values()) for folder in folders if _is_unfinished(folder)]
        except Cancelled:
            raise
        except DataGuardianError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    report = Report(
        completed=True,
        warnings=run.warnings,
        backups=len(backups),
        stored_bytes=sum(backups),
        unfinished=len(unfinished),
        unfinished_bytes=sum(unfinished),
    )
    figures = {
        "backups": report.backups,
        "stored_bytes": report.stored_bytes,
        "unfinished": report.unfinished,
        "unfinished_bytes": report.unfinished_bytes,
    }
    run.say("success", "Index completed", "run_completed", **figures)
    return report


def _is_unfinished(folder: Folder) -> bool:
    """Whether it is of a run that goes on, or that left something when it failed."""
    return manifests.FILE_NAME not in folder.sizes and folder_time(folder.name) is not None


def _told(target: Target, storage: Storage, folders: Sequence[Folder], run: Run) -> list[int]:
    """Tell the backups of one location; their stored bytes."""

    def tell(folder: Folder, manifest: Manifest) -> int:
        found = _line(target.location, folder, manifest)
        run.tell("info", f"{found.execution_name} is stored", found)
        return found.stored_bytes

    found = finding.read(storage, folders, run, tell)
    unreadable = sorted(found.unreadable.items())
    for path, reason in unreadable[:NAMED]:
        run.warn(f"{path} is left out: {reason}", "manifest_unreadable", location=target.location)
    if len(unreadable) > NAMED:
        message = f"{len(unreadable) - NAMED} more manifests cannot be read"
        run.warn(message, "manifest_unreadable", location=target.location)
    return found.told


def _line(location: str, folder: Folder, manifest: Manifest) -> ManifestFound:
    return ManifestFound(
        location=location,
        key=folder.key(manifests.FILE_NAME),
        execution_id=manifest.execution_id,
        execution_name=manifest.execution_name,
        namespace=manifest.namespace,
        backup_job=manifest.backup_job,
        backup_job_uid=manifest.backup_job_uid,
        datasource=manifest.datasource,
        engine=manifest.engine,
        engine_version=manifest.engine_version,
        database=manifest.database,
        checksum=manifest.checksum,
        dump_bytes=manifest.dump_bytes,
        stored_bytes=manifest.stored_bytes,
        started_at=manifest.started_at,
        completed_at=manifest.completed_at,
        whole=folder.has_whole(manifest),
    )
