"""What an engine says about databases that a run makes beside another one: named, made, found again, dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec


class MarkedPrevious(msgspec.Struct, frozen=True, kw_only=True):
    """A database with the name of one that was another one before a Swap, by its mark."""

    database: str | None  # that it was; None when the mark is gone
    until: str  # the end of its time, RFC 3339
    over: bool  # by the server's clock


class PreviousOfRun(NamedTuple):
    """What was a target before a run's Swap, and until when it is kept, RFC 3339."""

    name: str
    until: str


class DatabasesEngine(Protocol):
    """Statements about such databases, each with what reads its answer. Names in them are quoted by the server.

    A mark is the first line of a database's comment. It says that the database is ours, and of which run.
    """

    def name_database(self, prefix: str, database: str) -> str:
        """Statements that find a name with this prefix beside this database; ``digits`` reads the answer.

        Who looks for one next waits until the database is made, or the session ends.
        """

    def digits(self, lines: Sequence[str]) -> str:
        """The server's own time, as ``naming.database_beside`` takes it for a name that nobody has."""

    def create_database(self, name: str, mark: str, *, like: str, encoding: str = "", same_place: bool = False) -> str:
        """Create an empty database that only its owner enters, and leave the mark on it.

        It has the locale of the database that it is ``like`` and, unless another one is given, its encoding; with
        ``same_place`` its tablespace, too. Before it has its mark nobody can enter it.
        """

    def mark_database(self, name: str, mark: str) -> str:
        """Replace the mark."""

    def drop_database(self, name: str, mark: str) -> str:
        """Drop the database if it has this mark, whoever is in it; ``names`` reads it from the answer."""

    def find_leftovers(self) -> str:
        """Statements that list databases of verifications and syncs that are over; ``names`` reads the answer."""

    def find_expired(self, database: str) -> str:
        """Statements that list what was this database before a Swap and is over; ``names`` reads the answer."""

    def find_previous(self, name: str) -> str:
        """Statements that look for this one of them, over or not; ``previous`` reads the answer."""

    def previous(self, lines: Sequence[str]) -> MarkedPrevious | None:
        """What was found; None when there is no database of that name."""

    def find_previous_of(self, execution_id: str, database: str) -> str:
        """Statements that find what was this database before a Swap of this run; ``previous_of`` reads the answer."""

    def previous_of(self, lines: Sequence[str]) -> PreviousOfRun | None:
        """What ``find_previous_of`` answered; None when this run has not switched, or the database is gone."""

    def names(self, lines: Sequence[str]) -> list[str]:
        """The names in an answer."""

    def drop_leftover(self, name: str) -> str:
        """Drop the database if nobody is in it, else nothing; ``names`` reads it from the answer when it is gone."""
