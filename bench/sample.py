"""Measuring a process and all that it starts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PERIOD_SECONDS = 0.04


@dataclass(frozen=True)
class Figures:
    """One measurement: seconds and bytes."""

    wall: float
    cpu: float  # of all processes, user and system
    memory: int  # the highest sum of the private resident memory of all processes, sampled
    disk: int  # what all processes gave to the disk
    first_byte: float | None = None


def run(argv: Sequence[str], env: Mapping[str, str], output: Path) -> Figures:
    """Run the program to its end. Raises RuntimeError with its output when it fails."""
    with output.open("wb") as file:
        started = time.monotonic()
        process = subprocess.Popen(argv, env=env, stdout=file, stderr=subprocess.STDOUT)
        sampler = _Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    if process.returncode:
        raise RuntimeError(output.read_text(errors="replace")[-4000:])
    return Figures(wall, usage.ru_utime + usage.ru_stime, sampler.memory, sum(sampler.disk.values()))


def settle() -> None:
    """Let earlier writes reach the disk, so that they do not slow what comes next."""
    os.sync()


class _Sampler(threading.Thread):
    """Looks at a process tree all the time."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.memory = 0
        self.disk: dict[int, int] = {}
        self._root = root
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PERIOD_SECONDS):
            self.memory = max(self.memory, sum(self._look(pid) for pid in self._tree(self._root)))

    def stop(self) -> None:
        """No more looks."""
        self._over.set()
        self.join()

    def _tree(self, pid: int) -> list[int]:
        found = [pid]
        try:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                for child in children.read_text().split():
                    found += self._tree(int(child))
        except OSError:
            pass  # it has ended
        return found

    def _look(self, pid: int) -> int:
        try:
            written = Path(f"/proc/{pid}/io").read_text()
            memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0
        self.disk[pid] = _field(written, "write_bytes")
        return 1024 * (_field(memory, "Private_Clean") + _field(memory, "Private_Dirty"))


def _field(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))
