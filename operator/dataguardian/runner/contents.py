"""What is held in memory of a dump: its head, as far as its table of contents goes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import chain

from ..engines import Command
from .run import Run
from .tool import MEMORY

LIMIT_BYTES = 64 * 1024 * 1024
READ_BYTES = 1024 * 1024


class Memory:
    """A file in memory; a program that gets ``file`` finds it at ``path``."""

    def __init__(self, content: bytes = b"") -> None:
        self.file = os.memfd_create("contents")
        self.path = f"/proc/self/fd/{self.file}"
        self.write(content)

    def write(self, content: bytes | memoryview) -> int:
        """Append all of it; return its size in bytes."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.file, rest) :]
        return len(content)

    def pieces(self) -> Iterator[bytes]:
        """What is in it."""
        at = 0
        while piece := os.pread(self.file, READ_BYTES, at):
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Forget it."""
        os.close(self.file)


class Head:
    """The head of a dump, read until a program (``command``) has seen the whole table of contents."""

    def __init__(self, run: Run, command: Command) -> None:
        self.memory = Memory()
        self.tool = run.start(command, stdin=subprocess.PIPE, stdout=MEMORY)
        self.complete = False  # whether the table of contents fits into memory

    def take(self, dump: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        """Read as much as is needed; the result is the whole dump again."""
        taken = 0
        while not self.complete and taken <= LIMIT_BYTES:
            piece = next(dump, b"")
            taken += self.memory.write(piece)
            try:
                self.tool.write(piece)
                self.complete = not piece
            except BrokenPipeError:  # it has seen enough
                self.complete = True
        self.tool.end_input()
        return chain(self.memory.pieces(), dump)

    def close(self) -> None:
        """Forget it."""
        self.tool.kill()
        self.tool.wait()
        self.tool.close()
        self.memory.close()
