"""A backup in one location, and what a run does to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ..domain import manifest as manifests
from ..domain import report as reports
from ..domain.manifest import Manifest
from ..domain.plan import Target
from ..domain.report import StoredCopy
from ..errors import BackupCorrupt, DataGuardianError, SpecInvalid, StorageFull, StorageUnavailable
from ..storage import Storage, opened
from . import stored
from .run import Run
from .watched import Watch, Watched


class Copy:
    """What earlier runs left of a backup in one location, and what this run wrote there."""

    def __init__(self, target: Target) -> None:
        self.target, self.location = target, target.location
        self.watch = Watch(target.location)
        self.failure: DataGuardianError | None = None  # why it is none
        self.left: Manifest | None = None  # of the whole dump that an earlier run left in the folder
        self.published = False  # its manifest is stored: it is a backup
        self.pending = False  # its dump is whole and waits for a retry
        self.whole = False  # every file of the dump is there and verified
        self.keys: list[str] = []  # what was in the folder
        self._folder: str | None = None
        self._written: list[str] = []

    @cached_property
    def storage(self) -> Storage:
        """Its store, watched. Raises NotFound when a file with its credentials is missing."""
        return Watched(opened(self.target), self.watch)

    def look(self, folder: str, run: Run) -> None:
        """See what earlier runs left in the folder; a second look at the same one is nothing."""
        if self._folder == folder:
            return
        self.left, self.published, self.pending, self.whole = None, False, False, False
        self.keys = list(self.storage.keys(folder))
        self._folder = folder
        self.published = f"{folder}/{manifests.FILE_NAME}" in self.keys
        self.pending = not self.published and f"{folder}/{manifests.PENDING_FILE_NAME}" in self.keys
        if self.published or self.pending:
            name = manifests.FILE_NAME if self.published else manifests.PENDING_FILE_NAME
            try:
                self.left = stored.read_manifest(self.storage, f"{folder}/{name}")
            except (BackupCorrupt, SpecInvalid) as error:
                self.published = self.pending = False
                run.say("warn", f"What is in {self.location!r} is of no use: {error.what}", "copy_corrupt")

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Store one object."""
        self._written.append(key)
        self.storage.put(key, chunks)

    def publish(self, folder: str, content: bytes) -> None:
        """Store the manifest, which makes it a backup: from then on others count on it, and it is never taken back.

        When the store does not say what became of the manifest, the dump stays as well.
        """
        try:
            self.storage.put(f"{folder}/{manifests.FILE_NAME}", iter([content]))
        except StorageFull:
            raise
        except StorageUnavailable:
            self.settle()
            raise
        self.published = True
        self.settle()

    def settle(self) -> None:
        """What is written stays, whatever comes."""
        self._written.clear()

    def discard(self, run: Run) -> None:
        """Delete what this run wrote, the latest first; the error under way stays the one that is told.

        A store that was given up is left as it is.
        """
        if self.watch.lost():
            return
        try:
            while self._written:
                self.whole = False
                self.storage.delete(self._written[-1])
                self._written.pop()
        except DataGuardianError as error:
            run.warn(f"Objects stay in {self.location!r} until the next try: {error.what}", "discard_failed")

    def told(self, folder: str) -> StoredCopy | None:
        """What has become of it; None when nothing has."""
        key = f"{folder}/{manifests.FILE_NAME}"
        if self.failure is not None:
            return StoredCopy(location=self.location, key=key, stored=False, reason=reports.reason(self.failure))
        if self.whole and self.published:
            return StoredCopy(location=self.location, key=key, stored=True)
        if self.whole and self.pending:
            return StoredCopy(location=self.location, key=key, stored=False, reason=reports.KEPT)
        return None
