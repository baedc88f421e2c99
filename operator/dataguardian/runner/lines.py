"""The runner's log: one JSON object a line on stdout with ``ts, level, message, action`` and fields.

Not the logging module: with it the runner would start later than it promises.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from typing import Literal

import msgspec

from ..rfc3339 import written

Level = Literal["debug", "info", "success", "warn", "error"]


def now() -> str:
    """This moment, written."""
    return written(datetime.now(UTC))


class Lines:
    """Writes lines of one operation; safe for threads."""

    def __init__(self, operation: str) -> None:
        self.begin(operation)
        self._lock = threading.Lock()

    def begin(self, operation: str) -> None:
        """Lines are of this operation from here on."""
        self._prefix = f"[{operation.upper()}] "

    def write(self, level: Level, message: str, action: str, **fields: object) -> None:
        """One line, at once."""
        line = {"ts": now(), "level": level, "message": self._prefix + message, "action": action, **fields}
        with self._lock:
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
            sys.stdout.flush()
