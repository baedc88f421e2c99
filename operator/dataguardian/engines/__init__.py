"""Engines: what to run for each kind of database, and what its tools' answers mean. They run nothing themselves.

To add one: one file, one entry in ``ENGINES``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..domain.manifest import Fingerprint, Table
from ..domain.plan import BackupPlan
from ..domain.verification import Restored
from ..errors import DataGuardianError, EngineFailed
from .command import Command, Login
from .databases import DatabasesEngine, MarkedPrevious, PreviousOfRun
from .loading import Blocker, Loading, Part, Waiting
from .masking import Columns, MaskingEngine
from .postgresql import PostgreSQL
from .source import Contents, Source
from .swap import Brought, InTheWay, Kept, SwapEngine
from .sync import SyncEngine
from .target import TargetEngine


class Engine(TargetEngine, DatabasesEngine, SwapEngine, SyncEngine, MaskingEngine, Protocol):
    """One kind of database. ``major`` is the major version of the client programs to use."""

    def password_file(self, password: str) -> str:
        """The content of the file through which the client programs learn the password."""

    def client(self, server_major: int, *, at_least: int = 0, dumps: bool = True) -> int:
        """The major of the oldest client that serves this server. Raises ConfigInvalid when there is none.

        A client that ``dumps`` must write what any of its kind loads into this server again. One that loads may be
        older than the server, where there is no other, but never than the dump's: ``at_least``.
        """

    def session(self, login: Login) -> Command:
        """An SQL client that reads statements from stdin and answers with JSON lines."""

    def describe_source(self) -> str:
        """Statements that pin a snapshot and describe the source; ``source`` reads the answer."""

    def source(self, lines: Sequence[str]) -> Source:
        """What ``describe_source`` answered."""

    def describe_dumped(self, contents: Contents) -> str:
        """Statements that describe what a dump holds, as the snapshot sees it; see ``fingerprint``."""

    def describe_sequences(self) -> str:
        """Statements that end the snapshot and tell how far sequences are by now; see ``fingerprint``."""

    def fingerprint(self, source: Source, contents: Contents, lines: Sequence[str]) -> tuple[Fingerprint, list[str]]:
        """What ``describe_dumped`` and ``describe_sequences`` answered, and sentences on what could not be read.

        A row's hash in a table's sample is that of its columns as text, so that it is the same after any restore.
        """

    def describe_contents(self, expected: Fingerprint) -> str:
        """Statements that describe a restored database; all rows are counted, and hashed where there is a sample."""

    def found(self, lines: Sequence[str]) -> Restored:
        """What ``describe_contents`` answered."""

    def count_rows_by_name(self, tables: Sequence[Table]) -> str:
        """Statements that count the rows of those of these tables that exist."""

    def counted(self, lines: Sequence[str]) -> list[Table]:
        """What these statements answered; a table that could not be counted is not in it."""

    def dump_arguments(self, plan: BackupPlan | None) -> list[str]:
        """How the dump is made, without host, user, database and snapshot; without a plan all is dumped."""

    def is_filtered(self, dump_arguments: Sequence[str]) -> bool:
        """Whether a dump that is made so leaves out something that the rest may refer to."""

    def dump(self, login: Login, major: int, snapshot: str, plan: BackupPlan | None) -> Command:
        """Write the database, uncompressed, as this snapshot sees it, to stdout."""

    def dump_schema(self, login: Login, major: int, snapshot: str, plan: BackupPlan) -> Command:
        """Write the same dump without data to stdout."""

    def list_contents(self, major: int) -> Command:
        """Read the head of a dump from stdin and list what is in it."""

    def contents(self, listing: str) -> Contents:
        """What ``list_contents`` printed."""

    def loading(
        self,
        login: Login,
        client: int,
        server: int,
        *,
        lock_timeout_seconds: int,
        application: str,
        apart: bool = False,
    ) -> Loading:
        """How this client loads a dump into a server of this major; see ``runner.load``.

        ``apart``: without what would tie the database to other servers, so that it can be dropped again.
        """

    def load_by_hand(self, database: str) -> str:
        """A command for a person's shell that loads a dump from stdin in one transaction, replacing what exists."""

    def failure(self, said: str, login: Login, otherwise: type[EngineFailed] | None) -> DataGuardianError:
        """What a program meant by what it printed to stderr.

        ``otherwise`` is the error for a failure in the middle of the work; without it, nothing but a
        login was under way. MaskingFailed says that the work is a masked load: the result is MaskingInvalid or
        MaskingFailed where a rule is the cause, else LoadFailed, and has nothing of a row.
        """


ENGINES: Mapping[str, Engine] = {"postgresql": PostgreSQL()}

__all__ = [
    "ENGINES",
    "Blocker",
    "Brought",
    "Columns",
    "Command",
    "Contents",
    "Engine",
    "InTheWay",
    "Kept",
    "Loading",
    "Login",
    "MarkedPrevious",
    "Part",
    "PreviousOfRun",
    "Source",
    "Waiting",
]
