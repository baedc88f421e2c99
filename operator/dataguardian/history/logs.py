"""The log of a run, cut to what a row can hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

MAX_LINES = 5_000
MAX_BYTES = 2 * 1024 * 1024
MAX_MESSAGE = 4_000  # characters of one line's message
MAX_WORD = 40  # characters of a time or a level
_GAP_BYTES = 512  # more than the line about the missing ones takes


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a run's log."""

    ts: str  # RFC 3339
    level: str
    message: str
    id: str = ""  # see ``domain.line_id``


def storable(text: str) -> str:
    """The text with U+FFFD for what Postgres and JSON cannot hold: NUL and halves of surrogate pairs."""
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def capped(lines: Iterable[LogLine], *, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> list[LogLine]:
    """All lines when they fit; else the first and the last, and between them a line that says how many are missing.

    The result has ``max_lines`` lines and, as JSON, ``max_bytes`` bytes at most. Lines are read one by one and only
    those that may be kept are held, so the log itself may be of any length. Raises ValueError for limits without
    room for both ends.
    """
    if max_lines < 3 or max_bytes < 2 * _GAP_BYTES:
        raise ValueError(f"a log needs room for 3 lines and {2 * _GAP_BYTES} bytes")
    lines_left, bytes_left = max_lines - 1, max_bytes - _GAP_BYTES
    lines_half, bytes_half = lines_left // 2, bytes_left // 2
    head: list[LogLine] = []
    tail: deque[tuple[LogLine, int]] = deque()
    missing, first = 0, None
    for line in map(cut, lines):
        size = len(msgspec.json.encode(line)) + 1  # the comma
        lines_left, bytes_left = lines_left - 1, bytes_left - size
        if not (tail or missing) and lines_left >= lines_half and bytes_left >= bytes_half:
            head.append(line)
            continue
        tail.append((line, size))
        while lines_left < 0 or bytes_left < 0:
            gone, gone_size = tail.popleft()
            lines_left, bytes_left = lines_left + 1, bytes_left + gone_size
            missing, first = missing + 1, first or gone
    gap = []
    if first:
        gap = [LogLine(ts=first.ts, level="warn", message=f"[{missing} lines are left out here]", id=first.id)]
    return [*head, *gap, *(line for line, _ in tail)]


def cut(line: LogLine) -> LogLine:
    """The line, with no more of its message than is held of one."""
    message = storable(line.message)
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]} [{len(message) - MAX_MESSAGE} characters are left out here]"
    return LogLine(ts=storable(line.ts)[:MAX_WORD], level=storable(line.level)[:MAX_WORD], message=message, id=line.id)
