"""A real API server on its own etcd, without nodes: what the operator and the sidecar talk to in tests."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import client, config

from dataguardian.domain.token_bucket import TokenBucket
from dataguardian.kube.client import Kubernetes

from .clients import until
from .services import ROOT, Service, free_port, program
from .valve import Valve

TOKEN = "test-admin-token"
AUDITED = ("create", "update", "patch", "delete", "deletecollection")


def kubernetes_bin() -> Path:
    """The folder of etcd, kube-apiserver and kubectl: DATAGUARDIAN_KUBE_BIN, else what ``hack/cluster`` builds."""
    named = os.environ.get("DATAGUARDIAN_KUBE_BIN")
    return Path(named) if named else program("kubernetes")


@dataclass
class Etcd(Service):
    """Where the API server keeps its objects."""

    peer_port: int = field(default_factory=free_port, init=False)

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        peers = f"http://{self.host}:{self.peer_port}"
        return [
            str(kubernetes_bin() / "etcd"), "--unsafe-no-fsync", f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        ]  # fmt: skip

    def answers(self) -> bool:
        return _is_ready(HTTPConnection(self.host, self.port, timeout=2))


@dataclass
class ApiServer(Service):
    """The API server with our CRDs. It has no controllers: nothing but tests changes its objects.

    One that is ``audited`` remembers who wrote.
    """

    etcd: Etcd = field(default_factory=Etcd)
    audited: bool = False
    _clients: int = field(default=0, init=False)
    _ports: set[int] = field(default_factory=set, init=False)

    def prepare(self) -> None:
        new_key = ["openssl", "genrsa", "-out", str(self.folder / "service-accounts.key"), "2048"]
        subprocess.run(new_key, check=True, capture_output=True)
        (self.folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.kubeconfig.write_text(yaml.safe_dump(self._kubeconfig()))
        writes = {"level": "Metadata", "verbs": list(AUDITED), "omitStages": ["RequestReceived"]}
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [writes, {"level": "None"}]}
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(policy))

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def certificate(self) -> Path:
        """What signs the server, and the server's own."""
        return self.folder / "certs" / "apiserver.crt"

    def command(self) -> Sequence[str]:
        key, issuer = self.folder / "service-accounts.key", "https://kubernetes.default.svc"
        return [
            str(kubernetes_bin() / "kube-apiserver"), f"--etcd-servers={self.etcd.url}",
            f"--bind-address={self.host}", f"--secure-port={self.port}", f"--cert-dir={self.folder / 'certs'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--service-account-issuer={issuer}", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24",
            # Its controllers would make the accounts that this one demands.
            "--disable-admission-plugins=ServiceAccount",
            *(["--audit-policy-file", str(self.folder / "audit.yaml")] if self.audited else []),
            *(["--audit-log-path", str(self.folder / "audit.log")] if self.audited else []),
        ]  # fmt: skip

    def start(self) -> None:
        self.etcd.start()
        super().start()
        self.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def remove(self) -> None:
        super().remove()
        self.etcd.remove()

    def answers(self) -> bool:
        if not self.certificate.exists():
            return False
        try:
            trust = ssl.create_default_context(cafile=self.certificate)
        except ssl.SSLError:  # the file is there, and not written yet
            return False
        return _is_ready(HTTPSConnection(self.host, self.port, timeout=2, context=trust))

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl prints. Raises AssertionError with what it complains of."""
        command = [str(kubernetes_bin() / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def writes(self, user: str, *, since: float = 0) -> list[dict[str, Any]]:
        """The entries of the audit log about a user's writes after a time, taken or refused."""
        entries = [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]
        return [
            entry
            for entry in entries
            if entry["user"]["username"] == user
            and datetime.fromisoformat(entry["stageTimestamp"]).timestamp() >= since
        ]

    def namespace(self) -> str:
        """The name of a new, empty namespace."""
        name = f"ns-{uuid.uuid4().hex[:12]}"
        self.kubectl("create", "namespace", name)
        return name

    @asynccontextmanager
    async def connect(
        self,
        *,
        user: str | None = None,
        bucket: TokenBucket | None = None,
        make: type[Kubernetes] = Kubernetes,
        through: Valve | None = None,
    ) -> AsyncIterator[Kubernetes]:
        """Our own client, as the administrator or somebody else. After the last one no connection is left."""
        self._ports.add((through or self).port)
        self._clients += 1
        try:
            async with self._client(through) as api:
                if user:
                    api.default_headers["Impersonate-User"] = user
                yield make(api, bucket=bucket)
        finally:
            self._clients -= 1
            if not self._clients:
                # What was cancelled is closed in the background, and the loop must not end before.
                await until(self._is_left, what="all connections to the API server are closed", seconds=10)

    @asynccontextmanager
    async def _client(self, through: Valve | None) -> AsyncIterator[client.ApiClient]:
        configuration = client.Configuration()
        await config.load_kube_config(  # type: ignore[no-untyped-call]  # has no annotations
            str(self.kubeconfig), client_configuration=configuration
        )
        if through:
            configuration.host = f"https://{through.host}:{through.port}"
        async with client.ApiClient(configuration) as api:
            yield api

    async def _is_left(self) -> bool:
        """Whether this process has no connection to it."""
        ours = set[str]()
        for descriptor in Path("/proc/self/fd").iterdir():  # noqa: ASYNC240  # /proc is memory
            with suppress(FileNotFoundError):
                ours.add(str(descriptor.readlink()))
        rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]  # noqa: ASYNC240  # the same
        peers = tuple(f":{port:04X}" for port in self._ports)
        return not any(row[2].endswith(peers) and f"socket:[{row[9]}]" in ours for row in rows)

    def _kubeconfig(self) -> dict[str, object]:
        server = {"server": f"https://{self.host}:{self.port}", "certificate-authority": str(self.certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }


def _is_ready(connection: HTTPConnection) -> bool:
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
