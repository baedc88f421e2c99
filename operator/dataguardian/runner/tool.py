"""A program of an engine while it runs: its pipes, its end and what it said about it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from typing import cast

from ..engines import Command

PIPE_BYTES = 1024 * 1024  # fewer wake-ups than the default of 64 KiB
SAID_BYTES = 16 * 1024
# What a program prints beside its data goes to memory, so that nobody has to read it while the program runs.
MEMORY = -100


class Tool:
    """One process; its stderr is kept, its stdout is a pipe, kept too (``MEMORY``) or nothing.

    ``files`` are descriptors that it gets as they are; ``ending`` is the signal that ends it.
    """

    def __init__(
        self,
        command: Command,
        *,
        stdin: int,
        stdout: int,
        files: Sequence[int] = (),
        ending: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = os.path.basename(command.argv[0])  # noqa: PTH119 - pathlib would be one more import at start
        self._said = os.memfd_create("said")
        self._printed = os.memfd_create("printed") if stdout == MEMORY else None
        self._process = subprocess.Popen(
            command.argv,
            env=command.env,
            bufsize=0,
            stdin=stdin,
            stdout=stdout if self._printed is None else self._printed,
            stderr=self._said,
            pass_fds=files,
        )
        self._ending = ending
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # the limit for unprivileged users is reached: slower, not wrong
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def input(self) -> FileIO:
        """Its stdin."""
        return cast(FileIO, self._process.stdin)

    @property
    def output(self) -> FileIO:
        """Its stdout."""
        return cast(FileIO, self._process.stdout)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it to its stdin. Raises BrokenPipeError when it no longer reads."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.input.fileno(), rest) :]

    def end_input(self) -> None:
        """Close its stdin; a second time is nothing."""
        with suppress(BrokenPipeError):
            self.input.close()

    def wait(self) -> bool:
        """Wait for its end; whether it succeeded."""
        return self._process.wait() == 0

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end, no longer than this; whether it has come."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        return self._process.returncode is not None

    def said(self) -> str:
        """The end of what it wrote to stderr, and the signal that killed it."""
        size = os.fstat(self._said).st_size
        text = os.pread(self._said, SAID_BYTES, max(0, size - SAID_BYTES)).decode(errors="replace").strip()
        status = self._process.returncode
        if status is not None and status < 0:
            return f"{text}\n{self.name}: error: it was killed by signal {-status}".strip()
        return text

    def printed(self) -> bytes:
        """What it wrote to stdout, when that was kept."""
        if self._printed is None:
            return b""
        return os.pread(self._printed, os.fstat(self._printed).st_size, 0)

    def kill(self) -> None:
        """End it now; one that has ended is left alone."""
        with suppress(ProcessLookupError):
            self._process.send_signal(self._ending)

    def close(self) -> None:
        """Give back what the kernel holds for it; it has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        for kept in (self._said, self._printed):
            if kept is not None:
                os.close(kept)
