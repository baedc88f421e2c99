"""The sidecar as a process of its own, as a pod has it."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .apiserver import ApiServer
from .clients import postgres_settings, redis_settings
from .services import PostgresServer, RedisServer, Service

PROGRAM = "from dataguardian.cli import main; main()"


@dataclass
class Sidecar(Service):
    """``dataguardian api``; ``variables`` are its environment, without the prefix."""

    variables: Mapping[str, object] = field(default_factory=dict)
    kubeconfig: Path = Path()

    def command(self) -> Sequence[str]:
        variables = {**self.variables, "API_PORT": self.port}
        environment = [f"DATAGUARDIAN_{name}={value}" for name, value in variables.items()]
        return ["env", *environment, f"KUBECONFIG={self.kubeconfig}", sys.executable, "-c", PROGRAM, "api"]

    def answers(self) -> bool:
        return self.health() is not None

    def log(self) -> list[dict[str, Any]]:
        """Its lines."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def health(self) -> tuple[int, object] | None:
        """The status and the body of ``/health``; None when nobody answers."""
        return self.get("/health")

    def get(self, path: str, *, seconds: float = 5) -> tuple[int, object] | None:
        """The status and the body of a path; None when nobody answers in time."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=seconds) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)
        except OSError:
            return None


def sidecar_of(
    apiserver: ApiServer, postgres: PostgresServer, database: str, redis: RedisServer, folder: Path
) -> Sidecar:
    """One that works with these services; its secrets are files in the folder."""
    history, queue = postgres_settings(postgres, database, folder), redis_settings(redis, folder)
    variables = {
        "POSTGRES_HOST": history.host,
        "POSTGRES_PORT": history.port,
        "POSTGRES_DATABASE": database,
        "POSTGRES_USERNAME_FILE": history.username_file,
        "POSTGRES_PASSWORD_FILE": history.password_file,
        "REDIS_HOST": queue.host,
        "REDIS_PORT": queue.port,
        "REDIS_PASSWORD_FILE": queue.password_file,
    }
    return Sidecar(variables=variables, kubeconfig=apiserver.kubeconfig)
