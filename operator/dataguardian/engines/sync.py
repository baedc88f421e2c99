"""What an engine says about both sides of a sync: statements, each with what reads its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..domain.sync_guards import SyncSource, SyncTarget
from .source import Source


class SyncEngine(Protocol):
    """``key`` is a random number of 63 bits, by which the target sees whether it is the source."""

    def describe_sync_source(self, key: int) -> str:
        """Statements for a source's session, which holds the key until its snapshot ends; see ``sync_source``."""

    def sync_source(self, source: Source, lines: Sequence[str]) -> SyncSource:
        """What ``describe_sync_source`` answered, and the source before it."""

    def describe_sync_target(self, key: int) -> str:
        """Statements for a target's session; see ``sync_target``."""

    def sync_target(self, lines: Sequence[str]) -> SyncTarget:
        """What ``describe_sync_target`` answered."""
