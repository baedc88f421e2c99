"""Streams of events to callers: how many, how long, and how each of them ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec
from aiohttp import web

from ..errors import DataGuardianError
from ..kube.client import Absent, Conflict, Expired
from .endpoints import Call
from .refusals import Forbidden, TooManyStreams, Unauthenticated
from .shared import Shared
from .sse import Sink, comment, event

log = logging.getLogger(__name__)

PER_CALLER, IN_ALL = 10, 200
HEARTBEAT_S = 15.0
CHECK_S = 30.0  # between two looks at the caller's rights
UNCHECKED_S = 300.0  # for which rights are believed that nobody can be asked about
ASKED_FOR_S = 4.5
TICK_S = 1.0

Reason = Literal["ended", "unauthenticated", "forbidden", "unchecked", "slow", "shutdown"]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The data of the last event."""

    reason: Reason
    status: str | None = None  # of the execution, when it has ended


class View(Protocol):
    """What one client sees of what is shared."""

    away: str  # what is told while a service is away

    @property
    def shared(self) -> Shared:
        """What it is a view of."""

    def take(self) -> bytes:
        """The next events, some at a time; empty when there are none now."""

    def end(self) -> End | None:
        """Why there will be no more."""

    def beat(self) -> bytes:
        """What is sent when there is nothing to send."""

    def id(self) -> object:
        """Where the client is."""


class Streams:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.is_ending = False

    @contextmanager
    def place(self, caller: str) -> Iterator[None]:
        """One of the places. Raises TooManyStreams."""
        for count, most, whose in (
            (self._open[caller], PER_CALLER, "you"),
            (self._open.total(), IN_ALL, "all callers"),
        ):
            if count >= most:
                raise TooManyStreams(
                    f"{count} streams of {whose} are open, and {most} may be.",
                    remedy="Close one, or come back later.",
                )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    async def end(self, _: web.Application) -> None:
        """End all streams, which their clients may open again elsewhere."""
        self.is_ending = True


async def stream(call: Call, view: View, check: Callable[[], Awaitable[None]]) -> web.StreamResponse:
    """Send a client what its view has, until that ends, or the client does.

    ``check`` raises Forbidden or Unauthenticated once the caller may not see it any more.
    """
    sink = Sink(call.request)
    try:
        await sink.open()
        end = await _pump(call, sink, view, _Rights(check))
        await sink.send(event("end", end, id=view.id()))
    except ConnectionError:  # the client has gone
        pass
    except TimeoutError:
        log.info("A client does not read its stream", extra={"action": "stream_cut", "request_id": call.request_id})
        sink.abort()
    except Exception:  # a defect; the answer has begun, so there is nobody to tell but the log
        log.exception("A stream failed", extra={"action": "stream_failed", "request_id": call.request_id})
        sink.abort()
    return sink.response


async def _pump(call: Call, sink: Sink, view: View, rights: _Rights) -> End:
    said, is_away = time.monotonic(), False
    while not call.state.streams.is_ending:
        if sink.is_gone():
            raise ConnectionResetError
        if reason := await rights.lost():
            return End(reason=reason)
        piece = view.take()
        if is_away != any(view.shared.away.values()):
            is_away = not is_away
            piece += comment(view.away if is_away else "all services answer again")
        if not piece and time.monotonic() - said >= HEARTBEAT_S:
            piece = view.beat()
        if piece:
            await sink.send(piece)
            said = time.monotonic()
        elif end := view.end():
            return end
        else:
            await view.shared.news(seconds=TICK_S)
    return End(reason="shutdown")


class _Rights:
    """Whether a caller may still see what was theirs to see when the stream began."""

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._asked = self._answered = time.monotonic()

    async def lost(self) -> Reason | None:
        """Why the stream ends; None when it goes on. Asks every CHECK_S."""
        at = time.monotonic()
        if at - self._asked < CHECK_S:
            return None
        self._asked = at
        try:
            async with asyncio.timeout(ASKED_FOR_S):
                await self._check()
        except Unauthenticated:
            return "unauthenticated"
        except Forbidden:
            return "forbidden"
        except (DataGuardianError, Absent, Conflict, Expired, TimeoutError):
            return "unchecked" if at - self._answered > UNCHECKED_S else None
        self._answered = at
        return None
