"""Put into the operator's pod as ``sitecustomize``: stands still at a point, once, so that a SIGKILL finds it there."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HALTED = Path("/tmp/halted")  # outlives the container, not the pod

Call = Callable[..., Awaitable[Any]]


def _halting(function: Call, meant: Callable[..., bool]) -> Call:
    @functools.wraps(function)
    async def halting(*arguments: Any, **named: Any) -> Any:
        answer = await function(*arguments, **named)
        if meant(*arguments[1:]):
            _stand_still()
        return answer

    return halting


def _stand_still() -> None:
    """For ever, with the whole process; at the second time not at all."""
    if HALTED.exists():
        return
    HALTED.touch()
    while True:
        time.sleep(60)


def _install(point: str) -> None:
    from dataguardian.domain.naming import OPERATION
    from dataguardian.history import History
    from dataguardian.kube.client import Kubernetes
    from dataguardian.queue import Queue

    points: dict[str, tuple[type, str, Callable[..., bool]]] = {
        "run-created": (Kubernetes, "create", lambda path, body: body["kind"] == "BackupExecution"),
        "entry-queued": (Queue, "push", lambda *_: True),
        "job-created": (
            Kubernetes,
            "create",
            lambda path, body: body["metadata"].get("labels", {}).get(OPERATION) == "backup",
        ),
        "job-ended": (Kubernetes, "pods_of", lambda namespace, job: job.startswith("backup-")),
        "recorded": (History, "record", lambda row: row.status == "completed"),
    }
    owner, name, meant = points[point]
    setattr(owner, name, _halting(getattr(owner, name), meant))


if os.environ.get("HALT_AT") and sys.orig_argv[-1] == "operator":
    _install(os.environ["HALT_AT"])
