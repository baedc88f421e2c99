"""A level-based look at a set of objects: list, then follow the changes, for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import DataGuardianError
from .client import JSON, WATCH_SECONDS, Absent, Expired, Kubernetes

log = logging.getLogger(__name__)
RETRY_S = 2.0

Seen = Callable[[str, JSON], Awaitable[None]]


def _nothing() -> None:
    """Nobody wants to know."""


async def follow(
    kube: Kubernetes,
    path: str,
    *,
    label_selector: str = "",
    seen: Seen,
    listing: Callable[[], None] = _nothing,
    current: Callable[[], None] = _nothing,
    seconds: int = WATCH_SECONDS,
) -> None:
    """Call ``seen(type, object)`` for each object now and at each change; never returns.

    Types are those of a watch: ADDED, MODIFIED, DELETED. Objects come without their managedFields, which take more
    memory than all that is read of them. After a lost connection everything is listed again, so that
    nothing depends on having seen an earlier event: ``listing()`` is called before the first object of a list, and what
    the list does not have is gone. ``current()`` is called when all has been seen that was so at this moment, which is
    at least every ``seconds`` while the server answers.
    """
    while True:
        try:
            listing()
            async for page in kube.pages(path, label_selector=label_selector):
                version = page["metadata"]["resourceVersion"]
                for item in page["items"]:
                    await seen("ADDED", _without_managers(item))
            current()
            while True:
                async for event in kube.watch(path, version=version, label_selector=label_selector, seconds=seconds):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        await seen(event["type"], _without_managers(event["object"]))
                    current()
                current()
        except Expired:
            continue
        except (Absent, DataGuardianError) as error:
            log.warning("Watch lost: %s", error, extra={"action": "watch_lost", "path": path})
            await asyncio.sleep(RETRY_S)


def _without_managers(body: JSON) -> JSON:
    body["metadata"].pop("managedFields", None)
    return body
