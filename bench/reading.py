"""The sidecar of the API's bench with all around it, and the readers beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from dataguardian.history.migrate import migrate
from tests.integration.apiserver import ApiServer
from tests.integration.callers import chart_parts
from tests.integration.clients import postgres_settings
from tests.integration.services import ROOT, PostgresServer, RedisServer
from tests.integration.sidecars import Sidecar, sidecar_of

from . import dashboard
from .operator_process import Memory, cpu_seconds_of, memory_of
from .readers import EVENTS, Load, Outcome

READERS = [sys.executable, "-m", "bench.readers"]
CHANGE_S = 0.5
JOBS = "/api/backup-jobs"
ALL_EVENTS = "/api/executions/stream"
ONE_LOG = "/api/executions/{execution_id}/logs"


class Bench:
    """What runs, until it is removed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, "postgres"
        self.apiserver, self.redis = ApiServer(), RedisServer()
        self.postgres = PostgresServer(settings=("fsync=off",))
        self.sidecar: Sidecar = sidecar_of(self.apiserver, self.postgres, self.database, self.redis, folder)
        self.tokens: Sequence[str] = ()
        self.cpu = 0.0  # seconds that the sidecar took for the last readers
        self._stack = ExitStack()

    def start(self) -> None:
        """All of it, with the schema and the roles."""
        for service in (self.apiserver, self.postgres, self.redis):
            self._stack.callback(service.remove)
            service.start()
        migrate(postgres_settings(self.postgres, self.database, self.folder), deadline_s=30)
        self._stack.enter_context(chart_parts(self.apiserver, "roles"))
        self._stack.callback(self.sidecar.remove)
        self.sidecar.start()

    def remove(self) -> None:
        """End it all."""
        self._stack.close()

    def restart(self) -> None:
        """A sidecar that remembers nothing."""
        self.sidecar.stop()
        self.sidecar.start()

    @property
    def url(self) -> str:
        """Where the sidecar is."""
        return f"http://{self.sidecar.host}:{self.sidecar.port}"

    @cached_property
    def described(self) -> dict[str, Any]:
        """The paths of its OpenAPI document: what it does not have is not read."""
        with urllib.request.urlopen(f"{self.url}/api/openapi.json") as answer:  # noqa: S310 - our own process
            paths: dict[str, Any] = json.load(answer)["paths"]
            return paths

    @property
    def jobs(self) -> list[str]:
        """The list of jobs."""
        return [JOBS] if JOBS in self.described else []

    @cached_property
    def paths(self) -> list[str]:
        """What a dashboard polls."""
        ended = dashboard.ended_ids(self.postgres, self.database)
        logs = [f"/api/executions/{execution}/logs" for execution in ended[:1]]
        return ["/api/dashboard/overview", "/api/executions", *self.jobs, *logs]

    def streams(self, count: int) -> list[str]:
        """So many streams: half of them of all executions, half of the logs of those that run."""
        found: list[str] = []
        if ALL_EVENTS in self.described:
            found.append(ALL_EVENTS)
        if EVENTS in self.described[ONE_LOG]["get"]["responses"]["200"]["content"]:
            running = dashboard.running_ids(self.postgres, self.database)
            found += [f"/api/executions/{execution}/logs" for execution in running[:1]]
        return list(islice(cycle(found), count if found else 0))

    def memory(self) -> Memory:
        """The sidecar's."""
        assert self.sidecar.process is not None
        return memory_of(self.sidecar.process.pid)

    def read(
        self, paths: Sequence[str], *, readers: int, rate: float, seconds: float, streams: Sequence[str] = ()
    ) -> tuple[Outcome, list[float]]:
        """Let them read; what came of it, and the sidecar's own milliseconds for each request, in order."""
        assert self.sidecar.process is not None
        load = self.load(paths, readers=readers, rate=rate, seconds=seconds, streams=streams)
        said, before = len(self.sidecar.log()), cpu_seconds_of(self.sidecar.process.pid)
        told = self._await(load)
        self.cpu = cpu_seconds_of(self.sidecar.process.pid) - before
        asked = {path.partition("?")[0] for path in paths}
        lines = [line for line in self.sidecar.log()[said:] if line["action"] == "request" and line["path"] in asked]
        return msgspec.json.decode(told, type=Outcome), [line["milliseconds"] for line in lines]

    def load(
        self, paths: Sequence[str], *, readers: int, rate: float, seconds: float, streams: Sequence[str] = ()
    ) -> Load:
        """What readers are told."""
        return Load(
            url=self.url, tokens=self.tokens, paths=paths, readers=readers, rate=rate, seconds=seconds, streams=streams
        )

    def _await(self, load: Load) -> bytes:
        """What the readers print; while there are streams, executions go on, so that they have something to tell."""
        going = cycle(dashboard.running_ids(self.postgres, self.database))
        with subprocess.Popen(READERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
            given: bytes | None = msgspec.json.encode(load)
            while True:
                try:
                    told, _ = process.communicate(given, timeout=CHANGE_S)
                except subprocess.TimeoutExpired:
                    given = None
                    if load.streams:
                        dashboard.change(self.postgres, self.database, next(going))
                else:
                    return told


@contextmanager
def readers_beside(load: Load) -> Iterator[None]:
    """Readers inside this block; none at a rate of 0."""
    if not load.rate:
        yield
        return
    with subprocess.Popen(READERS, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(load))
        process.stdin.close()
        try:
            yield
        finally:
            process.kill()
