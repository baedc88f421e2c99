"""Retention at work: one job's backups are judged over all its locations, and those that no rule keeps are deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial

from ..domain import manifest as manifests
from ..domain.naming import human_bytes
from ..domain.plan import CleanupPlan, Target
from ..domain.report import Report
from ..domain.retention import Backup, Verdict, in_words, judge
from ..domain.told import BackupKept, BackupRemoved, RemovalDeferred, UnfinishedRemoved
from ..errors import Cancelled, DataGuardianError
from ..rfc3339 import written
from . import removal, unfinished
from .attended import attended
from .finding import Folder
from .removal import Marker
from .run import Run
from .shelf import Shelf, backups, look


def apply(plan: CleanupPlan, run: Run) -> Report:
    """Judge the backups of a job in all its locations, and delete those that no rule keeps everywhere.

    A location that is not served, or refuses, is a warning and waits for the next time. Raises the location's error
    when none could be read, SpecInvalid, and Cancelled.
    """
    work = _Retention(plan, run)
    for location, target in {target.location: target for target in plan.targets}.items():
        work.look(target, is_read_only=location in plan.read_only)
    return work.done()


class _Retention:
    """The locations that were seen, and what happens in them."""

    def __init__(self, plan: CleanupPlan, run: Run) -> None:
        self._plan, self._policy, self._run = plan, plan.policy, run
        self._shelves: list[Shelf] = []
        self._unread: dict[str, DataGuardianError] = {}
        self._deferred: set[str] = set()  # ids of executions

    def look(self, target: Target, *, is_read_only: bool) -> None:
        """See what a location holds."""
        location = target.location
        try:
            shelf = look(location, attended(target, self._run), self._plan.folder, self._run)
        except Cancelled:
            raise
        except DataGuardianError as error:
            self._unread[location] = error
            self._run.warn(f"Retention left out storage location {location!r}: {error.what}", "location_left_out")
            return
        if is_read_only:
            shelf.closed = "The storage location is ReadOnly"
        self._shelves.append(shelf)

    def done(self) -> Report:
        """Judge and delete."""
        if not self._shelves:
            raise next(iter(self._unread.values()))
        judgement = judge(backups(self._shelves, self._plan.refuted), self._policy, datetime.now(UTC), self._plan.held)
        for verdict in reversed(judgement.verdicts):  # of two that are locked, the older one is free first
            if verdict.kept_by:
                self._keep(verdict)
            else:
                self._let_go(verdict.backup)
        for shelf in self._shelves:
            for folder, marker in shelf.removals:
                self._remove(shelf, folder, marker)
        backups_anywhere = {name for shelf in self._shelves for name in shelf.backups}
        for shelf in self._shelves:
            self._clear(shelf, backups_anywhere)
        kept = sum(1 for verdict in judgement.verdicts if verdict.kept_by)
        return Report(
            completed=True,
            warnings=self._run.warnings,
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

    def _clear(self, shelf: Shelf, backups: Collection[str]) -> None:
        """Delete what is of no use of the runs that did not complete. ``backups`` are names of folders with a manifest:
        such a folder is being copied, or was."""
        before = self._plan.unfinished_before
        left = shelf.unfinished

        def look() -> None:
            nonlocal left
            left = unfinished.with_partial(shelf.storage, self._plan.folder, left, shelf.backups)

        if before is not None:
            moment, needed = datetime.fromisoformat(before), {*self._plan.in_use, *backups}
            self._deletes(shelf, look)
            for folder in [folder for folder in left if unfinished.is_of_no_use(folder, moment, needed)]:
                self._deletes(shelf, partial(self._clear_folder, shelf, folder, left))
        if left:
            size = sum(sum(folder.sizes.values()) for folder in left)
            message = f"{len(left)} unfinished folders with {human_bytes(size)} are in {shelf.location!r}"
            self._run.say("info", message, "unfinished_left", location=shelf.location, folders=len(left), bytes=size)

    def _clear_folder(self, shelf: Shelf, folder: Folder, left: list[Folder]) -> None:
        if not unfinished.remove(shelf.storage, folder):
            return
        left.remove(folder)
        size = sum(folder.sizes.values())
        told = UnfinishedRemoved(location=shelf.location, folder=folder.path, stored_bytes=size)
        message = f"What a run left in {folder.path} was removed from storage location {shelf.location!r}"
        self._run.tell("info", message, told)

    def _deletes(self, shelf: Shelf, delete: Callable[[], None]) -> None:
        """Delete in a location that is not closed. The first refusal closes it: asking on would only hammer it."""
        if shelf.closed is not None:
            return
        self._run.check()
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
