"""The backup that a sync keeps its dump as: the same pieces go into the target and, compressed, into the store."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from threading import Thread

import msgspec

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..domain.plan import BackupPlan
from ..domain.report import Report, Synced
from . import kept
from .channel import Channel, Stopped
from .copies import Copies
from .dump import Dump
from .lines import now
from .location import Copy
from .run import Run
from .source import SourceDatabase


class SyncBackup:
    """One backup, made in a thread. Of a sync that fails before it is published nothing stays in the store."""

    def __init__(self, plan: BackupPlan, run: Run, source: SourceDatabase) -> None:
        self._plan, self._run = plan, run
        self._dump = Dump(plan, run, source)
        self._copies = Copies(run, [Copy(target) for target in plan.targets], plan.min_copies)
        self._channel = Channel()
        self._failure: BaseException | None = None

    def found(self) -> bool:
        """Whether an earlier try of this execution has stored it. Raises why the store cannot be used."""
        before = kept.find(self._copies, [self._plan.folder], self._plan)
        self._copies.look(self._plan.folder)
        self._copies.require()
        if before is None or not kept.completed_before(before.source, self._plan):
            return False
        self._run.warn("An earlier try of this execution has stored the backup", "backup_found")
        self._tell(before.manifest)
        return True

    def beside(self, pieces: Iterator[bytes]) -> Generator[bytes]:
        """The same pieces; the slower of who reads them and the store sets the pace.

        They end when the backup is published. What fails here is the source's failure, or the store's.
        """
        thread = Thread(target=self._work, name="backup", daemon=True)
        thread.start()
        whole = False
        try:
            for piece in pieces:
                self._check()
                self._channel.send(piece, self._check)
                yield piece
            whole = True
        finally:
            self._channel.end(whole=whole)
            thread.join()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._run.check()

    def _work(self) -> None:
        try:
            self._make()
        except Stopped:  # the sync has failed, and says why
            pass
        except BaseException as error:  # it is raised where the pieces are read
            self._failure = error
        finally:
            self._channel.close()

    def _make(self) -> None:
        run, copies = self._run, self._copies
        manifest: Manifest | None = None
        try:
            copies.clear()
            copies.require()
            manifest = self._dump.into(copies, self._channel.chunks(run.check))
            run.enter("verify")
            copies.verify(manifest, self._plan.verification)
            run.enter("finalize")
            manifest = msgspec.structs.replace(manifest, completed_at=now())
            copies.publish(manifest, manifests.encode(manifest))
        finally:
            if manifest is not None and any(copy.published for copy in copies.members):
                self._tell(manifest)
            copies.discard()
        key = f"{self._plan.folder}/{manifests.FILE_NAME}"
        run.say("info", "The dump is kept as a backup", "backup_stored", key=key, stored_bytes=manifest.stored_bytes)

    def _tell(self, manifest: Manifest) -> None:
        """From here on the backup exists, however the sync ends."""
        told = [copy.told(self._plan.folder) for copy in self._copies.members]
        self._run.copies = [copy for copy in told if copy]
        self._run.found = Report(
            completed=False,
            dump_bytes=manifest.dump_bytes,
            engine_version=manifest.engine_version,
            stored_bytes=manifest.stored_bytes,
            checksum=manifest.checksum,
            dump_time=manifest.started_at,
            synced=Synced(backup_execution_id=self._plan.execution_id),
        )
