"""The window of lines that a log's followers share."""

from __future__ import annotations

import gc
from collections.abc import Iterable

import pytest

from dataguardian.api.log_window import Budget, Entry, Window, recorded_entries
from dataguardian.domain.line_id import BEFORE_ALL, LineId


def entry(pod: int, number: int) -> Entry:
    return Entry(id=LineId(pod, number), line={"ts": "t", "level": "info", "message": f"{pod}-{number}"})


def ids(entries: Iterable[Entry]) -> list[str]:
    return [str(each.id) for each in entries]


def test_lines_that_two_readers_add_are_held_once_and_in_order() -> None:
    window = Window(Budget(), [entry(5, 1)])

    window.add([entry(5, 2), entry(5, 3)])
    window.add([entry(5, 2), entry(5, 3), entry(5, 4)])
    window.add([entry(5, 1)])

    assert ids(window.after(BEFORE_ALL, 10)) == ["5-1", "5-2", "5-3", "5-4"]


@pytest.mark.parametrize(
    ("recorded", "known_as"),
    [
        (["", "", ""], ["0-1", "0-2", "0-3"]),
        (["5-1", "", "6-1", ""], ["5-1", "5-2", "6-1", "6-2"]),
        (["", "5-1"], ["0-1", "5-1"]),
        (["6-1", "5-1", "6-1"], ["6-1", "6-2", "6-3"]),
    ],
)
def test_every_recorded_line_has_a_place_after_the_one_before(recorded: list[str], known_as: list[str]) -> None:
    lines = [{"ts": "t", "level": "info", "message": "m", "id": each} for each in recorded]

    window = Window(Budget(), recorded_entries(lines))

    assert ids(window.after(BEFORE_ALL, 10)) == known_as
    assert not window.after(window.last, 10)


def long(pod: int, number: int, message: str = "x" * 10_000) -> Entry:
    return Entry(id=LineId(pod, number), line={"ts": "t", "level": "info", "message": message})


def test_the_largest_window_loses_its_first_lines_when_memory_is_used_up() -> None:
    budget = Budget(100_000)
    small, large = Window(budget, [long(5, n) for n in range(1, 3)]), Window(budget)

    large.add(long(6, n) for n in range(1, 21))

    assert small.size + large.size <= 100_000
    assert ids(small.entries) == ["5-1", "5-2"]
    assert large.last == LineId(6, 20)
    assert large.gone == LineId(6, 20 - len(large.entries))


def test_memory_that_nobody_uses_any_more_is_free_again() -> None:
    budget = Budget(100_000)
    Window(budget, [long(5, n) for n in range(1, 9)])
    gc.collect()

    window = Window(budget, [long(6, n) for n in range(1, 9)])

    assert window.gone == BEFORE_ALL


def test_a_message_counts_with_the_memory_that_it_takes() -> None:
    ascii_only, wide = (Window(Budget(), [long(5, 1, message)]) for message in ("x" * 4_000, "😀" * 4_000))

    assert wide.size - ascii_only.size >= 3 * 4_000


def test_a_window_of_one_line_keeps_it() -> None:
    window = Window(Budget(10), [long(5, 1), long(5, 2)])

    assert ids(window.entries) == ["5-2"]
