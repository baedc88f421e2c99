"""What an engine says about a target: what it is, what it lacks, what a restore replaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..domain.manifest import Manifest
from ..domain.preflight import TargetState
from ..domain.report import Connections


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What a server lacks, by name."""

    roles: list[str]
    extensions: list[str]


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a target, and what of it a restore replaces. ``rows`` is an estimate, ``size`` is in bytes."""

    tables: int
    rows: int
    size: int
    dropped_count: int
    dropped: list[str]  # the first names
    connections: list[Connections]  # of others


class TargetEngine(Protocol):
    """Statements about a target, each with what reads its answer. Names in them are quoted by the server."""

    def describe_target(self) -> str:
        """Statements that describe a target; ``target`` reads the answer."""

    def target(self, lines: Sequence[str]) -> TargetState:
        """What ``describe_target`` answered."""

    def find_missing(self, roles: Sequence[str], extensions: Sequence[str]) -> str:
        """Statements that look for these; ``missing`` reads the answer."""

    def missing(self, lines: Sequence[str]) -> Missing:
        """What ``find_missing`` answered."""

    def measure_databases(self) -> str:
        """Statements that add up all databases of the server; ``used_bytes`` reads the answer."""

    def used_bytes(self, lines: Sequence[str]) -> int:
        """The bytes of all databases whose size the role may know."""

    def describe_replaced(self, names: Sequence[tuple[str, str]]) -> str:
        """Statements about a target and those of these relations (schema, name) that it has; see ``replaced``."""

    def replaced(self, lines: Sequence[str]) -> Replaced:
        """What ``describe_replaced`` answered."""

    def create_roles(self, names: Sequence[str]) -> str:
        """Create those of these roles that the server lacks; nobody can log in as one of them."""

    def create_schemas(self, manifest: Manifest) -> str:
        """Create the schemas of the backup's tables and sequences, if its dump does not; anybody may use them."""
