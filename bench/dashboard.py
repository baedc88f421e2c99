"""What the API's bench reads: executions of some days, and the jobs that they are runs of."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg import connect

from dataguardian.kube.client import JSON, Kubernetes, objects_path
from dataguardian.resources.backup import BACKUP_JOB
from dataguardian.resources.common import API_VERSION, timestamp
from tests.integration.apiserver import ApiServer
from tests.integration.callers import token_of
from tests.integration.services import PostgresServer

from .world import all_of, job_name

NAMESPACES = 10
RUNNING, QUEUED = 50, 100
ACCOUNTS = 10
EVERY = timedelta(hours=1)  # between two runs of a job

# Each job ran every hour; of ten runs one failed. Copies of a job's older runs were removed; each has a log.
ENDED: LiteralString = """
    INSERT INTO backup_executions (id, operation, namespace, job, name, datasource, trigger, status, queued_at,
           started_at, finished_at, observed_at, dump_bytes, stored_bytes, copies, error_code, error_message, metadata)
    SELECT gen_random_uuid(), CASE WHEN i %% 20 = 7 THEN 'verify' ELSE 'backup' END, 'shop-' || job %% %(namespaces)s,
           'nightly-' || lpad(job::text, 5, '0'), 'nightly-' || i, 'orders-' || job %% 20, 'schedule',
           CASE WHEN failed THEN 'failed' ELSE 'completed' END, at, at, at + interval '40 seconds', at,
           1877999616, 286261248,
           CASE WHEN NOT failed THEN jsonb_build_array(
               jsonb_build_object('location', 'primary', 'key', 'prod/' || i, 'state', state),
               jsonb_build_object('location', 'offsite', 'key', 'prod/' || i, 'state', state)) END,
           CASE WHEN failed THEN 'dump-failed' END, CASE WHEN failed THEN 'pg_dump ended with status 1.' END,
           jsonb_build_object('execution_logs', (SELECT jsonb_agg(jsonb_build_object('ts', at, 'level', 'info',
               'message', '[BACKUP] ' || md5((i * line)::text) || ' of the dump are stored'))
                   FROM generate_series(1, 20) line))
      FROM (SELECT i, i %% %(jobs)s AS job,
                   now() - (i / %(jobs)s) * %(every)s - (i %% 3600) * interval '1 second' AS at,
                   i %% 10 = 3 AS failed, CASE WHEN i < 40 * %(jobs)s THEN 'Stored' ELSE 'Removed' END AS state
              FROM generate_series(1, %(count)s) i) AS run
"""
UNFINISHED: LiteralString = """
    INSERT INTO backup_executions (id, operation, namespace, job, name, datasource, trigger, status, queued_at,
           started_at, metadata)
    SELECT gen_random_uuid(), 'backup', 'shop-' || i %% %(namespaces)s, 'nightly-00001', 'now-' || i, 'orders-1',
           'manual', CASE WHEN i <= %(running)s THEN 'running' ELSE 'queued' END, now(), now(),
           '{"progress": {"step": "dump", "bytes": 4096, "at": "2026-11-24T02:10:00.000Z"}}'
      FROM generate_series(1, %(running)s + %(queued)s) i
"""
NEXT: LiteralString = "UPDATE backup_executions SET observed_at = now() WHERE id = %(id)s"


def fill_history(postgres: PostgresServer, database: str, *, executions: int, jobs: int) -> None:
    """The rows, and what autovacuum would have done by then."""
    with connect(postgres.dsn(database), autocommit=True) as connection:
        given = {"namespaces": NAMESPACES, "jobs": jobs, "count": executions, "every": EVERY}
        connection.execute(ENDED, given)
        connection.execute(UNFINISHED, {"namespaces": NAMESPACES, "running": RUNNING, "queued": QUEUED})
        connection.execute("VACUUM ANALYZE")


def running_ids(postgres: PostgresServer, database: str) -> list[uuid.UUID]:
    """The executions that run."""
    found = postgres.rows(database, "SELECT id FROM backup_executions WHERE status = 'running' AND finished_at IS NULL")
    return [uuid.UUID(str(execution)) for (execution,) in found]


def ended_ids(postgres: PostgresServer, database: str) -> list[uuid.UUID]:
    """Some that have ended."""
    found = postgres.rows(database, "SELECT id FROM backup_executions WHERE status = 'completed' LIMIT 20")
    return [uuid.UUID(str(execution)) for (execution,) in found]


def change(postgres: PostgresServer, database: str, execution: uuid.UUID) -> None:
    """One of them goes on, which streams tell."""
    with connect(postgres.dsn(database), autocommit=True) as connection:
        connection.execute(NEXT, {"id": execution})


async def fill_cluster(apiserver: ApiServer, kube: Kubernetes, *, jobs: int) -> Sequence[str]:
    """The namespaces and jobs; returns tokens of viewers of all."""
    for number in range(NAMESPACES):
        apiserver.kubectl("create", "namespace", f"shop-{number}")
    await all_of(_create(kube, number) for number in range(jobs))
    names = [f"viewer-{number}" for number in range(ACCOUNTS)]
    return [token_of(apiserver, "shop-0", name, role="viewer", everywhere=True) for name in names]


async def _create(kube: Kubernetes, number: int) -> None:
    namespace, name = f"shop-{number % NAMESPACES}", job_name(number)
    spec: JSON = {
        "datasourceRef": {"name": f"orders-{number % 20}"},
        "storage": {"locations": [{"name": "primary"}, {"name": "offsite"}]},
        "schedule": f"{number % 60} * * * *",
    }
    body = {"apiVersion": API_VERSION, "kind": BACKUP_JOB.name, "metadata": {"name": name}, "spec": spec}
    await kube.create(objects_path(BACKUP_JOB, namespace), body)
    await kube.patch(objects_path(BACKUP_JOB, namespace, name) + "/status", {"status": _status(number)})


def _status(number: int) -> JSON:
    """One in ten failed, and one in ten cannot be brought back."""
    now = datetime.now(UTC)
    failed = number % 10 == 3
    conditions = {
        "Ready": (not failed, "DumpFailed" if failed else "Completed"),
        "Recoverable": (number % 10 != 5, "RecoveryPointMissed" if number % 10 == 5 else "AsIntended"),
    }
    return {
        "nextScheduleTime": timestamp(now + timedelta(minutes=30 + number % 60)),
        "lastExecution": {
            "name": f"nightly-{number}",
            "phase": "Failed" if failed else "Completed",
            "completionTime": timestamp(now - timedelta(minutes=number % 60)),
        },
        "conditions": [
            {
                "type": kind,
                "status": str(good),
                "reason": reason,
                "message": "What was found, in a sentence or two, with the remedy. " * 3,
                "lastTransitionTime": timestamp(now),
            }
            for kind, (good, reason) in conditions.items()
        ],
    }
