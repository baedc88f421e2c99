"""Which line of an execution's log is which: live, recorded, and for a reader who comes back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

_FORM = re.compile(r"(\d{1,15})-(\d{1,10})")


class LineId(NamedTuple):
    """The place of a line, in the order of the log. Written ``<pod>-<number>``, which Redis takes as a stream's id."""

    pod: int  # when the pod of the try was created, in ms since 1970; 0 of a log that was recorded without it
    number: int  # of the line in the pod's log; 1 is the first

    def __str__(self) -> str:
        return f"{self.pod}-{self.number}"


BEFORE_ALL = LineId(0, 0)


def line_id(text: str) -> LineId | None:
    """The id that a text means; None for one that is none."""
    found = _FORM.fullmatch(text)
    return LineId(int(found[1]), int(found[2])) if found else None


def pod_number(created: str) -> int:
    """The first part of the ids of a pod's lines, of its creationTimestamp."""
    return int(datetime.fromisoformat(created).timestamp() * 1000)
