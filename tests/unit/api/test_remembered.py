"""What is remembered, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from dataguardian.api.remembered import Refreshed
from dataguardian.errors import HistoryUnavailable


class Source:
    """Counts how often it is asked; it may be away."""

    def __init__(self) -> None:
        self.asked, self.away, self.answered = 0, False, asyncio.Event()

    async def ask(self) -> int:
        self.asked += 1
        self.answered.set()
        if self.away:
            raise HistoryUnavailable("away", remedy="wait")
        return self.asked


async def test_an_answer_that_is_not_old_is_not_asked_for_again() -> None:
    source = Source()
    remembered = Refreshed(source.ask, seconds=60, longest=120)

    assert [await remembered.get() for _ in range(3)] == [1, 1, 1]


async def test_an_old_answer_is_given_once_more_while_it_is_asked_for_again() -> None:
    source = Source()
    remembered = Refreshed(source.ask, seconds=0, longest=120)
    first = await remembered.get()
    source.answered.clear()

    second = await remembered.get()
    await asyncio.wait_for(source.answered.wait(), 5)
    third = await remembered.get()

    assert (first, second, third) == (1, 1, 2)


async def test_an_answer_that_is_too_old_is_not_given() -> None:
    source = Source()
    remembered = Refreshed(source.ask, seconds=0, longest=0)
    await remembered.get()
    source.away = True

    with pytest.raises(HistoryUnavailable):
        await remembered.get()


async def test_a_source_that_is_away_leaves_the_answer_that_is_known() -> None:
    source = Source()
    remembered = Refreshed(source.ask, seconds=0, longest=120)
    await remembered.get()
    source.away = True
    source.answered.clear()

    await remembered.get()
    await asyncio.wait_for(source.answered.wait(), 5)

    assert (await remembered.get(), source.asked) == (1, 2)
