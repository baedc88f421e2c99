"""The dump on its way from the program that writes it to the store: compressed, hashed and cut into segments."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from ..codec import Compressor
from ..engines import Contents, Engine
from ..errors import DumpFailed
from .run import Run
from .tool import MEMORY, Tool

if TYPE_CHECKING:
    import hashlib


class Head:
    """Proves that the table of contents can be read: its program gets the head of the dump until it has seen enough."""

    def __init__(self, run: Run, engine: Engine, major: int, seen: Callable[[Contents], None]) -> None:
        self._engine, self._seen = engine, seen
        self._tool: Tool | None = run.start(engine.list_contents(major), stdin=subprocess.PIPE, stdout=MEMORY)

    def feed(self, data: bytes) -> None:
        """Hand over bytes; once the program has ended, nothing. Raises DumpFailed when it found no contents."""
        if self._tool is None:
            return
        try:
            self._tool.write(data)
        except BrokenPipeError:  # it has read its part
            self.end()

    def end(self) -> None:
        """No more bytes come. Raises DumpFailed when the contents could not be read."""
        if self._tool is None:
            return
        tool, self._tool = self._tool, None
        tool.end_input()
        if not tool.wait():
            raise DumpFailed(
                f"The dump's table of contents cannot be read: {tool.said()}",
                remedy="Run the backup again; when it happens again, report it with the run's log.",
            )
        self._seen(self._engine.contents(tool.printed().decode(errors="replace")))


class DumpStream:
    """The compressed dump, in segments, each an iterator for ``Storage.put``.

    It ends well only when the dump did: any failure is raised from the iterator, so that the store keeps nothing.
    """

    def __init__(self, pieces: Iterator[bytes], head: Head, compressor: Compressor) -> None:
        self.dump_bytes = 0
        self._pieces, self._head, self._compressor = pieces, head, compressor
        self._whole = sha256()
        self._segment: hashlib._Hash | None = None  # the first segment's is the one of the whole
        self._chunks = self._compressed()
        self._begun = False
        self._ready = b""  # taken from the stream, not yet part of a segment

    @property
    def checksum(self) -> str:
        """Of all segments so far, in order."""
        return f"sha256:{self._whole.hexdigest()}"

    @property
    def segment_sha256(self) -> str:
        """Of the segment that was read last."""
        return (self._segment or self._whole).hexdigest()

    def more(self) -> bool:
        """Whether bytes follow."""
        if not self._ready:
            self._ready = next(self._chunks, b"")
        return bool(self._ready)

    def segment(self, limit: int) -> Iterator[bytes]:
        """The next segment, of at most ``limit`` bytes; read it to its end."""
        self._segment = sha256() if self._begun else None
        self._begun = True
        while limit and self.more():
            chunk, self._ready = self._ready[:limit], self._ready[limit:]
            limit -= len(chunk)
            self._whole.update(chunk)
            if self._segment is not None:
                self._segment.update(chunk)
            yield chunk

    def _compressed(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.dump_bytes += len(piece)
            self._head.feed(piece)
            if chunk := self._compressor.compress(piece):
                yield chunk
        self._head.end()
        if chunk := self._compressor.finish():
            yield chunk
