"""The lines of a log that are held for those who follow it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from ..domain.line_id import BEFORE_ALL, LineId, line_id
from ..history.logs import MAX_BYTES
from ..live_log import LiveLine

LINE_BYTES = 200  # of a line, beside its message


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of a log."""

    id: LineId
    line: Mapping[str, str]  # ts, level, message
    progress: Mapping[str, str | int] | None = None  # step and bytes, of a line that tells them


class Window:
    """Lines in their order, MAX_BYTES of them at most: then the first ones go."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        self._bytes = 0
        self._gone: LineId | None = None
        self.add(entries)

    @property
    def entries(self) -> Sequence[Entry]:
        """All of them."""
        return self._entries

    @property
    def last(self) -> LineId:
        """The id of the last one."""
        return self._entries[-1].id if self._entries else BEFORE_ALL

    @property
    def gone(self) -> LineId:
        """The last line before those that are held; BEFORE_ALL when there is none."""
        if self._gone is not None or not self._entries:
            return self._gone or BEFORE_ALL
        first = self._entries[0].id
        return LineId(first.pod, first.number - 1) if first.number > 1 else BEFORE_ALL

    def add(self, entries: Iterable[Entry]) -> None:
        """Add lines that follow."""
        for entry in entries:
            self._entries.append(entry)
            self._bytes += _size(entry)
        count = 0
        while self._bytes > MAX_BYTES and count < len(self._entries) - 1:
            self._bytes -= _size(self._entries[count])
            self._gone = self._entries[count].id
            count += 1
        del self._entries[:count]

    def after(self, at: LineId, count: int) -> Sequence[Entry]:
        """Those after a line, ``count`` at most."""
        start = bisect_right(self._entries, at, key=attrgetter("id"))
        return self._entries[start : start + count]


def live_entry(line: LiveLine) -> Entry:
    """A line of the live log."""
    progress: dict[str, str | int] | None = (
        {"step": line.progress[0], "bytes": line.progress[1]} if line.progress else None
    )
    told = {"ts": line.ts, "level": line.level, "message": line.message}
    return Entry(id=line.id, line=told, progress=progress)


def recorded_entry(line: Mapping[str, str], number: int) -> Entry:
    """A line of a recorded log; one from before lines had ids is known by its number."""
    told = {name: line[name] for name in ("ts", "level", "message")}
    return Entry(id=line_id(line.get("id", "")) or LineId(0, number), line=told)


def _size(entry: Entry) -> int:
    return LINE_BYTES + len(entry.line["message"])
