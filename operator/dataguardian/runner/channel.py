"""The chunks of one object on their way to several stores, each written to by a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

DEPTH = 4  # chunks of 1 MiB at most that wait for one store; then the sender waits for it
LOOK_SECONDS = 0.25  # a waiting thread looks this often whether the run goes on


class Stopped(Exception):
    """No whole object comes of the chunks: their source failed, or is no longer wanted."""


class Source:
    """Chunks, and how they ended: a store sees Stopped when they fail, so that it is not taken for the culprit."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.size = 0  # bytes so far
        self.failure: Exception | None = None
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self.size += len(chunk)
                yield chunk
        except Exception as error:  # whatever it is, it ends every copy; the caller raises it again
            self.failure = error
            raise Stopped from error


class Channel:
    """From the thread that has the chunks to the one that stores them, a few at a time.

    Each side brings a ``check``, which is called while it waits; what it raises ends the wait.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._ended = self._whole = self._closed = False

    def send(self, chunk: bytes, check: Callable[[], None]) -> None:
        """Hand over a chunk, once there is room; a store that takes no more gets none."""
        with self._change:
            while len(self._chunks) >= DEPTH and not self._closed:
                self._wait(check)
            if not self._closed:
                self._chunks.append(chunk)
                self._change.notify_all()

    def end(self, *, whole: bool) -> None:
        """No more chunks come; the object is ``whole``, or must not be stored."""
        with self._change:
            self._ended, self._whole = True, whole
            self._change.notify_all()

    def close(self) -> None:
        """The store takes no more, or gets no more."""
        with self._change:
            self._closed = True
            self._chunks.clear()
            self._change.notify_all()

    def chunks(self, check: Callable[[], None]) -> Iterator[bytes]:
        """What was sent, to its end. Raises Stopped when the object must not be stored."""
        while True:
            with self._change:
                while not (self._chunks or self._ended or self._closed):
                    self._wait(check)
                if self._closed or (self._ended and not self._whole):
                    raise Stopped
                if not self._chunks:
                    return
                chunk = self._chunks.popleft()
                self._change.notify_all()
            yield chunk

    def _wait(self, check: Callable[[], None]) -> None:
        self._change.wait(LOOK_SECONDS)
        check()
