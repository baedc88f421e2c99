"""Who makes a load wait: another session looks, while nothing moves."""

from __future__ import annotations

import time

from ..engines import Blocker, Engine, Loading, Login
from ..errors import DataGuardianError, TargetLocked
from .run import Run
from .session import Session

LOOK_SECONDS = 0.5  # so that the shortest limit, one second, does not end before the names are known
NAMED_LIMIT = 5


class Locks:
    """Tells in the run's log whose locks a load waits for; each set of sessions once."""

    def __init__(self, run: Run, engine: Engine, login: Login, loading: Loading) -> None:
        self._run, self._engine, self._login, self._loading = run, engine, login, loading
        self._session: Session | None = None
        self._seen: list[Blocker] = []
        self._told: list[Blocker] = []
        self._since = 0.0

    def look(self) -> float:
        """Ask the server. Returns for how many seconds the load has been waiting, as far as the looks can tell."""
        try:
            found = self._ask()
        except DataGuardianError:  # no connection is free, or the run ends: the load itself goes on or says why not
            found = []
        if found and found != self._told:
            self._told = found
            message = f"Waiting for locks of {_sentence(found)}"
            fields = [{"application": b.application, "user": b.user, "pid": b.pid, "since": b.since} for b in found]
            self._run.say("warn", message, "waiting_for_locks", sessions=fields)
        if not found or not self._seen:
            self._since = time.monotonic()
        self._seen = found
        return time.monotonic() - self._since

    def named(self, error: TargetLocked) -> TargetLocked:
        """The same error, with the sessions that were seen last."""
        if not self._told:
            return error
        return TargetLocked(f"{error.what} They were held by {_sentence(self._told)}.", remedy=error.remedy)

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()

    def _ask(self) -> list[Blocker]:
        if self._session is None:
            self._session = Session(self._run, self._engine, self._login)
        return self._loading.blocking(self._session.ask(self._loading.blockers()))


def _sentence(blockers: list[Blocker]) -> str:
    named = ", ".join(_named(blocker) for blocker in blockers[:NAMED_LIMIT])
    return named if len(blockers) <= NAMED_LIMIT else f"{named} and {len(blockers) - NAMED_LIMIT} more"


def _named(blocker: Blocker) -> str:
    if not blocker.pid:
        return "a prepared transaction"
    application, user = (repr(name) if name else "unknown" for name in (blocker.application, blocker.user))
    return f"application {application} (user {user}, pid {blocker.pid}, since {blocker.since or 'unknown'})"
