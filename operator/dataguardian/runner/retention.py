"""Retention at work: one job's backups are judged over all its locations, and those that no rule keeps are deleted."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from ..domain import manifest as manifests
from ..domain.plan import BackupPlan, RetentionPolicy, Target
from ..domain.report import Report
from ..domain.retention import Backup, Verdict, in_words, judge
from ..domain.told import BackupKept, BackupRemoved, RemovalDeferred
from ..errors import Cancelled, DataGuardianError
from ..storage import Storage, opened
from . import removal
from .finding import Folder
from .lines import written
from .removal import Marker
from .run import Run
from .shelf import Shelf, backups, look


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What retention left; the fields are those of a Report."""

    backups: int
    expired: int
    unread: list[str]
    next_expiry: str | None


def apply(
    folder: str,
    targets: Sequence[Target],
    policy: RetentionPolicy,
    run: Run,
    *,
    read_only: Collection[str] = (),
    ready: Mapping[str, Storage] | None = None,
) -> Applied:
    """Judge the backups in a job's folder of these locations, and delete those that no rule keeps everywhere.

    ``ready`` are storages that are open. A location that is not served, or refuses, is a warning and waits for the
    next time. Raises the location's error when none could be read, SpecInvalid, and Cancelled.
    """
    work = _Retention(policy, run)
    for location, target in {target.location: target for target in targets}.items():
        work.look(target, (ready or {}).get(location), folder, is_read_only=location in read_only)
    return work.done()


def after_backup(report: Report, plan: BackupPlan, run: Run, ready: Mapping[str, Storage]) -> Report:
    """Apply the plan's retention beside a backup that is stored, so that no failure here is one of the backup."""
    if plan.retention is None:
        return report
    targets = [*plan.targets, *plan.kept_locations]
    folder = plan.folder.rpartition("/")[0]
    try:
        applied = apply(folder, targets, plan.retention, run, read_only=plan.read_only, ready=ready)
    except DataGuardianError as error:
        run.warn(f"Retention waits for the next time: {error.what}", "retention_failed", remedy=error.remedy)
    except Exception as error:  # a bug here must not take the backup with it
        trace = "".join(traceback.format_exception(error))
        run.warn(f"Retention waits for the next time. A bug: {error!r}", "retention_failed", traceback=trace)
    else:
        report = msgspec.structs.replace(report, **msgspec.structs.asdict(applied))
    return msgspec.structs.replace(report, warnings=run.warnings)


class _Retention:
    """The locations that were seen, and what happens in them."""

    def __init__(self, policy: RetentionPolicy, run: Run) -> None:
        self._policy, self._run = policy, run
        self._shelves: list[Shelf] = []
        self._unread: dict[str, DataGuardianError] = {}
        self._deferred: set[str] = set()  # ids of executions

    def look(self, target: Target, storage: Storage | None, folder: str, *, is_read_only: bool) -> None:
        """See what a location holds."""
        location = target.location
        try:
            shelf = look(location, storage or opened(target), folder, self._run)
        except Cancelled:
            raise
        except DataGuardianError as error:
            self._unread[location] = error
            self._run.warn(f"Retention left out storage location {location!r}: {error.what}", "location_left_out")
            return
        if is_read_only:
            shelf.closed = "The storage location is ReadOnly"
        elif not self._policy.auto_delete:
            shelf.closed = "retention.autoDelete is false"
        self._shelves.append(shelf)

    def done(self) -> Applied:
        """Judge and delete."""
        if not self._shelves:
            raise next(iter(self._unread.values()))
        judgement = judge(backups(self._shelves), self._policy, datetime.now(UTC))
        for verdict in reversed(judgement.verdicts):  # of two that are locked, the older one is free first
            if verdict.kept_by:
                self._keep(verdict)
            else:
                self._let_go(verdict.backup)
        for shelf in self._shelves:
            for folder, marker in shelf.unfinished:
                self._remove(shelf, folder, marker)
        kept = sum(1 for verdict in judgement.verdicts if verdict.kept_by)
        return Applied(
            backups=kept + len(self._deferred),
            expired=len(self._deferred),
            unread=list(self._unread),
            next_expiry=written(judgement.next_expiry) if judgement.next_expiry else None,
        )

    def _keep(self, verdict: Verdict) -> None:
        backup, kept_by = verdict.backup, verdict.kept_by
        told = BackupKept(execution_id=backup.execution_id, execution_name=backup.execution_name, kept_by=kept_by)
        self._run.tell("debug", f"{backup.execution_name} is kept by {', '.join(kept_by)}", told)
        for shelf, folder in self._places(backup):
            self._deletes(shelf, partial(removal.give_up, shelf.storage, folder))

    def _let_go(self, backup: Backup) -> None:
        marker = Marker(
            execution_id=backup.execution_id,
            execution_name=backup.execution_name,
            reason=f"No rule keeps it: {in_words(self._policy)}",
        )
        places = self._places(backup)
        for shelf, folder in places:
            self._remove(shelf, folder, marker)
        for location, error in self._unread.items():  # which may have it as well, under the same key
            self._defer(location, places[0][1].key(manifests.FILE_NAME), marker, error.what)

    def _places(self, backup: Backup) -> list[tuple[Shelf, Folder]]:
        return [
            (shelf, copy.folder)
            for shelf in self._shelves
            for copy in shelf.copies
            if copy.execution_id == backup.execution_id
        ]

    def _remove(self, shelf: Shelf, folder: Folder, marker: Marker) -> None:
        key, is_gone = folder.key(manifests.FILE_NAME), False

        def gone() -> None:
            nonlocal is_gone
            is_gone = True
            told = BackupRemoved(
                execution_id=marker.execution_id,
                execution_name=marker.execution_name,
                location=shelf.location,
                key=key,
                reason=marker.reason,
            )
            message = f"{marker.execution_name} was removed from storage location {shelf.location!r}: {marker.reason}"
            self._run.tell("info", message, told)

        self._deletes(shelf, partial(removal.remove, shelf.storage, folder, marker, gone))
        if shelf.closed is not None and not is_gone:
            self._defer(shelf.location, key, marker, shelf.closed)

    def _deletes(self, shelf: Shelf, delete: Callable[[], None]) -> None:
        """Delete in a location that is not closed. The first refusal closes it: asking on would only hammer it."""
        if shelf.closed is not None:
            return
        self._run.check_beside()
        try:
            delete()
        except DataGuardianError as error:
            shelf.closed = error.what
            message = f"Nothing more is removed from storage location {shelf.location!r}: {error.what}"
            self._run.warn(message, "removal_refused", remedy=error.remedy)

    def _defer(self, location: str, key: str, marker: Marker, reason: str) -> None:
        self._deferred.add(marker.execution_id)
        told = RemovalDeferred(
            execution_id=marker.execution_id,
            execution_name=marker.execution_name,
            location=location,
            key=key,
            reason=reason,
        )
        message = f"{marker.execution_name} stays in storage location {location!r} for now: {reason}"
        self._run.tell("info", message, told)
