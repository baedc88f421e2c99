"""The commit of a load: it has happened or it has not, also when its answer is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress

from ..errors import DataGuardianError, LoadFailed
from .programs import Programs
from .run import Run
from .session import Session

# A connection that is lost during a commit leaves a question; the server is asked this long.
OUTCOME_SECONDS = 30.0
ASK_AGAIN_SECONDS = 0.5


class Commit:
    """Makes a load's transaction last. One that ``settles`` the run cannot be cancelled from its begin on."""

    def __init__(self, programs: Programs, *, settles: bool) -> None:
        self._programs, self._run, self._settles = programs, programs.run, settles

    def make(self, session: Session, transaction: str) -> None:
        """Commit what the session has done. Raises the engine's error when it was not committed."""
        if self._settles:
            self._run.spare(session.tool)
            self._run.settle()
        self._run.check()
        session.send(self._programs.loading.commit())
        try:
            session.lines(LoadFailed)
        except DataGuardianError as error:
            if not self._committed(transaction, error):
                self._run.reopen()
                raise
            self._run.warn(f"The commit was confirmed by another connection: {error.what}", "commit_confirmed")

    def _committed(self, transaction: str, error: DataGuardianError) -> bool:
        """Whether a commit that was not answered has happened."""
        loading = self._programs.loading

        def ask() -> bool | None:
            # A request to end a run that has settled leaves this session alone, as it leaves the commit.
            with closing(self._programs.session(last=self._settles)) as session:
                return loading.committed(session.ask(loading.outcome(transaction)))

        return happened(self._run, ask, "load", error, "it has either all of the dump or nothing of it")


def happened(run: Run, ask: Callable[[], bool | None], what: str, error: DataGuardianError, possible: str) -> bool:
    """Whether a commit has happened whose answer was lost with this ``error``.

    ``ask`` finds out by a session of its own; None is for not yet. Raises LoadFailed, which tells ``what`` was
    committed and what is ``possible`` of the target, when nobody can tell.
    """
    deadline = time.monotonic() + OUTCOME_SECONDS
    while time.monotonic() < deadline:
        run.check()
        with suppress(DataGuardianError):
            found = ask()
            if found is not None:
                return found
        time.sleep(ASK_AGAIN_SECONDS)
    raise LoadFailed(
        f"The {what} was lost while it was committed, and the server does not tell what became of it: {error.what}",
        remedy=f"Look into the target: {possible}.",
    ) from error
