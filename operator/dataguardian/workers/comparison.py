"""When history is compared with the objects from end to end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..history import History

EVERY_S = 3600.0


class Comparison:
    """Due at the start, each time that history is back after it was away, and every hour.

    Whatever history missed meanwhile, or lost, is found then; in between, changes are written as they come.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._outages = -1  # as many as there were at the last one
        self._made_at = 0.0

    def is_due(self) -> bool:
        """Whether it is time."""
        return self._outages != self._history.outages or time.monotonic() - self._made_at > EVERY_S

    @contextmanager
    def made(self) -> Iterator[None]:
        """Around a comparison: one that ends with an error, or during which history was away, stays due."""
        outages = self._history.outages
        yield
        self._outages, self._made_at = outages, time.monotonic()
