"""What is told of services and workers as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from dataguardian.api.health import matters
from dataguardian.api.services import ServiceHealth
from dataguardian.api.workers import WORKERS, workers_of
from dataguardian.errors import QueueUnavailable
from dataguardian.queue import QUEUES
from dataguardian.workers.loop import Failure, Pulse, Pulses

AT = datetime(2026, 11, 24, 2, tzinfo=UTC)
LOOPS = {loop for worker in WORKERS.values() for loop in worker.loops}


def told(*, leading: bool = True, **changed: Pulse) -> Pulses:
    """All loops turned at second 100, but those that are given."""
    workers = {loop: Pulse(running=True, heartbeat=100.0) for loop in LOOPS}
    return Pulses(leading=leading, workers={**workers, **changed})


def service(status: Literal["up", "down"]) -> ServiceHealth:
    down = status == "down"
    return ServiceHealth(
        status=status, latency_ms=None if down else 1.0, since=AT, last_error="Gone." if down else None
    )


def test_each_queue_belongs_to_one_worker() -> None:
    assert sorted(worker.queue for worker in WORKERS.values() if worker.queue) == sorted(QUEUES)


def test_a_worker_is_as_fresh_as_the_loop_whose_turn_is_longest_ago() -> None:
    workers = workers_of(told(judge=Pulse(running=True, heartbeat=40.0)), {})

    assert workers["scheduler"].last_heartbeat == datetime.fromtimestamp(40, UTC)
    assert workers["health"].last_heartbeat == datetime.fromtimestamp(100, UTC)


def test_one_loop_that_hangs_stops_its_worker_and_no_other() -> None:
    workers = workers_of(told(expire=Pulse(running=False, heartbeat=1.0)), {})

    assert {name for name, each in workers.items() if not each.running} == {"cleanup"}


def test_a_dispatcher_that_hangs_stops_the_workers_of_all_queues() -> None:
    workers = workers_of(told(dispatcher=Pulse(running=False, heartbeat=1.0)), {})

    assert {name for name, each in workers.items() if not each.running} == {"backup", "restore", "db-sync"}


def test_an_error_is_told_by_its_code_in_our_own_words() -> None:
    failed = Pulse(running=True, heartbeat=100.0, failure=Failure(code=QueueUnavailable.code, at=90.0))

    error = workers_of(told(restore=failed), {})["restore"].last_error

    assert error is not None
    assert (error.code, error.at) == ("queue-unavailable", datetime.fromtimestamp(90, UTC))
    assert error.message.startswith("The queue server did not answer in time")


def test_what_was_told_last_stays_when_nobody_leads_and_does_not_run() -> None:
    workers = workers_of(told(leading=False), {"backup-queue": 3})

    assert {(each.running, each.last_heartbeat) for each in workers.values()} == {
        (False, datetime.fromtimestamp(100, UTC))
    }
    assert [workers[name].queue_depth for name in ("backup", "restore", "health")] == [3, None, None]


def test_a_leader_of_another_release_may_lack_a_loop() -> None:
    known = Pulses(leading=True, workers={"health": Pulse(running=True, heartbeat=100.0)})

    workers = workers_of(known, {})

    assert workers["health"].running
    assert not workers["cleanup"].running
    assert workers["cleanup"].last_heartbeat is None


@pytest.mark.parametrize(
    ("down", "leading", "hangs", "reasons"),
    [
        ("", True, "", []),
        ("redis", True, "", ["redis is down: Gone."]),
        ("", False, "", ["No operator leads, or the one that does cannot be reached."]),
        ("", True, "expire", ["The worker cleanup does not run."]),
    ],
)
def test_what_is_the_matter_is_told_in_words(down: str, leading: bool, hangs: str, reasons: list[str]) -> None:
    services = {name: service("down" if name == down else "up") for name in ("kubernetes", "postgres", "redis")}
    changed = {hangs: Pulse(running=False, heartbeat=1.0)} if hangs else {}

    assert matters(services, workers_of(told(leading=leading, **changed), {}), leading=leading) == reasons
