"""The database that is dumped: a session that holds the snapshot, and the dump of that snapshot."""

from __future__ import annotations

import subprocess
from collections.abc import Generator

from ..domain.plan import BackupPlan, Endpoint
from ..engines import Source
from ..errors import DataGuardianError, DumpFailed
from . import login
from .run import Run
from .session import Session
from .tool import Tool

READ_BYTES = 256 * 1024
SOURCE_FILE = "source-login"


class SourceDatabase:
    """Logs in at once, while other things begin. What fails here is the engine's error, which names the datasource."""

    def __init__(self, endpoint: Endpoint, run: Run) -> None:
        self._run = run
        self.datasource = endpoint.datasource
        self.dumped_bytes = 0
        self.engine = login.engine_of(endpoint)
        self.login = login.prepare(endpoint, self.engine, SOURCE_FILE)
        self.session = Session(run, self.engine, self.login)
        self.session.send(self.engine.describe_source())

    def close(self) -> None:
        """End the session: its snapshot keeps the source from cleaning up."""
        self.session.close()

    def connect(self) -> Source:
        """Wait for the login; what the server tells."""
        self.state = self.engine.source(self.session.lines())
        self.major = self.engine.client(self.state.major)
        self._run.say("info", f"Connected to {self.datasource}", "connected", version=self.state.version)
        return self.state

    def dump(self, plan: BackupPlan | None) -> Generator[bytes]:
        """Begin to dump what the plan says, or all. The pieces end only when the program has succeeded, else raise."""
        command = self.engine.dump(self.login, self.major, self.state.snapshot, plan)
        return self._pieces(self._run.start(command, stdout=subprocess.PIPE))

    def dump_schema(self, plan: BackupPlan) -> Generator[bytes]:
        """The same without data; its bytes do not count as progress."""
        command = self.engine.dump_schema(self.login, self.major, self.state.snapshot, plan)
        return self._read(self._run.start(command, stdout=subprocess.PIPE))

    def failure(self, said: str) -> DataGuardianError:
        """What a program of the dump meant."""
        return self.engine.failure(said, self.login, DumpFailed)

    def _pieces(self, dump: Tool) -> Generator[bytes]:
        for number, piece in enumerate(self._read(dump)):
            if not number:
                self._run.say("debug", "First bytes of the dump", "dump_began")
            self.dumped_bytes += len(piece)
            self._run.advance(len(piece))
            yield piece

    def _read(self, tool: Tool) -> Generator[bytes]:
        """What a program writes. Whoever reads no further ends it."""
        try:
            while piece := tool.output.read(READ_BYTES):
                self._run.check()
                yield piece
            if not tool.wait():
                raise self.failure(tool.said())
        finally:
            tool.kill()
            tool.wait()
            tool.close()
