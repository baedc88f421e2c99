"""``dataguardian api`` as a process: it starts whatever is down, and ends when it is told."""

from __future__ import annotations

import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .services import HOST, Service, free_port

PROGRAM = "from dataguardian.cli import main; main()"
MEMORY_KIB = 110 * 1024


@dataclass
class Sidecar(Service):
    """The sidecar with everything around it down."""

    def prepare(self) -> None:
        nobody = {"server": f"http://{self.host}:{free_port()}"}
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "none", "cluster": nobody}],
                    "users": [{"name": "none", "user": {}}],
                    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
                    "current-context": "none",
                }
            )
        )

    @property
    def kubeconfig(self) -> Path:
        """Names an API server that is not there."""
        return self.folder / "kubeconfig"

    def command(self) -> Sequence[str]:
        secret = self.folder / "secret"
        secret.write_text("x")
        variables = {
            "API_PORT": self.port, "POSTGRES_HOST": HOST, "POSTGRES_PORT": free_port(), "REDIS_HOST": HOST,
            "REDIS_PORT": free_port(), "POSTGRES_USERNAME_FILE": secret, "POSTGRES_PASSWORD_FILE": secret,
            "REDIS_PASSWORD_FILE": secret,
        }  # fmt: skip
        environment = [f"DATAGUARDIAN_{name}={value}" for name, value in variables.items()]
        environment.append(f"KUBECONFIG={self.kubeconfig}")
        return ["env", *environment, sys.executable, "-c", PROGRAM, "api"]

    def answers(self) -> bool:
        return self.health() is not None

    def log(self) -> list[dict[str, str]]:
        """Its lines."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def health(self) -> tuple[int, object] | None:
        """The status and the body of ``/health``; None when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/health", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)
        except OSError:
            return None


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    started = Sidecar()
    try:
        started.start()
        yield started
    finally:
        started.remove()


def test_it_serves_with_everything_around_it_down(sidecar: Sidecar) -> None:
    services = {"kubernetes": "down", "postgres": "down", "redis": "down"}

    assert sidecar.health() == (503, {"status": "down", "services": services})


def test_it_ends_in_order_when_it_is_told(sidecar: Sidecar) -> None:
    assert sidecar.process is not None

    sidecar.process.send_signal(signal.SIGTERM)

    assert sidecar.process.wait(timeout=5) == 0
    assert sidecar.health() is None
    assert [line["action"] for line in sidecar.log()] == ["api_serving", "api_ended"]


def test_it_is_small(sidecar: Sidecar) -> None:
    sidecar.health()
    assert sidecar.process is not None
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    (resident,) = [line for line in status.splitlines() if line.startswith("VmRSS")]

    assert int(resident.split()[1]) < MEMORY_KIB
