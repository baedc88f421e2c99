"""The counters and histograms of ``GET /metrics``: exact, whatever restarts, is down, or was there twice."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataguardian.api import app
from dataguardian.api.clients import Clients
from dataguardian.history import AuditRow, ExecutionRow, History, SyncRow
from dataguardian.history.executions import end_vanished
from dataguardian.history.migrate import migrate
from dataguardian.kube.client import Kubernetes, objects_path
from dataguardian.queue import Queue
from dataguardian.resources import backup, datasource, sync
from dataguardian.settings import PostgresSettings

from .clients import postgres_settings, until
from .schemas import migrate_to
from .scrapes import DATASOURCE, Samples, of_namespace, read, scrape, sidecar
from .services import PostgresServer
from .stored import JOB, SYNC_JOB, make

TWO = datetime(2026, 11, 24, 2, tzinfo=UTC)


@dataclass
class Scene:
    """A namespace with a BackupJob ``nightly``, a DatabaseSyncJob ``staging`` and a Datasource ``orders``."""

    clients: Clients
    server: PostgresServer
    settings: PostgresSettings
    namespace: str

    def another(self, history: History) -> Clients:
        """The clients of another sidecar."""
        return dataclasses.replace(self.clients, history=history)

    async def record(self, status: Any = "completed", *, seconds: float = 60, **more: Any) -> ExecutionRow:
        """A backup that ended after that time, or whatever the row is to say."""
        told: dict[str, Any] = {"operation": "backup", "trigger": "schedule", "job": "nightly", "datasource": "orders"}
        told |= {"finished_at": TWO + timedelta(seconds=seconds), **more}
        row = ExecutionRow(
            id=str(uuid.uuid4()), namespace=self.namespace, name="x", status=status, queued_at=TWO, observed_at=TWO,
            started_at=TWO, **told,
        )  # fmt: skip
        await self.clients.history.record(row)
        return row

    def counted(self, found: Samples, operation: str) -> dict[tuple[str, ...], float]:
        """(name, reason, result) → runs."""
        return of_namespace(found, f"{operation}_executions_total", self.namespace)


@pytest.fixture
async def scene(
    kube: Kubernetes, queue: Queue, fragile_postgres: PostgresServer, namespace: str, tmp_path: Path
) -> AsyncIterator[Scene]:
    fragile_postgres.start()
    settings = postgres_settings(fragile_postgres, fragile_postgres.database(), tmp_path)
    migrate(settings, deadline_s=10)
    await make(kube, backup.BACKUP_JOB, namespace, "nightly", JOB)
    await make(kube, sync.DATABASE_SYNC_JOB, namespace, "staging", SYNC_JOB)
    await make(kube, datasource.KIND, namespace, "orders", DATASOURCE)
    async with History(settings) as history:
        yield Scene(Clients(kube=kube, history=history, queue=queue), fragile_postgres, settings, namespace)


async def test_runs_are_counted_by_what_they_are_a_run_of_with_result_and_reason(scene: Scene) -> None:
    for _ in range(3):
        await scene.record()
    await scene.record("failed", error_code="dump-failed")
    await scene.record("cancelled", error_code="cancelled")
    await scene.record(operation="verify", trigger="manual", datasource=None)
    await scene.record("failed", operation="restore", trigger="manual", error_code="load-failed")
    await scene.clients.history.record(
        SyncRow(
            id=str(uuid.uuid4()), namespace=scene.namespace, name="x", trigger="manual", status="completed",
            queued_at=TWO, observed_at=TWO, started_at=TWO, finished_at=TWO, job="staging", target="orders",
        )
    )  # fmt: skip

    found = await scrape(scene.clients)

    assert scene.counted(found, "backup") == {
        ("nightly", "", "completed"): 3,
        ("nightly", "dump-failed", "failed"): 1,
        ("nightly", "cancelled", "cancelled"): 1,
    }
    assert scene.counted(found, "verify") == {("nightly", "", "completed"): 1}
    assert scene.counted(found, "restore") == {("orders", "load-failed", "failed"): 1}
    assert scene.counted(found, "sync") == {("staging", "", "completed"): 1}


async def test_the_durations_of_completed_runs_are_a_histogram(scene: Scene) -> None:
    for seconds in (1, 60, 61, 3 * 86400):
        await scene.record(seconds=seconds)
    await scene.record("failed", seconds=2, error_code="dump-failed")

    found = await scrape(scene.clients)

    up_to = of_namespace(found, "backup_duration_seconds_bucket", scene.namespace)
    assert {le: count for (le, _), count in up_to.items()} == {
        "1.0": 1, "5.0": 1, "15.0": 1, "60.0": 2, "300.0": 3, "900.0": 3, "3600.0": 3, "10800.0": 3, "28800.0": 3,
        "86400.0": 3, "+Inf": 4,
    }  # fmt: skip
    assert of_namespace(found, "backup_duration_seconds_count", scene.namespace) == {("nightly",): 4}
    assert of_namespace(found, "backup_duration_seconds_sum", scene.namespace) == {("nightly",): 122 + 3 * 86400}


@pytest.mark.parametrize(
    "no_attempt",
    [
        {"trigger": "import"},
        {"trigger": "sync"},
        {"operation": "restore", "trigger": "manual", "metadata": {"dry_run": True}},
    ],
)
async def test_what_was_no_attempt_of_its_own_is_not_counted(scene: Scene, no_attempt: dict[str, Any]) -> None:
    await scene.record(**no_attempt)

    found = await scrape(scene.clients)

    assert scene.counted(found, "backup") == scene.counted(found, "restore") == {}


async def test_a_run_is_counted_once_however_often_and_in_whatever_order_it_is_recorded(scene: Scene) -> None:
    row = await scene.record()
    running = dataclasses.replace(row, id=str(uuid.uuid4()), status="running", finished_at=None)
    ended = dataclasses.replace(running, status="completed", finished_at=row.finished_at)
    for each in (row, running, ended, running, ended, dataclasses.replace(ended, kept_by=["daily"])):
        await scene.clients.history.record(each)

    found = await scrape(scene.clients)

    assert scene.counted(found, "backup") == {("nightly", "", "completed"): 2}


async def test_runs_that_one_statement_ends_are_each_counted(scene: Scene) -> None:
    ids = [(await scene.record("running", finished_at=None)).id for _ in range(3)]

    async with scene.clients.history.connection() as connection:
        await end_vanished(connection, ids, at=TWO)

    assert scene.counted(await scrape(scene.clients), "backup") == {("nightly", "cancelled", "cancelled"): 3}


async def test_a_run_that_ends_is_counted_within_seconds_by_a_sidecar_that_runs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "EVERY_S", 0.2)
    async with sidecar(scene.clients) as http:
        assert scene.counted(await read(http), "backup") == {}

        await scene.record()

        await until(lambda: _has(lambda: read(http), scene, 1), what="the run that ended is counted", seconds=20)


async def _has(told: Callable[[], Awaitable[Samples]], scene: Scene, runs: int) -> bool:
    return scene.counted(await told(), "backup") == {("nightly", "", "completed"): runs}


async def test_a_restart_and_another_sidecar_tell_the_same(scene: Scene) -> None:
    await scene.record(seconds=90)
    await scene.record("failed", error_code="dump-failed")

    first = await scrape(scene.clients)
    async with History(scene.settings) as history:
        second = await scrape(scene.another(history))

    for metric in ("backup_executions_total", "backup_duration_seconds_bucket", "backup_duration_seconds_sum"):
        assert of_namespace(first, metric, scene.namespace)
        assert of_namespace(first, metric, scene.namespace) == of_namespace(second, metric, scene.namespace)


async def test_without_postgres_the_last_totals_stay_and_go_on_when_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "EVERY_S", 0.2)
    await scene.record()
    async with sidecar(scene.clients) as http:
        await until(lambda: _has(lambda: read(http), scene, 1), what="it is counted")
        await asyncio.to_thread(scene.server.stop)
        await until(lambda: _is_down(http), what="Postgres is seen to be down")

        assert await _has(lambda: read(http), scene, 1)

        scene.server.start()
        await scene.record()
        await until(lambda: _has(lambda: read(http), scene, 2), what="what ended since is counted too")


async def _is_down(http: Any) -> bool:
    return (await read(http))["postgres_up"] == {"{}": 0}


async def test_a_sidecar_that_starts_without_postgres_tells_no_totals_at_all(scene: Scene) -> None:
    await scene.record()
    await asyncio.to_thread(scene.server.stop)

    found = await scrape(scene.clients)

    assert found["postgres_up"] == {"{}": 0}
    assert not [name for name in found if "executions_total" in name or "duration_seconds" in name]
    assert not [name for name in found if name.startswith("retention_deleted")]
    assert found["executions"]


async def test_totals_stay_when_rows_of_history_are_removed(scene: Scene) -> None:
    await scene.record()
    scene.server.sql(scene.settings.database, "DELETE FROM backup_executions")

    found = await scrape(scene.clients)

    assert scene.counted(found, "backup") == {("nightly", "", "completed"): 1}


async def test_totals_never_go_down_when_the_server_has_lost_its_last_rows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "EVERY_S", 0.2)
    for _ in range(3):
        await scene.record()
    async with sidecar(scene.clients) as http:
        await until(lambda: _has(lambda: read(http), scene, 3), what="they are counted")
        scene.server.sql(scene.settings.database, "UPDATE execution_totals SET runs = 2, seconds = 120")
        await scene.record("failed", error_code="dump-failed")

        async def was_read() -> bool:
            return ("nightly", "dump-failed", "failed") in scene.counted(await read(http), "backup")

        await until(was_read, what="the totals were read again")
        assert scene.counted(await read(http), "backup")["nightly", "", "completed"] == 3


async def test_a_job_that_is_gone_has_no_series_and_goes_on_when_it_is_made_again(scene: Scene) -> None:
    kube = scene.clients.kube
    await scene.record()
    await kube.delete(objects_path(backup.BACKUP_JOB, scene.namespace, "nightly"))

    gone = await scrape(scene.clients)
    await make(kube, backup.BACKUP_JOB, scene.namespace, "nightly", JOB)
    back = await scrape(scene.clients)

    assert scene.counted(gone, "backup") == {}
    assert of_namespace(gone, "backup_duration_seconds_count", scene.namespace) == {}
    assert scene.counted(back, "backup") == {("nightly", "", "completed"): 1}


async def test_a_restore_that_never_knew_its_target_counts_for_its_namespace(scene: Scene) -> None:
    await scene.record("failed", operation="restore", trigger="manual", datasource=None, error_code="not-found")

    found = await scrape(scene.clients)

    assert scene.counted(found, "restore") == {("", "not-found", "failed"): 1}


async def test_copies_that_retention_removed_are_counted_once(scene: Scene) -> None:
    row = AuditRow(
        id=str(uuid.uuid4()), at=TWO, who="dataguardian", action="backup.removed", namespace=scene.namespace,
        object_kind="BackupExecution", object_name="x", outcome="success", detail={"backup_job": "nightly"},
    )  # fmt: skip
    for each in (row, row, dataclasses.replace(row, id=str(uuid.uuid4()))):
        await scene.clients.history.audit(each)
    await scene.clients.history.audit(dataclasses.replace(row, id=str(uuid.uuid4()), action="unfinished.removed"))

    found = await scrape(scene.clients)

    assert of_namespace(found, "retention_deleted_total", scene.namespace) == {("nightly",): 2}


async def test_what_ended_before_the_totals_were_kept_is_counted_when_they_begin(
    fragile_postgres: PostgresServer, tmp_path: Path
) -> None:
    fragile_postgres.start()
    settings = postgres_settings(fragile_postgres, fragile_postgres.database(), tmp_path)
    migrate_to(settings, "0006")
    fragile_postgres.sql(
        settings.database,
        "INSERT INTO backup_executions (id, operation, namespace, job, name, trigger, status, queued_at, started_at,"
        " finished_at) VALUES ('00000000-0000-0000-0000-000000000001', 'backup', 'shop', 'nightly', 'x', 'schedule',"
        " 'completed', now(), now(), now() + interval '61 s')",
        "INSERT INTO audit_logs (id, at, who, action, namespace, object_kind, object_name, outcome, detail)"
        " VALUES (gen_random_uuid(), now(), 'dataguardian', 'backup.removed', 'shop', 'BackupExecution', 'x',"
        " 'success', '{\"execution_id\": \"00000000-0000-0000-0000-000000000001\"}')",
    )

    migrate(settings, deadline_s=10)

    totals = fragile_postgres.rows(settings.database, "SELECT name, result, within_seconds, runs FROM execution_totals")
    assert totals == [("nightly", "completed", 300.0, 1)]
    removed = fragile_postgres.rows(settings.database, "SELECT namespace, name, copies FROM removal_totals")
    assert removed == [("shop", "nightly", 1)]
