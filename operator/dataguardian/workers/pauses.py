"""How long something that failed is left alone: twice as long after each failure. A restart tries at once."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta


class Pauses:
    """The pauses by what failed; each caller says how long its first and its longest one are."""

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[timedelta, datetime]] = {}  # its length and its end

    def begin(self, key: Hashable, *, first: timedelta, longest: timedelta, now: datetime) -> datetime:
        """It failed; returns when it may be tried again."""
        length, _ = self._last.get(key, (first / 2, now))
        length = min(length * 2, longest)
        self._last[key] = length, now + length
        return now + length

    def is_over(self, key: Hashable, now: datetime) -> bool:
        """Whether it may be tried."""
        return key not in self._last or self._last[key][1] <= now

    def forget(self, key: Hashable) -> None:
        """It went well."""
        self._last.pop(key, None)
