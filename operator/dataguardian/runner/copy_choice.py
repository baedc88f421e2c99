"""Which copy of a backup is restored: the first that can be read to its end, in the plan's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..codec import CODECS
from ..domain import report as reports
from ..domain.manifest import Manifest
from ..domain.plan import RestorePlan, RestoreSource
from ..domain.report import Report
from ..errors import (
    BackupCorrupt,
    DataGuardianError,
    ManifestUnknown,
    NotFound,
    PermissionRefused,
    StorageUnavailable,
    VerificationFailed,
)
from ..storage import Storage
from . import stored
from .attended import attended
from .run import Run

# What may pass tells more than what will not; among these, the first that matches counts most.
_TELLING = (StorageUnavailable, BackupCorrupt, ManifestUnknown, PermissionRefused, NotFound)


@dataclass(frozen=True)
class ChosenCopy:
    """A copy whose manifest has been read, and whose files have their sizes."""

    location: str
    storage: Storage
    folder: str  # of the backup's files
    manifest: Manifest
    read_only: bool  # nothing may be written beside it

    def content(self, run: Run) -> Iterator[bytes]:
        """The dump. At its end all stored bytes have proven to be the right ones; else BackupCorrupt."""
        decompressor = CODECS[self.manifest.codec].decompressor()
        for segment in self.manifest.segments:
            for chunk in stored.checked(self.storage, self.folder, segment, run.advance):
                yield from decompressor.decompress(chunk)
        decompressor.finish()


def first_readable(plan: RestorePlan, run: Run, use: Callable[[ChosenCopy], Report]) -> Report:
    """What ``use`` makes of the first copy that is there and proves right.

    A copy that is away, missing or corrupt is passed over with a warning, also when ``use`` finds that out in its
    middle. When none is left, the most telling of their errors is raised, with all reasons.
    """
    passed: list[tuple[str, DataGuardianError]] = []
    for source in plan.sources:
        location = source.target.location
        try:
            chosen = _opened(plan, source, run)
        except _TELLING as error:
            failure: DataGuardianError = error
        else:
            try:
                return use(chosen)
            except (StorageUnavailable, NotFound, BackupCorrupt) as error:
                if isinstance(error, VerificationFailed):  # all copies are of the same dump
                    raise
                failure = error
        run.check()
        passed.append((location, failure))
        if len(passed) < len(plan.sources):
            message = f"The copy in {location!r} cannot be restored, the next one is tried: {failure.what}"
            run.warn(message, "copy_passed_over", location=location, code=failure.code)
    raise _most_telling(passed)


def _opened(plan: RestorePlan, source: RestoreSource, run: Run) -> ChosenCopy:
    storage = attended(source.target, run)
    folder = source.manifest_key.rpartition("/")[0]
    manifest = stored.read_manifest(storage, source.manifest_key)
    if plan.backup_execution_id not in (None, manifest.execution_id):
        raise BackupCorrupt(
            f"The manifest is of execution {manifest.execution_id}, not {plan.backup_execution_id}.",
            remedy="Restore another backup, or another copy of this one.",
        )
    if manifest.codec not in CODECS:
        raise ManifestUnknown(
            f"The backup is compressed by {manifest.codec!r}, which this release does not know.",
            remedy="Restore with the release of DataGuardian that wrote it, or a newer one.",
        )
    stored.check_sizes(storage, folder, manifest)
    return ChosenCopy(source.target.location, storage, folder, manifest, source.read_only)


def _most_telling(passed: list[tuple[str, DataGuardianError]]) -> DataGuardianError:
    if not passed:
        return NotFound("The restore names no copy.", remedy="Name a backup that has one.")
    error = min((error for _, error in passed), key=_rank)
    if len(passed) == 1:
        return error
    reasons = " ".join(f"{location!r}: {reports.reason(failure)}." for location, failure in passed)
    return type(error)(f"No copy of the backup can be restored. {reasons}", remedy=error.remedy)


def _rank(error: DataGuardianError) -> int:
    return next(number for number, kind in enumerate(_TELLING) if isinstance(error, kind))
