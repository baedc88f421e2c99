"""One execution's records in any order, as often as anybody likes: on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dataguardian.domain.executions import TERMINAL, State
from dataguardian.history import ExecutionRow, History, LogLine
from dataguardian.history.migrate import migrate
from dataguardian.settings import PostgresSettings

from .clients import postgres_settings
from .services import PostgresServer

START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LOG = (LogLine(ts="2026-11-24T02:09:00.000Z", level="success", message="[BACKUP] Stored"),)


@pytest.fixture(scope="module")
def settings(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> PostgresSettings:
    folder: Path = tmp_path_factory.mktemp("secrets")
    found = postgres_settings(postgres_server, postgres_server.database(), folder)
    migrate(found, deadline_s=10)
    return found


def life(end: State) -> list[ExecutionRow]:
    """All records of one execution, in the order in which its object was seen so."""
    queued = ExecutionRow(
        id="", operation="backup", namespace="shop", name="nightly-1", trigger="manual", status="queued",
        queued_at=START, observed_at=START,
    )  # fmt: skip
    running = replace(queued, status="running", started_at=START, datasource="orders")
    ended = replace(running, status=end, finished_at=START, copies=[{"state": "Stored"}])
    healed = replace(ended, copies=[{"state": "Stored"}, {"state": "Stored"}], kept_by=["maxBackups 1"])
    removed = replace(ended, copies=[{"state": "Removed"}, {"state": "Removed"}], kept_by=[])
    seen = [queued, running, ended, replace(ended, logs=LOG), healed, removed]
    return [replace(row, observed_at=START + timedelta(minutes=number)) for number, row in enumerate(seen)]


def told(end: State) -> st.SearchStrategy[list[ExecutionRow]]:
    """Every record at least once, some more often, in any order."""
    whole = life(end)
    return st.lists(st.sampled_from(whole), max_size=6).flatmap(lambda again: st.permutations(whole + again))


async def record(settings: PostgresSettings, records: Sequence[ExecutionRow]) -> tuple[list[State], tuple[Any, ...]]:
    """The states that the row went through, and what it has in the end."""
    states = []
    execution = str(uuid.uuid4())
    query = "SELECT status, datasource, copies, kept_by, metadata FROM backup_executions WHERE id = %s"
    async with History(settings) as history:
        for each in records:
            await history.record(replace(each, id=execution))
            async with history.connection() as connection:
                (row,) = await (await connection.execute(query, [execution])).fetchall()
            states.append(row[0])
    return states, row


@given(data=st.data(), end=st.sampled_from(sorted(TERMINAL)))
@examples(max_examples=25, deadline=None)
def test_any_order_and_repetition_of_records_ends_in_the_furthest_state_and_knows_all(
    settings: PostgresSettings, data: st.DataObject, end: State
) -> None:
    states, row = asyncio.run(record(settings, data.draw(told(end))))

    assert row[:4] == (end, "orders", [{"state": "Removed"}, {"state": "Removed"}], [])
    assert [line["message"] for line in row[4]["execution_logs"]] == ["[BACKUP] Stored"]
    ranks = [("queued", "running", end).index(state) for state in states]
    assert ranks == sorted(ranks)


@given(records=st.permutations([row for end in sorted(TERMINAL) for row in life(end)]))
@examples(max_examples=25, deadline=None)
def test_the_first_end_that_is_recorded_stays(settings: PostgresSettings, records: list[ExecutionRow]) -> None:
    states, row = asyncio.run(record(settings, records))

    ends = [state for state in states if state in TERMINAL]
    assert set(ends) == {row[0]}
