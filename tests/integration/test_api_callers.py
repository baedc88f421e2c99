"""Every endpoint of the API, and what it answers to each caller: on a real API server with RBAC, and PostgreSQL."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dataguardian.api.app import ENDPOINTS
from dataguardian.api.sse import EVENTS
from dataguardian.history import History
from dataguardian.kube.client import JSON, Kubernetes
from dataguardian.resources.backup import BACKUP_EXECUTION, BACKUP_JOB
from dataguardian.resources.sync import DATABASE_SYNC_JOB

from .callers import Client, bearer
from .people import People
from .services import PostgresServer, RedisServer
from .sidecars import connected, served, until_jobs_are_listed
from .stored import COPY, JOB, SYNC_JOB, change, clear_jobs, make

AT = "2026-11-24T02:00:00Z"
ENDED: JSON = {"queuedTime": AT, "startTime": AT, "completionTime": AT}
STATUS: dict[str, JSON] = {
    "completed": {**ENDED, "phase": "Completed", "copies": [COPY]},
    "running": {"phase": "Running", "queuedTime": AT, "startTime": AT},
    "failed": {
        **ENDED,
        "phase": "Failed",
        "error": {"code": "storage-unavailable", "step": "upload", "message": "Away.", "remedy": "Wait."},
    },
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of an endpoint; an execution in its path is a new backup of the first namespace, in this state."""

    endpoint: str
    query: str = ""
    execution: str = "completed"
    accept: str = "application/json"
    body: JSON | None = None

    def __str__(self) -> str:
        return " ".join((self.endpoint + self.query, json.dumps(self.body), self.accept))


def read(path: str, query: str = "", *, accept: str = "application/json") -> Asked:
    return Asked(endpoint=f"GET {path}", query=query, accept=accept)


def write(path: str, body: JSON | None = None, *, execution: str = "completed") -> Asked:
    return Asked(endpoint=f"POST {path}", body=body, execution=execution)


HERE = "?namespace=HERE"
RESTORE: JSON = {"confirmation_phrase": "RESTAURAR"}
VERIFY: JSON = {"confirmation_phrase": "VERIFICAR RESTORE", "verification_mode": True}
CALLERS = ("nobody", "a stranger", "no role", "viewer", "operator", "admin", "viewer elsewhere", "viewer of all")
# The statuses are in the order of CALLERS.
TABLE: list[tuple[Asked, tuple[int, ...]]] = [
    (read("/api/access/me"),                                    (401, 401, 200, 200, 200, 200, 200, 200)),
    (read("/api/dashboard/overview"),                           (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/dashboard/overview", HERE),                     (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/backup-jobs"),                                  (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/backup-jobs", HERE),                            (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/backup-jobs/{job_id}"),                         (401, 401, 404, 200, 200, 200, 404, 200)),
    (write("/api/backup-jobs/{job_id}/run", {}),                (401, 401, 404, 403, 202, 202, 404, 403)),
    (read("/api/db-sync-jobs"),                                 (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/db-sync-jobs", HERE),                           (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/db-sync-jobs/{job_id}"),                        (401, 401, 404, 200, 200, 200, 404, 200)),
    (read("/api/db-sync-jobs/{job_id}/executions"),             (401, 401, 404, 200, 200, 200, 404, 200)),
    (write("/api/db-sync-jobs/{job_id}/run", {}),               (401, 401, 404, 403, 202, 202, 404, 403)),
    (read("/api/backups"),                                      (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/backups", HERE),                                (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/backups/{execution_id}"),                       (401, 401, 404, 200, 200, 200, 404, 200)),
    (write("/api/backups/{execution_id}/restore", RESTORE),     (401, 401, 404, 403, 403, 202, 404, 403)),
    (write("/api/backups/{execution_id}/restore", VERIFY),      (401, 401, 404, 403, 403, 202, 404, 403)),
    (read("/api/executions"),                                   (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/executions", HERE),                             (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/executions/stream", accept=EVENTS),             (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/executions/stream", HERE, accept=EVENTS),       (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/executions/{execution_id}"),                    (401, 401, 404, 200, 200, 200, 404, 200)),
    (read("/api/executions/{execution_id}/logs"),               (401, 401, 404, 200, 200, 200, 404, 200)),
    (read("/api/executions/{execution_id}/logs", accept=EVENTS), (401, 401, 404, 200, 200, 200, 404, 200)),
    (write("/api/executions/{execution_id}/cancel", execution="running"),
                                                                (401, 401, 404, 403, 202, 202, 404, 403)),
    (write("/api/executions/{execution_id}/retry-upload", execution="failed"),
                                                                (401, 401, 404, 403, 202, 202, 404, 403)),
    (read("/api/health"),                                       (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/health/datasources"),                           (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/health/datasources", HERE),                     (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/health/storage"),                               (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/health/storage", HERE),                         (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/health/history"),                               (401, 401, 403, 200, 200, 200, 200, 200)),
    (read("/api/health/history", HERE),                         (401, 401, 403, 200, 200, 200, 403, 200)),
    (read("/api/audit-logs"),                                   (401, 401, 403, 403, 403, 200, 403, 403)),
    (read("/api/audit-logs", HERE),                             (401, 401, 403, 403, 403, 200, 403, 403)),
]  # fmt: skip


def test_each_endpoint_has_its_lines_in_the_table() -> None:
    assert {asked.endpoint for asked, _ in TABLE} == {f"{each.method} {each.path}" for each in ENDPOINTS}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The API, who calls it, and what they ask for."""

    people: People
    kube: Kubernetes
    history: History
    client: Client

    async def status(self, asked: Asked, who: str) -> int:
        """What somebody is answered; the answer itself is not read, as that of a stream has no end."""
        execution = await self.backup(asked.execution) if "{execution_id}" in asked.endpoint else ""
        method, path = asked.endpoint.split()
        filled = path.format(job_id=f"{self.people.here}.nightly", execution_id=execution)
        query = asked.query.replace("HERE", self.people.here)
        headers = {**bearer(self.people.tokens[who]), "Accept": asked.accept}
        async with self.client.request(method, filled + query, json=asked.body, headers=headers) as answer:
            return answer.status

    async def backup(self, state: str) -> str:
        """A new execution of the BackupJob; its id."""
        name = f"nightly-{uuid.uuid4().hex[:8]}"
        run = await make(self.kube, BACKUP_EXECUTION, self.people.here, name, {"backupJobRef": {"name": "nightly"}})
        await change(self.kube, self.history, BACKUP_EXECUTION, run, STATUS[state])
        return str(run["metadata"]["uid"])


@pytest.fixture
async def scene(
    callers: People, kube: Kubernetes, postgres_server: PostgresServer, migrated: str, redis_server: RedisServer,
    tmp_path: Path,
) -> AsyncIterator[Scene]:  # fmt: skip
    await make(kube, BACKUP_JOB, callers.here, "nightly", {**JOB, "staging": {"claimName": "spool"}})
    await make(kube, DATABASE_SYNC_JOB, callers.here, "nightly", SYNC_JOB)
    async with (
        connected(kube, postgres_server, migrated, redis_server, tmp_path) as clients,
        served(clients) as client,
    ):
        await until_jobs_are_listed(client)
        yield Scene(people=callers, kube=kube, history=clients.history, client=client)
    await clear_jobs(kube, callers.here)


@pytest.mark.parametrize(("asked", "statuses"), TABLE, ids=[str(asked) for asked, _ in TABLE])
async def test_each_endpoint_answers_each_caller_by_what_they_may(
    scene: Scene, asked: Asked, statuses: tuple[int, ...]
) -> None:
    answered = {who: await scene.status(asked, who) for who in CALLERS}

    assert answered == dict(zip(CALLERS, statuses, strict=True))
