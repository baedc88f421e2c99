"""How a worker goes on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest

from dataguardian.errors import LeadershipLost, QueueUnavailable
from dataguardian.workers import loop
from dataguardian.workers.loop import SILENCE_S, Failure, Pulse, attempt, enrol, pulses, silent


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "heartbeats", {})
    monkeypatch.setattr(loop, "_loops", set())
    monkeypatch.setattr(loop, "_failures", {})


def raising(error: Exception) -> Callable[[], Awaitable[object]]:
    async def step() -> None:
        raise error

    return step


def test_a_worker_that_never_ends_a_step_falls_silent() -> None:
    enrol("sweep")
    started = time.time()

    assert silent(at=started + SILENCE_S - 1) == []
    assert silent(at=started + SILENCE_S + 1) == ["sweep"]


async def test_a_service_that_is_away_does_not_silence_a_worker_and_a_bug_does() -> None:
    enrol("away")
    enrol("broken")
    loop.heartbeats.update(away=0.0, broken=0.0)

    await attempt("away", raising(QueueUnavailable("Redis is away.", remedy="Wait.")))
    await attempt("broken", raising(KeyError("status")))

    assert silent(at=time.time()) == ["broken"]


async def test_who_only_attempts_something_now_and_then_is_not_waited_for() -> None:
    await attempt("watcher", raising(QueueUnavailable("Redis is away.", remedy="Wait.")))

    assert silent(at=time.time() + 10 * SILENCE_S) == []


async def test_the_loss_of_the_lead_is_told_by_the_process_and_not_by_each_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert not await attempt("sweep", raising(LeadershipLost("Another one leads.", remedy="Wait.")))
    assert caplog.records == []


async def test_a_failure_is_told_by_its_code_and_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    enrol("away")
    enrol("broken")
    await attempt("away", raising(QueueUnavailable("Redis at secret-canary is away.", remedy="Wait.")))
    await attempt("broken", raising(KeyError("secret-canary")))
    await attempt("now-and-then", raising(KeyError("secret-canary")))

    told = pulses(at=1001.0, leading=True)

    assert told.workers == {
        "away": Pulse(running=True, heartbeat=1000.0, failure=Failure(code="queue-unavailable", at=1000.0)),
        "broken": Pulse(running=True, heartbeat=1000.0, failure=Failure(code="internal", at=1000.0)),
    }
    assert not pulses(at=1001.0 + SILENCE_S, leading=True).workers["away"].running
