"""A Swap: the copy is made in a new database beside the target, which takes its name in the end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager

import msgspec

from ..domain import swap as swaps
from ..domain.naming import PREVIOUS, SYNC, database_beside, kept_until, previous_comment, sync_comment
from ..domain.swap import SwapTarget
from ..engines import Brought, Engine, Kept, Login
from ..errors import DataGuardianError, LoadFailed, NotFound, PermissionRefused
from . import login as logins
from .emptiness import Emptiness
from .expire import drop_expired
from .run import Run
from .session import Session
from .switch import Switch
from .temporary import sweep


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """What a switch left."""

    milliseconds: int  # in which nobody could be in the target
    previous: str | None = None  # what was the target before, as long as it is there
    previous_until: str | None = None  # RFC 3339


class Swap:
    """One Swap: ``prepare``, load into the new database, ``switch``; ``close`` whatever happened.

    Until ``switch`` has returned, the target is as it was. The new database is entered by its owner alone before.
    """

    def __init__(
        self,
        run: Run,
        engine: Engine,
        login: Login,
        *,
        execution_id: str,
        brought: Brought,
        keep_previous_seconds: int = 0,
        patience_seconds: int = 60,
        must_be_empty: bool = False,
    ) -> None:
        """``login`` leads to the target, ``brought`` is what the dump brings.

        For ``patience_seconds`` the switch waits for sessions that it may not end, and that hold locks on the target.
        A target that ``must_be_empty`` is looked into once more when nobody else can be in it.
        """
        self._run, self._engine, self._login, self._third = run, engine, login, login
        self._execution_id, self._brought = execution_id, brought
        self._keep_seconds, self._patience_seconds = keep_previous_seconds, patience_seconds
        self._must_be_empty = must_be_empty
        self._database, self._mark = login.endpoint.database, sync_comment(execution_id)
        self._name = ""  # of the new database, as long as it is to be dropped
        self._kept = Kept(extensions=[], default_privileges=[])
        self._inside: Session | None = None

    def prepare(self) -> Login:
        """Make the new database, once all that speaks against a Swap has been asked; the login to it.

        Before, databases of earlier syncs are dropped whose time is over. Raises PermissionRefused, SyncRefused,
        NotFound, LoadFailed.
        """
        self._third = self._third_login()
        with closing(self._session(self._third)) as session:
            target = self._target(session)
        with closing(self._session(self._third)) as session:
            drop_expired(session, self._engine, self._run, self._database)
            sweep(session, self._engine, self._run)
        with closing(self._session(self._third)) as session:
            self._create(session)
            session.ask(self._engine.rehearsed(self._engine.carry_over(target, self._name)), LoadFailed)
        return self._enter()

    def switch(self) -> Switched:
        """Let the new database, which no other session is in, take the target's name. Then the run is settled.

        What is inside the target and kept goes over first. Raises PermissionRefused when sessions are in the target
        that may not be ended, TargetLocked when it is not left, TargetNotEmpty, SyncRefused, LoadFailed.
        """
        run, engine = self._run, self._engine
        run.check()
        inside = self._entered()
        self._install(inside, awaited=())
        inside.ask(engine.grant_defaults(self._kept), LoadFailed)
        with closing(self._session(self._third, last=True)) as acting, self._emptiness() as emptiness:
            target = self._target(acting)
            digits = engine.digits(acting.ask(engine.name_database(PREVIOUS, self._database)))
            previous, until = database_beside(PREVIOUS, self._database, digits), kept_until(digits, self._keep_seconds)
            mark = previous_comment(self._execution_id, until, self._database)
            application = f"dataguardian-{self._execution_id[:8]}-switch"
            switch = Switch(run, engine, acting, self._third, application, self._patience_seconds, emptiness)
            held = f"{SYNC}_{self._execution_id}"
            milliseconds = switch.make(target, self._name, held, previous, mark, inside)
        self._name = ""
        run.say(
            "info", f"The target is the new database since {milliseconds} ms", "switched", milliseconds=milliseconds
        )
        if not self._keep_seconds and self._dropped(previous):
            return Switched(milliseconds=milliseconds)
        return Switched(milliseconds=milliseconds, previous=previous, previous_until=until)

    def close(self) -> None:
        """Drop the new database if it has not become the target; a failure is a warning."""
        if self._inside is not None:
            self._inside.close()
        if not self._name:
            return
        try:
            with closing(self._session(self._third, last=True)) as session:
                session.ask(self._engine.drop_database(self._name, self._mark))
        except DataGuardianError as error:
            self._run.warn(
                f"The new database {self._name} stays until the next check of the datasource: {error.what}",
                "database_left",
                database=self._name,
            )

    def _session(self, login: Login, *, last: bool = False) -> Session:
        return Session(self._run, self._engine, login, last=last)

    def _third_login(self) -> Login:
        """The login to a third database: nobody can rename one from inside."""
        refused: list[DataGuardianError] = []
        for name in self._engine.third_databases:
            if name == self._database:
                continue
            login = logins.elsewhere(self._login, name)
            try:
                with closing(self._session(login)) as session:
                    session.ask("")
            except (NotFound, PermissionRefused) as error:
                refused.append(error)
            else:
                return login
        raise PermissionRefused(
            f"A Swap needs a session outside of the target: {' '.join(error.what for error in refused)}",
            remedy="Let the datasource's user CONNECT to the database postgres, also in the server's pg_hba.conf; "
            "or set spec.strategy to Transaction.",
        )

    def _target(self, session: Session) -> SwapTarget:
        """The target as it is now. Raises the first reason not to swap it."""
        datasource = self._login.endpoint.datasource
        target = self._engine.swap_target(session.ask(self._engine.describe_swap(self._database)))
        if target is None:
            raise NotFound(
                f"Database {self._database!r} of datasource {datasource!r} does not exist.",
                remedy="Create it, or correct spec.database.",
            )
        for refusal in swaps.refusals(datasource, target):
            raise refusal
        return target

    def _create(self, session: Session) -> None:
        engine = self._engine
        digits = engine.digits(session.ask(engine.name_database(SYNC, self._database)))
        self._name = database_beside(SYNC, self._database, digits)
        statements = engine.create_database(self._name, self._mark, like=self._database, same_place=True)
        session.ask(statements, LoadFailed)
        self._run.say("info", f"New database {self._name} made", "database_made", database=self._name)

    def _enter(self) -> Login:
        """Enter the new database, so that no sweep takes it for a leftover, and bring in what the dump does not."""
        engine = self._engine
        with closing(self._session(self._login)) as session:
            self._kept = engine.kept(session.ask(engine.describe_kept(self._brought.extensions)))
        login = logins.elsewhere(self._login, self._name)
        self._inside = self._session(login)
        inside = self._entered()
        inside.ask(engine.describe_target())
        self._install(inside, awaited=self._brought.schemas)
        inside.ask(engine.rehearsed(engine.grant_defaults(self._kept)), LoadFailed)
        return login

    def _entered(self) -> Session:
        assert self._inside is not None, "prepare comes first"  # noqa: S101 - for the type checker
        return self._inside

    def _install(self, inside: Session, *, awaited: Sequence[str]) -> None:
        """Make the target's extensions; those whose schema is awaited from the dump come after it."""
        engine = self._engine
        for name in engine.names(inside.ask(engine.install_extensions(self._kept, awaited=awaited), LoadFailed)):
            self._run.say("info", f"Extension {name} of the target is kept", "extension_kept", extension=name)

    @contextmanager
    def _emptiness(self) -> Generator[Emptiness | None]:
        if not self._must_be_empty:
            yield None
            return
        with closing(Emptiness(self._run, self._engine, self._login)) as emptiness:
            yield emptiness

    def _dropped(self, previous: str) -> bool:
        """Drop what was the target before; a failure is a warning, as the Swap has succeeded."""
        try:
            with closing(self._session(self._third, last=True)) as session:
                if self._engine.names(session.ask(self._engine.drop_leftover(previous))):
                    return True
                reason = session.tool.said()
        except DataGuardianError as error:
            reason = error.what
        self._run.warn(f"The previous database {previous} stays for now: {reason}", "previous_left", database=previous)
        return False
