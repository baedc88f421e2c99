"""``GET /api/executions/stream``: executions as they change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

from aiohttp import web
from pydantic import Field

from ..domain.executions import Attempt
from ..resources.common import ObjectName
from .changes import EPOCH, Change, Changes, changes_since
from .endpoints import Call, Endpoint, Streamed
from .executions import Execution
from .models import Asked
from .refusals import TooSlow
from .sse import EVENTS, LAST, comment, event, position
from .streams import End, stream

RESUME_S = 4.5
PIECE = 100  # executions of one write
MICROSECOND = timedelta(microseconds=1)
LONGEST_PLACE = 17  # digits


class StreamQuery(Asked):
    """Which executions."""

    namespace: ObjectName | None = Field(default=None, description="Only of this namespace.")
    job: ObjectName | None = Field(default=None, description="Only of jobs of this name.")
    operation: Attempt | None = Field(default=None, description="Only of this operation.")


async def follow(call: Call) -> Streamed:
    """Tell each change of the executions that the caller may know of."""
    namespaces = await call.caller.namespaces("executions.read", call.query.namespace)
    last = call.request.headers.get(LAST)
    return Streamed(run=partial(_follow, call, namespaces, last))


async def _follow(call: Call, namespaces: frozenset[str] | None, last: str | None) -> web.StreamResponse:
    with call.state.streams.place(call.caller.name):
        async with call.state.changes.followed() as changes:
            view = ChangesView(changes, call.query, namespaces)
            if last is not None:
                view.resume(await _missed(call, changes, last))
            return await stream(call, view, partial(_check, call, view))


async def _missed(call: Call, changes: Changes, last: str) -> Sequence[Change] | None:
    """What has changed since a client was here last; None when that is not known. Raises TooSlow."""
    at = _moment(last)
    if at is None:
        return None
    try:
        async with asyncio.timeout(RESUME_S):
            while changes.since is None:  # else what changes in between would be told by nobody
                await changes.news(seconds=RESUME_S)
            return await changes_since(call.state.clients.history, at)
    except TimeoutError as error:
        raise TooSlow("History did not answer in time.", remedy="Come back with the same Last-Event-ID.") from error


async def _check(call: Call, view: ChangesView) -> None:
    caller = await call.state.access.caller(call.request)
    view.namespaces = await caller.namespaces("executions.read", call.query.namespace)


class ChangesView:
    """The changes as one caller sees them."""

    away = "history does not answer: changes come when it does"

    def __init__(self, changes: Changes, query: StreamQuery, namespaces: frozenset[str] | None) -> None:
        self.shared = self._changes = changes
        self._query = query
        self.namespaces = namespaces  # that the caller may read; None is all
        self._next = changes.next
        self._missed: Sequence[Change] = ()
        self._is_reset = False
        self._begins = True

    def resume(self, missed: Sequence[Change] | None) -> None:
        """Begin with what was missed; None when that is not known."""
        self._missed = missed or ()
        self._is_reset = missed is None

    def take(self) -> bytes:
        """The next changes; at first, where the client is."""
        if self._begins and self._changes.since is not None:
            self._begins = False
            return position(self.id()) + (event("reset", {}, id=self.id()) if self._is_reset else b"")
        found: Sequence[Change] = self._missed[:PIECE]
        self._missed = self._missed[PIECE:]
        if not found and self._next >= self._changes.first:
            found = self._changes.after(self._next, PIECE)
            self._next += len(found)
        shown = [event("execution", each.data, id=_place(each.recorded_at)) for each in found if self._shows(each)]
        # One piece says something even where the caller may know of nothing in it, so that the next one is taken.
        return b"".join(shown) or (comment() if found else b"")

    def _shows(self, change: Change) -> bool:
        if self.namespaces is not None and change.namespace not in self.namespaces:
            return False
        query = self._query
        return query.job in (None, change.job) and query.operation in (None, change.operation)

    def end(self) -> End | None:
        """That the client reads slower than executions change."""
        return End(reason="slow") if self._next < self._changes.first else None

    def beat(self) -> bytes:
        """Where the client is."""
        return position(self.id()) + comment()

    def id(self) -> str:
        """The latest change that the client knows of, or may know nothing of."""
        return _place(self._changes.since) if self._changes.since else "0"


def _place(at: datetime) -> str:
    return str((at - EPOCH) // MICROSECOND)


def _moment(place: str) -> datetime | None:
    """The moment of a place; None for what is none."""
    if not (place.isascii() and place.isdecimal()) or len(place) > LONGEST_PLACE or int(place) == 0:
        return None
    return EPOCH + int(place) * MICROSECOND


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/executions/stream",
        permission="executions.read",
        summary="Executions as they change, as events.",
        handler=follow,
        query=StreamQuery,
        answer=Execution,
        media_type=EVENTS,
        problems={HTTPStatus.TOO_MANY_REQUESTS: "Too many streams are open."},
    ),
)
