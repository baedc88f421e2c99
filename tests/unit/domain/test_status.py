"""What a run's status says follows from what happened."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain import report as reports
from dataguardian.domain import status as moves
from dataguardian.domain.capacity import QUEUE_AWAY, TURN
from dataguardian.domain.executions import TERMINAL, as_state
from dataguardian.domain.report import Report, StoredCopy
from dataguardian.errors import Cancelled, StorageUnavailable
from dataguardian.resources.backup import BackupExecutionStatus

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD = Report(
    completed=True,
    dump_bytes=1000,
    stored_bytes=500,
    checksum="sha256:" + "0" * 64,
    engine_version="17.2",
    copies=[StoredCopy(location="primary", key="a/b/manifest.json", stored=True)],
)
BAD = reports.failed(StorageUnavailable("The store is away.", remedy="Wait."), "dump")


def queued() -> BackupExecutionStatus:
    status = moves.accepted(BackupExecutionStatus(), uid="u", generation=1, now=NOW)
    assert status is not None
    return status


def running() -> BackupExecutionStatus:
    status = moves.started(queued(), datasource="orders", now=NOW)
    assert status is not None
    return status


def condition(status: BackupExecutionStatus, type: str) -> tuple[str, str]:
    found = next(condition for condition in status.conditions if condition.type == type)
    return found.status, found.reason


def test_an_accepted_run_is_queued_once() -> None:
    status = queued()

    assert status.phase == "Queued"
    assert condition(status, "Reconciling") == ("True", "Queued")
    assert moves.accepted(status, uid="u", generation=1, now=NOW) is None


def test_a_completed_run_shows_its_result_and_is_ready() -> None:
    status = moves.ended(running(), GOOD, now=NOW + timedelta(seconds=75))

    assert status is not None
    assert (status.phase, status.duration, status.stored_size) == ("Completed", "1m15s", "500 B")
    assert [copy.state for copy in status.copies] == ["Stored"]
    assert condition(status, "Ready") == ("True", "Completed")
    assert condition(status, "Reconciling")[0] == "False"


def test_a_failed_run_names_the_copies_that_failed() -> None:
    copy = StoredCopy(location="offsite", key="a/b/manifest.json", stored=False, reason="storage-unavailable: away")

    status = moves.ended(running(), msgspec.structs.replace(BAD, copies=[copy]), now=NOW)

    assert status is not None
    assert [(copy.location, copy.state, copy.reason) for copy in status.copies] == [
        ("offsite", "Failed", "storage-unavailable: away")
    ]


def test_a_failed_run_shows_step_code_message_and_remedy() -> None:
    status = moves.ended(running(), BAD, now=NOW)

    assert status is not None
    assert status.error is not None
    assert (status.phase, status.error.code, status.error.step) == ("Failed", "storage-unavailable", "dump")
    assert (status.error.message, status.error.remedy) == ("The store is away.", "Wait.")
    assert condition(status, "Ready") == ("False", "StorageUnavailable")
    assert condition(status, "Stalled")[0] == "True"


@given(st.sampled_from([GOOD, BAD]), st.sampled_from([GOOD, BAD]))
def test_an_ended_run_keeps_its_end(first: Report, second: Report) -> None:
    ended = moves.ended(running(), first, now=NOW)

    assert ended is not None
    assert moves.ended(ended, second, now=NOW) is None
    assert moves.started(ended, datasource="orders", now=NOW) is None
    assert moves.progressed(ended, step="dump", bytes=1, now=NOW) is None
    assert moves.waiting(ended, TURN, now=NOW) is None


def test_the_status_of_a_long_error_stays_small() -> None:
    long = reports.failed(StorageUnavailable("x" * 100_000, remedy="y" * 100_000), "dump")

    status = moves.ended(running(), long, now=NOW)

    assert status is not None
    assert len(status.model_dump_json()) < 8 * 1024


def test_a_completed_run_with_warnings_says_them() -> None:
    status = moves.ended(running(), msgspec.structs.replace(GOOD, warnings=["Table t has 3 rows less."]), now=NOW)

    assert status is not None
    assert condition(status, "Ready") == ("True", "CompletedWithWarnings")
    assert "Table t has 3 rows less." in next(each.message for each in status.conditions if each.type == "Ready")


def test_a_pod_that_waits_shows_until_it_works() -> None:
    held = moves.held_up(running(), message="Unschedulable: no node", now=NOW)
    assert held is not None
    assert condition(held, "Reconciling") == ("True", "PodWaiting")

    working = moves.progressed(held, step="dump", bytes=5, now=NOW)

    assert working is not None
    assert condition(working, "Reconciling") == ("True", "Running")


def test_a_run_that_waits_says_for_what_and_where_it_stands() -> None:
    status = moves.waiting(queued(), QUEUE_AWAY, place=3, datasource="orders", now=NOW)

    assert status is not None
    assert condition(status, "Ready") == ("False", "QueueUnavailable")
    assert (status.phase, status.queue_position, status.datasource) == ("Queued", 3, "orders")


def test_a_run_that_has_started_or_ended_has_no_place_any_more() -> None:
    waits = moves.waiting(queued(), TURN, place=3, now=NOW)
    assert waits is not None

    for moved in (moves.started(waits, now=NOW), moves.ended(waits, BAD, now=NOW)):
        assert moved is not None
        assert moved.queue_position is None


Move = Callable[[BackupExecutionStatus], BackupExecutionStatus | None]
STOPPED = reports.failed(Cancelled("The run was cancelled.", remedy="Run it again."), "dump")
MOVES: dict[str, Move] = {
    "accepted": lambda status: moves.accepted(status, uid="u", generation=1, now=NOW, held=QUEUE_AWAY, place=7),
    "waiting": lambda status: moves.waiting(status, QUEUE_AWAY, place=2, datasource="orders", now=NOW),
    "started": lambda status: moves.started(status, datasource="orders", now=NOW),
    "progressed": lambda status: moves.progressed(status, step="dump", bytes=5, now=NOW),
    "held_up": lambda status: moves.held_up(status, message="Unschedulable: no node.", now=NOW),
    "completed": lambda status: moves.ended(status, GOOD, now=NOW),
    "failed": lambda status: moves.ended(status, BAD, now=NOW),
    "cancelled": lambda status: moves.ended(status, STOPPED, now=NOW),
}
PHASES = [None, "Queued", "Running"]


@given(st.lists(st.sampled_from(sorted(MOVES)), max_size=30))
def test_whatever_happens_in_whatever_order_a_phase_moves_forward_and_an_end_stays(names: list[str]) -> None:
    status = BackupExecutionStatus()
    for name in names:
        before = status
        status = MOVES[name](before) or before
        if as_state(before.phase) in TERMINAL:
            assert status == before
        elif as_state(status.phase) not in TERMINAL:
            assert PHASES.index(status.phase) >= PHASES.index(before.phase)


def test_every_move_is_among_those_that_are_tried() -> None:
    found = {name for name, value in vars(moves).items() if callable(value) and value.__module__ == moves.__name__}

    public = {name for name in found if not name.startswith("_")} - {"is_terminal"}
    assert public == (set(MOVES) - {"completed", "failed", "cancelled"}) | {"ended"}
