"""What one location holds of one job: its copies, and what is in the way of counting something as one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..domain.naming import folder_time, job_folder
from ..domain.retention import Backup
from ..errors import BackupCorrupt, NotFound
from ..storage import Storage
from . import finding, removal
from .finding import Folder
from .removal import Marker
from .run import Run

EXAMPLES = 3  # of what is left alone


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A backup in one location."""

    folder: Folder
    execution_id: str
    execution_name: str
    job_uid: str
    time: datetime
    whole: bool


class Shelf(msgspec.Struct):
    """The copies of one job in one location, and what else its runs and cleanups have left there."""

    location: str
    storage: Storage
    copies: list[Copy]
    removals: list[tuple[Folder, Marker]]  # that were interrupted
    unfinished: list[Folder]  # of runs that go on or did not complete
    backups: set[str]  # names of the folders that have a manifest, of whomever
    closed: str | None = None  # why nothing is deleted here, or nothing more


def look(location: str, storage: Storage, job: str, run: Run) -> Shelf:
    """Read the folder ``job`` of a location. What is no backup of the job is left alone, and told as one warning.

    Raises what the store raises, and Cancelled.
    """
    inside = [folder for folder in finding.folders(storage, job) if folder.parent == job]
    found = finding.read(storage, inside, run, _copy)
    strange = dict(found.unreadable)
    shelf = Shelf(location, storage, found.told, [], [], set())
    for folder in inside:
        try:
            _put(shelf, folder)
        except BackupCorrupt as error:
            strange[folder.path] = error.what
    if strange:
        run.warn(f"Left alone in storage location {location!r}: {_examples(strange)}", "left_alone", location=location)
    return shelf


def backups(shelves: Iterable[Shelf], refuted: Collection[str] = ()) -> list[Backup]:
    """The backups of these locations; those with a ``refuted`` id count as damaged.

    Two that claim to be one execution stay two, which nobody judges.
    """
    found: dict[tuple[str, str], list[tuple[str, Copy]]] = {}
    for shelf in shelves:
        for copy in shelf.copies:
            found.setdefault((copy.job_uid, copy.execution_id), []).append((shelf.location, copy))
    return [
        Backup(
            execution_id=execution_id,
            execution_name=copies[0][1].execution_name,
            job_uid=job_uid,
            time=max(copy.time for _, copy in copies),
            # In the order that lets a whole copy stand, should one location have two.
            copies={
                location: copy.whole and execution_id not in refuted
                for location, copy in sorted(copies, key=lambda each: each[1].whole)
            },
        )
        for (job_uid, execution_id), copies in found.items()
    ]


def _put(shelf: Shelf, folder: Folder) -> None:
    if manifests.FILE_NAME in folder.sizes:
        shelf.backups.add(folder.name)
    elif removal.MARKER in folder.sizes:
        with suppress(NotFound):  # another cleanup has just finished it
            shelf.removals.append((folder, _interrupted(shelf.storage, folder)))
    elif folder_time(folder.name):
        shelf.unfinished.append(folder)
    else:
        raise _strange("it has no manifest")


def _copy(folder: Folder, manifest: Manifest) -> Copy:
    of_job = job_folder(manifest.namespace, manifest.backup_job, manifest.backup_job_uid)
    if of_job != folder.parent or not folder.name.endswith(f"-{manifests.folder_owner(manifest)[:8]}"):
        raise _strange(f"its manifest is of {manifest.execution_name} in {of_job}")
    return Copy(
        folder=folder,
        execution_id=manifest.execution_id,
        execution_name=manifest.execution_name,
        job_uid=manifest.backup_job_uid,
        time=_moment(manifest.started_at),
        whole=folder.has_whole(manifest),
    )


def _interrupted(storage: Storage, folder: Folder) -> Marker:
    marker = removal.interrupted(storage, folder)
    if marker.folder != folder.name:
        raise _strange(f"its {removal.MARKER} is of {marker.execution_name}")
    return marker


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _strange(f"its manifest has the time {text!r}") from error
    if moment.year < 1970:
        raise _strange(f"its manifest has the time {text!r}")
    return moment


def _examples(strange: Mapping[str, str]) -> str:
    told = [f"{path.rpartition('/')[2]} ({reason})" for path, reason in sorted(strange.items())]
    return ", ".join(told[:EXAMPLES]) + (f" and {len(told) - EXAMPLES} more" if len(told) > EXAMPLES else "")


def _strange(reason: str) -> BackupCorrupt:
    return BackupCorrupt(reason, remedy="Move the folder away when it does not belong to the job.")
