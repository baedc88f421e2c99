"""Chunks reach a store's thread in order and a few at a time, or the object is not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dataguardian.runner.channel import DEPTH, Channel, Source, Stopped


class AskedToEnd(Exception):
    """What a check raises."""


def goes_on() -> None:
    """A check of a run that goes on."""


def refuses() -> None:
    """A check of a run that does not."""
    raise AskedToEnd


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[object]]]:
    """Runs something in another thread."""
    with ThreadPoolExecutor(2) as pool:
        yield pool.submit


def test_what_is_sent_arrives_whole_and_in_order(beside: Callable[..., Future[list[bytes]]]) -> None:
    channel, sent = Channel(), [bytes([number]) for number in range(100)]
    arrived = beside(lambda: list(channel.chunks(goes_on)))

    for chunk in sent:
        channel.send(chunk, goes_on)
    channel.end(whole=True)

    assert arrived.result(10) == sent


def test_a_sender_waits_for_a_store_that_takes_nothing() -> None:
    channel = Channel()
    for _ in range(DEPTH):
        channel.send(b"x", refuses)  # nothing to wait for, nothing to check

    with pytest.raises(AskedToEnd):
        channel.send(b"x", refuses)


def test_a_store_that_waits_for_chunks_ends_with_the_run() -> None:
    with pytest.raises(AskedToEnd):
        list(Channel().chunks(refuses))


def test_a_store_that_has_failed_holds_up_nobody() -> None:
    channel = Channel()
    channel.close()

    for _ in range(DEPTH + 1):
        channel.send(b"x", refuses)


def test_a_store_that_was_given_up_gets_no_end_though_the_object_is_whole_for_the_others() -> None:
    channel = Channel()
    channel.send(b"x", goes_on)
    channel.close()
    channel.end(whole=True)

    with pytest.raises(Stopped):
        list(channel.chunks(goes_on))


def test_an_object_whose_source_failed_is_not_stored_though_its_last_chunks_wait() -> None:
    channel = Channel()
    channel.send(b"x", goes_on)
    channel.end(whole=False)

    with pytest.raises(Stopped):
        list(channel.chunks(goes_on))


def test_the_failure_of_a_source_is_kept_and_the_store_sees_only_that_it_stopped() -> None:
    def failing() -> Iterator[bytes]:
        yield b"abc"
        raise ZeroDivisionError

    source = Source(failing())
    with pytest.raises(Stopped):
        list(source)

    assert source.size == 3
    assert isinstance(source.failure, ZeroDivisionError)


def test_a_store_that_stops_reading_is_no_failure_of_the_source() -> None:
    source = Source(iter([b"a", b"b"]))
    for _ in source:
        break

    assert source.failure is None
