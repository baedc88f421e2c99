"""The limits hold whatever comes, nobody starves, and manual runs go first."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.capacity import (
    Capacity,
    Priority,
    Source,
    Use,
    Waiting,
    ahead_of,
    in_line,
    next_up,
    places,
)

START = datetime(2026, 11, 24, 2, tzinfo=UTC)
ORDERS, USERS = ("shop", "orders"), ("shop", "users")


def waiting(name: str, minute: int = 0, priority: Priority = "scheduled", source: Source | None = ORDERS) -> Waiting:
    since = START + timedelta(minutes=minute)
    return Waiting(execution_id=name, name=name, priority=priority, since=since, source=source)


def use(name: str, source: Source | None = ORDERS) -> Use:
    return Use(execution_id=name, name=f"BackupExecution {name}", source=source)


def capacity(*uses: Use, limit: int = 10, source_limit: int = 1) -> Capacity:
    return Capacity(limit=limit, uses=uses, source_limit=lambda _: source_limit)


def ids(line: Iterable[Waiting]) -> list[str]:
    return [each.execution_id for each in line]


def test_manual_runs_go_first_and_then_the_oldest() -> None:
    line = in_line([waiting("new", 2), waiting("old", 1), waiting("person", 3, "manual")])

    assert ids(line) == ["person", "old", "new"]


def test_a_datasource_at_its_limit_says_who_uses_it() -> None:
    found = capacity(use("nightly-1")).obstacle(ORDERS)

    assert found is not None
    assert found.reason == "LimitReached"
    assert "'orders' is used by BackupExecution nightly-1; its spec.maxConcurrentExecutions is 1." in found.message


def test_many_users_of_a_datasource_are_counted_and_not_all_named() -> None:
    found = capacity(*(use(f"run-{number}") for number in range(5)), source_limit=5).obstacle(ORDERS)

    assert found is not None
    assert "run-2 and 2 more;" in found.message


def test_the_limit_of_the_installation_names_no_run_of_another_namespace() -> None:
    found = capacity(use("secret-name", ("other", "db")), limit=1).obstacle(ORDERS)

    assert found is not None
    assert found.reason == "LimitReached"
    assert "maxConcurrentExecutions of the installation" in found.message
    assert "secret-name" not in found.message


def test_a_free_slot_is_of_no_use_to_those_behind_who_gets_it() -> None:
    last_slot = capacity(use("a", USERS), limit=2)

    assert last_slot.obstacle(ORDERS) is None
    assert last_slot.obstacle(ORDERS, ahead=1) is not None


def test_nothing_is_in_the_way_while_there_is_room() -> None:
    assert capacity(use("a", USERS)).obstacle(ORDERS) is None
    assert capacity(use("a", USERS)).obstacle(None) is None


def test_a_place_counts_those_that_wait_for_the_same() -> None:
    line = in_line(
        [waiting("a", 1), waiting("b", 2), waiting("c", 3, source=None), waiting("d", 4, source=USERS)],
    )

    assert places(line, capacity(use("running"))) == {"a": 1, "b": 2, "c": 1, "d": 2}


def test_a_datasource_gets_no_more_entries_than_it_has_room_for() -> None:
    line = in_line([waiting("a", 1), waiting("b", 2), waiting("c", 3, source=USERS), waiting("d", 4, source=None)])

    assert ids(next_up(line, capacity())) == ["a", "c", "d"]
    assert ids(next_up(line, capacity(use("running")))) == ["c", "d"]
    assert ids(next_up(line, capacity(), called={"a"})) == ["c", "d"]
    assert ids(next_up(line, capacity(source_limit=2), called={"a"})) == ["b", "c", "d"]


def test_who_came_before_at_the_same_datasource_is_ahead() -> None:
    others = [waiting("old", 1), waiting("elsewhere", 1, source=USERS), waiting("later", 9), waiting("b", 3, "manual")]

    assert ids(ahead_of(waiting("a", 5), others)) == ["b", "old"]


SOURCES = st.sampled_from([("shop", "orders"), ("shop", "users"), ("crm", "orders")])
ARRIVALS = st.lists(st.tuples(SOURCES, st.sampled_from(["manual", "scheduled"])), min_size=1, max_size=40)


class World:
    """Runs that arrive, start as the rules say, and end."""

    def __init__(self, limit: int, source_limit: int) -> None:
        self.limit, self.source_limit = limit, source_limit
        self.line: list[Waiting] = []
        self.running: list[Waiting] = []
        self.started: list[str] = []

    def capacity(self) -> Capacity:
        uses = [use(each.execution_id, each.source) for each in self.running]
        return Capacity(limit=self.limit, uses=uses, source_limit=lambda _: self.source_limit)

    def start(self) -> None:
        for each in next_up(in_line(self.line), self.capacity()):
            if self.capacity().obstacle(each.source) is None:
                manual_before = [o for o in ahead_of(each, self.line) if o.priority == "manual"]
                assert not (manual_before and each.priority == "scheduled")
                self.line.remove(each)
                self.running.append(each)
                self.started.append(each.execution_id)
        self.check()

    def check(self) -> None:
        assert len(self.running) <= self.limit
        for source in {each.source for each in self.running}:
            assert sum(each.source == source for each in self.running) <= self.source_limit


@given(ARRIVALS, st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_limits_hold_and_everyone_gets_a_turn(
    arrivals: list[tuple[Source, Priority]], limit: int, source_limit: int, choices: random.Random
) -> None:
    world = World(limit, source_limit)
    for number, (source, priority) in enumerate(arrivals):
        world.line.append(waiting(str(number), number, priority, source))
        if choices.random() < 0.5:
            world.start()
        if world.running and choices.random() < 0.5:
            world.running.remove(choices.choice(world.running))

    for _ in range(2 * len(arrivals)):
        world.start()
        assert world.running or not world.line
        if world.running:
            world.running.pop(0)

    assert sorted(world.started, key=int) == [str(number) for number in range(len(arrivals))]


@given(st.lists(SOURCES, max_size=20))
def test_whoever_has_room_has_someone_called(sources: list[Source]) -> None:
    line = in_line(waiting(str(number), number, source=source) for number, source in enumerate(sources))
    capacity_now = capacity(use("x", ORDERS))

    called = next_up(line, capacity_now)

    free = {source for source in sources if capacity_now.room_of(source)}
    assert {each.source for each in called} == free


@pytest.mark.parametrize("number", [1, 7])
def test_the_place_of_a_waiting_run_never_grows_when_one_ends(number: int) -> None:
    line = in_line(waiting(str(minute), minute) for minute in range(10))
    full = capacity(use("running"))

    assert places(line[1:], full)[str(number)] == places(line, full)[str(number)] - 1
    assert replace(line[0], priority="manual").rank < line[0].rank
