"""The lines of a log that are held for those who follow it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from sys import getsizeof
from weakref import WeakSet

from ..domain.line_id import BEFORE_ALL, LineId, line_id
from ..history.logs import MAX_BYTES
from ..live_log import LiveLine

LINE_BYTES = 500  # of a line in memory, beside its message
WINDOW_BYTES = 6 * MAX_BYTES  # any recorded log: four bytes for each of its own, and what is beside its messages
ALL_BYTES = 64 * 1024 * 1024  # a fourth of what the sidecar may use


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of a log."""

    id: LineId
    line: Mapping[str, str]  # ts, level, message
    progress: Mapping[str, str | int] | None = None  # step and bytes, of a line that tells them


class Budget:
    """The memory for several windows, in bytes: once it is used up, the largest window loses its first lines."""

    def __init__(self, most: int = ALL_BYTES) -> None:
        self._most = most
        self._windows: WeakSet[Window] = WeakSet()

    def share(self, window: Window) -> None:
        """Count a window as long as anybody holds it."""
        self._windows.add(window)

    def keep(self) -> None:
        """Have lines go until the rest fits."""
        while (surplus := sum(window.size for window in self._windows) - self._most) > 0:
            largest = max(self._windows, key=attrgetter("size"))
            if not largest.shrink(max(largest.size - surplus, self._most // len(self._windows))):
                return


class Window:
    """Lines in their order, WINDOW_BYTES of them at most and no more than the budget has: then the first ones go."""

    def __init__(self, budget: Budget, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        self.size = 0  # bytes
        self._gone: LineId | None = None
        self._budget = budget
        budget.share(self)
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
        """Add lines that follow; one that does not is there already, as two may have read it."""
        for entry in entries:
            if entry.id <= self.last:
                continue
            self._entries.append(entry)
            self.size += _size(entry)
        self.shrink(WINDOW_BYTES)
        self._budget.keep()

    def shrink(self, most: int) -> bool:
        """Let the first lines go until the rest has ``most`` bytes; false when none could go."""
        count = 0
        while self.size > most and count < len(self._entries) - 1:
            self.size -= _size(self._entries[count])
            self._gone = self._entries[count].id
            count += 1
        del self._entries[:count]
        return count > 0

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


def recorded_entries(lines: Iterable[Mapping[str, str]]) -> Iterator[Entry]:
    """The lines of a recorded log, each after the one before: one without an id, or with a lower one, follows it."""
    last = BEFORE_ALL
    for line in lines:
        last = max(line_id(line.get("id", "")) or BEFORE_ALL, LineId(last.pod, last.number + 1))
        yield Entry(id=last, line={name: line[name] for name in ("ts", "level", "message")})


def _size(entry: Entry) -> int:
    return LINE_BYTES + getsizeof(entry.line["message"])
