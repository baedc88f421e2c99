"""Operators as processes, each with an account of its own that has the chart's rights and no others."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from dataguardian.kube.rbac import CONTROLLER_RULES, LEASE_RULES

from .apiserver import ApiServer
from .services import HOST, PostgresServer, RedisServer, Service, free_port

PROGRAM = "from dataguardian.cli import main; main()"


@dataclass
class Operator(Service):
    """One ``dataguardian operator``. It answers as soon as it runs, as a standby or as the one that leads."""

    apiserver: ApiServer
    postgres: PostgresServer
    database: str
    redis: RedisServer
    namespace: str
    account: str
    settings: dict[str, str] = field(default_factory=dict)
    metrics_port: int = field(default_factory=free_port)

    def prepare(self) -> None:
        self._allow()
        token = self.apiserver.kubectl("create", "token", self.account, f"--namespace={self.namespace}").strip()
        config = yaml.safe_load(self.apiserver.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        self.kubeconfig.write_text(yaml.safe_dump(config))
        self._secret("username", self.postgres.user)
        self._secret("password", self.postgres.password)
        self._secret("redis", self.redis.password)

    @property
    def kubeconfig(self) -> Path:
        """Its account's."""
        return self.folder / "kubeconfig"

    @property
    def user(self) -> str:
        """Its name in the API server's audit log."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def command(self) -> Sequence[str]:
        variables = {
            "NAMESPACE": self.namespace, "LIVENESS_PORT": self.port, "METRICS_PORT": self.metrics_port,
            "RUNNER_IMAGE": "unused",
            "POSTGRES_HOST": HOST, "POSTGRES_PORT": self.postgres.port, "POSTGRES_DATABASE": self.database,
            "POSTGRES_USERNAME_FILE": self.folder / "username", "POSTGRES_PASSWORD_FILE": self.folder / "password",
            "REDIS_HOST": HOST, "REDIS_PORT": self.redis.port, "REDIS_PASSWORD_FILE": self.folder / "redis",
            **self.settings,
        }  # fmt: skip
        environment = [f"DATAGUARDIAN_{name}={value}" for name, value in variables.items()]
        return ["env", *environment, f"KUBECONFIG={self.kubeconfig}", sys.executable, "-c", PROGRAM, "operator"]

    def answers(self) -> bool:
        return self.healthz() is not None

    def healthz(self) -> tuple[int, dict[str, object]] | None:
        """Status and body of ``/healthz``; None when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/healthz", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)
        except OSError:
            return None

    def metrics(self) -> str:
        """What it tells of its process."""
        with urllib.request.urlopen(f"http://{self.host}:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    @property
    def leads(self) -> bool:
        """Whether it says so."""
        answer = self.healthz()
        return answer is not None and answer[1]["leading"] is True

    def resident_mib(self) -> float:
        """Its memory."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (resident,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(resident.split()[1]) / 1024

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text()

    def _secret(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def _allow(self) -> None:
        name = {"name": self.account}
        subject = {"kind": "ServiceAccount", "name": self.account, "namespace": self.namespace}
        group = "rbac.authorization.k8s.io"
        objects = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
            *(
                {"apiVersion": f"{group}/v1", "kind": kind, "metadata": name, "rules": rules}
                for kind, rules in (("ClusterRole", CONTROLLER_RULES), ("Role", LEASE_RULES))
            ),
            *(
                {
                    "apiVersion": f"{group}/v1",
                    "kind": f"{kind}Binding",
                    "metadata": name,
                    "roleRef": {"apiGroup": group, "kind": kind, "name": self.account},
                    "subjects": [subject],
                }
                for kind in ("ClusterRole", "Role")
            ),
        ]
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.apiserver.kubectl("apply", f"--namespace={self.namespace}", "--filename=-", stdin=body)
