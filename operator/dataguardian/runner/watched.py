"""A store that may hang: how long it has kept a call waiting, and that nothing comes of it once it was given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..errors import StorageUnavailable
from ..storage import Storage

# A server that is started again, or whose address moves to another node, is back within two minutes, and the S3 client
# gives up by itself within one. A volume that is silent for longer, such as a hard mount of NFS, may be so for ever.
STALL_SECONDS = 300.0

Answer = TypeVar("Answer")


def hung(location: str, *, remedy: str) -> StorageUnavailable:
    """Why a store is given up."""
    return StorageUnavailable(f"Storage location {location!r} has hung for {STALL_SECONDS:g} seconds.", remedy=remedy)


class Watch:
    """Since when the store of one copy keeps its thread waiting. Other threads ask ``lost``, and so give it up.

    ``with watch:`` is one call to the store; it raises why the store was given up, before and after the call.
    """

    def __init__(self, location: str) -> None:
        self._location = location
        self._lock = threading.Lock()
        self._since: float | None = None
        self._lost: StorageUnavailable | None = None

    def lost(self) -> StorageUnavailable | None:
        """Why the store is given up; None while it answers. What was said once holds."""
        with self._lock:
            if self._lost is None and self._since is not None and time.monotonic() > self._since + STALL_SECONDS:
                remedy = "Look at its volume or server. The next try removes what it has got of the dump."
                self._lost = hung(self._location, remedy=remedy)
            return self._lost

    def begin(self) -> None:
        """The store has the word. Raises StorageUnavailable when it was given up."""
        self._note(time.monotonic())

    def end(self) -> None:
        """The store has answered, or waits for us. Raises StorageUnavailable when it was given up meanwhile."""
        self._note(None)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()

    def _note(self, since: float | None) -> None:
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._since = since


class Watched:
    """A store whose every call is watched; once it was given up each raises StorageUnavailable, also one that wakes up.

    An object that is being put then is not stored, unless it had been handed over whole.
    """

    def __init__(self, storage: Storage, watch: Watch) -> None:
        self._storage, self._watch = storage, watch

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        def asked() -> None:
            self._watch.begin()
            if may_appear is not None:
                may_appear()

        with self._watch:
            return self._storage.put(key, self._given(iter(chunks)), asked)

    def get(self, key: str) -> Iterator[bytes]:
        return self._answers(self._storage.get(key))

    def size(self, key: str) -> int:
        with self._watch:
            return self._storage.size(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._answers(self._storage.keys(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return self._answers(self._storage.sizes(prefix))

    def delete(self, key: str) -> None:
        with self._watch:
            self._storage.delete(key)

    def partial(self, prefix: str) -> set[str]:
        with self._watch:
            return self._storage.partial(prefix)

    def discard_partial(self, prefix: str) -> int:
        with self._watch:
            return self._storage.discard_partial(prefix)

    def _given(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks; while the store waits for one it is not the store that hangs."""
        while True:
            self._watch.end()
            try:
                chunk = next(chunks, None)
            finally:
                self._watch.begin()
            if chunk is None:
                return
            yield chunk

    def _answers(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        while True:
            with self._watch:
                answer = next(answers, None)
            if answer is None:
                return
            yield answer
