"""All objects of a kind, read so that ten thousand of them take little memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import msgspec

from ..resources.common import Kind
from .client import PAGE, Kubernetes, objects_path

Shape = TypeVar("Shape")


class _Metadata(msgspec.Struct):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, Generic[Shape]):
    metadata: _Metadata
    items: list[Shape]


async def pages(
    kube: Kubernetes, kind: Kind[Any], shape: type[Shape], *, silence_s: float, namespace: str | None = None
) -> AsyncIterator[list[Shape]]:
    """The objects of a namespace, or of all, PAGE at a time: of each only the fields that ``shape`` names.

    Raises KubernetesUnavailable, also when nothing comes for ``silence_s``; ApiRefused; Absent without the CRD;
    Expired when the pages were taken so slowly that the server forgot the list.
    """
    query = {"limit": PAGE, "continue": ""}
    while True:
        answer = b"".join(
            [line async for line in kube.lines(objects_path(kind, namespace), query, silence_s=silence_s)]
        )
        page = msgspec.json.decode(answer, type=_Page[shape])  # type: ignore[valid-type]  # made at run time
        yield page.items
        if not page.metadata.continue_:
            return
        query["continue"] = page.metadata.continue_
