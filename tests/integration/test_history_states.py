"""One execution's records in any order, as often as anybody likes: on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row

from dataguardian.domain.executions import TERMINAL, State
from dataguardian.history import ExecutionRow, History, LogLine, RunRow, SyncRow
from dataguardian.history.migrate import migrate
from dataguardian.settings import PostgresSettings

from .clients import postgres_settings
from .services import PostgresServer

BACKUP = uuid.uuid4()
START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LOG = (LogLine(ts="2026-11-24T02:09:00.000Z", level="success", message="[BACKUP] Stored"),)


@pytest.fixture(scope="module")
def settings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> PostgresSettings:
    folder: Path = tmp_path_factory.mktemp("secrets")
    found = postgres_settings(postgres_server, postgres_server.database(), folder)
    migrate(found, deadline_s=10)
    return found


def seen(*records: RunRow) -> list[RunRow]:
    """The records, each observed later than the one before."""
    return [replace(row, observed_at=START + timedelta(minutes=number)) for number, row in enumerate(records)]


def backup_life(end: State) -> list[RunRow]:
    """All records of one execution, in the order in which its object was seen so."""
    queued = ExecutionRow(
        id="", operation="backup", namespace="shop", name="nightly-1", trigger="manual", status="queued",
        queued_at=START, observed_at=START,
    )  # fmt: skip
    running = replace(queued, status="running", started_at=START, datasource="orders")
    ended = replace(running, status=end, finished_at=START, copies=[{"state": "Stored"}])
    healed = replace(ended, copies=[{"state": "Stored"}, {"state": "Stored"}], kept_by=["maxBackups 1"])
    removed = replace(ended, copies=[{"state": "Removed"}, {"state": "Removed"}], kept_by=[])
    return seen(queued, running, ended, replace(ended, logs=LOG), healed, removed)


def sync_life(end: State) -> list[RunRow]:
    """The same of a sync, whose backup is linked after its end."""
    queued = SyncRow(
        id="", namespace="shop", name="staging-1", trigger="manual", status="queued", queued_at=START,
        observed_at=START,
    )  # fmt: skip
    running = replace(queued, status="running", started_at=START, target="staging")
    ended = replace(running, status=end, finished_at=START)
    linked = replace(ended, backup_execution_id=BACKUP)
    return seen(queued, running, ended, replace(ended, logs=LOG), linked)


Life = Callable[[State], list[RunRow]]
# Beside the state and the log, what a row knows that has been told all.
LIVES: list[tuple[Life, dict[str, Any]]] = [
    (backup_life, {"datasource": "orders", "copies": [{"state": "Removed"}, {"state": "Removed"}], "kept_by": []}),
    (sync_life, {"target": "staging", "backup_execution_id": BACKUP}),
]


def told(whole: list[RunRow]) -> st.SearchStrategy[list[RunRow]]:
    """Every record at least once, some more often, in any order."""
    return st.lists(st.sampled_from(whole), max_size=6).flatmap(lambda again: st.permutations(whole + again))


async def record(settings: PostgresSettings, records: Sequence[RunRow]) -> tuple[list[State], dict[str, Any]]:
    """The states that the row went through, and what it has in the end."""
    states = []
    execution = str(uuid.uuid4())
    query = sql.SQL("SELECT * FROM {} WHERE id = %s").format(sql.Identifier(records[0].table))
    async with History(settings) as history:
        for each in records:
            await history.record(replace(each, id=execution))
            async with history.connection() as connection:
                (row,) = await (await connection.cursor(row_factory=dict_row).execute(query, [execution])).fetchall()
            states.append(row["status"])
    return states, row


@pytest.mark.parametrize(("life", "known"), LIVES)
@given(data=st.data(), end=st.sampled_from(sorted(TERMINAL)))
@examples(max_examples=25, deadline=None)
def test_any_order_and_repetition_of_records_ends_in_the_furthest_state_and_knows_all(
    settings: PostgresSettings, data: st.DataObject, life: Life, known: dict[str, Any], end: State
) -> None:
    states, row = asyncio.run(record(settings, data.draw(told(life(end)))))

    assert {column: row[column] for column in known} == known
    assert [line["message"] for line in row["metadata"]["execution_logs"]] == ["[BACKUP] Stored"]
    ranks = [("queued", "running", end).index(state) for state in states]
    assert ranks == sorted(ranks)
    assert states[-1] == end


@pytest.mark.parametrize("life", [life for life, _ in LIVES])
@given(data=st.data())
@examples(max_examples=25, deadline=None)
def test_the_first_end_that_is_recorded_stays(settings: PostgresSettings, data: st.DataObject, life: Life) -> None:
    records = data.draw(st.permutations([row for end in sorted(TERMINAL) for row in life(end)]))

    states, row = asyncio.run(record(settings, records))

    ends = [state for state in states if state in TERMINAL]
    assert set(ends) == {row["status"]}
