"""Deleting one backup in one location, so that an interruption at any point is found and finished.

A marker is put into its folder, then the manifest goes, with which it ends to be a backup, then everything else, and
the marker last. A folder with a marker and no manifest is the rest of a removal; other folders without a manifest
belong to somebody: a run that goes on, or one that failed and whose dump a retry may use.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..domain import manifest as manifests
from ..domain import proof
from ..errors import BackupCorrupt, StorageFull
from ..storage import Storage
from .finding import Folder

MARKER = "removing.json"


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Which backup is being removed from the folder, and why."""

    execution_id: str
    execution_name: str
    reason: str
    folder: str = ""  # the name of the one that it is in


def remove(storage: Storage, folder: Folder, marker: Marker, gone: Callable[[], None]) -> None:
    """Delete the objects directly in the folder, and the proofs in it; ``gone`` is called before the last one is.

    Raises what the store raises; a later call goes on.
    """
    proofs = sorted(storage.keys(folder.key(proof.FOLDER)))
    rest = [*map(folder.key, sorted(folder.sizes.keys() - {manifests.FILE_NAME, MARKER})), *proofs]
    order = [folder.key(manifests.FILE_NAME), *rest, folder.key(MARKER)]
    try:
        if MARKER not in folder.sizes:
            storage.put(folder.key(MARKER), [msgspec.json.encode(msgspec.structs.replace(marker, folder=folder.name))])
    except StorageFull:
        # Room is made with the manifest last: what is left, it still names, and no rule keeps it next time either.
        order = [*rest, folder.key(manifests.FILE_NAME)]
    for key in order[:-1]:
        storage.delete(key)
    storage.discard_partial(folder.path)
    gone()
    storage.delete(order[-1])


def interrupted(storage: Storage, folder: Folder) -> Marker:
    """What was being removed from a folder that has a marker and no manifest.

    Raises NotFound when that has just been finished, and BackupCorrupt for a marker that cannot be read.
    """
    try:
        return msgspec.json.decode(b"".join(storage.get(folder.key(MARKER))), type=Marker)
    except msgspec.DecodeError as error:
        raise BackupCorrupt(
            f"{MARKER} cannot be read: {error}.", remedy="Look into the folder, and delete it by hand."
        ) from error


def give_up(storage: Storage, folder: Folder) -> None:
    """Take away the marker of a backup that is to stay: its removal was interrupted before it began."""
    if MARKER in folder.sizes:
        storage.delete(folder.key(MARKER))
