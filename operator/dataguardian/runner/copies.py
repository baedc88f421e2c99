"""The copies of one backup while they are written: to all their stores at once, and without those that fail.

Each store has a thread, so that one that hangs can be given up; with several, a few chunks wait for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Thread

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..errors import BackupCorrupt, Cancelled, DataGuardianError
from ..storage import Storage
from . import stored
from .channel import LOOK_SECONDS, Channel, Source, Stopped
from .location import Copy
from .run import Run
from .stored import Verification


class Copies:
    """The copies that a run makes of one backup, in the same folder of each location; ``need`` of them must succeed.

    A copy that fails is dropped and loses what this run wrote of it; the others go on. One whose store hangs is left to
    itself. Once fewer than ``need`` are left, and none of them is a backup yet, every method raises the failure of the
    first one, which is then ``missed``.
    """

    def __init__(self, run: Run, members: Sequence[Copy], need: int = 1) -> None:
        self.members = members
        self.missed: DataGuardianError | None = None
        self._run, self._need = run, need
        self._folder = ""

    @property
    def good(self) -> list[Copy]:
        """Those that have not failed."""
        return [copy for copy in self.members if copy.failure is None]

    @property
    def missing(self) -> list[Copy]:
        """Those that are still to be made."""
        return [copy for copy in self.good if not copy.whole]

    def require(self) -> None:
        """Raise the first failure when too few copies are left; one that is a backup already is enough."""
        if len(self.good) < self._need and not any(copy.whole and copy.published for copy in self.good):
            self.missed = next(copy.failure for copy in self.members if copy.failure)
            raise self.missed

    def look(self, folder: str) -> None:
        """Begin in this folder, and see what earlier runs left there."""
        self._folder = folder
        self._each(self.good, lambda copy: copy.look(folder, self._run))

    def hold(self, manifest: Manifest, how: Callable[[Copy], Verification]) -> None:
        """Find those that have the dump of this manifest, whole, each proven as ``how`` says."""
        has = [copy for copy in self.missing if copy.left and manifests.same_dump(copy.left, manifest)]
        self._each(has, lambda copy: self._prove_left(copy, manifest, how(copy)))

    def clear(self) -> None:
        """Remove what earlier runs left of those that are to be made."""

        def remove(copy: Copy) -> None:
            # The manifest first: without it the rest is no backup.
            for key in sorted(copy.keys, key=lambda key: not key.endswith(manifests.FILE_NAME)):
                copy.storage.delete(key)
            copy.published = copy.pending = False

        self._each(self.missing, remove)

    def discard_partial(self) -> None:
        """Remove what earlier runs left half sent."""

        def remove(copy: Copy) -> None:
            copy.storage.discard_partial(self._folder)

        self._each(self.missing, remove)

    def put(self, name: str, chunks: Iterator[bytes], *, apart: bool = False) -> int:
        """Store one object in each copy that is to be made; return its bytes.

        An error of ``chunks`` passes through, and then nothing that this run wrote stays in any copy. ``apart``: they
        come from a store too, and obstore can do nothing while it waits for a chunk itself, so each has its thread.
        """
        key, source, missing = f"{self._folder}/{name}", Source(chunks), self.missing
        if len(missing) == 1 and not apart:
            self._each(missing, lambda copy: copy.put(key, iter(source)))
        elif missing:
            channels = {copy: Channel() for copy in missing}

            def take(copy: Copy) -> None:
                try:
                    copy.put(key, channels[copy].chunks(self._run.check))
                finally:
                    channels[copy].close()

            self._each(missing, take, lambda: self._feed(source, channels))
        if source.failure is not None:
            raise source.failure
        self.require()
        return source.size

    def take(self, storage: Storage, folder: str, manifest: Manifest) -> None:
        """Store the files of a backup from another store, proven by their checksums on the way."""
        for file in manifests.files(manifest):
            if self.missing:
                self.put(file.name, stored.checked(storage, folder, file, self._run.advance), apart=True)

    def verify(self, manifest: Manifest, verification: Verification) -> None:
        """Compare what the stores hold with what was sent; a copy that differs has failed."""

        def prove(copy: Copy) -> None:
            stored.prove(copy.storage, self._folder, manifest, verification, self._run.advance)
            # A part of an earlier try may have arrived after its upload was aborted, which S3 opens again by that.
            copy.storage.discard_partial(self._folder)
            copy.whole = True

        self._each(self.missing, prove)
        self.require()

    def publish(self, manifest: Manifest, content: bytes) -> None:
        """Store the manifest in each whole copy, which makes it a backup; from then on it stays.

        With one that is stored the backup is complete: from then on it is counted on, whatever the others become.
        """

        def publish(copy: Copy) -> None:
            if copy.published and copy.left == manifest:
                copy.settle()
            else:
                copy.publish(self._folder, content)
            if copy.pending:
                with suppress(DataGuardianError):  # beside a manifest it says nothing
                    copy.storage.delete(f"{self._folder}/{manifests.PENDING_FILE_NAME}")
                copy.pending = False

        self._each(self.good, publish)
        self.require()

    def keep(self, manifest: Manifest) -> None:
        """Leave the whole copies for a retry, as what they are: whole, and no backup. None was published before."""

        def keep(copy: Copy) -> None:
            if not copy.pending:
                copy.put(f"{self._folder}/{manifests.PENDING_FILE_NAME}", iter([manifests.encode(manifest)]))
                copy.pending = True
            copy.settle()

        self._each([copy for copy in self.members if copy.whole and not copy.watch.lost()], keep)

    def discard(self) -> None:
        """Delete what this run wrote, but for what was published or kept."""
        self._each(self.good, lambda copy: copy.discard(self._run))

    def _prove_left(self, copy: Copy, manifest: Manifest, verification: Verification) -> None:
        try:
            stored.prove(copy.storage, self._folder, manifest, verification, self._run.advance)
            copy.whole = True
        except BackupCorrupt as error:
            copy.left = None
            self._run.warn(f"What is in {copy.location!r} is not whole: {error.what}", "copy_corrupt")

    def _check(self) -> None:
        self._run.check()
        self.require()

    def _give_up(self) -> None:
        """Drop the copies whose stores hang."""
        for copy in self.members:
            if lost := copy.watch.lost():
                self._fail(copy, lost)

    def _feed(self, source: Source, channels: Mapping[Copy, Channel]) -> None:
        """Send every chunk to every store; the slowest sets the pace, unless it hangs."""
        whole = False

        def check() -> None:
            self._give_up()
            for copy, channel in channels.items():
                if copy.failure is not None:
                    channel.close()
            self._check()

        try:
            for chunk in source:
                check()
                for channel in channels.values():
                    channel.send(chunk, check)
            whole = True
        except Stopped:
            pass  # ``source.failure`` tells why
        finally:
            for channel in channels.values():
                channel.end(whole=whole)

    def _each(
        self, copies: Sequence[Copy], act: Callable[[Copy], None], meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Do it for each copy, at the same time when there are several, and drop those that fail or hang."""
        bugs: list[BaseException] = []
        threads = {copy: Thread(target=self._try, args=(copy, act, bugs), daemon=True) for copy in copies}
        for thread in threads.values():
            thread.start()
        try:
            if meanwhile is not None:
                meanwhile()
        finally:
            self._join(threads)
        if bugs:
            raise bugs[0]
        self._run.check()

    def _join(self, threads: Mapping[Copy, Thread]) -> None:
        """Wait for all whose stores do not hang. Once the run is asked to end, the others clean up meanwhile."""
        while busy := {copy: thread for copy, thread in threads.items() if thread.is_alive() and not copy.watch.lost()}:
            next(iter(busy.values())).join(LOOK_SECONDS)
            if self._run.cancelled:
                for copy in self.good:
                    if copy not in busy:
                        copy.discard(self._run)
        self._give_up()

    def _try(self, copy: Copy, act: Callable[[Copy], None], bugs: list[BaseException]) -> None:
        try:
            act(copy)
        except (Stopped, Cancelled):
            copy.discard(self._run)
        except DataGuardianError as error:
            self._fail(copy, error)
            copy.discard(self._run)
        except BaseException as bug:  # it is raised where the run is done
            bugs.append(bug)
            copy.discard(self._run)

    def _fail(self, copy: Copy, error: DataGuardianError) -> None:
        """Drop a copy; its first failure is the one that is told."""
        if copy.failure is None:
            copy.failure = error
            if len(self.members) > 1:
                message = f"The copy in {copy.location!r} failed: {error.what}"
                self._run.say("warn", message, "copy_failed", code=error.code)
