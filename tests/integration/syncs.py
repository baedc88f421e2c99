"""Two databases of a sync, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from dataguardian.domain.plan import SyncPlan, Target

from .runs import Ended, Pod
from .services import PostgresServer
from .shop import content

LOADING = "application_name LIKE 'dataguardian-7b7b7b7b%'"  # sessions of a sync in its target
SOURCE, TARGET = "production", "staging"


@dataclass
class Pair:
    """A source and a target, on one server or on two."""

    pod: Pod
    server: PostgresServer
    source: str
    target: str

    def plan(self, **changes: Any) -> SyncPlan:
        """A plan to make the one a copy of the other, whatever is in it."""
        source = self.pod.endpoint(self.source, datasource=SOURCE)
        target = self.pod.endpoint(self.target, self.server, datasource=TARGET)
        return msgspec.structs.replace(self.pod.sync_plan(source, target, drop_existing=True), **changes)

    @property
    def copied(self) -> dict[str, object]:
        """What is in the source."""
        return content(self.pod.postgres, self.source)

    @property
    def found(self) -> dict[str, object]:
        """What is in the target."""
        return content(self.server, self.target)

    def refused(self, plan: SyncPlan) -> Ended:
        """A run that fails and leaves the target as it was."""
        before = self.found
        ended = self.pod.run(plan)
        assert ended.status != 0, ended.output
        assert self.found == before
        return ended


def terminate(postgres: PostgresServer, sessions: str) -> None:
    """End sessions as an administrator does."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {sessions}"
        assert admin.execute(query.encode()).fetchall()


def kept(pair: Pair, target: Target, **changes: object) -> SyncPlan:
    """A sync whose dump is kept."""
    plan = pair.plan()
    backup = pair.pod.backup_plan(pair.source, target, source=plan.source)
    return msgspec.structs.replace(plan, backup=backup, **changes)
