"""The head of a dump, in memory: as far as its table of contents goes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

from ..engines import Command
from .run import Run
from .tool import MEMORY, Tool

LIMIT_BYTES = 64 * 1024 * 1024
READ_BYTES = 1024 * 1024


class Head:
    """Reads from a dump until a program has seen the whole table of contents; nothing of it touches a disk."""

    def __init__(self, run: Run, command: Command) -> None:
        self.file = os.memfd_create("contents")
        self.path = f"/proc/self/fd/{self.file}"  # for a program that gets the file
        self.tool: Tool = run.start(command, stdin=subprocess.PIPE, stdout=MEMORY)

    def take(self, dump: Iterator[bytes]) -> bool:
        """Read. False when the table of contents is longer than what is held in memory."""
        taken = 0
        for piece in dump:
            taken += os.write(self.file, piece)
            try:
                self.tool.write(piece)
            except BrokenPipeError:  # it has seen enough
                return True
            if taken > LIMIT_BYTES:
                return False
        self.tool.end_input()
        return True

    def pieces(self) -> Iterator[bytes]:
        """What was read, once more."""
        size, at = os.fstat(self.file).st_size, 0
        while at < size:
            piece = os.pread(self.file, READ_BYTES, at)
            at += len(piece)
            yield piece

    def close(self) -> None:
        """Forget it."""
        self.tool.kill()
        self.tool.wait()
        self.tool.close()
        os.close(self.file)
