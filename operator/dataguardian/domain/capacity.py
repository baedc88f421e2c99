"""Who may run now: a limit on all runs at once, and one on those that use the same datasource.

What waits stands in a line: manual runs before scheduled ones, and the oldest first. A run that uses two datasources
starts when both have room, and takes none of either before: nobody waits behind one that only waits for the other. But
it may find one of them busy each time, for ever: once it has waited for ``PATIENCE`` and is the first in its line, each
of its datasources is reserved for it as it gets free. Only who is later in the order waits then: no two for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from .readiness import Obstacle

DatasourceName = tuple[str, str]  # namespace and name of a Datasource
Priority = Literal["manual", "scheduled"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)  # the first one goes first

LIMIT_REACHED = "LimitReached"
TURN = Obstacle("Queued", "The run waits for its turn.")
QUEUE_AWAY = Obstacle("QueueUnavailable", "Redis does not answer. The run starts without it if that lasts.")
# What a run in the line may say of itself; with any other reason it waits for somebody to cure something.
IN_LINE = frozenset({TURN.reason, LIMIT_REACHED, QUEUE_AWAY.reason})
PATIENCE = timedelta(minutes=30)  # then what a run waits for is reserved for it
NAMED_USERS = 3  # of a datasource, in a message


@dataclass(frozen=True, kw_only=True)
class Use:
    """A run that is under way, or being started."""

    execution_id: str
    name: str  # for people: BackupExecution nightly-202611240200
    datasources: Sequence[DatasourceName] = ()


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run that waits for its turn. Its datasources are known once the run has been looked at."""

    execution_id: str
    name: str  # decides between those of the same second
    priority: Priority
    since: datetime
    datasources: Sequence[DatasourceName] = ()  # its place is among those that have the same first one

    @property
    def line(self) -> DatasourceName | None:
        """The datasource among whose runs it has its place."""
        return self.datasources[0] if self.datasources else None

    @property
    def rank(self) -> tuple[int, datetime, str, str]:
        """Who has the lower one goes first."""
        return PRIORITIES.index(self.priority), self.since, self.name, self.execution_id


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What runs, and how much may: ``limit`` in all, ``datasource_limit`` of those that use a datasource."""

    limit: int
    uses: Collection[Use] = ()
    datasource_limit: Callable[[DatasourceName], int]

    @property
    def room(self) -> int:
        """How many more runs may start, of whatever datasource."""
        return max(0, self.limit - len(self.uses))

    def room_of(self, datasource: DatasourceName) -> int:
        """How many more runs the datasource takes."""
        return max(0, self.datasource_limit(datasource) - len(self._users(datasource)))

    def full(self, datasources: Iterable[DatasourceName]) -> DatasourceName | None:
        """The first of these that has no room."""
        return next((each for each in datasources if not self.room_of(each)), None)

    def obstacle(self, datasources: Iterable[DatasourceName] = (), *, ahead: int = 0) -> Obstacle | None:
        """The limit that keeps a run of these datasources from starting now, and by whom; ``ahead`` go before it."""
        if busy := self.full(datasources):
            return self._full(busy)
        if self.room <= ahead:
            return Obstacle(
                LIMIT_REACHED,
                f"No more than {self.limit} runs are under way at once (maxConcurrentExecutions of the installation). "
                "This run starts when its turn comes.",
            )
        return None

    def _full(self, datasource: DatasourceName) -> Obstacle:
        users = sorted(self._users(datasource))
        named = ", ".join(users[:NAMED_USERS]) + (
            f" and {len(users) - NAMED_USERS} more" if users[NAMED_USERS:] else ""
        )
        return Obstacle(
            LIMIT_REACHED,
            f"Datasource {datasource[1]!r} is used by {named}; its spec.maxConcurrentExecutions is "
            f"{self.datasource_limit(datasource)}. This run starts when its turn comes.",
        )

    def _users(self, datasource: DatasourceName) -> list[str]:
        return [use.name for use in self.uses if datasource in use.datasources]


def in_line(waiting: Iterable[Waiting]) -> list[Waiting]:
    """Those that wait, in the order in which they go."""
    return sorted(waiting, key=lambda each: each.rank)


def places(line: Sequence[Waiting], capacity: Capacity) -> dict[str, int]:
    """The place of each execution, from 1: of one that waits for room of a datasource among those of its line that do,
    else among all others."""
    counts: Counter[DatasourceName | None] = Counter()
    found = {}
    full = {name for name in _named(line) if not capacity.room_of(name)}
    for each in line:
        queue = None if full.isdisjoint(each.datasources) else each.line
        counts[queue] += 1
        found[each.execution_id] = counts[queue]
    return found


def next_up(
    line: Sequence[Waiting], capacity: Capacity, *, now: datetime, called: Collection[str] = ()
) -> list[Waiting]:
    """Those of the line that could start if there were slots for all: no datasource gets more than it has room for, and
    who cannot have all of its datasources takes none, but for what is reserved for it; see ``PATIENCE``.

    ``called`` are the executions that have been told so already; they are not named again, and use their room.
    """
    first = sorted(line, key=lambda each: each.execution_id not in called)
    return [each for each, full in _turns(first, capacity, now) if full is None and each.execution_id not in called]


def taken_before(
    run: Waiting, others: Iterable[Waiting], capacity: Capacity, *, now: datetime
) -> DatasourceName | None:
    """The datasource in which those who go before the run, or have reserved, leave no room for it."""
    turns = _turns(in_line([run, *others]), capacity, now)
    return next(full for each, full in turns if each.execution_id == run.execution_id)


def _turns(
    line: Sequence[Waiting], capacity: Capacity, now: datetime
) -> Iterator[tuple[Waiting, DatasourceName | None]]:
    """Each of them with the first of its datasources that has no room left; None: it goes."""
    room = {name: capacity.room_of(name) for name in _named(line)}
    stuck: set[DatasourceName | None] = set()
    for each in line:
        full = next((name for name in each.datasources if room[name] <= 0), None)
        if full is None or (each.line not in stuck and now - each.since >= PATIENCE):
            for name in each.datasources:
                room[name] -= 1
        if full is not None:
            stuck.add(each.line)
        yield each, full


def _named(line: Iterable[Waiting]) -> set[DatasourceName]:
    return {name for each in line for name in each.datasources}


def ahead_of(run: Waiting, others: Iterable[Waiting]) -> list[Waiting]:
    """Those in the same line that go before this one, in order."""
    return in_line(other for other in others if other.line == run.line and other.rank < run.rank)
