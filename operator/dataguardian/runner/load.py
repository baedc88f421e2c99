"""Brings a dump into a database: in a transaction that is committed once every stored byte has proven to be right."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress

from ..engines import Command, Engine, Login, Part
from ..errors import DataGuardianError, EngineFailed, LoadFailed, TargetLocked
from .contents import Head, Memory
from .locks import LOOK_SECONDS, Locks
from .run import Run
from .script import Script
from .session import Session
from .tool import MEMORY, Tool

# After a load has failed, the rest of the backup is read for this long to tell whether the backup is the cause.
PROOF_SECONDS = 60.0
# A connection that is lost while the load is being committed leaves a question; the server is asked this long.
OUTCOME_SECONDS = 30.0
ASK_AGAIN_SECONDS = 0.5
_PARTLY = "The target has all rows, but it lacks indexes, constraints, triggers or policies."


class Load:
    """One load. The dump's iterator comes to its end only when all stored bytes were right; else it raises.

    Both ways raise what the iterator raises (BackupCorrupt, StorageUnavailable, Cancelled), LoadFailed, TargetLocked,
    DatabaseUnavailable or PermissionRefused. When they return, the data is committed and the run cannot be cancelled
    (unless it is a load that settles nothing). They return how many rows the server has taken for each table.
    """

    def __init__(
        self,
        run: Run,
        engine: Engine,
        login: Login,
        client: int,
        server: int,
        *,
        drop_existing: bool,
        lock_timeout_seconds: int,
        application: str,
        settles: bool = True,
    ) -> None:
        """``client`` and ``server`` are majors; ``application`` names the load's sessions, and no other's.

        Unless it ``settles`` the run, that can be cancelled after the load as before, and the database be dropped.
        """
        self._run, self._engine, self._login = run, engine, login
        self._drop_existing, self._lock_timeout_seconds = drop_existing, lock_timeout_seconds
        self._settles = settles
        self._loading = engine.loading(
            login,
            client,
            server,
            lock_timeout_seconds=lock_timeout_seconds,
            application=application,
            apart=not settles,
        )
        self._locks = Locks(run, engine, login, self._loading)

    def atomic(self, dump: Iterator[bytes]) -> list[int]:
        """All in one transaction: whatever fails, the target is as it was."""
        with closing(self._locks), self._explained(dump):
            if not self._drop_existing:
                return self._transaction(dump, "whole")
            with closing(Head(self._run, self._loading.contents())) as head:
                whole = head.take(dump)
                return self._transaction(whole, "whole", self._drops(head))

    def parallel(self, dump: Iterator[bytes], jobs: int) -> list[int]:
        """Tables and rows in one transaction, then indexes, constraints and policies by several connections.

        What fails before that transaction is committed leaves the target as it was; what fails afterwards leaves a
        target with all rows that lacks an index, a constraint or a trigger, and says so.
        """
        with (
            closing(self._locks),
            self._explained(dump),
            closing(Head(self._run, self._loading.contents())) as head,
        ):
            whole = head.take(dump)
            apart = head.complete and self._loading.several_connections
            if not apart:
                self._run.say("info", "Indexes are built by one connection, beside the rows", "built_in_transaction")
            hiding = self._hiding(head) if apart else b""
            loaded = self._transaction(whole, "rows" if apart else "whole", self._drops(head), hiding)
            if apart:
                self._build(head, jobs)
            if apart and self._settles:
                self._run.settled_elsewhere()
            return loaded

    def _transaction(
        self, dump: Iterator[bytes], part: Part, drops: bytes | None = b"", afterwards: bytes = b""
    ) -> list[int]:
        loading = self._loading
        session = Session(self._run, self._engine, self._login, loading.session())
        with closing(session):
            session.send(loading.begin())
            (transaction,) = session.lines()
            with Script(self._run, loading, part, session, before=drops, stalled=self._locks.look) as script:
                end = self._end_of(script, dump, session)
            session.send(end)
            loaded = loading.loaded(self._answer(session))
            if afterwards:
                session.send(afterwards)
                self._answer(session)
            self._commit(session, transaction, last=part == "whole")
            return loaded

    def _drops(self, head: Head) -> bytes | None:
        """Statements that drop what is replaced; None when the table of contents is too long to choose from."""
        if not self._drop_existing:
            return b""
        if not head.complete:
            return None
        self._succeeded(head.tool)
        chosen = self._loading.dropped(head.tool.printed())
        return self._loading.drops(self._written(head, chosen, self._loading.dropping))

    def _hiding(self, head: Head) -> bytes:
        """Statements that hide rows from those who may not see all of them, until policies let them."""
        self._succeeded(head.tool)
        chosen = self._loading.hidden(head.tool.printed())
        return self._written(head, chosen, self._loading.hiding) if chosen else b""

    def _written(self, head: Head, chosen: bytes, command: Callable[[str, str], Command]) -> bytes:
        """What a program writes about a part of the table of contents."""
        with closing(Memory(chosen)) as listing:
            files = (head.memory.file, listing.file)
            tool = self._run.start(command(head.memory.path, listing.path), stdout=MEMORY, files=files)
            with closing(tool):
                self._succeeded(tool)
                return tool.printed()

    def _end_of(self, script: Script, dump: Iterator[bytes], session: Session) -> bytes:
        """Run all of the script but its end, which is returned once the dump has proven to be whole and right."""
        whole = script.take(dump)
        try:
            tail = script.end()
        except BrokenPipeError:
            self._answer(session)  # it has ended, and says why
            raise
        self._succeeded(script.tool)
        try:
            if whole:
                return self._loading.closing(tail)
        except ValueError:
            pass
        raise LoadFailed(
            "The dump was taken for complete before its end.", remedy="Restore another backup, and keep this one's log."
        )

    def _answer(self, session: Session) -> list[str]:
        """Wait until the session has run all that it was given, and has answered."""
        while not session.answers_within(LOOK_SECONDS):
            self._locks.look()
        return session.lines(LoadFailed)

    def _commit(self, session: Session, transaction: str, *, last: bool) -> None:
        """Make it last. Meanwhile the run cannot be cancelled, and when it was the ``last`` also not afterwards."""
        if self._settles:
            self._run.spare(session.tool)
            self._run.settle()
        self._run.check()
        session.send(self._loading.commit())
        try:
            session.lines(LoadFailed)
        except DataGuardianError as error:
            if not self._committed(transaction, error):
                self._run.reopen()
                raise
            self._run.warn(f"The commit was confirmed by another connection: {error.what}", "commit_confirmed")
        if self._settles and not last:
            self._run.lasting = _PARTLY
            self._run.reopen()

    def _committed(self, transaction: str, error: DataGuardianError) -> bool:
        """Whether a commit that was not answered has happened."""
        deadline = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < deadline:
            self._run.check()
            with suppress(DataGuardianError), closing(self._asking()) as session:
                found = self._loading.committed(session.ask(self._loading.outcome(transaction)))
                if found is not None:
                    return found
            time.sleep(ASK_AGAIN_SECONDS)
        raise LoadFailed(
            f"The load was lost while it was committed, and the server does not tell what became of it: {error.what}",
            remedy="Look into the target: it has either all of the backup or nothing of it.",
        ) from error

    def _asking(self) -> Session:
        """A session that a request to end a run that has settled leaves alone, as it leaves the commit."""
        return Session(self._run, self._engine, self._login, last=self._settles)

    def _succeeded(self, tool: Tool) -> None:
        if not tool.wait():
            raise self._engine.failure(tool.said(), self._login, LoadFailed)

    def _build(self, head: Head, jobs: int) -> None:
        self._locks.look()  # while a connection is free
        # By SIGTERM it ends its connections' statements too; by SIGKILL the server would go on with them.
        command = self._loading.build(head.memory.path, jobs)
        tool = self._run.start(command, files=(head.memory.file,), ending=signal.SIGTERM)
        try:
            while not tool.ended_within(LOOK_SECONDS):
                self._locks.look(self._lock_timeout_seconds)
            self._succeeded(tool)
        except DataGuardianError as error:
            raise type(error)(f"{error.what} {_PARTLY}", remedy=error.remedy) from error
        finally:
            tool.kill()
            tool.wait()
            tool.close()

    @contextmanager
    def _explained(self, dump: Iterator[bytes]) -> Generator[None]:
        """Name who held the locks, and raise BackupCorrupt when that is why a load failed.

        A program may stumble over damage before the checksum is known.
        """
        try:
            yield
        except TargetLocked as error:
            raise self._locks.named(error) from error
        except EngineFailed:
            deadline = time.monotonic() + PROOF_SECONDS
            for _ in dump:
                if time.monotonic() > deadline:
                    break
            raise
