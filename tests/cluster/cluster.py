"""A real Kubernetes, through kubectl alone, so that it does not matter which one it is."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent.parent
PROGRAM = str(ROOT / "hack/cluster/cluster")
JSON = dict[str, Any]
T = TypeVar("T")
DEADLINE_S = 180.0


def eventually(what: str, look: Callable[[], T | None], *, deadline_s: float = DEADLINE_S) -> T:
    """What ``look`` finds, as soon as it finds something true; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"gave up after {deadline_s:.0f} s: {what}"
        time.sleep(0.5)


class Cluster:
    """The test cluster. Its name is fixed, so that no other cluster is ever touched."""

    def __init__(self) -> None:
        self._prefix: list[str] = []

    def program(self, *arguments: str) -> str:
        """One command of hack/cluster."""
        return _run([PROGRAM, *arguments])

    def up(self) -> None:
        """Bring it up, with the services' images and the product's."""
        self.program("up")
        self.program("service-images")
        self.program("build-image", "localhost/dataguardian:test", str(ROOT))

    def enter(self) -> None:
        """Learn how to reach it; it is up."""
        lines = dict(line.split("=", 1) for line in self.program("env").splitlines())
        self._prefix = shlex.split(lines["EXEC"])

    def helm(self, *arguments: str) -> str:
        return _run([*self._prefix, "helm", *arguments])

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; fails with what it says."""
        return _run([*self._prefix, "kubectl", *arguments], stdin)

    def bash(self, script: str) -> str:
        """What a script prints that runs where kubectl does; fails with what it says."""
        return _run([*self._prefix, "bash", "-s"], script)

    def refused(self, *objects: JSON, user: str = "") -> str:
        """What the API server says when it refuses these objects, new from that user; fails when it takes them."""
        command = [
            *self._prefix,
            "kubectl",
            *(["create", f"--as={user}"] if user else ["apply"]),
            "--dry-run=server",
            "-f",
            "-",
        ]
        ended = subprocess.run(command, input=_documents(objects), capture_output=True, text=True, check=False)
        assert ended.returncode != 0, "the API server took it"
        return ended.stderr

    def apply(self, *objects: JSON) -> None:
        self.kubectl("apply", "-f", "-", stdin=_documents(objects))

    def create(self, *objects: JSON, user: str) -> None:
        """Create them as this user."""
        self.kubectl("create", f"--as={user}", "-f", "-", stdin=_documents(objects))

    def get(self, namespace: str, kind: str, name: str) -> JSON | None:
        """The object; None when there is none."""
        found = self.kubectl("get", "-n", namespace, kind, name, "--ignore-not-found", "-o", "json")
        return dict(json.loads(found)) if found.strip() else None

    def list(self, namespace: str, kind: str, selector: str = "") -> list[JSON]:
        found = json.loads(self.kubectl("get", "-n", namespace, kind, "-l", selector, "-o", "json"))
        return list(found["items"])

    def inside(self, namespace: str, pod: str, *command: str, stdin: str | None = None) -> str:
        """What a command prints that runs in a pod."""
        interactive = [] if stdin is None else ["-i"]
        return self.kubectl("exec", "-n", namespace, *interactive, pod, "--", *command, stdin=stdin)

    def logs(self, namespace: str, name: str) -> str:
        """The log of a pod or Job so far; empty while there is none."""
        command = [*self._prefix, "kubectl", "logs", "-n", namespace, name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def processes(self, *, command: str, environment: str) -> Sequence[str]:
        """Ids, on the node, of the processes with these words in their command line and their environment."""
        script = (
            'for p in /proc/[0-9]*; do if tr "\\0" " " < $p/cmdline 2>/dev/null | grep -q -- "$1" '
            '&& grep -qa -- "$2" $p/environ 2>/dev/null; then echo ${p#/proc/}; fi; done'
        )
        return self.program("node-exec", "sh", "-c", script, "find", command, environment).split()

    def kill(self, *, command: str, environment: str) -> None:
        """SIGKILL, from the node, to these processes; there must be some."""
        found = self.processes(command=command, environment=environment)
        assert found, f"no process runs {command!r}"
        self.program("node-exec", "kill", "-9", *found)


def _documents(objects: Sequence[JSON]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _run(command: Sequence[str], stdin: str | None = None) -> str:
    ended = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{shlex.join(command)[:400]}\n{ended.stderr[-3000:]}"
    return ended.stdout
