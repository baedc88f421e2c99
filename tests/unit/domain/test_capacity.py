"""The limits hold whatever comes, nobody starves, and manual runs go first."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.capacity import (
    PATIENCE,
    Capacity,
    DatasourceName,
    Priority,
    Use,
    Waiting,
    ahead_of,
    in_line,
    next_up,
    places,
    taken_before,
)

START = datetime(2026, 11, 24, 2, tzinfo=UTC)
ORDERS, USERS, STAGING = ("shop", "orders"), ("shop", "users"), ("shop", "staging")


def waiting(
    name: str, minute: int = 0, priority: Priority = "scheduled", of: Sequence[DatasourceName] = (ORDERS,)
) -> Waiting:
    since = START + timedelta(minutes=minute)
    return Waiting(execution_id=name, name=name, priority=priority, since=since, datasources=of)


def use(name: str, *of: DatasourceName) -> Use:
    return Use(execution_id=name, name=f"BackupExecution {name}", datasources=of or (ORDERS,))


def capacity(*uses: Use, limit: int = 10, each: int = 1) -> Capacity:
    return Capacity(limit=limit, uses=uses, datasource_limit=lambda _: each)


def ids(line: Iterable[Waiting]) -> list[str]:
    return [each.execution_id for each in line]


def test_manual_runs_go_first_and_then_the_oldest() -> None:
    line = in_line([waiting("new", 2), waiting("old", 1), waiting("person", 3, "manual")])

    assert ids(line) == ["person", "old", "new"]


def test_a_datasource_at_its_limit_says_who_uses_it() -> None:
    found = capacity(use("nightly-1")).obstacle([ORDERS])

    assert found is not None
    assert found.reason == "LimitReached"
    assert "'orders' is used by BackupExecution nightly-1; its spec.maxConcurrentExecutions is 1." in found.message


def test_many_users_of_a_datasource_are_counted_and_not_all_named() -> None:
    found = capacity(*(use(f"run-{number}") for number in range(5)), each=5).obstacle([ORDERS])

    assert found is not None
    assert "run-2 and 2 more;" in found.message


def test_the_limit_of_the_installation_names_no_run_of_another_namespace() -> None:
    found = capacity(use("secret-name", ("other", "db")), limit=1).obstacle([ORDERS])

    assert found is not None
    assert found.reason == "LimitReached"
    assert "maxConcurrentExecutions of the installation" in found.message
    assert "secret-name" not in found.message


def test_a_free_slot_is_of_no_use_to_those_behind_who_gets_it() -> None:
    last_slot = capacity(use("a", USERS), limit=2)

    assert last_slot.obstacle([ORDERS]) is None
    assert last_slot.obstacle([ORDERS], ahead=1) is not None


def test_nothing_is_in_the_way_while_there_is_room() -> None:
    assert capacity(use("a", USERS)).obstacle([ORDERS]) is None
    assert capacity(use("a", USERS)).obstacle() is None


def test_a_place_counts_those_that_wait_for_the_same() -> None:
    line = in_line(
        [waiting("a", 1), waiting("b", 2), waiting("c", 3, of=()), waiting("d", 4, of=[USERS])],
    )

    assert places(line, capacity(use("running"))) == {"a": 1, "b": 2, "c": 1, "d": 2}


def test_a_datasource_gets_no_more_entries_than_it_has_room_for() -> None:
    line = in_line([waiting("a", 1), waiting("b", 2), waiting("c", 3, of=[USERS]), waiting("d", 4, of=())])

    assert ids(next_up(line, capacity(), now=START)) == ["a", "c", "d"]
    assert ids(next_up(line, capacity(use("running")), now=START)) == ["c", "d"]
    assert ids(next_up(line, capacity(), called={"a"}, now=START)) == ["c", "d"]
    assert ids(next_up(line, capacity(each=2), called={"a"}, now=START)) == ["b", "c", "d"]


def test_who_came_before_at_the_same_datasource_is_ahead() -> None:
    others = [waiting("old", 1), waiting("elsewhere", 1, of=[USERS]), waiting("later", 9), waiting("b", 3, "manual")]

    assert ids(ahead_of(waiting("a", 5), others)) == ["b", "old"]


def test_a_sync_says_which_of_its_datasources_is_busy_and_with_what() -> None:
    on_target = capacity(use("nightly-1", STAGING)).obstacle([STAGING, ORDERS])
    on_source = capacity(use("nightly-2", ORDERS)).obstacle([STAGING, ORDERS])

    assert on_target is not None
    assert "'staging' is used by BackupExecution nightly-1;" in on_target.message
    assert on_source is not None
    assert "'orders' is used by BackupExecution nightly-2;" in on_source.message


def test_a_running_sync_counts_for_both_of_its_datasources() -> None:
    busy = capacity(use("refresh", STAGING, ORDERS))

    assert (busy.room_of(STAGING), busy.room_of(ORDERS), busy.room_of(USERS)) == (0, 0, 1)


def test_nobody_waits_behind_a_sync_that_only_waits() -> None:
    line = in_line(
        [waiting("sync", 1, of=[STAGING, ORDERS]), waiting("of-orders", 2), waiting("of-staging", 3, of=[STAGING])]
    )

    assert ids(next_up(line, capacity(), now=START)) == ["sync"]
    assert ids(next_up(line, capacity(use("restore", STAGING)), now=START)) == ["of-orders"]
    assert ids(next_up(line, capacity(use("restore", STAGING)), called={"sync"}, now=START)) == ["of-orders"]
    assert ids(next_up(line, capacity(use("backup", ORDERS)), now=START)) == ["of-staging"]


def test_the_place_of_a_sync_is_among_those_that_wait_for_its_target() -> None:
    line = in_line(
        [waiting("a", 1, of=[STAGING]), waiting("b", 2), waiting("sync", 3, of=[STAGING, ORDERS]), waiting("c", 4)]
    )

    assert places(line, capacity(use("x", STAGING), use("y", ORDERS))) == {"a": 1, "b": 1, "sync": 2, "c": 2}
    assert ids(ahead_of(line[2], line)) == ["a"]


def test_what_a_sync_waits_for_is_reserved_for_it_once_it_has_waited_long_at_the_head_of_its_line() -> None:
    sync = waiting("sync", 1, of=[STAGING, ORDERS])
    older, later = waiting("older", 0), waiting("later", 2)
    on_target = capacity(use("restore", STAGING))
    soon, late = sync.since + PATIENCE - timedelta(seconds=1), sync.since + PATIENCE

    assert ids(next_up([sync, later], on_target, now=soon)) == ["later"]
    assert ids(next_up([sync, later], on_target, now=late)) == []
    assert ids(next_up([older, sync, later], on_target, now=late)) == ["older"]
    assert ids(next_up([sync, later], capacity(), now=late)) == ["sync"]
    assert taken_before(later, [sync], on_target, now=late) == ORDERS
    assert taken_before(later, [sync], on_target, now=soon) is None
    second = waiting("second", 2, of=[STAGING, USERS])
    assert ids(next_up([sync, second, waiting("c", 3, of=[USERS])], on_target, now=late)) == ["c"]


def test_of_two_opposed_syncs_the_older_one_starts_first_and_both_do() -> None:
    one, other = waiting("one", 1, of=[STAGING, ORDERS]), waiting("other", 2, of=[ORDERS, STAGING])
    late = other.since + PATIENCE

    assert ids(next_up([one, other], capacity(use("x", STAGING)), now=late)) == []
    assert ids(next_up([one, other], capacity(use("x", ORDERS)), now=late)) == []
    assert ids(next_up([one, other], capacity(), now=late)) == ["one"]
    assert ids(next_up([other], capacity(), now=late)) == ["other"]


@given(st.lists(st.booleans(), min_size=60, max_size=60), st.integers(1, 20))
def test_a_sync_starts_after_boundedly_many_others_though_one_of_its_datasources_is_always_busy(
    oldest_ends: list[bool], minutes: int
) -> None:
    """Backups of both datasources overlap as long as they may, and new ones wait all the time."""
    sync = waiting("sync", -1, of=[STAGING, ORDERS])
    line, running, started, minute = [sync], [waiting("first", -2)], list[Waiting](), 0
    for oldest in oldest_ends:
        line += [waiting(f"{minute}-{name[1]}", minute, of=[name]) for name in (ORDERS, STAGING)]
        minute += minutes
        busy = capacity(*(use(each.execution_id, *each.datasources) for each in running))
        started = next_up(in_line(line), busy, now=START + timedelta(minutes=minute))
        if sync in started:
            break
        line = [each for each in line if each not in started]
        running += started
        if len(running) > 1 or not started:  # else none would be busy
            running.pop(0 if oldest else -1)

    assert sync in started
    assert minute <= PATIENCE.seconds // 60 + 3 * minutes


NAMES = [ORDERS, USERS, ("crm", "orders")]
# Some use two: syncs.
USED = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
ARRIVALS = st.lists(st.tuples(USED, st.sampled_from(["manual", "scheduled"])), min_size=1, max_size=40)


class World:
    """Runs that arrive, start as the rules say, and end."""

    def __init__(self, limit: int, each: int) -> None:
        self.limit, self.each = limit, each
        self.line: list[Waiting] = []
        self.running: list[Waiting] = []
        self.started: list[str] = []
        self.now = START

    def capacity(self) -> Capacity:
        uses = [use(run.execution_id, *run.datasources) for run in self.running]
        return Capacity(limit=self.limit, uses=uses, datasource_limit=lambda _: self.each)

    def start(self) -> None:
        for run in next_up(in_line(self.line), self.capacity(), now=self.now):
            if self.capacity().obstacle(run.datasources) is None:
                for other in self.line:
                    if other.rank < run.rank and set(other.datasources) & set(run.datasources):
                        assert self.capacity().full(other.datasources), "it passes nobody who could start"
                self.line.remove(run)
                self.running.append(run)
                self.started.append(run.execution_id)
        self.check()

    def check(self) -> None:
        assert len(self.running) <= self.limit
        for name in NAMES:
            assert sum(name in run.datasources for run in self.running) <= self.each
        if self.capacity().room:
            assert all(self.capacity().full(run.datasources) for run in self.line), "nobody waits for nothing"


@given(ARRIVALS, st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_limits_hold_and_everyone_gets_a_turn(
    arrivals: list[tuple[list[DatasourceName], Priority]], limit: int, each: int, choices: random.Random
) -> None:
    world = World(limit, each)
    for number, (used, priority) in enumerate(arrivals):
        world.line.append(waiting(str(number), number, priority, used))
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


@given(st.lists(USED, max_size=20))
def test_whoever_has_room_has_someone_called(used: list[list[DatasourceName]]) -> None:
    line = in_line(waiting(str(number), number, of=each) for number, each in enumerate(used))
    capacity_now = capacity(use("x", ORDERS))

    called = next_up(line, capacity_now, now=START)

    left = capacity(use("x", ORDERS), *(use(each.execution_id, *each.datasources) for each in called))
    assert all(left.full(each.datasources) for each in line if each not in called)
    assert all(capacity_now.full(each.datasources) is None for each in called)


@pytest.mark.parametrize("number", [1, 7])
def test_the_place_of_a_waiting_run_never_grows_when_one_ends(number: int) -> None:
    line = in_line(waiting(str(minute), minute) for minute in range(10))
    full = capacity(use("running"))

    assert places(line[1:], full)[str(number)] == places(line, full)[str(number)] - 1
    assert replace(line[0], priority="manual").rank < line[0].rank
