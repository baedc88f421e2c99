"""Many readers of the API at a fixed rate, as dashboards poll; a process of its own.

Reads a ``Load`` as JSON from stdin, and prints what came of it as JSON. A latency counts from the moment at which the
request was due, so that a server that falls behind cannot hide it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import msgspec

EVENTS = "text/event-stream"
ANSWER = aiohttp.ClientTimeout(total=30)
FOREVER = aiohttp.ClientTimeout(total=None)


@dataclass(kw_only=True)
class Load:
    """What is asked for; paths and streams take turns."""

    url: str
    tokens: Sequence[str]
    paths: Sequence[str]
    readers: int
    rate: float  # requests a second, of all readers
    seconds: float
    streams: Sequence[str] = ()


@dataclass(kw_only=True)
class Outcome:
    """What came of it."""

    requests: int = 0
    unchanged: int = 0  # answered 304
    errors: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0
    p99_ms: float = 0
    most_ms: float = 0
    received: int = 0  # bytes of streams
    cpu_seconds: float = 0  # of this process


@dataclass
class Crowd:
    """All readers, and what they have seen."""

    load: Load
    begin: float
    outcome: Outcome = field(default_factory=Outcome)
    latencies: list[float] = field(default_factory=list)

    async def read(self, number: int) -> None:
        """One reader, with a connection of its own, until the end."""
        load, known = self.load, dict[str, str]()
        every = load.readers / load.rate
        connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=300)
        async with aiohttp.ClientSession(load.url, connector=connector, timeout=ANSWER) as session:
            for turn in range(int(load.seconds / every)):
                due = self.begin + (number / load.readers + turn) * every
                await asyncio.sleep(due - time.monotonic())
                path = load.paths[(number + turn) % len(load.paths)]
                await self._ask(session, path, number, known, due)

    async def _ask(
        self, session: aiohttp.ClientSession, path: str, number: int, known: dict[str, str], due: float
    ) -> None:
        headers = {"If-None-Match": known[path]} if path in known else {}
        try:
            async with session.get(path, headers=headers | self._bearer(number)) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._fail(f"{path}: {type(error).__name__}")
            return
        if answer.status not in (200, 304):
            self._fail(f"{path}: {answer.status}")
        known[path] = answer.headers.get("ETag", "")
        self.outcome.requests += 1
        self.outcome.unchanged += answer.status == 304
        self.latencies.append(time.monotonic() - due)

    async def follow(self, number: int, path: str) -> None:
        """One stream, which must not end before the end."""
        end = self.begin + self.load.seconds
        headers = {"Accept": EVENTS} | self._bearer(number)
        try:
            async with (
                asyncio.timeout(end - time.monotonic()),
                aiohttp.ClientSession(self.load.url, timeout=FOREVER) as session,
                session.get(path, headers=headers) as answer,
            ):
                if answer.status != 200:
                    self._fail(f"stream {path}: {answer.status}")
                    return
                async for chunk in answer.content.iter_any():
                    self.outcome.received += len(chunk)
            self._fail(f"stream {path}: ended early")
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            self._fail(f"stream {path}: {type(error).__name__}")

    def _fail(self, what: str) -> None:
        self.outcome.errors[what] = self.outcome.errors.get(what, 0) + 1

    def _bearer(self, number: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.load.tokens[number % len(self.load.tokens)]}"}


async def measure(load: Load) -> Outcome:
    """All of it."""
    crowd = Crowd(load, time.monotonic() + 1)
    readers = [crowd.read(number) for number in range(load.readers)]
    streams = [crowd.follow(number, path) for number, path in enumerate(load.streams)]
    await asyncio.gather(*readers, *streams)
    outcome, found = crowd.outcome, sorted(crowd.latencies)
    if found:
        outcome.p50_ms, outcome.p99_ms, outcome.most_ms = (
            1000 * found[int(share * (len(found) - 1))] for share in (0.5, 0.99, 1)
        )
    outcome.cpu_seconds = time.process_time()
    return outcome


def main() -> None:
    """Read, measure, print."""
    os.nice(19)  # the readers are elsewhere in life: what is measured goes first
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure(load))))


if __name__ == "__main__":
    main()
