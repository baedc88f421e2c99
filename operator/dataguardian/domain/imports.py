"""What a listing of a storage location means for the catalogue: backups that nobody knows, and copies that are gone.

A manifest comes from a bucket that others may write to: nothing in it is believed to have the right form.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ..errors import DataGuardianError
from ..resources.backup import MAX_COPIES, BackupExecutionStatus, BackupJob, Copy
from ..resources.common import NAME_PATTERN
from ..resources.execution import RUN_NAME_MAX
from ..resources.storage_location import StorageLocation
from . import report as reports
from . import status as moves
from .catalogue import FAILED, MISSING, STORED, Entry, copies_of, with_copy
from .conditions import READY, with_condition
from .health import is_usable
from .naming import INDEX_REQUESTED
from .report import Report, StoredCopy
from .safety import WHOLE
from .synced import kept_backup
from .told import ManifestFound

IMPORTED = "The backup was found in its storage location."
REQUEST_LIMIT = 253  # characters of a request that are compared
JOB_NAME_MAX = 40
GONE = "The listing of the location did not find it."
DAMAGED = "Some of its stored objects are gone, or have another size."


def request_of(location: StorageLocation) -> str | None:
    """What the annotation asks for: a listing for each new value."""
    return location.metadata.annotations.get(INDEX_REQUESTED, "")[:REQUEST_LIMIT] or None


def index_due(location: StorageLocation, *, asked: bool, now: datetime) -> bool:
    """Whether the stored backups are to be listed: never done yet, its interval is over, or somebody asked."""
    status = location.status
    if not is_usable(location):
        return False
    if asked or status.last_indexed_time is None or request_of(location) not in (None, status.last_index_request):
        return True
    return now - status.last_indexed_time >= timedelta(seconds=location.spec.index.interval_seconds)


def unfit(found: ManifestFound) -> str | None:
    """Why a backup cannot become an entry; None when it can."""
    if not found.whole:
        return DAMAGED
    try:
        if str(UUID(found.execution_id)) != found.execution_id:
            return f"Its manifest has no execution's id: {found.execution_id[:64]!r}."
        _time(found.started_at), _time(found.completed_at)
    except ValueError as error:
        return f"Its manifest cannot be used: {error}."
    if not _is_name(found.backup_job, JOB_NAME_MAX):
        return f"Its manifest names no BackupJob: {found.backup_job[:64]!r}."
    return None


def import_names(found: ManifestFound) -> list[str]:
    """Names for the entry of a backup, the best one first. The last one nobody else would take."""
    name = found.execution_name if _is_name(found.execution_name, RUN_NAME_MAX) else ""
    suffix = f"-{found.execution_id[:8]}"
    stem = (name or found.backup_job)[: RUN_NAME_MAX - len(suffix)].rstrip("-.")
    return [*([name] if name else []), stem + suffix]


def imported(
    status: BackupExecutionStatus, found: ManifestFound, *, generation: int, job: BackupJob | None = None
) -> BackupExecutionStatus | None:
    """Completed, from nothing, with what the manifest says.

    ``job`` is the BackupJob of that name, of a backup that a sync has kept: the copies that it wants elsewhere are told
    as not made. One that was made anew since then does not count.
    """
    backup, of_sync = stored_report([found]), job is not None and job.metadata.uid == found.backup_job_uid
    return _entered(
        status,
        kept_backup(backup, backup.copies[0], job) if of_sync else backup,
        "Imported",
        IMPORTED,
        began=_time(found.started_at),
        ended=_time(found.completed_at),
        execution_id=found.execution_id,
        observed_generation=generation,
        datasource=found.datasource if _is_name(found.datasource, 253) else None,
        options_digest=WHOLE if of_sync else None,
    )


def stored_by_sync(
    status: BackupExecutionStatus,
    backup: Report,
    *,
    sync: str,
    execution_id: str,
    source: str | None,
    generation: int,
    ended: datetime,
) -> BackupExecutionStatus | None:
    """Completed, with what a sync of the datasource ``source`` says of the backup that it has stored.

    To an entry that is complete already, such as that of a listing, comes what it lacks.
    """
    if status.phase == "Completed" and status.execution_id == execution_id:
        return _supplemented(status, backup)
    began = _time(backup.dump_time) if backup.dump_time and _is_time(backup.dump_time) else ended
    return _entered(
        status,
        backup,
        "StoredBySync",
        f"DatabaseSyncExecution {sync!r} has kept its dump as this backup.",
        began=began,
        ended=ended,
        execution_id=execution_id,
        observed_generation=generation,
        datasource=source,
        options_digest=WHOLE,
    )


def _supplemented(status: BackupExecutionStatus, backup: Report) -> BackupExecutionStatus | None:
    known = {copy.location for copy in status.copies}
    copies = [*status.copies, *(copy for copy in copies_of(backup) if copy.location not in known)][:MAX_COPIES]
    changes = {"copies": copies, "options_digest": status.options_digest or WHOLE}
    changed = status.model_copy(update=changes)
    return None if changed == status else changed


def _entered(
    status: BackupExecutionStatus,
    backup: Report,
    reason: str,
    message: str,
    *,
    began: datetime,
    ended: datetime,
    **known: Any,
) -> BackupExecutionStatus | None:
    if status.phase is not None:
        return None
    begun = status.model_copy(update={**known, "queued_time": began, "start_time": began})
    done = moves.ended(begun, backup, now=ended)
    if done is None:
        return None
    conditions = with_condition(done.conditions, READY, status="True", reason=reason, message=message, now=ended)
    return done.model_copy(update={"conditions": conditions})


def refused(
    status: BackupExecutionStatus, error: DataGuardianError, *, uid: str, generation: int, now: datetime
) -> BackupExecutionStatus | None:
    """Failed, from nothing: an import whose backup is not there."""
    if status.phase is not None:
        return None
    accepted = {"execution_id": uid, "observed_generation": generation, "queued_time": now}
    return moves.ended(status.model_copy(update=accepted), reports.failed(error, "index"), now=now)


def stored_report(found: Iterable[ManifestFound]) -> Report:
    """What a run would have reported whose backup was found in these locations."""
    copies = list(found)
    first = copies[0]
    checksum = first.checksum if re.fullmatch(r"sha256:[0-9a-f]{64}", first.checksum) else None
    return Report(
        completed=True,
        dump_bytes=max(first.dump_bytes, 0),
        stored_bytes=max(first.stored_bytes, 0),
        checksum=checksum,
        engine_version=first.engine_version[:64],
        dump_time=first.started_at if _is_time(first.started_at) else None,
        copies=[StoredCopy(location=copy.location, key=copy.key, stored=True) for copy in copies],
    )


def changed_copies(
    copies: list[Copy], location: str, found: Collection[ManifestFound], *, complete: bool
) -> list[Copy]:
    """The copies of a backup after a listing of one location found this of it.

    ``complete``: what it did not find is gone. Not so for a backup that has changed since the listing began; for the
    same reason what retention has removed stays removed.
    """
    whole = [each for each in found if each.whole]
    current = next((copy for copy in copies if copy.location == location), None)
    state = current.state if current else None
    if whole and (current is None or state in (MISSING, FAILED)):
        return with_copy(copies, Copy(location=location, key=whole[0].key, state=STORED))
    if current is None or state != STORED or any(each.key == current.key for each in whole):
        return copies
    if whole:
        return with_copy(copies, Copy(location=location, key=whole[0].key, state=STORED))
    if not complete:
        return copies
    gone = Copy(location=location, key=current.key, state=MISSING, reason=DAMAGED if found else GONE)
    return with_copy(copies, gone)


def changes(entry: Entry, location: str, found: Collection[ManifestFound], *, complete: bool) -> bool:
    """Whether a listing says something of an entry's copies that it does not show."""
    copies = [Copy(location=copy.location, key=copy.key, state=copy.state) for copy in entry.copies]
    return entry.phase == "Completed" and changed_copies(copies, location, found, complete=complete) != copies


def _is_name(text: str, longest: int) -> bool:
    return len(text) <= longest and re.fullmatch(NAME_PATTERN, text) is not None


def _is_time(text: str) -> bool:
    try:
        _time(text)
    except ValueError:
        return False
    return True


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment
