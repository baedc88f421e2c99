"""What is kept of a long log."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.history.logs import MAX_MESSAGE, LogLine, capped


def line(message: str) -> LogLine:
    return LogLine(ts="2026-11-24T02:00:00.000Z", level="info", message=message)


def messages(lines: list[LogLine]) -> list[str]:
    return [line.message for line in lines]


def test_a_log_that_fits_is_kept_as_it_is() -> None:
    lines = [line(f"[BACKUP] table {number}") for number in range(4_000)]

    assert capped(lines) == lines


def test_a_long_log_keeps_its_head_and_its_tail_and_says_what_is_missing() -> None:
    lines = [line(f"{number}") for number in range(10)]

    kept = messages(capped(lines, max_lines=5))

    assert kept == ["0", "1", "[6 lines are left out here]", "8", "9"]


def test_a_log_of_long_lines_is_cut_by_its_bytes() -> None:
    lines = [line("x" * 1_000) for _ in range(100)]

    kept = capped(lines, max_bytes=20_000)

    assert 15 < len(kept) < 20
    assert len(msgspec.json.encode(kept)) <= 20_000


def test_a_short_line_after_a_gap_stays_behind_it() -> None:
    lines = [line(text) for text in ("a", "x" * 4_000, "y" * 4_000, "z" * 400, "b")]

    kept = messages(capped(lines, max_bytes=5_000))

    assert kept == ["a", "[2 lines are left out here]", "z" * 400, "b"]


def test_a_very_long_line_is_cut() -> None:
    (kept,) = capped([line("x" * (MAX_MESSAGE + 7))])

    assert kept.message == "x" * MAX_MESSAGE + " [7 characters are left out here]"


def test_what_postgres_cannot_hold_is_replaced() -> None:
    (kept,) = capped([line("a\x00b\ud800c")])

    assert kept.message == "a\ufffdb\ufffdc"


def test_limits_without_room_for_both_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        capped([], max_lines=2)


any_text = st.text(st.characters(exclude_categories=()), max_size=300)
any_line = st.builds(LogLine, ts=any_text, level=any_text, message=any_text)


@given(st.lists(any_line, max_size=60), st.integers(3, 40), st.integers(1024, 8_000))
def test_no_log_breaks_a_limit_and_order_is_kept(lines: list[LogLine], max_lines: int, max_bytes: int) -> None:
    kept = capped(lines, max_lines=max_lines, max_bytes=max_bytes)

    whole = capped(lines)
    assert len(kept) <= max_lines
    assert len(msgspec.json.encode(kept)) <= max_bytes
    if kept != whole:
        (gap,) = [place for place, line in enumerate(kept) if line.message.endswith("lines are left out here]")]
        missing = int(kept[gap].message[1:].split()[0])
        assert missing == len(whole) - (len(kept) - 1)
        assert kept[:gap] == whole[:gap]
        assert kept[gap + 1 :] == whole[gap + missing :]


@given(st.lists(any_line, max_size=60))
def test_what_fits_is_never_cut(lines: list[LogLine]) -> None:
    whole = capped(lines)
    size = len(msgspec.json.encode(whole))

    assert capped(lines, max_lines=len(lines) + 3, max_bytes=size + 1024) == whole
