"""What an engine says about bringing a dump into a database; ``runner.load`` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from .command import Command

# Of a dump: its tables, and all else that rows need; their rows; and what is built from rows, such as indexes.
Part = Literal["tables", "rows", "built"]


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """A session that holds a lock which a load waits for."""

    application: str
    user: str
    pid: int  # 0: a prepared transaction, which has no session
    since: str  # when its transaction began, RFC 3339; empty where the role may not see it


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What a load waits for at one moment."""

    statements: list[str]  # of the load, that wait for others; each has the same text for as long as it goes on
    blockers: list[Blocker]


class Loading(Protocol):
    """One load: a session runs a script in a transaction that is opened and committed from outside."""

    several_connections: bool  # whether this client can build indexes by several connections in this server

    def session(self) -> Command:
        """The client that runs the script, under the load's own application name. It reads statements from stdin."""

    def begin(self) -> str:
        """Statements that open the transaction and answer with its id; what is left of an earlier try is ended."""

    def subscriptions(self) -> str:
        """Statements that find out from where else the database gets rows; ``names`` reads the answer."""

    def names(self, lines: Sequence[str]) -> list[str]:
        """What ``subscriptions`` answered."""

    def clear(self) -> str:
        """Statements that drop all that a dump of the database would hold, but what extensions have made.

        A schema that stays, because extensions are in it, gets the rights of a new one. For the open transaction.
        """

    def script(
        self,
        parts: Sequence[Part] = (),
        *,
        head: str | None = None,
        listing: str | None = None,
        rights: bool = True,
        clean: bool = False,
    ) -> Command:
        """Read a dump from stdin and write the script to stdout, as it goes: settings, statements, rows.

        No ``parts`` are all of them. ``head`` is a path to the head of a dump, which is read instead; ``listing`` to a
        list of what is made, when that is not all. ``rights``: with grants. ``clean``: the script itself drops what it
        makes, where it exists.
        """

    def opening(self, lines: bytes) -> bytes | None:
        """The head of a script as it is to be run, from its first lines. None: one more line is needed."""

    def closing(self, tail: bytes) -> bytes:
        """What to run instead of the last KiBs of a script: all but its commit; ``loaded`` reads the answer.

        Raises ValueError when no whole script ends so.
        """

    def whole(self, script: bytes, before: bytes = b"") -> bytes:
        """A script as it is to be run; ``before`` is run after its settings. Raises ValueError when it is none."""

    def loaded(self, lines: Sequence[str]) -> list[int]:
        """How many rows the server has taken for each table of the dump, in the dump's order."""

    def commit(self) -> str:
        """The statement that makes the load last."""

    def outcome(self, transaction: str) -> str:
        """Statements of another session: end the load where it hangs, and answer what has become of it."""

    def committed(self, lines: Sequence[str]) -> bool | None:
        """What ``outcome`` answered; None while the server itself does not know."""

    def blockers(self) -> str:
        """Statements of another session that find out who blocks the load."""

    def blocking(self, lines: Sequence[str]) -> Waiting:
        """What ``blockers`` answered."""

    def contents(self) -> Command:
        """Read the head of a dump from stdin until its table of contents is complete, and write that to stdout."""

    def contents_of(self, head: str, parts: Sequence[Part]) -> Command:
        """Write of the table of contents what belongs to these parts. ``head`` is a path to the dump's head."""

    def dropped(self, listing: bytes) -> bytes:
        """Of what ``contents`` wrote, what is to be dropped by a statement of its own."""

    def dropping(self, head: str, listing: str) -> Command:
        """Write statements that drop what is listed, where it exists. Both are paths: to a dump's head, to the list."""

    def drops(self, printed: bytes) -> bytes:
        """The statements in what ``dropping`` wrote."""

    def hidden(self, listing: bytes) -> bytes:
        """Of what ``contents`` wrote, what hides rows; empty when nothing does."""

    def granted(self, listing: bytes) -> bytes:
        """Of what ``contents_of`` wrote, the grants."""

    def kept(self, listing: bytes) -> bytes:
        """Of what ``contents`` wrote, what may have stayed where all else was dropped: it can be there already."""

    def cleared(self, listing: bytes) -> bytes:
        """Of what ``contents`` wrote, what is made where all was dropped that may go; the rest is ``kept``."""

    def where_absent(self, script: bytes) -> bytes:
        """A script about what is ``kept`` that makes it only where it is not there."""

    def extensions(self, listing: bytes) -> bytes:
        """Of what ``contents`` wrote, the extensions; empty when there are none."""

    def moving(self, script: bytes) -> str:
        """Statements that move extensions which are there to the schemas in which this script makes them."""

    def build(self, head: str, jobs: int) -> Command:
        """Make what is built from rows: indexes, constraints, triggers. ``head`` is a path to the dump's head."""
