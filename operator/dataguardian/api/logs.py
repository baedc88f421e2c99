"""The log of an execution: as JSON, as text, and as a stream that follows it."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Literal

from aiohttp import hdrs, web
from pydantic import Field

from ..domain.executions import TERMINAL
from ..domain.line_id import BEFORE_ALL, LineId, line_id
from ..history import reading
from .endpoints import Call, Endpoint, Streamed
from .executions import Execution, known
from .feeds import ANSWER_S, Feed, live_entries
from .log_window import Entry
from .models import Answer, Asked
from .refusals import Forbidden
from .sending import Sent
from .sse import EVENTS, LAST, comment, event, is_wanted
from .streams import End, stream

TEXT = "text/plain"
PIECE = 200  # lines of one write


class LogQuery(Asked):
    """In which form."""

    format: Literal["json", "text"] = Field(default="json", description="`text` gives lines as a terminal shows them.")


class Line(Answer):
    """A line of a log."""

    ts: str = Field(description="When, RFC 3339.")
    level: str = Field(description="debug, info, success, warn or error.")
    message: str = Field(description="What; begins with the operation in brackets.")


class Log(Answer):
    """The log of an execution: what was recorded at its end, and before that what it has written so far."""

    data: list[Line] = Field(description="Its lines, oldest first.")


async def log(call: Call) -> Log | Streamed | web.Response:
    """Its log, as JSON, as text, or as events."""
    found = await known(call)
    if is_wanted(call.request):
        return Streamed(run=partial(_follow, call, found))
    lines = await _lines(call, found)
    if call.query.format == "json":
        return Log(data=lines)
    text = "".join(f"{line.ts} {line.level:<7} {line.message}\n" for line in lines)
    return Sent(text=text, content_type=TEXT, charset="utf-8", headers={hdrs.CACHE_CONTROL: "private, no-cache"})


async def _lines(call: Call, found: Execution) -> list[Line]:
    """The recorded log; until it is recorded, what is known of it."""
    clients = call.state.clients
    if found.status in TERMINAL:
        async with clients.history.connection(limit_s=ANSWER_S) as connection:
            if lines := await reading.log_of(connection, found.id):
                return [Line(**line) for line in lines]
    return [Line(**each.line) for each in await live_entries(clients, found.id)]


async def _follow(call: Call, found: Execution) -> web.StreamResponse:
    with call.state.streams.place(call.caller.name):
        async with call.state.feeds.followed(found.id) as feed:
            return await stream(call, LogView(feed, call.request.headers.get(LAST)), partial(_check, call, found))


async def _check(call: Call, found: Execution) -> None:
    caller = await call.state.access.caller(call.request)
    if not await caller.may("executions.read", found.namespace):
        raise Forbidden(f"Executions of {found.namespace} may not be read any more.", remedy="Ask for the right again.")


class LogView:
    """A log as one client sees it: from the beginning, or from after the line that it had last."""

    away = "history or the live log does not answer: lines may come late"

    def __init__(self, feed: Feed, last: str | None) -> None:
        self.shared = self._feed = feed
        self._at = BEFORE_ALL if last is None else line_id(last)
        self._resumes = self._at != BEFORE_ALL

    def take(self) -> bytes:
        """The next lines."""
        window, piece = self._feed.window, b""
        if not window.entries or not (self._feed.is_read or self._feed.ended):
            return piece
        if not self._can_go_on():
            piece, self._at = event("reset", {}, id=BEFORE_ALL), BEFORE_ALL
        self._resumes = False
        found = window.after(self._at or BEFORE_ALL, PIECE)
        if found:
            self._at = found[-1].id
        return piece + b"".join(map(_events, found))

    def _can_go_on(self) -> bool:
        """Whether the lines that are held go on where the client is."""
        at, window = self._at, self._feed.window
        if at == BEFORE_ALL:
            return True
        if at is None or at < window.gone or (at.pod and not window.last.pod):
            return False
        return not self._resumes or at <= window.last

    def end(self) -> End | None:
        """The state in which the execution has ended."""
        return End(reason="ended", status=self._feed.ended) if self._feed.ended else None

    def beat(self) -> bytes:
        """A comment."""
        return comment()

    def id(self) -> LineId:
        """The last line that the client has."""
        return self._at or BEFORE_ALL


def _events(entry: Entry) -> bytes:
    told = event("line", entry.line, id=entry.id)
    return told + event("progress", entry.progress, id=entry.id) if entry.progress else told


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/executions/{execution_id}/logs",
        permission="executions.read",
        summary="The log of an execution.",
        handler=log,
        query=LogQuery,
        answer=Log,
        also={TEXT: "with `format=text`", EVENTS: "with `Accept: text/event-stream`"},
        problems={HTTPStatus.TOO_MANY_REQUESTS: "Too many streams are open."},
    ),
)
