"""An SQL session kept open through the engine's own client, so that the runner needs no driver."""

from __future__ import annotations

import select
import subprocess
from contextlib import suppress
from threading import Thread
from typing import IO

from ..engines import Command, Engine, Login
from ..errors import EngineFailed
from .run import Run

SHORT_BYTES = 4096  # have room in any empty pipe
_END = "end-of-answer"  # no answer of ours is this line: they are JSON


class Session:
    """Asks; answers are lines. Raises the engine's error when the session has ended."""

    def __init__(
        self, run: Run, engine: Engine, login: Login, command: Command | None = None, *, last: bool = False
    ) -> None:
        """``last`` is for what has to be done after somebody has asked for the end, too."""
        self._engine, self._login = engine, login
        start = run.start_last if last else run.start
        self.tool = start(command or engine.session(login), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._writer: Thread | None = None
        self._answers: IO[bytes] = open(self.tool.output.fileno(), "rb", closefd=False)  # noqa: SIM115 - open as long as the session

    def send(self, statements: str | bytes) -> None:
        """Begin; the server works while we do something else. Long statements need the answer before to be read."""
        encoded = statements.encode() if isinstance(statements, str) else statements
        encoded += f"\\echo {_END}\n".encode()
        self._sent()
        if len(encoded) <= SHORT_BYTES:
            self._write(encoded)
        else:  # beside us: the client may answer before it has read all, and would wait for us as we for it
            self._writer = Thread(target=self._write, args=(encoded,), name="statements", daemon=True)
            self._writer.start()

    def answers_within(self, seconds: float) -> bool:
        """Whether ``lines`` begins to have something to read within this time; no earlier answer may be unread."""
        poll = select.poll()
        poll.register(self.tool.output.fileno(), select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def lines(self, otherwise: type[EngineFailed] | None = None) -> list[str]:
        """The answer to the oldest ``send`` that was not read yet."""
        found: list[str] = []
        for line in self._answers:
            text = line.decode(errors="replace").rstrip("\n")
            if text == _END:
                return found
            found.append(text)
        self.tool.wait()
        raise self._engine.failure(self.tool.said(), self._login, otherwise)

    def ask(self, statements: str, otherwise: type[EngineFailed] | None = None) -> list[str]:
        """Send, and wait for the answer."""
        self.send(statements)
        return self.lines(otherwise)

    def close(self) -> None:
        """End the session, its transaction with it; a second time is nothing."""
        if self._answers.closed:
            return
        self.tool.kill()
        self.tool.wait()
        self._sent()
        self._answers.close()
        self.tool.close()

    def _write(self, encoded: bytes) -> None:
        with suppress(BrokenPipeError):  # ``lines`` tells why
            self.tool.write(encoded)

    def _sent(self) -> None:
        if self._writer is not None:
            self._writer.join()
            self._writer = None
