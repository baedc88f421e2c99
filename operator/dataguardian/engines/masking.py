"""What an engine says about masking: what there is to be masked, and how it is done while rows are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..domain.masking import Column, Masked
from ..domain.plan import MaskingRule


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of all tables, views and foreign tables that a dump would hold, and what has none."""

    columns: list[Column]
    large_objects: int


class MaskingEngine(Protocol):
    """Statements about masking. What people wrote and the key are rows that these bring, never part of a statement."""

    def describe_columns(self) -> str:
        """Statements for the session that holds the source's snapshot; ``columns`` reads the answer."""

    def columns(self, lines: Sequence[str]) -> Columns:
        """What ``describe_columns`` answered. Raises EngineFailed when a part is missing."""

    def mask_before_rows(self, masked: Sequence[Masked], shuffled: Sequence[MaskingRule], key: bytes) -> bytes:
        """Statements of a load's session, once its tables exist: each row is masked before it is stored.

        An error of theirs, and of the load from here on, is told by ``Engine.failure`` with MaskingFailed.
        """

    def mask_after_rows(self) -> bytes:
        """Statements of the same transaction, when all rows are in: shuffle, and take away what masked."""

    def mark_masked(self, digest: str | None, *, database: str | None = None) -> str:
        """Put the digest of the rules into the comment of the session's database, or of another one of its server.

        It takes the place of an older one; None only takes that out, where the role may. All else that the comment says
        stays. A part of the session's transaction.
        """
