"""What an engine says about a Swap: a new database beside the target takes its name, and all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..domain.swap import SwapTarget
from .loading import Blocker


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What a dump of the source brings, by name."""

    schemas: list[str]
    extensions: list[str]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the target has inside and keeps, as the engine wrote it for itself."""

    extensions: list[msgspec.Raw]
    default_privileges: list[msgspec.Raw]


class InTheWay(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a database from being renamed."""

    sessions: list[Blocker]  # in the database, that the role may not end
    locks: list[Blocker]  # sessions elsewhere that hold locks on it


class SwapEngine(Protocol):
    """Statements of a Swap, each with what reads its answer. Names in them are quoted by the server.

    Those that name databases are for a session of a third one, as nobody can rename a database from inside.
    """

    third_databases: Sequence[str]  # that servers usually have, the best one first

    def describe_swap(self, database: str) -> str:
        """Statements that describe a target; ``swap_target`` reads the answer."""

    def swap_target(self, lines: Sequence[str]) -> SwapTarget | None:
        """What ``describe_swap`` answered; None when there is no such database."""

    def describe_brought(self) -> str:
        """Statements for a session of the source, also inside its snapshot; ``brought`` reads the answer."""

    def brought(self, lines: Sequence[str]) -> Brought:
        """What ``describe_brought`` answered."""

    def describe_kept(self, extensions: Sequence[str]) -> str:
        """Statements for a session of the target: what it keeps, but for these extensions; see ``kept``."""

    def kept(self, lines: Sequence[str]) -> Kept:
        """What ``describe_kept`` answered."""

    def install_extensions(self, kept: Kept, *, awaited: Sequence[str] = ()) -> str:
        """Statements for a session of the new database that make the extensions which it does not have.

        They come into the schema and in the version that they had. Those whose schema is missing and awaited are
        left out. The answer has the names of those that were made.
        """

    def grant_defaults(self, kept: Kept) -> str:
        """Statements for a session of the new database: its default privileges become those of the target."""

    def carry_over(self, target: SwapTarget, name: str) -> str:
        """Give the new database the target's owner, grants, settings, comment, limit and template mark.

        All grants become the owner's. Of the new database's comment, what says how it is masked stays.
        """

    def rehearsed(self, statements: str) -> str:
        """The same statements, undone at once: they fail if they would."""

    def begin_switch(self, application: str) -> str:
        """Statements that open a transaction in a session of this name and answer with its id."""

    def rename(self, name: str, to: str) -> str:
        """Rename a database once nobody is in it, which is awaited for some seconds; nobody can enter it then."""

    def find_hold(self, name: str) -> str:
        """Statements that tell whether a session has the database to itself; ``holds`` reads the answer."""

    def holds(self, lines: Sequence[str]) -> bool:
        """What ``find_hold`` answered."""

    def exchange(self, target: str, previous: str, new: str, mark: str) -> str:
        """Rename the target to ``previous`` and ``new`` to the target; the previous one gets the mark, and is closed.

        It waits no longer than two seconds, and for the commit no longer than five.
        """

    def find_in_the_way(self, target: SwapTarget) -> str:
        """Statements that look for it; ``in_the_way`` reads the answer."""

    def in_the_way(self, lines: Sequence[str]) -> InTheWay:
        """What ``find_in_the_way`` answered."""

    def find_session_number(self) -> str:
        """Statements that tell which session this is; ``session_number`` reads the answer."""

    def session_number(self, lines: Sequence[str]) -> int:
        """What ``find_session_number`` answered; it is never 0."""

    def end_sessions(self, target: SwapTarget, *, but: int = 0) -> str:
        """End all sessions of the target that the role may end, but for this one; ``sessions`` reads the answer."""

    def sessions(self, lines: Sequence[str]) -> int:
        """How many sessions ``end_sessions`` found, without the one that it spared."""

    def commit_switch(self) -> str:
        """The statement that makes it last."""

    def switch_outcome(self, application: str, transaction: str) -> str:
        """Statements of another session: end the switch where it hangs, and answer what has become of it."""

    def switched(self, lines: Sequence[str]) -> bool | None:
        """What ``switch_outcome`` answered; None while the server itself does not know."""
