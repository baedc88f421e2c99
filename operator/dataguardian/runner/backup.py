"""A backup: connect, dump, verify, finalize. It is complete once its manifest is stored, and only then.

What an earlier try left whole, staged or in a location, is copied (the step ``upload``) and not dumped again.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from ..codec import CODECS
from ..domain import manifest as manifests
from ..domain import report as reports
from ..domain.manifest import Manifest
from ..domain.plan import BackupPlan
from ..domain.report import Report, StoredCopy
from ..errors import DataGuardianError, SpecInvalid
from . import kept
from .copies import Copies
from .dump import Dump
from .kept import Kept
from .lines import now
from .location import Copy
from .run import Run
from .source import SourceDatabase
from .staging import remove_staged

READ_ONLY = "The location is read-only."


def backup(plan: BackupPlan, run: Run) -> Report:
    """Make the backup; when that fails nothing stays in the stores but what a retry can use."""
    if not 1 <= plan.min_copies <= len(plan.targets) or plan.codec not in CODECS:
        raise SpecInvalid(
            "A backup needs a storage location for each of its copies, and a codec that is known.",
            remedy="Correct spec.storage and spec.compression.",
        )
    work = _Backup(plan, run)
    try:
        return work.make()
    finally:
        run.copies = work.told()
        work.close()


class _Backup:
    """The state of one backup between its steps."""

    def __init__(self, plan: BackupPlan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._dump = Dump(plan, run, SourceDatabase(plan.source, run))
        self._targets = [Copy(target) for target in plan.targets]
        self._staged = Copies(run, [Copy(plan.staging)]) if plan.staging else None
        self._kept: Kept | None = None  # whole, so that nothing has to be dumped
        self._copied_from: str | None = None
        self._folder = plan.folder

    def close(self) -> None:
        """End the dump."""
        self._dump.close()

    def make(self) -> Report:
        """The whole backup, in all locations at once or in the first that works."""
        self._kept = self._left_by_failed_runs()
        if self._staged and self._kept is None:
            self._kept = self._stage(self._staged)
        *others, last = self._attempts()
        for copies in others:
            try:
                return self._store(copies)
            except DataGuardianError as error:
                if error is not copies.missed:
                    raise
                self._fall_back(copies, error)
        return self._store(last)

    def told(self) -> list[StoredCopy]:
        """What has become of each copy, for the report."""
        told = [copy.told(self._folder) for copy in self._targets]
        left_out = [
            StoredCopy(location=location, key=self._manifest_key, stored=False, reason=READ_ONLY)
            for location in self._plan.left_out
        ]
        return [copy for copy in told if copy] + left_out

    def verify(self, copies: Copies, manifest: Manifest) -> None:
        """Compare what the stores hold with what was sent."""
        self._run.enter("verify")
        copies.verify(manifest, self._plan.verification)
        self._run.say("info", "Stored bytes verified", "verified", verification=self._plan.verification)

    def finalize(self, copies: Copies, manifest: Manifest) -> Manifest:
        """Store the manifest in each copy, which makes the backup complete."""
        self._run.enter("finalize")
        manifest = self._signed(copies, manifest)
        self._run.settle()
        copies.publish(manifest, manifests.encode(manifest))
        if self._plan.staging:
            remove_staged(self._plan.staging, self._plan.folder, self._plan.in_use, self._run)
        return manifest

    def report(self, manifest: Manifest) -> Report:
        """The report of a completed backup."""
        figures = {
            "dump_bytes": manifest.dump_bytes,
            "stored_bytes": manifest.stored_bytes,
            "checksum": manifest.checksum,
        }
        self._run.say("success", "Backup completed", "run_completed", key=self._manifest_key, **figures)
        self._run.warnings += [f"No copy in {it.location!r}: {it.failure.what}" for it in self._targets if it.failure]
        return msgspec.structs.replace(
            reports.completed(manifest, self._run.warnings),
            dump_time=manifest.started_at,
            copies=self.told(),
            tables=len(manifest.fingerprint.tables),
            rows=sum(table.rows for table in manifest.fingerprint.tables),
            copied_from=self._copied_from,
        )

    @property
    def _manifest_key(self) -> str:
        return f"{self._folder}/{manifests.FILE_NAME}"

    def _left_by_failed_runs(self) -> Kept | None:
        """What earlier tries of this execution staged or stored, and what the runs left that are tried again."""
        plan = self._plan
        if not self._staged and not plan.retry_folders:
            return None  # the copies are looked at before anything is dumped
        copies = Copies(self._run, [*(self._staged.members if self._staged else []), *self._targets])
        found = kept.find(copies, [plan.folder, *plan.retry_folders], plan)
        if found:
            self._use(found)
        elif plan.retry_folders:
            self._run.say("info", "Nothing whole was kept for the retry: the dump is made again", "retry_from")
        return found

    def _use(self, found: Kept) -> None:
        self._dump.close()
        self._copied_from = found.source.location
        message = f"The dump that was kept in {self._copied_from!r} is copied: nothing is dumped again"
        self._run.say("info", message, "retry_from", source=self._copied_from, folder=found.folder)

    def _stage(self, staged: Copies) -> Kept:
        """Dump to the staging volume."""
        staged.look(self._plan.folder)
        with self._whole_or_nothing(staged):
            staged.clear()
            staged.require()
            manifest = self._dumped(staged)
            staged.verify(manifest, "Size")
            staged.keep(manifest)
            staged.require()
        self._run.say("info", "The dump is staged", "staged")
        return Kept(self._plan.folder, manifest, staged.members[0])

    def _attempts(self) -> list[Copies]:
        """All targets at once, or one after the other: first the one that has the dump already."""
        if self._plan.strategy == "Replicate":
            return [Copies(self._run, self._targets, self._plan.min_copies)]
        return [Copies(self._run, [copy]) for copy in sorted(self._targets, key=lambda copy: not copy.whole)]

    def _fall_back(self, copies: Copies, error: DataGuardianError) -> None:
        message = f"{copies.members[0].location!r} failed, so the next location is tried: {error.what}"
        self._run.say("warn", message, "location_failed", code=error.code)
        if self._kept is None:
            self._run.enter("connect")
            self._dump.close()
            self._dump = Dump(self._plan, self._run, SourceDatabase(self._plan.source, self._run))

    def _store(self, copies: Copies) -> Report:
        """Bring the dump to these copies, prove them and complete the backup."""
        if self._kept:
            self._run.enter("upload")
        found = self._kept or kept.find(copies, [self._plan.folder], self._plan)
        self._folder = found.folder if found else self._plan.folder
        copies.look(self._folder)
        if found:
            kept.hold(copies, found.manifest, self._plan)
        copies.require()
        if found and all(copy.whole and kept.completed_before(copy, self._plan) for copy in copies.good):
            self._run.warn("An earlier try of this execution had completed", "backup_found")
            return self.report(found.manifest)
        with self._whole_or_nothing(copies):
            copies.clear()
            copies.require()
            manifest = self._copied(copies, found) if found else self._dumped(copies)
            return self.report(self._completed(copies, manifest))

    def _dumped(self, copies: Copies) -> Manifest:
        self._dump.connect()
        self._run.enter("dump")
        return self._dump.into(copies)

    def _copied(self, copies: Copies, found: Kept) -> Manifest:
        if found is not self._kept:
            self._use(found)
            self._run.enter("upload")
        copies.discard_partial()
        copies.take(found.source.storage, found.folder, found.manifest)
        return found.manifest

    def _completed(self, copies: Copies, manifest: Manifest) -> Manifest:
        try:
            self.verify(copies, manifest)
            return self.finalize(copies, manifest)
        except DataGuardianError as error:
            if error is copies.missed:
                copies.keep(manifest)
                self._run.reopen()
            raise

    def _signed(self, copies: Copies, manifest: Manifest) -> Manifest:
        """The manifest with this run's name, or as an earlier try of this run has stored it.

        It keeps the time of its dump, by which retention judges: a retry makes old data no newer.
        """
        for copy in copies.good:
            if copy.left is not None and kept.completed_before(copy, self._plan):
                return copy.left
        retried = manifests.folder_owner(manifest) if self._folder != self._plan.folder else ""
        return msgspec.structs.replace(
            manifest,
            execution_id=self._plan.execution_id,
            retried_execution_id=retried,
            execution_name=self._plan.execution_name,
            completed_at=now(),
        )

    @contextmanager
    def _whole_or_nothing(self, copies: Copies) -> Generator[None]:
        """Whatever fails, of what this run wrote nothing stays that is neither a backup nor kept for a retry."""
        try:
            yield
        except BaseException:
            copies.discard()
            raise
