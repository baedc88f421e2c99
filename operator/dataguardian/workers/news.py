"""When all objects of a kind are looked at again: thousands of them are not, every few seconds, for nothing."""

from __future__ import annotations

import time
from typing import Any

from ..resources.common import Kind
from .catalog import Catalog

EVERY_S = 60.0  # a look without news: time has passed


class News:
    """Whether any object of these kinds has changed since the last look at them, or a look is due anyway."""

    def __init__(self, catalog: Catalog, *kinds: Kind[Any]) -> None:
        self._catalog = catalog
        self._kinds = kinds
        self._looked_at = float("-inf")
        self._seen = self._now = 0

    def is_there(self) -> bool:
        """Ask before a look."""
        self._now = self._catalog.changes(*self._kinds)
        return self._now != self._seen or time.monotonic() - self._looked_at > EVERY_S

    def is_taken(self) -> None:
        """Tell after a look that left nothing to do: what was there when it was asked for is news no more."""
        self._seen, self._looked_at = self._now, time.monotonic()
