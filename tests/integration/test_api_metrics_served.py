"""What ``GET /metrics`` has, as Prometheus judges it, and what the operator tells of itself beside it."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataguardian.api.clients import Clients
from dataguardian.handlers.liveness import answering
from dataguardian.history import AuditRow, ExecutionRow, History, SyncRow
from dataguardian.history.run_rows import RunRow
from dataguardian.kube.client import Kubernetes
from dataguardian.kube.lease import Lease
from dataguardian.queue import Queue
from dataguardian.resources import backup, datasource, restore, storage_location, sync
from dataguardian.workers import loop

from .apiserver import ApiServer
from .callers import Client
from .clients import postgres_settings, until
from .operators import Operator
from .scrapes import DATASOURCE, LOCATION, key, of_namespace, read, sidecar, text_of
from .services import PostgresServer, RedisServer, free_port
from .stored import JOB, SYNC_JOB, make

TWO = datetime(2026, 11, 24, 2, tzinfo=UTC)
AT_TWO, AT_THREE = "2026-11-24T02:00:00Z", "2026-11-24T03:00:00Z"
RESTORE = {"backupExecutionRef": {"name": "nightly"}, "confirmationPhrase": "RESTAURAR"}
EVERY_DAY = {"schedule": "0 2 * * *", "timeZone": "Europe/Lisbon"}
HOSTILE = 'a"b\\c\nd{e="f"} 1\n# TYPE x counter'

OF_EACH = ("last_success_timestamp_seconds", "last_attempt_timestamp_seconds")
OF_RUNS = ("executions_total", "duration_seconds_bucket", "duration_seconds_sum", "duration_seconds_count")
OF_SCHEDULED = ("expected_interval_seconds", "next_schedule_timestamp_seconds", "missed_schedules_total")
NAMES = {
    *(f"{operation}_{name}" for operation in ("backup", "sync") for name in (*OF_EACH, *OF_RUNS, *OF_SCHEDULED)),
    *(f"restore_{name}" for name in (*OF_EACH, *OF_RUNS)),
    *(f"verify_{name}" for name in OF_RUNS),
    "backup_size_bytes", "executions", "queue_depth", "kubernetes_up", "redis_up", "postgres_up", "storage_up",
    "datasource_up", "worker_last_heartbeat_timestamp_seconds", "retention_deleted_total", "operator_leader",
    "build_info", "recoverable", "recoverable_to_timestamp_seconds", "last_verified_timestamp_seconds",
    "restore_measured_seconds", "objective_seconds",
}  # fmt: skip


@pytest.fixture
def operator(
    apiserver: ApiServer, postgres_server: PostgresServer, migrated: str, own_redis: RedisServer
) -> Iterator[Operator]:
    """The operator in the sidecar's pod."""
    made = Operator(apiserver, postgres_server, migrated, own_redis, apiserver.namespace(), "operator")
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
async def clients(
    kube: Kubernetes, queue: Queue, postgres_server: PostgresServer, migrated: str, tmp_path: Path
) -> AsyncIterator[Clients]:
    async with History(postgres_settings(postgres_server, migrated, tmp_path)) as history:
        yield Clients(kube=kube, history=history, queue=queue)


def ended(namespace: str, operation: str, **more: object) -> RunRow:
    """A run that completed."""
    common = {
        "id": str(uuid.uuid4()), "namespace": namespace, "name": "x", "trigger": "manual", "status": "completed",
        "queued_at": TWO, "observed_at": TWO, "started_at": TWO, "finished_at": TWO + timedelta(minutes=5), **more,
    }  # fmt: skip
    if operation == "sync":
        return SyncRow(**common)  # type: ignore[arg-type] # the fields of both rows are checked when they are written
    return ExecutionRow(operation=operation, **common)  # type: ignore[arg-type] # as above


async def fill(clients: Clients, namespace: str) -> None:
    """One of everything that a metric tells of."""
    kube, history = clients.kube, clients.history
    last = {"lastSuccessfulTime": AT_TWO, "nextScheduleTime": AT_THREE, "missedSchedules": 7}
    condition = {"type": "Recoverable", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": AT_TWO}
    proven = {"recoverableTo": AT_TWO, "verifiedTime": AT_THREE, "restoreSeconds": 90}
    told = {**last, "lastSuccessfulSizeBytes": 7, "recoverability": proven, "conditions": [condition]}
    asked = {**JOB, **EVERY_DAY, "objectives": {"recoveryPoint": "24h"}}
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", asked, told)
    await make(kube, sync.DATABASE_SYNC_JOB, namespace, "staging", {**SYNC_JOB, **EVERY_DAY}, last)
    await make(kube, datasource.KIND, namespace, "orders", DATASOURCE, {"health": "healthy"})
    await make(kube, storage_location.KIND, namespace, "primary", LOCATION, {"phase": "Available"})
    status = {"phase": "Completed", "startTime": AT_TWO, "completionTime": AT_THREE}
    run_of = {"backupJobRef": {"name": "nightly"}}
    await make(kube, backup.BACKUP_EXECUTION, namespace, "b", run_of, status)
    await make(kube, restore.KIND, namespace, "r", RESTORE, {**status, "datasource": "orders"})
    sync_of = {"databaseSyncJobRef": {"name": "staging"}}
    await make(kube, sync.DATABASE_SYNC_EXECUTION, namespace, "s", sync_of, status)
    for operation, of in (
        ("backup", {"job": "nightly"}), ("verify", {"job": "nightly"}), ("restore", {"datasource": "orders"}),
        ("sync", {"job": "staging"}),
    ):  # fmt: skip
        await history.record(ended(namespace, operation, **of))
    await history.audit(
        AuditRow(
            id=str(uuid.uuid4()), at=TWO, who="dataguardian", action="backup.removed", namespace=namespace,
            object_kind="BackupExecution", object_name="x", outcome="success", detail={"backup_job": "nightly"},
        )
    )  # fmt: skip


async def test_every_metric_is_served_and_promtool_finds_nothing_to_say(
    clients: Clients, namespace: str, kube: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(clients, namespace)
    # An operator at work would judge these objects anew; what tells of it is the same.
    lease, port = Lease(kube, namespace=namespace, holder="this"), free_port()
    await lease.acquire()
    monkeypatch.setitem(loop.heartbeats, "recorder", time.time())
    async with answering(lease, port=port), sidecar(clients, liveness_port=port) as http:
        found, text = await read(http), await text_of(http)

    assert {name for name, samples in found.items() if samples} == NAMES
    assert promtool(text) == ""


async def _leads(http: Client) -> bool:
    found = await read(http)
    return found.get("operator_leader") == {"{}": 1} and "worker_last_heartbeat_timestamp_seconds" in found


def promtool(text: str) -> str:
    """What ``promtool check metrics`` has to say."""
    program = shutil.which("promtool")
    assert program, "promtool: hack/packages test"
    done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit status {done.returncode}")


async def test_the_interval_that_a_schedule_promises_is_that_between_its_next_two_slots(
    clients: Clients, namespace: str, kube: Kubernetes
) -> None:
    slot = {"nextScheduleTime": "2026-10-24T01:00:00Z"}  # 02:00 in Lisbon, on the day before its clocks go back
    await make(kube, backup.BACKUP_JOB, namespace, "daily", {**JOB, **EVERY_DAY}, slot)
    await make(kube, backup.BACKUP_JOB, namespace, "suspended", {**JOB, **EVERY_DAY, "suspend": True})
    await make(kube, backup.BACKUP_JOB, namespace, "manual", JOB)

    async with sidecar(clients) as http:
        found = await read(http)

    assert of_namespace(found, "backup_expected_interval_seconds", namespace) == {("daily",): 25 * 3600}


async def test_text_of_others_stays_inside_its_label(clients: Clients, namespace: str, kube: Kubernetes) -> None:
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", JOB)
    await clients.history.record(ended(namespace, "backup", job="nightly", status="failed", error_code=HOSTILE))

    async with sidecar(clients) as http:
        found, text = await read(http), await text_of(http)

    assert of_namespace(found, "backup_executions_total", namespace) == {("nightly", HOSTILE, "failed"): 1}
    assert promtool(text) == ""


async def test_the_operator_of_the_pod_tells_whether_it_leads_and_when_its_workers_last_turned(
    clients: Clients, operator: Operator
) -> None:
    async with sidecar(clients, liveness_port=operator.port) as http:
        await until(lambda: _leads(http), what="the operator leads")
        found = await read(http)

    assert found["operator_leader"] == {"{}": 1}
    assert time.time() - found["worker_last_heartbeat_timestamp_seconds"][key(worker="recorder")] < 60


async def test_an_operator_that_stands_by_does_not_lead_and_has_no_workers(
    clients: Clients, operator: Operator
) -> None:
    await until(leading(operator), what="the first one leads")
    second = Operator(
        operator.apiserver, operator.postgres, operator.database, operator.redis, operator.namespace, "second"
    )
    try:
        second.start()
        async with sidecar(clients, liveness_port=second.port) as http:
            found = await read(http)
    finally:
        second.remove()

    assert found["operator_leader"] == {"{}": 0}
    assert "worker_last_heartbeat_timestamp_seconds" not in found


def leading(operator: Operator) -> Callable[[], Awaitable[bool]]:
    """The condition that it does."""

    async def leads() -> bool:
        return operator.leads

    return leads


async def test_nothing_is_said_of_an_operator_that_does_not_answer(clients: Clients) -> None:
    async with sidecar(clients, liveness_port=free_port()) as http:
        found = await read(http)

    assert "operator_leader" not in found
    assert "worker_last_heartbeat_timestamp_seconds" not in found


async def test_the_operator_serves_the_metrics_of_its_process_on_a_port_of_its_own(operator: Operator) -> None:
    await until(leading(operator), what="it leads")

    async def has_stepped() -> bool:
        return 'dataguardian_worker_step_duration_seconds_count{worker="sweep"}' in operator.metrics()

    await until(has_stepped, what="a worker has made a step")
    text = operator.metrics()
    assert 'dataguardian_kubernetes_request_duration_seconds_count{status="200",verb="GET"}' in text
    assert "process_resident_memory_bytes" in text
    assert "python_gc_collections_total" in text
    assert promtool(text) == ""
