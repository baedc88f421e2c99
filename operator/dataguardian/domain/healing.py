"""Which copies of a backup are to be made again, and from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..resources.backup import BackupExecutionStatus, BackupJob
from ..resources.storage_location import StorageLocation
from .catalogue import FAILED, MISSING, STORED, Entry
from .health import is_usable
from .policies import retention_policy
from .report import Report


@dataclass(frozen=True)
class Healing:
    """One backup: its manifest's key, the locations that have it, and those that miss it."""

    key: str
    sources: Sequence[StorageLocation]
    targets: Sequence[StorageLocation]


def healing(entry: Entry, job: BackupJob, locations: Mapping[str, StorageLocation]) -> Healing | None:
    """What can be done now for a completed backup; None when nothing is to be, or can be.

    A job that writes to one location of several has its copies where it wants them; what no rule keeps is not copied.
    """
    if entry.phase != "Completed" or job.spec.storage.strategy != "Replicate":
        return None
    if not entry.kept_by and retention_policy(job) is not None:
        return None
    states = {copy.location: copy for copy in entry.copies}
    stored = [copy for copy in entry.copies if copy.state == STORED and _answers(locations.get(copy.location))]
    if not stored:
        return None
    key = stored[0].key  # a copy under another key was made by somebody else
    sources = [locations[copy.location] for copy in stored if copy.key == key]
    targets = [
        location
        for reference in job.spec.storage.locations
        if (known := states.get(reference.name)) and known.state in (FAILED, MISSING)
        if (location := locations.get(reference.name)) and _takes_backups(location)
    ]
    return Healing(key, sources, targets) if targets else None


def healed(status: BackupExecutionStatus, report: Report, targets: Sequence[str]) -> BackupExecutionStatus:
    """The status after the copies to these locations were tried. What changed meanwhile stays."""
    results = {copy.location: copy for copy in report.copies}
    failure = report.failure.message if report.failure else "The copy was not made."
    copies = list(status.copies)
    for index, copy in enumerate(copies):
        result = results.get(copy.location)
        if copy.location not in targets or copy.state not in (FAILED, MISSING):
            continue
        if result is not None and result.stored:
            copies[index] = copy.model_copy(update={"state": STORED, "key": result.key, "reason": None})
        else:
            reason = (result.reason if result else None) or failure
            copies[index] = copy.model_copy(update={"reason": reason[:1024]})
    return status.model_copy(update={"copies": copies})


def _answers(location: StorageLocation | None) -> bool:
    return location is not None and is_usable(location)


def _takes_backups(location: StorageLocation) -> bool:
    return location.status.phase == "Available" and location.spec.access_mode == "ReadWrite"
