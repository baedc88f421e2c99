"""``GET /metrics``, from objects on a real API server."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client

from dataguardian import __version__
from dataguardian.api.clients import Clients
from dataguardian.history import History
from dataguardian.kube import listing
from dataguardian.kube.client import Kubernetes
from dataguardian.queue import Entry, Queue
from dataguardian.resources import backup, datasource, restore, storage_location, sync

from .clients import postgres_settings, redis_settings
from .scrapes import DATASOURCE, LOCATION, Samples, key, scrape
from .services import HOST, PostgresServer, RedisServer, free_port
from .stored import JOB, SYNC_JOB, make

AT_TWO = "2026-11-24T02:00:00Z"
AT_THREE = "2026-11-24T03:00:00Z"
TWO, THREE = (datetime(2026, 11, 24, hour, tzinfo=UTC).timestamp() for hour in (2, 3))

RESTORE = {"backupExecutionRef": {"name": "nightly"}, "confirmationPhrase": "RESTAURAR"}
VERIFY = {**RESTORE, "confirmationPhrase": "VERIFICAR RESTORE", "verificationMode": True}


@pytest.fixture
async def clients(kube: Kubernetes, history: History, queue: Queue) -> Clients:
    return Clients(kube=kube, history=history, queue=queue)


def run_of(job: str) -> dict[str, Any]:
    return {"backupJobRef": {"name": job}}


def sync_of(job: str) -> dict[str, Any]:
    return {"databaseSyncJobRef": {"name": job}}


async def test_metrics_show_the_release_and_what_is_up(clients: Clients) -> None:
    found = await scrape(clients)

    assert found["build_info"] == {key(version=__version__): 1}
    assert (found["kubernetes_up"], found["postgres_up"], found["redis_up"]) == ({"{}": 1}, {"{}": 1}, {"{}": 1})


async def test_metrics_show_the_last_success_the_size_and_the_next_slot(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    last = {"lastSuccessfulTime": AT_TWO, "nextScheduleTime": AT_THREE, "missedSchedules": 7}
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", JOB, {**last, "lastSuccessfulSizeBytes": 286261248})
    await make(kube, sync.DATABASE_SYNC_JOB, namespace, "staging", SYNC_JOB, last)

    found = await scrape(clients)

    for operation, name in (("backup", "nightly"), ("sync", "staging")):
        of_job = key(namespace=namespace, name=name)
        assert found[f"{operation}_last_success_timestamp_seconds"][of_job] == TWO
        assert found[f"{operation}_next_schedule_timestamp_seconds"][of_job] == THREE
        assert found[f"{operation}_missed_schedules_total"][of_job] == 7
    assert found["backup_size_bytes"][key(namespace=namespace, name="nightly")] == 286261248


async def test_a_job_that_never_succeeded_has_no_last_success(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", JOB)

    found = await scrape(clients)

    assert key(namespace=namespace, name="nightly") not in found.get("backup_last_success_timestamp_seconds", {})


async def test_the_last_attempt_is_the_newest_run_of_the_job_whatever_became_of_it(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", JOB)
    await make(kube, sync.DATABASE_SYNC_JOB, namespace, "nightly", SYNC_JOB)
    for run_kind, of in ((backup.BACKUP_EXECUTION, run_of), (sync.DATABASE_SYNC_EXECUTION, sync_of)):
        for name, started in (("b", AT_THREE), ("c", AT_TWO)):
            status = {"phase": "Failed", "startTime": started, "completionTime": started}
            await make(kube, run_kind, namespace, name, of("nightly"), status)
        await make(kube, run_kind, namespace, "gone", of("gone"), {"startTime": AT_THREE})

    found = await scrape(clients)

    assert _of_namespace(found, "backup_last_attempt_timestamp_seconds", namespace) == {"nightly": THREE}
    assert _of_namespace(found, "sync_last_attempt_timestamp_seconds", namespace) == {"nightly": THREE}


async def test_executions_are_counted_by_operation_and_state(
    clients: Clients, kube: Kubernetes, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    before = (await scrape(clients))["executions"]
    for number in range(5):
        await make(kube, backup.BACKUP_EXECUTION, namespace, f"done-{number}", run_of("x"), {"phase": "Completed"})
    await make(kube, backup.BACKUP_EXECUTION, namespace, "new", run_of("x"))
    await make(kube, restore.KIND, namespace, "back", RESTORE, {"phase": "Running"})
    await make(kube, restore.KIND, namespace, "drill", VERIFY, {"phase": "Failed"})
    await make(kube, sync.DATABASE_SYNC_EXECUTION, namespace, "copy", sync_of("x"), {"phase": "Cancelled"})

    after = (await scrape(clients))["executions"]

    assert len(after) == 4 * 5  # every operation with every state, also with none
    assert {labels: after[labels] - before[labels] for labels in after if after[labels] != before[labels]} == {
        key(operation="backup", status="completed"): 5,
        key(operation="backup", status="queued"): 1,
        key(operation="restore", status="running"): 1,
        key(operation="verify", status="failed"): 1,
        key(operation="sync", status="cancelled"): 1,
    }


async def test_metrics_show_to_when_a_job_is_recoverable_and_what_it_asks_for(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    asked = {**JOB, "objectives": {"recoveryPoint": "24h", "verifiedWithin": "1h30m"}}
    known = {"recoverableTo": AT_TWO, "verifiedTime": AT_THREE, "restoreSeconds": 90}
    for name, status in (("good", "True"), ("bad", "False"), ("unknown", "Unknown")):
        condition = {"type": "Recoverable", "reason": "R", "message": "m", "lastTransitionTime": AT_TWO}
        told = {"recoverability": known, "conditions": [{**condition, "status": status}]}
        await make(kube, backup.BACKUP_JOB, namespace, name, asked, told)
    await make(kube, backup.BACKUP_JOB, namespace, "new", JOB)

    found = await scrape(clients)

    def of(metric: str) -> dict[str, float]:
        return _of_namespace(found, metric, namespace)

    assert of("recoverable") == {"good": 1, "bad": 0}
    assert of("recoverable_to_timestamp_seconds") == dict.fromkeys(("good", "bad", "unknown"), TWO)
    assert of("last_verified_timestamp_seconds")["good"] == THREE
    assert of("restore_measured_seconds")["good"] == 90
    good = {"namespace": namespace, "name": "good"}
    assert found["objective_seconds"][key(**good, objective="recovery_point")] == 86400
    assert found["objective_seconds"][key(**good, objective="verified_within")] == 5400
    assert key(**good, objective="recovery_time") not in found["objective_seconds"]


async def test_the_last_restore_into_a_datasource_is_no_verification_and_no_dry_run(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    ends: dict[str, tuple[dict[str, Any], str, str]] = {
        "first": (RESTORE, "Completed", AT_TWO),
        "failed": (RESTORE, "Failed", AT_THREE),
        "drill": (VERIFY, "Completed", AT_THREE),
        "dry": ({**RESTORE, "dryRun": True}, "Completed", AT_THREE),
    }
    for name, (spec, phase, at) in ends.items():
        target = "orders" if spec is RESTORE else "other"
        status = {"phase": phase, "startTime": at, "completionTime": at, "datasource": target}
        await make(kube, restore.KIND, namespace, name, spec, status)

    found = await scrape(clients)

    assert _of_namespace(found, "restore_last_success_timestamp_seconds", namespace) == {"orders": TWO}
    assert _of_namespace(found, "restore_last_attempt_timestamp_seconds", namespace) == {"orders": THREE}


def _of_namespace(found: Samples, metric: str, namespace: str) -> dict[str, float]:
    """Name of the object → value."""
    samples = {name: json.loads(name) for name in found[metric]}
    return {labels["name"]: found[metric][name] for name, labels in samples.items() if labels["namespace"] == namespace}


async def test_checks_of_datasources_and_locations_are_shown_once_they_were_made(
    clients: Clients, kube: Kubernetes, namespace: str
) -> None:
    for word in ("healthy", "warning", "critical", "unknown"):
        await make(kube, datasource.KIND, namespace, word, DATASOURCE, {"health": word})
    await make(kube, datasource.KIND, namespace, "new", DATASOURCE)
    for word in ("Available", "Full", "Unreachable"):
        await make(kube, storage_location.KIND, namespace, word.lower(), LOCATION, {"phase": word})

    found = await scrape(clients)

    assert _of_namespace(found, "datasource_up", namespace) == {"healthy": 1, "warning": 1, "critical": 0}
    assert _of_namespace(found, "storage_up", namespace) == {"available": 1, "full": 0, "unreachable": 0}


async def test_the_depth_of_a_queue_is_what_is_not_acknowledged(clients: Clients) -> None:
    before = (await scrape(clients))["queue_depth"]
    await clients.queue.push("restore-queue", Entry(execution_id="1", namespace="shop", name="back"))

    after = (await scrape(clients))["queue_depth"]

    restores, backups = key(queue="restore-queue"), key(queue="backup-queue")
    assert (after[restores] - before[restores], after[backups] - before[backups]) == (1, 0)


async def test_without_kubernetes_and_redis_the_rest_is_served(
    postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    nobody = client.Configuration(host=f"http://{HOST}:{free_port()}")
    no_redis = dataclasses.replace(redis_settings(redis_server, tmp_path), port=free_port())
    async with (
        client.ApiClient(nobody) as api,
        History(postgres_settings(postgres_server, "postgres", tmp_path)) as history,
        Queue(no_redis) as queue,
    ):
        found = await scrape(Clients(kube=Kubernetes(api), history=history, queue=queue))

    assert sorted(found) == ["build_info", "kubernetes_up", "postgres_up", "redis_up"]
    assert (found["kubernetes_up"], found["postgres_up"], found["redis_up"]) == ({"{}": 0}, {"{}": 1}, {"{}": 0})
