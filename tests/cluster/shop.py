"""What a test works with: a namespace, a database and a bucket of its own, and the objects that join them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from .cluster import JSON, Cluster, eventually
from .services import DATABASE_PASSWORD, NAMESPACE, S3_KEY_ID, S3_SECRET_KEY, Services, secret

API_VERSION = "dataguardian.io/v1alpha1"
ENDED = ("Completed", "Failed", "Cancelled")
# A tenth of a core: what is dumped takes a while, so that the test finds the run in the middle of it.
SLOW: JSON = {"resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "100m", "memory": "256Mi"}}}


class Shop:
    """One test's own part of the cluster."""

    def __init__(self, cluster: Cluster, services: Services, template: str = "sample") -> None:
        self.cluster, self.services = cluster, services
        self.namespace = f"shop-{uuid4().hex[:8]}"
        self.database = self.namespace.replace("-", "_")
        self.bucket = self.namespace
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": self.namespace,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
                },
            }
        )
        self.new_database(self.database, template)
        services.in_store("mkdir", f"/data/{self.bucket}")

    def new_database(self, name: str, template: str = "sample") -> None:
        self.services.sql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def apply(self, kind: str, name: str, spec: JSON) -> None:
        self.cluster.apply(self.object(kind, name, spec))

    def object(self, kind: str, name: str, spec: JSON) -> JSON:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": spec}

    def credentials(self) -> None:
        self.cluster.apply(
            secret(self.namespace, "database", username="admin", password=DATABASE_PASSWORD),
            secret(self.namespace, "s3", accessKeyId=S3_KEY_ID, secretAccessKey=S3_SECRET_KEY),
        )

    def datasource(self, name: str = "orders", **changes: Any) -> JSON:
        spec = {
            "engine": "postgresql",
            "host": f"db.{NAMESPACE}.svc",
            "database": self.database,
            "credentialsSecretRef": {"name": "database"},
            **changes,
        }
        return self.object("Datasource", name, spec)

    def bucket_location(self, name: str = "primary", **changes: Any) -> JSON:
        s3 = {
            "endpoint": f"http://s3.{NAMESPACE}.svc:7070",
            "bucket": self.bucket,
            "prefix": "prod",
            "credentialsSecretRef": {"name": "s3"},
            **changes,
        }
        return self.object("StorageLocation", name, {"s3": s3})

    def job(self, name: str = "nightly", source: str = "orders", location: str = "primary", **changes: Any) -> JSON:
        spec = {
            "datasourceRef": {"name": source},
            "storage": {"locations": [{"name": location}]},
            "backoffLimit": 0,
            **changes,
        }
        return self.object("BackupJob", name, spec)

    def stock(self, **job: Any) -> None:
        """All that a backup to the bucket needs."""
        self.credentials()
        self.cluster.apply(self.datasource(), self.bucket_location(), self.job(**job))

    def start_backup(self, name: str, job: str = "nightly") -> None:
        self.apply("BackupExecution", name, {"backupJobRef": {"name": job}})

    def start_restore(self, name: str, backup: str, **changes: Any) -> None:
        spec = {"backupExecutionRef": {"name": backup}, "confirmationPhrase": "RESTAURAR", **changes}
        self.apply("RestoreRequest", name, spec)

    def ended(self, kind: str, name: str) -> JSON:
        """The run object, once it has ended, whichever way."""

        def look() -> JSON | None:
            found = self.cluster.get(self.namespace, kind, name)
            return found if found and found.get("status", {}).get("phase") in ENDED else None

        return eventually(f"{kind} {self.namespace}/{name} ends", look)

    def backup(self, name: str, job: str = "nightly") -> JSON:
        """A completed backup."""
        self.start_backup(name, job)
        return self._completed("BackupExecution", name)

    def restore(self, name: str, backup: str, **changes: Any) -> JSON:
        """A completed restore."""
        self.start_restore(name, backup, **changes)
        return self._completed("RestoreRequest", name)

    def _completed(self, kind: str, name: str) -> JSON:
        run = self.ended(kind, name)
        assert run["status"]["phase"] == "Completed", json.dumps(run["status"].get("error"))
        return run

    def condition(self, kind: str, name: str, type: str = "Ready") -> JSON:
        """The condition; empty while there is none."""
        found = self.cluster.get(self.namespace, kind, name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == type), {})

    def until_condition(self, kind: str, name: str, type: str, status: str, reason: str | None = None) -> JSON:
        def look() -> JSON | None:
            found = self.condition(kind, name, type)
            good = found.get("status") == status and reason in (None, found.get("reason"))
            return found if good else None

        return eventually(f"{kind} {name} shows {type}={status} {reason or ''}", look)

    def copies(self, backup: str) -> list[str]:
        """The states of a backup's copies."""
        found = self.cluster.get(self.namespace, "BackupExecution", backup) or {}
        return [copy["state"] for copy in found.get("status", {}).get("copies", [])]

    def start_verification(self, name: str, backup: str, **changes: Any) -> None:
        spec = {
            "backupExecutionRef": {"name": backup},
            "confirmationPhrase": "VERIFICAR RESTORE",
            "verificationMode": True,
            **changes,
        }
        self.apply("RestoreRequest", name, spec)

    def fingerprint(self) -> str:
        return self.services.fingerprint(self.database)

    def files(self) -> list[str]:
        return self.services.files(self.bucket)

    def until_uploading(self) -> None:
        """Return in the middle of a dump: parts of it are on the store, and it goes on."""
        eventually("an upload is under way", lambda: self.services.uploads(self.bucket))

    def history(self, columns: str) -> list[list[str]]:
        """Rows of backup_executions of this namespace."""
        return self.ask(
            f"SELECT {columns} FROM backup_executions WHERE namespace = '{self.namespace}' ORDER BY queued_at, name"
        )

    def ask(self, *statements: str) -> list[list[str]]:
        """What the history database answers."""
        options = [option for statement in statements for option in ("-c", statement)]
        command = ["psql", "-X", "-q", "-A", "-t", "-U", "dataguardian", "-d", "dataguardian", *options]
        found = self.cluster.inside("dataguardian", "dataguardian-postgres-0", *command)
        return [line.split("|") for line in found.splitlines()]

    def remove(self) -> None:
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")
