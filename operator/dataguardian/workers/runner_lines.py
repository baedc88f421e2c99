"""A line of a pod's log, as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from ..rfc3339 import written
from .context import now

PROGRESS = ("step_started", "progress")  # actions


class RunnerLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a line of the runner; other fields are passed by."""

    ts: str
    level: str
    message: str
    action: str = ""
    step: Any = ""
    bytes: Any = 0

    @property
    def progress(self) -> tuple[str, int] | None:
        """Step and bytes, of a line that tells how far the run is."""
        return (str(self.step), int(self.bytes)) if self.action in PROGRESS else None


_decode = msgspec.json.Decoder(RunnerLine).decode


def read(line: bytes) -> RunnerLine:
    """A line of the runner; one of something else in the pod is a message as it is."""
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return RunnerLine(ts=written(now()), level="info", message=line.decode(errors="replace"))
