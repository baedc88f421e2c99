"""When the database goes that was a target before a Swap."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.previous import CLOCKS, dropped, previous_of
from dataguardian.workers.previous import PreviousDatabases
from tests.unit.objects import ended_sync

OVER = datetime(2026, 11, 25, 2, tzinfo=UTC)
KEPT: dict[str, Any] = {"previousDatabase": {"name": "dg_previous_orders_1", "dropTime": OVER.isoformat()}}


def test_what_a_swap_keeps_is_known_until_it_is_dropped() -> None:
    known, execution = PreviousDatabases(), ended_sync(**KEPT)
    uid = execution.metadata.uid

    known.put(ended_sync(phase="Running", **KEPT))
    assert not known.is_kept(uid)
    known.put(execution)
    known.put(ended_sync(phase="Running"))  # an older version that was seen late
    assert known.is_kept(uid)
    gone = dropped(execution.status, now=OVER)
    assert gone is not None
    known.put(execution.model_copy(update={"status": gone}))
    assert not known.is_kept(uid)
    assert dropped(gone, now=OVER) is None


def test_a_failed_sync_that_had_switched_keeps_its_previous_database_too() -> None:
    assert previous_of(ended_sync(phase="Failed", **KEPT)) is not None
    assert previous_of(ended_sync()) is None


@given(st.timedeltas(timedelta(days=-2), timedelta(days=2)))
def test_it_is_due_only_when_its_time_is_over_for_certain(after: timedelta) -> None:
    known = PreviousDatabases()
    known.put(ended_sync(**KEPT))

    assert bool(known.due(OVER + after)) == (after >= CLOCKS)


def test_those_that_have_been_over_the_longest_are_due_first() -> None:
    known = PreviousDatabases()
    for name, hours in (("late", 2), ("early", 1)):
        over = OVER - timedelta(hours=3 - hours)
        known.put(ended_sync(name, previousDatabase={"name": name, "dropTime": over.isoformat()}))

    assert [each.name for each in known.due(OVER)] == ["early", "late"]
