"""All objects of one kind, kept up to date by a watch, so that a list of them costs the API server nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import msgspec

from ..kube.client import JSON, Kubernetes, KubernetesUnavailable, objects_path
from ..kube.watch import RETRY_S, follow
from ..resources.common import Kind
from .objects import Key, Object

log = logging.getLogger(__name__)

# The server ends each watch after so many seconds, so that one that is dead is noticed as soon.
WATCH_SECONDS = 20
STALE_S = 30.0  # what was last heard longer ago is not told any more

Shape = TypeVar("Shape", bound=Object)


class Watched(Generic[Shape]):
    """The objects of a kind in all namespaces: of each only the fields that its shape names."""

    def __init__(self, kube: Kubernetes, kind: Kind[Any], shape: type[Shape]) -> None:
        self._kube = kube
        self._kind = kind
        self._shape = shape
        self._known: dict[Key, Shape] = {}
        self._listed: dict[Key, Shape] | None = None  # a list that is not complete yet
        self._current_at = float("-inf")

    def current(self) -> Mapping[Key, Shape]:
        """The objects as they were STALE_S ago or later; it changes with the next ``await``.

        Raises KubernetesUnavailable when that is not known: before the first list, and while the API server is away.
        """
        if time.monotonic() - self._current_at > STALE_S:
            raise KubernetesUnavailable(
                f"The API server has not told of {self._kind.plural} for more than {STALE_S:.0f} s.",
                remedy="Look at /health, and ask again.",
            )
        return self._known

    async def follow(self) -> None:
        """Keep the objects up to date; never returns."""
        while True:
            try:
                await follow(
                    self._kube,
                    objects_path(self._kind),
                    seen=self._see,
                    listing=self._begin,
                    current=self._note_current,
                    seconds=WATCH_SECONDS,
                )
            except Exception:  # a defect must not end the watch for good: the next list may do without it
                log.exception("A watch failed", extra={"action": "watch_failed", "kind": self._kind.name})
            await asyncio.sleep(RETRY_S)

    def _begin(self) -> None:
        self._listed = {}

    def _note_current(self) -> None:
        if self._listed is not None:
            self._known, self._listed = self._listed, None
        self._current_at = time.monotonic()

    async def _see(self, change: str, body: JSON) -> None:
        into = self._known if self._listed is None else self._listed
        key = body["metadata"]["namespace"], body["metadata"]["name"]
        if change == "DELETED":
            into.pop(key, None)
            return
        try:
            into[key] = msgspec.convert(body, self._shape)
        except msgspec.ValidationError as error:  # one that was stored before its schema was as it is
            into.pop(key, None)
            extra = {"action": "object_unread", "kind": self._kind.name, "namespace": key[0], "object": key[1]}
            log.warning("An object cannot be read: %s", error, extra=extra)


@asynccontextmanager
async def followed(watched: Iterable[Watched[Any]]) -> AsyncIterator[None]:
    """All of them are kept up to date inside this block."""
    tasks = [asyncio.create_task(each.follow()) for each in watched]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
