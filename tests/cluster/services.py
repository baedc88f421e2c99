"""The databases and buckets of the tests: two PostgreSQL servers and an S3 server, whose files can be looked at."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from .cluster import JSON, Cluster, eventually

NAMESPACE = "services"
DATABASE_SERVERS = ("db", "staging")
# Grepped for in everything that can be read: none of these may ever be seen.
DATABASE_PASSWORD = "canary-database-7f3a"
S3_SECRET_KEY = "canary-s3-91bd"
S3_KEY_ID = "backups"
RESTRICTED: JSON = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
FINGERPRINT = (Path(__file__).parent / "fingerprint.sql").read_text()
SAMPLE = (Path(__file__).parent / "sample.sql").read_text()


def secret(namespace: str, name: str, **values: str) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": values,
    }


def service(namespace: str, name: str, port: int) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }


def server(namespace: str, name: str, image: str, user: int, *, env: JSON, mounts: dict[str, str]) -> JSON:
    """A StatefulSet of one pod; ``mounts`` are paths, and what is there: ``claim`` or ``empty``."""
    claims = [volume for volume, kind in mounts.items() if kind == "claim"]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": user,
                        "runAsGroup": user,
                        "fsGroup": user,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": name,
                            "image": image,
                            "env": [{"name": key, "value": value} for key, value in env.items()],
                            "securityContext": RESTRICTED,
                            "volumeMounts": [
                                {"name": f"v{index}", "mountPath": path} for index, path in enumerate(mounts)
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": f"v{index}", "emptyDir": {}}
                        for index, kind in enumerate(mounts.values())
                        if kind == "empty"
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": f"v{list(mounts).index(path)}"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
                for path in claims
            ],
        },
    }


def s3_server(namespace: str, name: str) -> list[JSON]:
    """An S3 server whose buckets are folders of /data."""
    env = {"ROOT_ACCESS_KEY": S3_KEY_ID, "ROOT_SECRET_KEY": S3_SECRET_KEY}
    image = "localhost/dataguardian-s3:1"
    return [
        service(namespace, name, 7070),
        server(namespace, name, image, 1000, env=env, mounts={"/data": "claim", "/tmp": "empty"}),
    ]


class Services:
    """The shared servers."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def create(self) -> None:
        """Let them start."""
        mounts = {"/var/lib/postgresql/data": "claim", "/var/run/postgresql": "empty", "/tmp": "empty"}
        env = {"POSTGRES_USER": "admin", "POSTGRES_PASSWORD": DATABASE_PASSWORD}
        self._cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            *(service(NAMESPACE, name, 5432) for name in DATABASE_SERVERS),
            *(
                server(NAMESPACE, name, "localhost/dataguardian-postgres:17", 999, env=env, mounts=mounts)
                for name in DATABASE_SERVERS
            ),
            *s3_server(NAMESPACE, "s3"),
        )

    def fill(self) -> None:
        """Wait until they serve, and make the databases that the tests copy."""
        for name in (*DATABASE_SERVERS, "s3"):
            self._cluster.kubectl("rollout", "status", "-n", NAMESPACE, f"statefulset/{name}", "--timeout=180s")
        for name in DATABASE_SERVERS:
            eventually(f"the database server {name} answers", partial(self._answers, name))
        if "big" in self.sql("postgres", "SELECT datname FROM pg_database").split():
            return  # a kept cluster
        self.sql("postgres", "CREATE DATABASE sample", "CREATE DATABASE big")
        self.script("sample", SAMPLE)
        # 200 MB that do not get smaller: at a tenth of a core their dump takes a while.
        self.sql(
            "big",
            "CREATE EXTENSION pgcrypto",
            "CREATE TABLE big AS SELECT i AS id, gen_random_bytes(1000) AS noise FROM generate_series(1, 200000) AS i",
            "CHECKPOINT",
        )

    def sql(self, database: str, *statements: str, server: str = "db") -> str:
        """What psql prints, unaligned; a failing statement fails the test."""
        options = [option for statement in statements for option in ("-c", statement)]
        return self._psql(server, database, *options)

    def script(self, database: str, text: str, server: str = "db") -> str:
        return self._psql(server, database, "-f", "-", stdin=text)

    def fingerprint(self, database: str, server: str = "db") -> str:
        """Each table's rows and a hash of them."""
        return self.script(database, FINGERPRINT, server)

    def files(self, bucket: str, pod: str = "s3-0", namespace: str = NAMESPACE) -> list[str]:
        """The stored objects, as paths in the bucket."""
        found = self._cluster.inside(namespace, pod, "find", f"/data/{bucket}", "-type", "f")
        return sorted(path.removeprefix(f"/data/{bucket}/") for path in found.splitlines() if "/.sgwtmp/" not in path)

    def uploads(self, bucket: str, pod: str = "s3-0", namespace: str = NAMESPACE) -> list[str]:
        """The parts of multipart uploads that are open."""
        found = self._cluster.inside(namespace, pod, "find", f"/data/{bucket}", "-path", "*/.sgwtmp/*", "-type", "f")
        return found.splitlines()

    def in_store(self, *command: str, stdin: str | None = None) -> str:
        return self._cluster.inside(NAMESPACE, "s3-0", *command, stdin=stdin)

    def _psql(self, server: str, database: str, *options: str, stdin: str | None = None) -> str:
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "admin", "-d", database, *options]
        return self._cluster.inside(NAMESPACE, f"{server}-0", *command, stdin=stdin)

    def _answers(self, server: str) -> bool:
        try:
            return self.sql("postgres", "SELECT 1", server=server).strip() == "1"
        except AssertionError:
            return False
