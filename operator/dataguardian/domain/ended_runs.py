"""Ended runs of what runs by a schedule: what is kept of them in memory, which are news, and what they teach."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from ..resources.common import Resource
from ..resources.execution import LastExecution, Phase
from .status import is_terminal
from .summary import Rank, rank


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended."""

    namespace: str
    name: str
    uid: str
    owner: str  # what it was a run of, by name
    phase: str
    ended: datetime

    @property
    def rank(self) -> Rank:
        """Who has the higher one ended later."""
        return self.ended, self.name


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What an object learns from the ends of its runs."""

    summary: Callable[..., Any]  # its status, the run, now= → its status afterwards; None: as it was
    reasons: Mapping[Phase, str]  # of the event that tells of the end
    praise: Callable[[Any], str]  # what the event says of a run that is completed


def ended_run(run: Resource[Any, Any], owner: str | None) -> EndedRun | None:
    """What is kept of a run; None for one that has not ended, or is of nothing."""
    meta, status = run.metadata, run.status
    if owner is None or not is_terminal(status):
        return None
    return EndedRun(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        owner=intern(owner),
        phase=intern(status.phase or ""),
        ended=status.completion_time or meta.creation_timestamp,
    )


def untold(latest: LastExecution | None, runs: list[EndedRun], news: Collection[str] = ()) -> list[EndedRun]:
    """The runs that a status does not know of yet whose latest one this is, in the order in which they ended.

    ``news``: UIDs of such that are to be told although a later one has been.
    """
    new = runs if latest is None else [run for run in runs if run.rank > rank(latest) or run.uid in news]
    return sorted(new, key=lambda run: run.rank)
