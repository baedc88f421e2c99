"""One run: where it stands, its programs, and how it is cancelled from another thread."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from ..domain import told
from ..domain.report import NOTHING, StoredCopy
from ..engines import Command
from ..errors import Cancelled
from .lines import Level, Lines
from .tool import Tool


class Run:
    """What the thread that works and the thread that supervises share."""

    def __init__(self, lines: Lines) -> None:
        self.step = "connect"
        self.bytes = 0  # of the step so far
        self.warnings: list[str] = []
        self.copies: list[StoredCopy] = []  # what has become of each, for the report of a run that fails too
        self.found = NOTHING  # what else a run that fails tells in its report
        self.lasting = ""  # a sentence on what has happened and stays, however the run ends
        self._lines = lines
        self._lock = threading.Lock()
        self._tools: list[Tool] = []
        self._cancelled = False
        self._settled = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for the end in time."""
        return self._cancelled and not self._settled

    def named(self, operation: str) -> None:
        """Its lines are of this operation."""
        self._lines.begin(operation)

    def say(self, level: Level, message: str, action: str, **fields: object) -> None:
        """Write a line with the step in it."""
        self._lines.write(level, message, action, step=self.step, **fields)

    def tell(self, level: Level, message: str, what: told.Told) -> None:
        """Write a line that the operator acts on."""
        self.say(level, message, **told.fields(what))

    def warn(self, message: str, action: str, **fields: object) -> None:
        """A line, and a warning in the report."""
        self.warnings.append(message)
        self.say("warn", message, action, **fields)

    def enter(self, step: str) -> None:
        """Begin the next step."""
        self.check()
        self.step, self.bytes = step, 0
        self.say("info", f"Step {step}", "step_started")

    def advance(self, size: int) -> None:
        """Count bytes of this step; safe for threads. Raises Cancelled."""
        self.check()
        with self._lock:
            self.bytes += size

    def check(self) -> None:
        """Raise Cancelled when somebody asked for the end."""
        if self.cancelled:
            raise self.ended()

    def ended(self, remedy: str = "Run it again when it is wanted.") -> Cancelled:
        """The error of a run that was asked to end."""
        return Cancelled(f"The run was asked to end. {self.lasting}".strip(), remedy=remedy)

    def pause(self, seconds: float) -> None:
        """Do nothing for so long. Raises Cancelled."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.25))

    def start(
        self,
        command: Command,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        files: Sequence[int] = (),
        ending: signal.Signals = signal.SIGKILL,
    ) -> Tool:
        """Start a program that ends with the run; see ``Tool``."""
        with self._lock:
            self.check()
            tool = Tool(command, stdin=stdin, stdout=stdout, files=files, ending=ending)
            self._tools.append(tool)
        if self._cancelled:  # since the check above
            tool.kill()
        return tool

    def spare(self, tool: Tool) -> None:
        """From here on a request to end the run leaves this program alone: what it does must not be cut short."""
        with self._lock:
            self._tools.remove(tool)

    def start_last(
        self, command: Command, *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> Tool:
        """Start a program that cleans up: also when somebody has asked for the end, which it outlives."""
        return Tool(command, stdin=stdin, stdout=stdout)

    def settle(self) -> None:
        """From here on the run completes, whoever asks for its end. Raises Cancelled when one did before."""
        with self._lock:
            self.check()
            self._settled = True

    def reopen(self) -> None:
        """What the run had settled for has not happened: it can be asked to end again."""
        self._settled = False

    def settled_elsewhere(self) -> None:
        """What the run was for has happened, such as a commit: a request to end it came too late."""
        self._settled = True

    def cancel(self) -> None:
        """Ask for the end: programs are killed, and the working thread gets Cancelled unless the run has settled."""
        # Without the lock: a signal handler may interrupt the holder only in its own thread, which never holds it.
        self._cancelled = True
        # Also of a run that has settled: what it still does, such as counting, must not outlast its pod's grace.
        self.stop_tools()

    def stop_tools(self) -> None:
        """Kill every program that still runs."""
        for tool in list(self._tools):
            tool.kill()
