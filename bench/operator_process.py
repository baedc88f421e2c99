"""The operator as a process, and what the kernel tells of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.integration.services import Service, free_port

PROGRAM = "from dataguardian.cli import main; main()"
TICKS = os.sysconf("SC_CLK_TCK")
CALM_S = 3.0


@dataclass
class Operator(Service):
    """``dataguardian operator``; ``variables`` are its environment, without the prefix."""

    variables: Mapping[str, object] = field(default_factory=dict)
    kubeconfig: Path = Path()

    def command(self) -> Sequence[str]:
        variables = {**self.variables, "LIVENESS_PORT": self.port, "METRICS_PORT": free_port()}
        environment = [f"DATAGUARDIAN_{name}={value}" for name, value in variables.items()]
        return ["env", *environment, f"KUBECONFIG={self.kubeconfig}", sys.executable, "-c", PROGRAM, "operator"]

    def answers(self) -> bool:
        connection = HTTPConnection(self.host, self.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self.process is not None
        return self.process.pid

    def cpu_seconds(self) -> float:
        """User and system time since its start."""
        return cpu_seconds_of(self.pid)

    def memory(self) -> Memory:
        """What it holds now, and held at most."""
        return memory_of(self.pid)

    def wait_calm(self, *, seconds: float) -> None:
        """Return when it has next to nothing to do any more. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(CALM_S)
            if self.cpu_seconds() - before < 0.05 * CALM_S:
                return
        raise TimeoutError(f"the operator is still busy after {seconds} s; {self.folder}/log")


@dataclass(frozen=True)
class Memory:
    """Megabytes (of a million bytes): resident, at most so far, and its own alone."""

    resident: float
    peak: float
    private: float

    def __str__(self) -> str:
        return f"{self.resident:.0f} MB (at most {self.peak:.0f}, private {self.private:.0f})"


def cpu_seconds_of(pid: int) -> float:
    """User and system time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid: int) -> Memory:
    """What a process holds now, and held at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    shared = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return Memory(
        resident=_kib(status, "VmRSS"),
        peak=_kib(status, "VmHWM"),
        private=_kib(shared, "Private_Clean") + _kib(shared, "Private_Dirty"),
    )


def _kib(text: str, name: str) -> float:
    return next(int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith(f"{name}:"))
