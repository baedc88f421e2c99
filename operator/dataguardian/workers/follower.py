"""The log of one running pod, as it is written: progress into the status and the row, all lines into the live log."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from ..domain import status as moves
from ..domain.line_id import LineId, pod_number
from ..domain.naming import CONTAINER, OPERATION, OWNER_UID
from ..history.logs import cut
from ..kube.client import JSON, pods_path
from ..kube.status import change_status
from ..live_log import LiveLine
from ..resources.common import Resource
from ..resources.execution import RunStatus
from . import live_lines, recorder, run_logs, runner_lines
from .context import Context, now
from .loop import RECOVER_S, attempt
from .operations import RUN_KINDS

PROGRESS_EVERY_S = 5.0
LOG_SILENCE_S = 120.0
LONGEST_PAUSE_S = 60.0


async def follow_log(context: Context, pod: JSON) -> None:
    """Follow the log of a pod as long as it runs; a connection that ends is made again."""
    follower = _Follower(context, pod)
    pause = RECOVER_S
    while True:
        await attempt("watcher", follower.read)
        await asyncio.sleep(pause)
        if not follower.is_running():
            return
        pause = min(2 * pause, LONGEST_PAUSE_S)


class _Follower:
    """What was read so far of one pod's log, which can be read from its beginning only."""

    def __init__(self, context: Context, pod: JSON) -> None:
        self._context, self._meta = context, pod["metadata"]
        self._owner: str = self._meta["labels"][OWNER_UID]
        self._run_kind = RUN_KINDS[self._meta["labels"][OPERATION]]
        self._first = pod_number(self._meta["creationTimestamp"])
        self._seen = 0  # lines
        self._step, self._written = "", 0.0

    def is_running(self) -> bool:
        """Whether the pod may still write."""
        pod = self._context.pods.get(self._owner)
        return (
            pod is not None and pod["metadata"]["uid"] == self._meta["uid"] and pod["status"].get("phase") == "Running"
        )

    async def read(self) -> None:
        """Read what was not read yet, until the log ends or nothing comes for LOG_SILENCE_S."""
        path = pods_path(self._meta["namespace"], self._meta["name"]) + "/log"
        query = {"follow": "true", "container": CONTAINER}
        number = 0
        async for raw in self._context.kube.lines(path, query, silence_s=LOG_SILENCE_S):
            number += 1
            if number > self._seen:
                self._seen = number
                await self._note(number, raw)

    async def _note(self, number: int, raw: bytes) -> None:
        told = runner_lines.read(raw)
        line = cut(run_logs.log_line(told))
        live = LiveLine(
            execution=self._owner,
            id=LineId(self._first, number),
            ts=line.ts,
            level=line.level,
            message=line.message,
            progress=told.progress,
        )
        live_lines.keep(self._context, live)
        if told.progress is not None and self._is_due(told.progress[0]):
            await self._write(told.progress)

    def _is_due(self, step: str) -> bool:
        return step != self._step or time.monotonic() - self._written >= PROGRESS_EVERY_S

    async def _write(self, progress: tuple[str, int]) -> None:
        self._step, self._written = progress[0], time.monotonic()
        found = self._context.slots.find(self._owner)
        if found is None:
            return
        changed = await change_status(self._context.kube, self._run_kind.kind, found[1], partial(_progressed, progress))
        self._context.catalog.put(self._run_kind.kind, changed)
        recorder.record_state(self._context, self._run_kind, changed)


def _progressed(told: tuple[str, int], run: Resource[Any, Any]) -> RunStatus | None:
    status: RunStatus = run.status
    return moves.progressed(status, step=told[0], bytes=told[1], now=now())
