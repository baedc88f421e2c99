"""The audit log, on a real PostgreSQL."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from psycopg.errors import ProgramLimitExceeded

from dataguardian.history import AuditRow, HistoryUnavailable
from dataguardian.workers import rows

from .recording import Place

ROW = AuditRow(
    id=str(uuid.uuid5(uuid.NAMESPACE_URL, "removed")),
    at=datetime(2026, 11, 24, 2, 10, tzinfo=UTC),
    who="dataguardian",
    action="backup.removed",
    namespace="shop",
    object_kind="BackupExecution",
    object_name="nightly-202611240200",
    outcome="success",
    detail={"location": "primary", "reason": "no rule keeps it\x00"},
)


async def test_a_deed_that_is_told_twice_leaves_one_row_as_it_was_told_first(
    place: Place,
) -> None:
    told = (await place.history.audit(ROW), await place.history.audit(replace(ROW, outcome="failed")))

    assert told == (True, False)
    columns = "id::text, at, who, action, namespace, object_kind, object_name, outcome, detail, request_id"
    assert place.server.rows(place.database, "SELECT " + columns + " FROM audit_logs") == [
        (ROW.id, ROW.at, ROW.who, ROW.action, ROW.namespace, ROW.object_kind, ROW.object_name, "success",
         {"location": "primary", "reason": "no rule keeps it\ufffd"}, None)
    ]  # fmt: skip


async def test_a_text_that_no_index_could_take_is_cut_and_says_so(place: Place) -> None:
    name = "".join(f"{number:x}" for number in range(4000))

    assert await place.history.audit(replace(ROW, object_name=name))

    ((found,),) = place.server.rows(place.database, "SELECT object_name FROM audit_logs")
    assert found == f"{name[:512]} [{len(name) - 512} characters are left out here]"


async def test_what_postgres_cannot_hold_is_refused_and_is_no_outage(place: Place) -> None:
    place.server.sql(place.database, "CREATE INDEX ON audit_logs ((detail ->> 'reason'))")
    huge = replace(ROW, detail={"reason": "".join(f"{number:x}" for number in range(4000))})

    with pytest.raises(ProgramLimitExceeded):
        await place.history.audit(huge)

    assert place.history.outages == 0


async def test_a_deed_told_while_history_is_away_is_written_once_it_is_back(
    place: Place,
) -> None:
    context = place.operator().context
    place.server.stop()
    rows.audit(context, ROW)
    rows.audit(context, ROW)
    with pytest.raises(HistoryUnavailable):
        await rows.write_waiting(context)

    place.server.start()
    await rows.write_waiting(context)
    await rows.write_waiting(context)

    assert place.server.rows(place.database, "SELECT action FROM audit_logs") == [("backup.removed",)]
    assert context.unaudited == {}
