"""The backups that a store holds: their folders, their manifests, and whether all their bytes are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from ..domain import manifest as manifests
from ..domain.manifest import Manifest
from ..errors import BackupCorrupt, NotFound, SpecInvalid
from ..storage import Storage
from . import stored
from .run import Run

# Each answer of a store takes a while; a manifest of a database with very many tables takes some megabytes.
READ_AT_ONCE = 4

Told = TypeVar("Told")


class Folder(msgspec.Struct, frozen=True):
    """A folder that has objects of its own."""

    path: str  # below the location's prefix
    sizes: dict[str, int]  # the names of the objects directly in it, and their bytes

    @property
    def parent(self) -> str:
        """The path of the folder around it."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its last part."""
        return self.path.rpartition("/")[2]

    def key(self, name: str) -> str:
        """The key of an object in it."""
        return f"{self.path}/{name}"

    def has_whole(self, manifest: Manifest) -> bool:
        """Whether every object that the manifest names is there with its size."""
        named = manifests.files(manifest)
        return bool(manifest.segments) and all(self.sizes.get(each.name) == each.bytes for each in named)


class Found(msgspec.Struct, Generic[Told], frozen=True):
    """What the manifests of some folders told, and why some of them told nothing (path → reason)."""

    told: list[Told]
    unreadable: dict[str, str]


def folders(storage: Storage, below: str) -> list[Folder]:
    """The folders at or below this one, by one listing. Raises what the store raises."""
    found: dict[str, dict[str, int]] = {}
    for key, size in storage.sizes(below):
        path, _, name = key.rpartition("/")
        found.setdefault(path, {})[name] = size
    return [Folder(path, sizes) for path, sizes in sorted(found.items())]


def read(storage: Storage, among: Sequence[Folder], run: Run, tell: Callable[[Folder, Manifest], Told]) -> Found[Told]:
    """Read the manifests of those folders that have one, a few at a time; ``tell`` is called in their threads.

    ``tell`` takes what is wanted, so that memory never holds many manifests, and may raise BackupCorrupt itself.
    Manifests that vanish meanwhile are left out. Raises what the store raises, and Cancelled.
    """
    # It loads the logging module, which a backup must not wait for at its start.
    from concurrent.futures import ThreadPoolExecutor

    unreadable: dict[str, str] = {}

    def one(folder: Folder) -> list[Told]:
        run.check()
        try:
            return [tell(folder, stored.read_manifest(storage, folder.key(manifests.FILE_NAME)))]
        except NotFound:
            return []
        except (BackupCorrupt, SpecInvalid) as error:
            unreadable[folder.path] = error.what
            return []

    pool = ThreadPoolExecutor(READ_AT_ONCE)
    try:
        results = list(pool.map(one, (folder for folder in among if manifests.FILE_NAME in folder.sizes)))
    finally:
        pool.shutdown(cancel_futures=True)
    return Found([told for result in results for told in result], unreadable)
