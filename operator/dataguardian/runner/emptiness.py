"""A target of which nothing may be replaced is asked until nobody can write into it any more."""

from __future__ import annotations

from ..domain.sync_guards import not_empty
from ..engines import Engine, Login
from .run import Run
from .session import Session


class Emptiness:
    """A session in a target that has to be empty: the last one to leave it. ``number`` is the session's."""

    def __init__(self, run: Run, engine: Engine, login: Login) -> None:
        self._engine, self._datasource = engine, login.endpoint.datasource
        self._session = Session(run, engine, login, last=True)
        self.number = engine.session_number(self._session.ask(engine.find_session_number()))

    def check(self) -> None:
        """Raise TargetNotEmpty when something is in the target."""
        target = self._engine.target(self._session.ask(self._engine.describe_target()))
        if refusal := not_empty(self._datasource, target):
            raise refusal

    def close(self) -> None:
        """Leave the target."""
        self._session.close()
