"""The API server of the bench, which writes down each request of the operator, and what can be read from that."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from tests.integration.apiserver import TOKEN, ApiServer

OPERATOR = "operator"
OPERATOR_TOKEN = "bench-operator-token"  # noqa: S105 - of a server that lives for a bench
WRITES = frozenset({"create", "update", "patch", "delete"})
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
    "rules": [{"level": "Metadata", "users": [OPERATOR], "omitManagedFields": True}, {"level": "None"}],
}


@dataclass(frozen=True)
class Request:
    """One request of the operator."""

    at: float  # seconds since the epoch, when the server got it
    verb: str
    resource: str  # with the subresource: backupjobs/status
    namespace: str
    name: str
    status: int

    @property
    def what(self) -> str:
        """The request without the object."""
        return f"{self.verb} {self.resource}"


@dataclass
class ControlPlane(ApiServer):
    """Etcd and the API server; the operator is a user of its own, and only its requests are written down."""

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "tokens.csv").write_text(
            f'{TOKEN},admin,admin,"system:masters"\n{OPERATOR_TOKEN},{OPERATOR},{OPERATOR},"system:masters"\n'
        )
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
        theirs = self._kubeconfig() | {"users": [{"name": "admin", "user": {"token": OPERATOR_TOKEN}}]}
        self.operators_kubeconfig.write_text(yaml.safe_dump(theirs))

    @property
    def operators_kubeconfig(self) -> Path:
        """The operator's."""
        return self.folder / "operators-kubeconfig"

    def command(self) -> Sequence[str]:
        return [
            *super().command(),
            f"--audit-policy-file={self.folder / 'policy.yaml'}",
            f"--audit-log-path={self.folder / 'audit.log'}",
            "--audit-log-mode=batch",
        ]

    def requests(self, since: float, until: float = float("inf")) -> Iterator[Request]:
        """The operator's requests between two times (seconds since the epoch) that have been answered."""
        # A reader of its own: the server goes on writing, and the last line may be half there.
        for line in (self.folder / "audit.log").read_bytes().splitlines():
            try:
                request = _request(json.loads(line))
            except ValueError:
                continue
            if request is not None and since <= request.at < until:
                yield request

    def keep_log(self, file: Path) -> None:
        """A copy of the requests for later."""
        shutil.copyfile(self.folder / "audit.log", file)


def _request(line: dict[str, object]) -> Request | None:
    about = line.get("objectRef")
    answer = line.get("responseStatus")
    if not isinstance(about, dict) or not isinstance(answer, dict):
        return None
    subresource = about.get("subresource")
    return Request(
        at=datetime.fromisoformat(str(line["requestReceivedTimestamp"])).timestamp(),
        verb=str(line["verb"]),
        resource=str(about["resource"]) + (f"/{subresource}" if subresource else ""),
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        status=int(answer.get("code", 0)),
    )


def busiest_second(requests: Sequence[Request]) -> int:
    """The highest number of requests in one second of the clock."""
    return max(Counter(int(request.at) for request in requests).values(), default=0)
