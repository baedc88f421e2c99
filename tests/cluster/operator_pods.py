"""The operator's Deployment, which a test may stop, start with other settings, freeze and kill."""

from __future__ import annotations

import json
from pathlib import Path

from .cluster import JSON, Cluster, eventually

NAMESPACE = "dataguardian"
PODS = "app.kubernetes.io/component=operator"
DEPLOYMENT = "deployment/dataguardian"
LEASE = "dataguardian-operator"
HALT = Path(__file__).parent / "halt.py"
COMMAND = "dataguardian operator"


class OperatorPods:
    """The pods of the operator, with the program of ``halt.py`` mounted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def stop(self) -> None:
        """No operator runs when this returns."""
        self._scale(0)
        eventually("no operator runs", lambda: not self._cluster.list(NAMESPACE, "pods", PODS))

    def start(self, replicas: int = 1, *, halt_at: str = "", **env: str) -> None:
        """Run with these settings; the operator halts at a point of ``halt.py``, if one is named."""
        self._mount(replicas, {"HALT_AT": halt_at, **env})
        if not halt_at:
            self._cluster.kubectl("rollout", "status", "-n", NAMESPACE, DEPLOYMENT, "--timeout=180s")

    def until_halted(self) -> None:
        """Return when the operator stands still at its point."""
        eventually("the operator halts", self._halted)

    def kill(self) -> None:
        """SIGKILL to every operator; the kubelet starts them again."""
        self._cluster.kill(command=COMMAND, environment="DATAGUARDIAN_NAMESPACE=dataguardian")

    def leader(self) -> str:
        """The name of the pod that leads."""

        def look() -> str | None:
            lease = self._cluster.get(NAMESPACE, "lease", LEASE) or {}
            holder = lease.get("spec", {}).get("holderIdentity") or ""
            return next((name for name in self.names() if holder.startswith(name)), None)

        return eventually("an operator leads", look)

    def names(self) -> list[str]:
        """The names of the pods."""
        return [pod["metadata"]["name"] for pod in self._cluster.list(NAMESPACE, "pods", PODS)]

    def signal(self, name: str, pod: str) -> None:
        """Send a signal to the operator in this pod, such as STOP or CONT."""
        found = self._cluster.processes(command=COMMAND, environment=f"HOSTNAME={pod}")
        assert found, f"no operator runs in {pod}"
        self._cluster.program("node-exec", "kill", f"-{name}", *found)

    def restarts(self, pod: str) -> int:
        """How often the operator in this pod was started again."""
        found = self._cluster.get(NAMESPACE, "pod", pod)
        assert found is not None
        return next(
            int(each["restartCount"]) for each in found["status"]["containerStatuses"] if each["name"] == "operator"
        )

    def _halted(self) -> bool:
        for name in self.names():
            try:
                self._cluster.inside(NAMESPACE, name, "test", "-e", "/tmp/halted")
            except AssertionError:
                continue
            return True
        return False

    def _scale(self, replicas: int) -> None:
        self._cluster.kubectl("scale", "-n", NAMESPACE, DEPLOYMENT, f"--replicas={replicas}")

    def _mount(self, replicas: int, env: dict[str, str]) -> None:
        program = {"sitecustomize.py": HALT.read_text()}
        meta = {"name": "halt", "namespace": NAMESPACE}
        self._cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": program})
        container: JSON = {
            "name": "operator",
            "env": [{"name": key, "value": value} for key, value in {"PYTHONPATH": "/halt", **env}.items()],
            "volumeMounts": [{"name": "halt", "mountPath": "/halt"}],
        }
        template = {"containers": [container], "volumes": [{"name": "halt", "configMap": {"name": "halt"}}]}
        patch = {"spec": {"replicas": replicas, "template": {"spec": template}}}
        self._cluster.kubectl("patch", "-n", NAMESPACE, DEPLOYMENT, "-p", json.dumps(patch))
