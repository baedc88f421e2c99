"""The engine's programs that one load runs: where to, and how they end."""

from __future__ import annotations

from ..engines import Command, Engine, Loading, Login
from ..errors import LoadFailed
from .run import Run
from .session import Session
from .tool import Tool


class Programs:
    """What the parts of a load share."""

    def __init__(self, run: Run, engine: Engine, login: Login, loading: Loading) -> None:
        self.run, self.engine, self.login, self.loading = run, engine, login, loading

    def session(self, command: Command | None = None, *, last: bool = False) -> Session:
        """A session in the target; see ``Session``."""
        return Session(self.run, self.engine, self.login, command, last=last)

    def succeeded(self, tool: Tool, otherwise: type[LoadFailed] = LoadFailed) -> None:
        """Wait for a program's end. Raises the engine's error, this one if it is no other."""
        if not tool.wait():
            raise self.engine.failure(tool.said(), self.login, otherwise)
