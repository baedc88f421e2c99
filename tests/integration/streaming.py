"""A client of streams of events, as far as the tests need one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse

from .callers import Client, bearer

WITHIN_S = 20.0


@dataclass(kw_only=True)
class Event:
    """One event."""

    name: str
    id: str
    data: Any


@dataclass
class Stream:
    """An open stream, and what it told so far."""

    answer: ClientResponse
    comments: list[str] = field(default_factory=list)
    id: str = ""

    async def next(self) -> Event | None:
        """The next event; None when the stream is closed. Raises TimeoutError."""
        found: dict[str, str] = {}
        async with asyncio.timeout(WITHIN_S):
            async for raw in self.answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line[1:].strip())
                elif line:
                    name, _, value = line.partition(": ")
                    found[name] = value
                    self.id = value if name == "id" else self.id
                elif "event" in found:
                    return Event(name=found["event"], id=self.id, data=json.loads(found["data"]))
        return None

    async def until(self, condition: Callable[[Event], bool]) -> list[Event]:
        """The events up to the one that is waited for, with it."""
        found: list[Event] = []
        while event := await self.next():
            found.append(event)
            if condition(event):
                return found
        raise AssertionError(f"the stream ended after {found}")

    async def rest(self) -> list[Event]:
        """All events until it is closed."""
        found: list[Event] = []
        while event := await self.next():
            found.append(event)
        return found

    async def until_comment(self, text: str) -> None:
        """Return when a comment has this text."""
        async with asyncio.timeout(WITHIN_S):
            while not any(text in comment for comment in self.comments):
                line = (await self.answer.content.readline()).decode()
                if line.startswith(":"):
                    self.comments.append(line[1:].strip())


@asynccontextmanager
async def opened(client: Client, path: str, token: str | None, last: str | None = None) -> AsyncIterator[Stream]:
    """A stream that somebody opens, or comes back to."""
    headers = {**bearer(token), "Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    async with client.get(path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)
