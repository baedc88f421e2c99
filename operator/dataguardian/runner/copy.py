"""A copy: one backup is brought to the locations that miss it, from the first source that has it whole."""

from __future__ import annotations

import msgspec

from ..domain import report as reports
from ..domain.manifest import Manifest
from ..domain.plan import CopyPlan, Target
from ..domain.report import Report, StoredCopy
from ..errors import BackupCorrupt, DataGuardianError, NotFound
from . import stored
from .attended import attended
from .copies import Copies
from .location import Copy
from .run import Run


def copy(plan: CopyPlan, run: Run) -> Report:
    """Make the copies. It fails when a target still misses the backup; what the other targets got stays."""
    work = _Copy(plan, run)
    try:
        return work.make()
    finally:
        run.copies = work.told()


class _Copy:
    """The state of one copy between its steps."""

    def __init__(self, plan: CopyPlan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._folder = plan.manifest_key.rpartition("/")[0]
        self._targets = Copies(run, [Copy(target) for target in plan.targets])
        self._copied_from: str | None = None

    def make(self) -> Report:
        """Look, copy, prove, complete."""
        targets = self._targets
        targets.look(self._folder)
        targets.require()
        try:
            manifest, content = self._filled()
            self._run.enter("verify")
            targets.verify(manifest, self._plan.verification)
            self._run.enter("finalize")
            targets.publish(manifest, content)
        except BaseException:
            targets.discard()
            raise
        for missed in targets.members:
            if missed.failure is not None:
                raise missed.failure
        self._run.say("success", "Backup copied", "run_completed", key=self._plan.manifest_key)
        figures = reports.completed(manifest, self._run.warnings)
        return msgspec.structs.replace(figures, copies=self.told(), copied_from=self._copied_from)

    def told(self) -> list[StoredCopy]:
        """What has become of each copy."""
        return [told for target in self._targets.members if (told := target.told(self._folder))]

    def _filled(self) -> tuple[Manifest, bytes]:
        """Bring the files to every target, from one source after the other until one proves right."""
        failures: list[DataGuardianError] = []
        for source in self._plan.sources:
            try:
                return self._filled_from(source)
            except DataGuardianError as error:
                self._run.check()
                if error is self._targets.missed:
                    raise
                self._run.warn(f"The copy in {source.location!r} cannot be used: {error.what}", "source_failed")
                failures.append(error)
        raise _unusable(failures)

    def _filled_from(self, source: Target) -> tuple[Manifest, bytes]:
        self._run.enter("connect")
        storage = attended(source, self._run)
        content = stored.content(storage, self._plan.manifest_key)
        manifest = self._right(stored.parsed(content))
        targets = self._targets
        targets.hold(manifest, lambda _: self._plan.verification)
        # Before a copy is replaced, what replaces it has to be proven; else that is done on the way.
        replaces = any(target.published for target in targets.missing)
        stored.prove(storage, self._folder, manifest, "ReadBack" if replaces else "Size", self._run.advance)
        targets.clear()
        targets.require()
        self._run.enter("upload")
        targets.discard_partial()
        if targets.missing:
            self._run.say("info", f"Copying from {source.location!r}", "copy_from", source=source.location)
            targets.take(storage, self._folder, manifest)
            self._copied_from = source.location
        return manifest, content

    def _right(self, manifest: Manifest) -> Manifest:
        if manifest.execution_id != self._plan.backup_execution_id:
            raise BackupCorrupt(
                f"The manifest is of execution {manifest.execution_id}, not {self._plan.backup_execution_id}.",
                remedy="Copy from another location.",
            )
        return manifest


def _unusable(failures: list[DataGuardianError]) -> DataGuardianError:
    """Why no source could be used: what may pass counts more than what will not."""
    for failure in failures:
        if failure.retryable:
            return failure
    return failures[0] if failures else NotFound("No location has the backup.", remedy="Make a new backup.")
