"""A backup as the catalogue knows it: the part of an ended run object that is kept in memory, less than 1 KB."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import Final

from ..resources.backup import MAX_COPIES, BackupExecution, Copy, CopyState, Verdict
from .report import Report

STORED: Final = "Stored"
FAILED: Final = "Failed"
MISSING: Final = "Missing"
REMOVED: Final = "Removed"


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """A copy in one location."""

    location: str
    key: str  # of the manifest
    state: CopyState


@dataclass(frozen=True, slots=True)
class Entry:
    """A BackupExecution that has ended."""

    namespace: str
    name: str
    uid: str
    execution_id: str
    job: str
    datasource: str | None  # that was backed up; None for an import whose manifest does not tell
    phase: str
    ended: datetime
    dumped: datetime  # the moment of its data: when its dump began
    copies: tuple[KnownCopy, ...]
    kept_by: tuple[str, ...]
    verification: Verdict | None  # what the latest one found
    judged: datetime | None  # when that ended
    verified: datetime | None  # when the latest one ended that found the backup to be whole
    seen: datetime = field(compare=False)  # when the copies were first seen to be as they are

    @property
    def stored(self) -> bool:
        """Whether the backup is stored anywhere."""
        return any(copy.state == STORED for copy in self.copies)

    @property
    def good(self) -> bool:
        """Whether the backup can be restored, as far as is known."""
        return self.phase == "Completed" and self.stored and self.verification != "Failed"

    @property
    def incomplete(self) -> bool:
        """Whether the backup is stored, and misses a copy that it should have."""
        return self.stored and any(copy.state in (FAILED, MISSING) for copy in self.copies)


def entry_of(execution: BackupExecution, *, seen: datetime) -> Entry:
    """The entry of an ended run object. Equal texts are one string."""
    meta, status = execution.metadata, execution.status
    ended = status.completion_time or meta.creation_timestamp
    return Entry(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=intern(meta.uid),
        execution_id=intern(execution.execution_id),
        job=intern(execution.spec.backup_job_ref.name),
        datasource=intern(status.datasource) if status.datasource else None,
        phase=intern(status.phase or ""),
        ended=ended,
        dumped=status.dump_time or status.start_time or ended,
        copies=tuple(KnownCopy(intern(copy.location), intern(copy.key), copy.state) for copy in status.copies),
        kept_by=tuple(map(intern, status.kept_by)),
        verification=status.last_verification,
        judged=status.last_verification_time,
        verified=status.last_verified_time,
        seen=seen,
    )


def copies_of(report: Report) -> list[Copy]:
    """What has become of each copy of a backup."""
    return [
        Copy(
            location=copy.location,
            key=copy.key,
            state=STORED if copy.stored else FAILED,
            reason=copy.reason,
        )
        for copy in report.copies
    ]


def with_copy(copies: Iterable[Copy], new: Copy) -> list[Copy]:
    """The copies with this one in its location's place; a new one replaces one that is not stored when there is no
    room, and else is left out."""
    kept = list(copies)
    places = [index for index, copy in enumerate(kept) if copy.location == new.location]
    if not places and len(kept) >= MAX_COPIES:
        places = [index for index, copy in enumerate(kept) if copy.state != STORED]
        if not places:
            return kept
    if places:
        kept[places[0]] = new
        return kept
    return [*kept, new]
