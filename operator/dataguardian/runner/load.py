"""Brings a dump into a database: in a transaction that is committed once all of the dump has proven to be right."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

from ..engines import Engine, Login
from ..errors import DataGuardianError, EngineFailed, LoadFailed, MaskingFailed, TargetLocked
from .commit import Commit
from .contents import LIMIT_BYTES, Head
from .locks import LOOK_SECONDS, Locks
from .phases import Mask, Phases, Replaces
from .programs import Programs
from .run import Run
from .written import Written

# After a load has failed, the rest of the backup is read for this long to tell whether the backup is the cause.
PROOF_SECONDS = 60.0
_PARTLY = "The target has all rows, but it lacks indexes, constraints, triggers or policies."


class Load:
    """One load. The dump's iterator comes to its end only when all of the dump was right; else it raises.

    Both ways raise what the iterator raises (BackupCorrupt, StorageUnavailable, DumpFailed, Cancelled), LoadFailed,
    TargetLocked, DatabaseUnavailable or PermissionRefused. When they return, the data is committed and the run cannot
    be cancelled (unless it is a load that settles nothing). They return how many rows the server has taken for each
    table. They take a piece of the dump only when they have done with the one before.
    """

    def __init__(
        self,
        run: Run,
        engine: Engine,
        login: Login,
        client: int,
        server: int,
        *,
        replaces: Replaces,
        lock_timeout_seconds: int,
        application: str,
        settles: bool = True,
        proves: bool = True,
        mask: Mask | None = None,
    ) -> None:
        """``client`` and ``server`` are majors; ``application`` names the load's sessions, and no other's.

        Unless it ``settles`` the run, that can be cancelled after the load as before: it is a load into a database that
        can be dropped. ``proves``: the end of the dump proves its bytes, as that of a stored one does, so that it is
        read also when the load has failed; a dump that does not is a sync's, and brings no subscriptions. With a
        ``mask`` nobody ever sees rows as they are in the dump. A target of which everything is replaced is refused
        (SyncRefused) when it has subscriptions.
        """
        self._lock_timeout_seconds = lock_timeout_seconds
        self._replaces, self._settles, self._proves, self._mask = replaces, settles, proves, mask
        loading = engine.loading(
            login,
            client,
            server,
            lock_timeout_seconds=lock_timeout_seconds,
            application=application,
            apart=not (settles and proves),
        )
        self._run, self._loading = run, loading
        self._programs = Programs(run, engine, login, loading)
        self._locks = Locks(run, engine, login, loading)

    def atomic(self, dump: Iterator[bytes | memoryview]) -> list[int]:
        """All in one transaction: whatever fails, the target is as it was."""
        with closing(self._locks), self._explained(dump):
            if self._replaces == "nothing" and self._mask is None:
                return self._transaction(dump)
            with closing(Head(self._run, self._loading.contents())) as head:
                whole = head.take(dump)
                return self._transaction(whole, self._written(head))

    def parallel(self, dump: Iterator[bytes | memoryview], jobs: int) -> list[int]:
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
            written = self._written(head)
            apart = written is not None and self._loading.several_connections
            if not apart:
                self._run.say("info", "Indexes are built by one connection, beside the rows", "built_in_transaction")
            loaded = self._transaction(whole, written, apart=apart)
            if apart:
                self._build(head, jobs)
            if apart and self._settles:
                self._run.settled_elsewhere()
            return loaded

    def _written(self, head: Head) -> Written | None:
        """What can be made of a table of contents; None when it is too long to choose from."""
        if head.complete:
            return Written(self._programs, head)
        if self._mask is None:
            return None
        raise LoadFailed(
            f"The dump's table of contents has more than {LIMIT_BYTES // 1024**2} MiB, which is too long to mask rows.",
            remedy="Leave spec.masking out, if the target may hold what the source holds.",
        )

    def _transaction(
        self, dump: Iterator[bytes | memoryview], written: Written | None = None, *, apart: bool = False
    ) -> list[int]:
        with closing(self._programs.session(self._loading.session())) as session:
            (transaction,) = session.ask(self._loading.begin())
            phases = Phases(self._programs, session, self._locks.look, written)
            loaded = phases.run(dump, self._replaces, self._mask, apart=apart)
            Commit(self._programs, settles=self._settles).make(session, transaction)
        if self._settles and apart:
            self._run.lasting = _PARTLY
            self._run.reopen()
        return loaded

    def _build(self, head: Head, jobs: int) -> None:
        self._locks.look()  # while a connection is free
        # By SIGTERM it ends its connections' statements too; by SIGKILL the server would go on with them.
        command = self._loading.build(head.memory.path, jobs)
        tool = self._run.start(command, files=(head.memory.file,), ending=signal.SIGTERM)
        try:
            while not tool.ended_within(LOOK_SECONDS):
                self._locks.look(self._lock_timeout_seconds)
            self._programs.succeeded(tool, MaskingFailed if self._mask else LoadFailed)
        except DataGuardianError as error:
            if not self._settles:
                raise
            raise type(error)(f"{error.what} {_PARTLY}", remedy=error.remedy) from error
        finally:
            tool.kill()
            tool.wait()
            tool.close()

    @contextmanager
    def _explained(self, dump: Iterator[bytes | memoryview]) -> Generator[None]:
        """Name who held the locks, and raise BackupCorrupt when that is why a load failed.

        A program may stumble over damage before the checksum is known.
        """
        try:
            yield
        except TargetLocked as error:
            raise self._locks.named(error) from error
        except EngineFailed:
            deadline = time.monotonic() + PROOF_SECONDS
            for _ in dump if self._proves else ():
                if time.monotonic() > deadline:
                    break
            raise
