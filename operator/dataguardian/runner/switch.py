"""The moment of a Swap: all that belongs to the target goes over to the new database, and then its name."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress

from ..domain.swap import SwapTarget
from ..engines import Engine, InTheWay, Login
from ..errors import DataGuardianError, EngineFailed, LoadFailed, PermissionRefused, TargetLocked
from .commit import happened
from .emptiness import Emptiness
from .locks import sentence
from .run import Run
from .session import Session

# Ended sessions need some milliseconds. Who comes back at once is ended again, while the server waits for the name.
LEAVING_SECONDS = 0.05
LOOK_SECONDS = 0.002
PAUSE_SECONDS = 0.25


class Switch:
    """One switch by two sessions of a third database: one acts, in one transaction, and one watches.

    Whatever fails, the target keeps its name and content. From the first ended session on the run cannot be cancelled.
    """

    def __init__(
        self,
        run: Run,
        engine: Engine,
        acting: Session,
        third: Login,
        application: str,
        patience_seconds: float,
        emptiness: Emptiness | None = None,
    ) -> None:
        """``application`` is the name of the acting session, and of no other one.

        With ``emptiness`` a target is refused into which somebody has brought something by then.
        """
        self._run, self._engine, self._acting, self._third = run, engine, acting, third
        self._application, self._patience_seconds, self._emptiness = application, patience_seconds, emptiness

    def make(self, target: SwapTarget, new: str, held: str, previous: str, mark: str, inside: Session) -> int:
        """Let the new database take the target's name, and the target that of the previous one, with this mark.

        Meanwhile the new one is called ``held``, which nobody sees. ``inside`` is a session in it, which ends. Returns
        the milliseconds in which nobody could be in the target. Raises PermissionRefused, TargetLocked, TargetNotEmpty,
        LoadFailed.
        """
        with closing(self._session()) as watching:
            transaction = self._prepare(target, new, held, inside, watching)
            if self._emptiness is not None:
                self._emptiness.check()  # before anybody is disturbed
            self._run.settle()
            began = time.monotonic()
            try:
                with self._explained(target, watching):
                    self._exchange(target, previous, held, mark, watching)
                self._commit(transaction)
            except BaseException:
                self._run.reopen()
                raise
            return round((time.monotonic() - began) * 1000)

    def _session(self) -> Session:
        """One that a request to end the run leaves alone."""
        return Session(self._run, self._engine, self._third, last=True)

    def _prepare(self, target: SwapTarget, new: str, held: str, inside: Session, watching: Session) -> str:
        """All that can be done while others are in the target; the transaction's id."""
        acting, engine = self._acting, self._engine
        transaction = acting.ask(engine.begin_switch(self._application), LoadFailed)[-1]
        acting.ask(engine.carry_over(target, new), LoadFailed)
        acting.send(engine.rename(new, held))
        # Without a session in it any sweep may take the new database, until this one has it to itself.
        while not acting.answers_within(LOOK_SECONDS) and not engine.holds(watching.ask(engine.find_hold(new))):
            self._run.check()
        inside.close()
        acting.lines(LoadFailed)
        self._await_way(target, watching)
        return transaction

    def _await_way(self, target: SwapTarget, watching: Session) -> None:
        """Wait for those who cannot be ended, while nobody is disturbed."""
        deadline, told = time.monotonic() + self._patience_seconds, False
        while (error := _obstacle(self._in_the_way(target, watching))) is not None:
            if time.monotonic() > deadline:
                raise error
            if not told:
                self._run.say("warn", error.what, "switch_waits")
                told = True
            self._run.pause(PAUSE_SECONDS)

    def _exchange(self, target: SwapTarget, previous: str, held: str, mark: str, watching: Session) -> None:
        acting, engine, emptiness = self._acting, self._engine, self._emptiness
        end = engine.end_sessions(target, but=emptiness.number if emptiness else 0)
        leaving = time.monotonic() + LEAVING_SECONDS
        while engine.sessions(watching.ask(end)) and time.monotonic() < leaving:
            time.sleep(LOOK_SECONDS)
        acting.send(engine.exchange(target.database, previous, held, mark))
        while not acting.answers_within(LOOK_SECONDS):
            closed = emptiness is not None and engine.holds(watching.ask(engine.find_hold(target.database)))
            others = engine.sessions(watching.ask(end))
            if emptiness is not None and closed and not others:  # nobody is in it, and nobody can enter
                emptiness.check()
                emptiness.close()
                emptiness = None
        acting.lines(LoadFailed)
        if emptiness is not None:  # somebody has ended its session
            emptiness.check()

    @contextmanager
    def _explained(self, target: SwapTarget, watching: Session) -> Generator[None]:
        """Name who was in the way of a switch that has failed."""
        try:
            yield
        except EngineFailed as error:
            obstacle = None
            with suppress(DataGuardianError):
                obstacle = _obstacle(self._in_the_way(target, watching))
            raise obstacle or _not_left(error) from error

    def _in_the_way(self, target: SwapTarget, watching: Session) -> InTheWay:
        return self._engine.in_the_way(watching.ask(self._engine.find_in_the_way(target)))

    def _commit(self, transaction: str) -> None:
        self._acting.send(self._engine.commit_switch())
        try:
            self._acting.lines(LoadFailed)
        except DataGuardianError as error:
            if not self._committed(transaction, error):
                raise
            self._run.warn(f"The switch was confirmed by another connection: {error.what}", "commit_confirmed")

    def _committed(self, transaction: str, error: DataGuardianError) -> bool:
        """Whether a commit that was not answered has happened."""

        def ask() -> bool | None:
            with closing(self._session()) as session:
                question = self._engine.switch_outcome(self._application, transaction)
                return self._engine.switched(session.ask(question))

        return happened(self._run, ask, "switch", error, "it is either the old database or the new one, whole")


def _obstacle(found: InTheWay) -> DataGuardianError | None:
    """The error of a switch that cannot be made because of others."""
    if found.sessions:
        return PermissionRefused(
            f"Sessions are in the target that the datasource's user may not end: {sentence(found.sessions)}.",
            remedy="Close them, or grant the user pg_signal_backend (which does not reach sessions of superusers); "
            "or set spec.strategy to Transaction.",
        )
    if found.locks:
        return TargetLocked(
            f"The target database is locked from elsewhere, by {sentence(found.locks)}.",
            remedy="End these sessions, or set a longer spec.lockTimeoutSeconds; then sync again.",
        )
    return None


def _not_left(error: EngineFailed) -> TargetLocked:
    return TargetLocked(
        f"The target was not left by all in time, so it was not switched: {error.what}",
        remedy="Sync again when fewer sessions enter the target, or set spec.strategy to Transaction.",
    )
