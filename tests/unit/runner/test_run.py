"""A run ends when it is asked to, and not once it has happened."""

from __future__ import annotations

import subprocess

import pytest

from dataguardian.engines import Command
from dataguardian.errors import Cancelled
from dataguardian.runner.lines import Lines
from dataguardian.runner.run import Run

SLEEP = Command(("/usr/bin/sleep", "600"), {})


@pytest.fixture
def run() -> Run:
    """A run that has just begun."""
    return Run(Lines("backup"))


def test_cancelling_kills_the_programs_and_stops_the_work(run: Run) -> None:
    tool = run.start(SLEEP)

    run.cancel()

    assert tool.wait() is False
    assert "signal 9" in tool.said()
    tool.close()
    with pytest.raises(Cancelled):
        run.advance(1)
    with pytest.raises(Cancelled):
        run.start(SLEEP)


def test_a_request_that_comes_too_late_leaves_the_result_and_ends_what_is_still_done(run: Run) -> None:
    counting = run.start(SLEEP)
    run.settle()

    run.cancel()

    run.check()
    assert not run.cancelled
    assert counting.wait() is False
    counting.close()


def test_a_run_that_was_asked_to_end_does_not_settle(run: Run) -> None:
    run.cancel()

    with pytest.raises(Cancelled):
        run.settle()


def test_a_run_whose_result_did_not_happen_can_be_asked_to_end_again(run: Run) -> None:
    run.settle()
    run.cancel()

    run.reopen()

    assert run.cancelled


def test_a_program_that_talks_much_is_not_held_up_and_its_last_words_are_kept(run: Run) -> None:
    noisy = Command(("/bin/sh", "-c", "yes x | head -c 2000000 >&2; echo last >&2; exit 3"), {"PATH": "/usr/bin:/bin"})
    tool = run.start(noisy, stdout=subprocess.DEVNULL)

    assert tool.wait() is False
    assert tool.said().endswith("last")
    assert len(tool.said()) < 20_000
    tool.close()
