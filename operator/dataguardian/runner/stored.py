"""Reading a backup from a store, and proving that it is what was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Literal

from ..domain import manifest as manifests
from ..domain.manifest import Manifest, Segment
from ..errors import BackupCorrupt, NotFound
from ..storage import Storage

Verification = Literal["ReadBack", "Size"]


def content(storage: Storage, key: str) -> bytes:
    """A small object. Raises NotFound."""
    return b"".join(storage.get(key))


def read_manifest(storage: Storage, key: str) -> Manifest:
    """The manifest. Raises NotFound, and BackupCorrupt when it cannot be read or names files elsewhere."""
    return parsed(content(storage, key))


def parsed(text: bytes) -> Manifest:
    """The manifest in these bytes. Raises BackupCorrupt when it cannot be read or names files elsewhere."""
    manifest = manifests.decode(text)
    for file in manifests.files(manifest):
        if "/" in file.name or file.name in ("", ".", ".."):
            raise _corrupt(f"The manifest names {file.name!r}, which is no file beside it.")
    return manifest


def check_size(storage: Storage, folder: str, segment: Segment) -> None:
    """Raises BackupCorrupt when the object is missing or has another size."""
    try:
        size = storage.size(f"{folder}/{segment.name}")
    except NotFound as error:
        raise _corrupt(f"{segment.name} is missing.") from error
    if size != segment.bytes:
        raise _corrupt(f"{segment.name} has {size} bytes instead of {segment.bytes}.")


def check_sizes(storage: Storage, folder: str, manifest: Manifest) -> None:
    """``check_size`` for the whole dump."""
    for segment in manifest.segments:
        check_size(storage, folder, segment)


def prove(
    storage: Storage, folder: str, manifest: Manifest, verification: Verification, advance: Callable[[int], None]
) -> None:
    """Raises BackupCorrupt unless every file is there with its size, and for ReadBack with its hash."""
    files = manifests.files(manifest)
    for file in files:
        check_size(storage, folder, file)
    if verification == "ReadBack":
        for file in files:
            read_back(storage, folder, file, advance)


def read_back(storage: Storage, folder: str, segment: Segment, advance: Callable[[int], None]) -> None:
    """Read the object to its end. Raises BackupCorrupt when its hash is another."""
    for _ in checked(storage, folder, segment, advance):
        pass


def checked(storage: Storage, folder: str, segment: Segment, advance: Callable[[int], None]) -> Iterator[bytes]:
    """The object's bytes; BackupCorrupt at their end when their hash is another. ``advance`` gets each size."""
    digest, size = sha256(), 0
    for chunk in storage.get(f"{folder}/{segment.name}"):
        digest.update(chunk)
        size += len(chunk)
        advance(len(chunk))
        yield chunk
    if digest.hexdigest() != segment.sha256:
        raise _corrupt(f"{segment.name} has another checksum than when it was stored ({size} bytes read).")


def _corrupt(what: str) -> BackupCorrupt:
    return BackupCorrupt(what, remedy="Restore another backup, or another copy of this one.")
