"""Who may run now: a limit on all runs at once, and one on those that use the same datasource.

What waits stands in a line: manual runs before scheduled ones, and the oldest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from .readiness import Obstacle

Source = tuple[str, str]  # namespace and name of a Datasource
Priority = Literal["manual", "scheduled"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)  # the first one goes first

LIMIT_REACHED = "LimitReached"
TURN = Obstacle("Queued", "The run waits for its turn.")
QUEUE_AWAY = Obstacle("QueueUnavailable", "Redis does not answer. The run starts without it if that lasts.")
# What a run in the line may say of itself; with any other reason it waits for somebody to cure something.
IN_LINE = frozenset({TURN.reason, LIMIT_REACHED, QUEUE_AWAY.reason})
NAMED_USERS = 3  # of a datasource, in a message


@dataclass(frozen=True, kw_only=True)
class Use:
    """A run that is under way, or being started."""

    execution_id: str
    name: str  # for people: BackupExecution nightly-202611240200
    source: Source | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run that waits for its turn. Its datasource is known once the run has been looked at."""

    execution_id: str
    name: str  # decides between those of the same second
    priority: Priority
    since: datetime
    source: Source | None = None

    @property
    def rank(self) -> tuple[int, datetime, str, str]:
        """Who has the lower one goes first."""
        return PRIORITIES.index(self.priority), self.since, self.name, self.execution_id


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What runs, and how much may: ``limit`` in all, ``source_limit`` of those that use a datasource."""

    limit: int
    uses: Collection[Use] = ()
    source_limit: Callable[[Source], int]

    @property
    def room(self) -> int:
        """How many more runs may start, of whatever datasource."""
        return max(0, self.limit - len(self.uses))

    def room_of(self, source: Source) -> int:
        """How many more runs the datasource takes."""
        return max(0, self.source_limit(source) - len(self._users(source)))

    def obstacle(self, source: Source | None, *, ahead: int = 0) -> Obstacle | None:
        """The limit that keeps a run of the datasource from starting now, and who uses it; ``ahead`` go before it."""
        if source is not None and not self.room_of(source):
            return self._source_full(source)
        if self.room <= ahead:
            return Obstacle(
                LIMIT_REACHED,
                f"No more than {self.limit} runs are under way at once (maxConcurrentExecutions of the installation). "
                "This run starts when its turn comes.",
            )
        return None

    def _source_full(self, source: Source) -> Obstacle:
        users = sorted(self._users(source))
        named = ", ".join(users[:NAMED_USERS]) + (
            f" and {len(users) - NAMED_USERS} more" if users[NAMED_USERS:] else ""
        )
        return Obstacle(
            LIMIT_REACHED,
            f"Datasource {source[1]!r} is used by {named}; its spec.maxConcurrentExecutions is "
            f"{self.source_limit(source)}. This run starts when its turn comes.",
        )

    def _users(self, source: Source) -> list[str]:
        return [use.name for use in self.uses if use.source == source]


def in_line(waiting: Iterable[Waiting]) -> list[Waiting]:
    """Those that wait, in the order in which they go."""
    return sorted(waiting, key=lambda each: each.rank)


def places(line: Sequence[Waiting], capacity: Capacity) -> dict[str, int]:
    """The place of each execution, from 1: among those that wait for the same datasource while that has no room,
    else among all others."""
    counts: Counter[Source | None] = Counter()
    found = {}
    full = {each.source for each in line if each.source is not None and not capacity.room_of(each.source)}
    for each in line:
        queue = each.source if each.source in full else None
        counts[queue] += 1
        found[each.execution_id] = counts[queue]
    return found


def next_up(line: Sequence[Waiting], capacity: Capacity, *, called: Collection[str] = ()) -> list[Waiting]:
    """Those of the line that could start if there were slots for all: no datasource gets more than it has room for.

    ``called`` are the executions that have been told so already; they are not named again, and use their room.
    """
    room: dict[Source, int] = {}
    for each in line:
        if each.source is not None and each.source not in room:
            room[each.source] = capacity.room_of(each.source)
    for each in line:
        if each.source is not None and each.execution_id in called:
            room[each.source] -= 1
    found = []
    for each in line:
        if each.execution_id in called:
            continue
        if each.source is not None:
            if room[each.source] <= 0:
                continue
            room[each.source] -= 1
        found.append(each)
    return found


def ahead_of(run: Waiting, others: Iterable[Waiting]) -> list[Waiting]:
    """Those that wait for the same datasource and go before this one, in order."""
    return in_line(other for other in others if other.source == run.source and other.rank < run.rank)
