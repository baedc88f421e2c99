"""A store that may hang, for a thread that has to go on: each call is made in a thread of its own, and is waited for no
longer than a store may keep one waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from ..domain.plan import Target
from ..errors import StorageUnavailable
from ..storage import Storage, opened
from . import watched
from .channel import LOOK_SECONDS, Channel, Source, Stopped
from .run import Run

KEYS_AT_ONCE = 256

Answer = TypeVar("Answer")


def attended(target: Target, run: Run) -> Storage:
    """The store of a target. Raises NotFound when a file with its credentials is missing."""
    return Attended(opened(target), target.location, run.check)


class Attended:
    """A store that raises StorageUnavailable for a call that hangs, and for every one after that; safe for threads.

    ``check`` is called while the store is waited for; what it raises ends the wait. What hung is left to itself: it may
    still happen when the store wakes up, so that this is for reading, for deleting, and for small objects.
    """

    def __init__(self, storage: Storage, location: str, check: Callable[[], None]) -> None:
        self._storage, self._location, self._check = storage, location, check
        self._lost: StorageUnavailable | None = None

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        return self._ask(lambda: self._storage.put(key, chunks, may_appear))

    def get(self, key: str) -> Iterator[bytes]:
        """By one thread, which reads a few chunks ahead: one for each chunk would be slow."""
        self._raise_if_lost()
        source, channel, over = Source(self._storage.get(key)), Channel(), threading.Event()
        threading.Thread(target=_read, args=(source, channel, over), daemon=True).start()
        until = self._limit()

        def check() -> None:
            self._wait_until(until)

        try:
            for chunk in channel.chunks(check):
                yield chunk
                until = self._limit()  # whoever reads may take its time
        except Stopped:
            raise source.failure or Stopped from None
        finally:
            over.set()
            channel.close()

    def size(self, key: str) -> int:
        return self._ask(lambda: self._storage.size(key))

    def keys(self, prefix: str) -> Iterator[str]:
        return self._answers(self._storage.keys(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return self._answers(self._storage.sizes(prefix))

    def delete(self, key: str) -> None:
        self._ask(lambda: self._storage.delete(key))

    def partial(self, prefix: str) -> set[str]:
        return self._ask(lambda: self._storage.partial(prefix))

    def discard_partial(self, prefix: str) -> int:
        return self._ask(lambda: self._storage.discard_partial(prefix))

    def _answers(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        while some := self._ask(lambda: list(islice(answers, KEYS_AT_ONCE))):
            yield from some

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        answers: list[Answer] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                answers.append(call())
            except BaseException as error:  # it is raised where the answer is waited for
                errors.append(error)

        self._raise_if_lost()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        until = self._limit()
        thread.join(LOOK_SECONDS)
        while thread.is_alive():
            self._wait_until(until)
            thread.join(LOOK_SECONDS)
        if errors:
            raise errors[0]
        return answers[0]

    def _limit(self) -> float:
        return time.monotonic() + watched.STALL_SECONDS

    def _wait_until(self, limit: float) -> None:
        """Called again and again while the store is waited for."""
        self._check()
        if self._lost is None and time.monotonic() > limit:
            self._lost = watched.hung(self._location, remedy="Look at its volume or server.")
        self._raise_if_lost()

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise self._lost


def _read(source: Source, channel: Channel, over: threading.Event) -> None:
    whole = False
    try:
        for chunk in source:
            if over.is_set():
                return
            channel.send(chunk, lambda: None)
        whole = True
    except Stopped:
        pass  # ``source.failure`` tells why
    finally:
        channel.end(whole=whole)
