"""The rows of executions, on a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from dataguardian.domain.executions import STATES, State
from dataguardian.history import ExecutionRow, History, LogLine, RunRow, SyncRow
from dataguardian.history.migrate import migrate

from .clients import postgres_settings
from .services import PostgresServer

QUEUED_AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
STARTED_AT = datetime(2026, 11, 24, 2, 1, tzinfo=UTC)
FINISHED_AT = datetime(2026, 11, 24, 2, 9, tzinfo=UTC)
OBSERVED_AT = datetime(2026, 11, 24, 2, 10, tzinfo=UTC)
LOGS = (LogLine(ts="2026-11-24T02:09:00.000Z", level="success", message="[BACKUP] Stored"),)


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = postgres_server.database()
    migrate(postgres_settings(postgres_server, name, tmp_path_factory.mktemp("secrets")), deadline_s=10)
    return name


@pytest.fixture
async def history(postgres_server: PostgresServer, database: str, tmp_path: Path) -> AsyncIterator[History]:
    async with History(postgres_settings(postgres_server, database, tmp_path)) as opened:
        yield opened


def execution(status: State = "queued", **known: Any) -> ExecutionRow:
    row = ExecutionRow(
        id=str(uuid.uuid4()), operation="backup", namespace="shop", name="nightly-202611240200",
        trigger="schedule", status=status, queued_at=QUEUED_AT, observed_at=OBSERVED_AT,
    )  # fmt: skip
    return dataclasses.replace(row, **_end(status), **known)


def synced(status: State = "queued", **known: Any) -> SyncRow:
    row = SyncRow(
        id=str(uuid.uuid4()), namespace="shop", name="staging-202611240200", trigger="schedule", status=status,
        queued_at=QUEUED_AT, observed_at=OBSERVED_AT,
    )  # fmt: skip
    return dataclasses.replace(row, **_end(status), **known)


def _end(status: State) -> dict[str, Any]:
    return {} if status in ("queued", "running") else {"finished_at": FINISHED_AT}


def later(row: RunRow, status: State, **known: Any) -> RunRow:
    """Another record of the same execution, which knows nothing but this."""
    make = synced if isinstance(row, SyncRow) else execution
    return dataclasses.replace(make(status, **known), id=row.id)


async def stored(history: History, row: RunRow) -> dict[str, Any]:
    async with history.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        query = sql.SQL("SELECT * FROM {} WHERE id = %s").format(sql.Identifier(row.table))
        await cursor.execute(query, [row.id])
        (found,) = await cursor.fetchall()
        return found


async def test_a_row_comes_back_as_it_was_recorded(history: History) -> None:
    row = execution(
        "completed", job="nightly", datasource="orders", started_at=STARTED_AT, dump_bytes=2**40,
        stored_bytes=7, checksum="sha256:" + "a" * 64, copies=[{"location": "primary"}], manifest={"version": 1},
        metadata={"engine_version": "17.2"}, logs=LOGS,
    )  # fmt: skip

    await history.record(row)

    found = await stored(history, row)
    assert found.pop("id") == uuid.UUID(row.id)
    assert found.pop("recorded_at").tzinfo is not None  # by the server's clock
    assert found.pop("metadata") == {
        "engine_version": "17.2",
        "execution_logs": [{"ts": LOGS[0].ts, "level": "success", "message": "[BACKUP] Stored"}],
    }
    assert found == {name: getattr(row, name) for name in found}


async def test_a_sync_is_recorded_from_queued_to_its_end(history: History) -> None:
    row = synced("queued", job="staging", source="orders", target="staging")
    figures: dict[str, Any] = {"dump_bytes": 2**40, "tables": 3, "rows": 2**40}
    masked = "sha256:" + "a" * 64
    ended = later(row, "completed", **figures, masking_digest=masked, metadata={"removed": 2}, logs=LOGS)

    running = later(row, "running", started_at=STARTED_AT, strategy="swap")
    told = [await history.record(each) for each in (row, running, ended, row, running, ended)]

    found = await stored(history, row)
    assert told == [True, True, True, False, False, False]
    assert (found["job"], found["source"], found["target"]) == ("staging", "orders", "staging")
    assert (found["status"], found["started_at"], found["finished_at"]) == ("completed", STARTED_AT, FINISHED_AT)
    assert (found["strategy"], found["masking_digest"]) == ("swap", masked)
    assert {name: found[name] for name in figures} == figures
    assert found["metadata"] == {"removed": 2, "execution_logs": [msgspec.to_builtins(line) for line in LOGS]}


async def test_the_backup_of_a_sync_may_be_linked_after_its_end_and_stays(history: History) -> None:
    backup, row = uuid.uuid4(), synced("failed", error_code="load-failed")
    await history.record(row)

    told = [await history.record(later(row, "failed", backup_execution_id=known)) for known in (backup, backup, None)]

    assert told == [True, False, False]
    assert (await stored(history, row))["backup_execution_id"] == backup


async def test_recording_twice_leaves_one_row(history: History) -> None:
    row = execution("completed", logs=LOGS)

    assert (await history.record(row), await history.record(row)) == (True, False)

    assert (await stored(history, row))["status"] == "completed"


@pytest.mark.parametrize("following", STATES)
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_terminal_state_never_changes(history: History, end: State, following: State) -> None:
    row = execution(end, stored_bytes=7)
    await history.record(row)
    before = await stored(history, row)

    assert not await history.record(later(row, following, stored_bytes=8, error_code="x", metadata={"x": 1}))

    assert await stored(history, row) == before


async def test_a_late_record_of_an_earlier_state_changes_nothing(history: History) -> None:
    row = execution("running", started_at=STARTED_AT)
    await history.record(row)

    assert not await history.record(later(row, "queued", datasource="other"))

    assert (await stored(history, row))["status"] == "running"


async def test_what_is_not_known_later_erases_nothing(history: History) -> None:
    row = execution("queued", job="nightly", datasource="orders", metadata={"reason": "LimitReached"})
    await history.record(row)
    await history.record(later(row, "running", started_at=STARTED_AT))

    await history.record(later(row, "failed", error_code="dump-failed", error_message="no"))

    found = await stored(history, row)
    assert (found["job"], found["datasource"], found["started_at"]) == ("nightly", "orders", STARTED_AT)
    assert (found["status"], found["error_code"], found["metadata"]) == (
        "failed",
        "dump-failed",
        {"reason": "LimitReached"},
    )


async def test_the_same_state_fills_in_what_was_missing(history: History) -> None:
    row = execution("queued")
    await history.record(row)

    assert await history.record(later(row, "queued", datasource="orders"))

    assert (await stored(history, row))["datasource"] == "orders"


async def test_logs_may_follow_the_end_once(history: History) -> None:
    row = execution("failed", error_code="dump-failed")
    await history.record(row)
    other = [LogLine(ts="", level="info", message="other")]

    first = await history.record(later(row, "failed", logs=LOGS, error_code="other"))
    second = await history.record(later(row, "failed", logs=other))

    found = await stored(history, row)
    assert (first, second) == (True, False)
    assert [line["message"] for line in found["metadata"]["execution_logs"]] == ["[BACKUP] Stored"]
    assert found["error_code"] == "dump-failed"


async def test_logs_of_another_end_are_not_taken(history: History) -> None:
    row = execution("completed")
    await history.record(row)

    assert not await history.record(later(row, "failed", logs=LOGS))

    assert "execution_logs" not in (await stored(history, row))["metadata"]


async def test_text_that_postgres_cannot_hold_is_recorded_all_the_same(history: History) -> None:
    bad = "a\x00b\ud800c"
    row = execution("failed", error_message=bad, logs=[LogLine(ts="", level="info", message=bad)])

    await history.record(row)

    found = await stored(history, row)
    assert found["error_message"] == "a\ufffdb\ufffdc"
    assert found["metadata"]["execution_logs"][0]["message"] == "a\ufffdb\ufffdc"


async def test_a_log_of_any_length_is_recorded(history: History) -> None:
    lines = (LogLine(ts="", level="info", message="x" * 100) for _ in range(100_000))
    row = execution("completed", logs=lines)

    await history.record(row)

    assert len((await stored(history, row))["metadata"]["execution_logs"]) == 5_000


@pytest.mark.parametrize("known", [{"finished_at": FINISHED_AT}, {"checksum": "md5:0"}, {"dump_bytes": -1}])
async def test_a_row_that_breaks_the_rules_is_refused(history: History, known: dict[str, Any]) -> None:
    row = dataclasses.replace(execution("queued"), **known)

    with pytest.raises(psycopg.IntegrityError):
        await history.record(row)


@pytest.mark.parametrize("known", [{"finished_at": FINISHED_AT}, {"trigger": "retry"}, {"rows": -1}])
async def test_a_row_of_a_sync_that_breaks_the_rules_is_refused(history: History, known: dict[str, Any]) -> None:
    with pytest.raises(psycopg.IntegrityError):
        await history.record(synced("queued", **known))
