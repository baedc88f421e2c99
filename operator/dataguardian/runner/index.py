"""An index: which backups a location holds, told by their manifests alone."""

from __future__ import annotations

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..domain.plan import IndexPlan, Target
from ..domain.report import Report
from ..domain.told import ManifestFound
from ..storage import opened
from . import finding
from .finding import Folder
from .run import Run

NAMED = 3  # unreadable manifests that are named each


def index(plan: IndexPlan, run: Run) -> Report:
    """Tell each backup in the folder of each location. Raises the location's error when one is not served."""
    run.enter("index")
    sizes = [size for target in plan.targets for size in _told(target, plan.folder, run)]
    run.say("success", "Index completed", "run_completed", backups=len(sizes), stored_bytes=sum(sizes))
    return Report(completed=True, warnings=run.warnings, backups=len(sizes), stored_bytes=sum(sizes))


def _told(target: Target, below: str, run: Run) -> list[int]:
    """Tell the backups of one location; their stored bytes."""

    def tell(folder: Folder, manifest: Manifest) -> int:
        found = _line(target.location, folder, manifest)
        run.tell("info", f"{found.execution_name} is stored", found)
        return found.stored_bytes

    storage = opened(target)
    found = finding.read(storage, finding.folders(storage, below), run, tell)
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
