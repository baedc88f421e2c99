"""Who makes a load wait: another session looks, while nothing moves."""

from __future__ import annotations

import math
import time

from ..engines import Blocker, Engine, Loading, Login, Waiting
from ..errors import Cancelled, DatabaseUnavailable, DataGuardianError, TargetLocked
from .run import Run
from .session import Session

LOOK_SECONDS = 0.5  # so that the shortest limit, one second, does not end before the names are known
NAMED_LIMIT = 5


class Locks:
    """Tells in the run's log whose locks a load waits for; each set of sessions once."""

    def __init__(self, run: Run, engine: Engine, login: Login, loading: Loading) -> None:
        self._run, self._engine, self._login, self._loading = run, engine, login, loading
        self._session: Session | None = None
        self._told: list[Blocker] = []
        self._since: dict[str, float] = {}  # statement → when it was first seen waiting
        self._silent: float | None = None  # since when looks fail

    def look(self, at_most: float = math.inf) -> None:
        """Ask the server, and tell.

        Raises TargetLocked when the looks have seen one statement wait for more than ``at_most`` seconds, and
        DatabaseUnavailable when they have failed for as long: nobody knows then whether the load goes on.
        """
        now = time.monotonic()
        try:
            waiting = self._ask()
        except Cancelled:  # the load itself ends
            return
        except DataGuardianError as error:  # no connection is free, or this one was ended: another look, another one
            self.close()
            self._session = None
            self._silent = now if self._silent is None else self._silent
            if now - self._silent > at_most:
                raise _silence(at_most, error) from error
            return
        self._silent = None
        self._since = {statement: self._since.get(statement, now) for statement in waiting.statements}
        self._tell(waiting.blockers)
        if now - min(self._since.values(), default=now) > at_most:
            raise TargetLocked(
                f"A lock was not given back within {at_most} s while indexes were built.",
                remedy="End the sessions that hold it; then run it again, with spec.dropExisting.",
            )

    def named(self, error: TargetLocked) -> TargetLocked:
        """The same error, with the sessions that were seen last."""
        if not self._told:
            return error
        return TargetLocked(f"{error.what} They were held by {sentence(self._told)}.", remedy=error.remedy)

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()

    def _tell(self, found: list[Blocker]) -> None:
        if found and found != self._told:
            self._told = found
            message = f"Waiting for locks of {sentence(found)}"
            fields = [{"application": b.application, "user": b.user, "pid": b.pid, "since": b.since} for b in found]
            self._run.say("warn", message, "waiting_for_locks", sessions=fields)

    def _ask(self) -> Waiting:
        if self._session is None:
            self._session = Session(self._run, self._engine, self._login)
        return self._loading.blocking(self._session.ask(self._loading.blockers()))


def _silence(seconds: float, error: DataGuardianError) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"For {seconds} s the server could not be asked whether the load waits for locks: {error.what}",
        remedy="Leave the datasource's role one connection more; then run it again, with spec.dropExisting.",
    )


def sentence(blockers: list[Blocker]) -> str:
    """Who they are; the first ones by name."""
    named = ", ".join(_named(blocker) for blocker in blockers[:NAMED_LIMIT])
    return named if len(blockers) <= NAMED_LIMIT else f"{named} and {len(blockers) - NAMED_LIMIT} more"


def _named(blocker: Blocker) -> str:
    if not blocker.pid:
        return "a prepared transaction"
    application, user = (repr(name) if name else "unknown" for name in (blocker.application, blocker.user))
    return f"application {application} (user {user}, pid {blocker.pid}, since {blocker.since or 'unknown'})"
