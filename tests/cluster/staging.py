"""A second database server's part of a test: an empty database that syncs make a copy of the shop's."""

from __future__ import annotations

import json
from typing import Any

from .cluster import JSON
from .services import NAMESPACE
from .shop import Shop

SERVER = "staging"


class Staging:
    """The target of DatabaseSyncJobs of one shop: Datasource ``staging``, on the other server."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.database = shop, shop.database
        self.sql(f'CREATE DATABASE "{self.database}"', database="postgres")
        shop.cluster.apply(shop.datasource("staging", host=f"{SERVER}.{NAMESPACE}.svc"))

    def sql(self, *statements: str, database: str | None = None) -> str:
        return self.shop.services.sql(database or self.database, *statements, server=SERVER)

    def fingerprint(self) -> str:
        return self.shop.services.fingerprint(self.database, SERVER)

    def job(self, name: str = "refresh", **changes: Any) -> JSON:
        spec = {
            "sourceRef": {"name": "orders"},
            "targetRef": {"name": "staging"},
            "dropExisting": True,
            "backoffLimit": 0,
            **changes,
        }
        return self.shop.object("DatabaseSyncJob", name, spec)

    def start(self, name: str, job: str = "refresh") -> None:
        self.shop.apply("DatabaseSyncExecution", name, {"databaseSyncJobRef": {"name": job}})

    def ended(self, name: str) -> JSON:
        """The status of a run, once it has ended."""
        return dict(self.shop.ended("DatabaseSyncExecution", name)["status"])

    def sync(self, name: str, job: str = "refresh") -> JSON:
        """The status of a completed run."""
        self.start(name, job)
        status = self.ended(name)
        assert status["phase"] == "Completed", json.dumps(status.get("error"))
        return status

    def remove(self) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)', database="postgres")
