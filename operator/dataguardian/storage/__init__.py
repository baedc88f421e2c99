"""Storage locations: flat key → bytes stores. To add a kind: one file, one entry in ``STORAGES``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from ..domain.plan import FilesystemTarget, S3Target, Target
from . import filesystem, s3


class Storage(Protocol):
    """A flat key → bytes store. Keys use ``/`` and begin below the location's prefix.

    Every method may raise StorageUnavailable, PermissionRefused, or NotFound when the bucket or volume is missing.
    """

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        """Store one object whole or not at all; return its size in bytes.

        ``may_appear`` is called when all is sent, as late as the store allows before the object appears. An error of
        it or of ``chunks`` passes through unchanged, and neither the object nor a part of it stays;
        what a store that does not answer keeps, ``discard_partial`` removes later.
        """

    def get(self, key: str) -> Iterator[bytes]:
        """Stream an object. Raises NotFound."""

    def size(self, key: str) -> int:
        """An object's bytes. Raises NotFound."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of the objects in the folder ``prefix``, in no order."""

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The same keys, each with its object's bytes."""

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""

    def partial(self, prefix: str) -> set[str]:
        """The keys of what ``put`` calls have sent in part into the folder ``prefix``: interrupted ones, and others.

        Best effort: empty when a bucket does not tell.
        """

    def discard_partial(self, prefix: str) -> int:
        """Remove what interrupted ``put`` calls left in the folder ``prefix``; return how many there were."""


STORAGES: Mapping[type, Callable[[Any], Storage]] = {S3Target: s3.S3, FilesystemTarget: filesystem.Filesystem}


def opened(target: Target) -> Storage:
    """The store of a target. Raises NotFound when a file with its credentials is missing."""
    return STORAGES[type(target)](target)
