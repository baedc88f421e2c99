"""What runs left in a location that did not complete: folders without a manifest, and objects that were half sent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ..domain import manifest as manifests
from ..domain.naming import is_older
from ..storage import Storage
from . import finding
from .finding import Folder


def with_partial(storage: Storage, job: str, known: Collection[Folder], backups: Collection[str]) -> list[Folder]:
    """Those that are known in the folder ``job``, and those that have nothing but half sent objects.

    ``backups`` are the names of folders that have a manifest. Raises what the store raises.
    """
    named = {folder.name for folder in known} | set(backups)
    parents = {key.rpartition("/")[0] for key in storage.partial(job)}
    found = [Folder(path, {}) for path in sorted(parents)]
    return [*known, *(folder for folder in found if folder.parent == job and folder.name not in named)]


def is_of_no_use(folder: Folder, before: datetime, needed: Collection[str]) -> bool:
    """Whether the run of an unfinished folder was created before this moment, and nobody needs the folder."""
    return is_older(folder.name, before) and folder.name not in needed


def remove(storage: Storage, folder: Folder) -> bool:
    """Delete everything in it; False when it has changed since it was seen, and nothing is deleted.

    Raises what the store raises; the next cleanup goes on.
    """
    now = [each for each in finding.folders(storage, folder.path) if each.path == folder.path]
    if now != ([folder] if folder.sizes else []):
        return False
    # What tells that the dump is whole goes first: from then on no retry takes it.
    for name in sorted(folder.sizes, key=lambda name: name != manifests.PENDING_FILE_NAME):
        storage.delete(folder.key(name))
    storage.discard_partial(folder.path)
    return True
