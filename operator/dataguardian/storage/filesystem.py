"""A folder of a mounted volume."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ..domain.plan import FilesystemTarget
from ..errors import DataGuardianError, NotFound, PermissionRefused, SpecInvalid, StorageFull, StorageUnavailable

CHUNK_BYTES = 1024 * 1024
# Bytes that wait in memory for the disk, at most: so the last flush of a large file is no longer than that of others,
# and a slow volume is not taken for one that hangs.
FLUSH_BYTES = 256 * 1024 * 1024
PARTIAL = ".partial"  # the suffix of a file that is being written


class Filesystem:
    """Objects are files; a file appears under its name once it is whole and on the disk."""

    def __init__(self, target: FilesystemTarget) -> None:
        self._location = target.location
        self._root = Path(target.root)
        self._base = self._below(self._root, target.prefix)

    def put(self, key: str, chunks: Iterable[bytes], may_appear: Callable[[], None] | None = None) -> int:
        path = self._below(self._base, key)
        partial = path.with_name(f".{path.name}{PARTIAL}")
        self._mounted()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            size = self._written(partial, chunks)
            if may_appear is not None:
                may_appear()
            with self._errors():
                partial.replace(path)
                _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        return size

    def get(self, key: str) -> Iterator[bytes]:
        with self._errors(key):
            file = self._below(self._base, key).open("rb", buffering=0)
        with file:
            while True:
                with self._errors(key):
                    chunk = file.read(CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk

    def size(self, key: str) -> int:
        with self._errors(key):
            return self._below(self._base, key).stat().st_size

    def keys(self, prefix: str) -> Iterator[str]:
        return (key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        for path, size in self._files(prefix):
            if not path.name.endswith(PARTIAL):
                yield path.relative_to(self._base).as_posix(), size

    def delete(self, key: str) -> None:
        path = self._below(self._base, key)
        with self._errors():
            path.unlink(missing_ok=True)
        # A bucket has no empty folders; leave none either.
        with suppress(OSError):
            path.parent.rmdir()

    def partial(self, prefix: str) -> set[str]:
        found = (path for path, _ in self._files(prefix) if path.name.endswith(PARTIAL))
        names = (path.with_name(path.name.removesuffix(PARTIAL).removeprefix(".")) for path in found)
        return {path.relative_to(self._base).as_posix() for path in names}

    def discard_partial(self, prefix: str) -> int:
        partial = [path for path, _ in self._files(prefix) if path.name.endswith(PARTIAL)]
        for path in partial:
            with self._errors():
                path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
        return len(partial)

    def _files(self, prefix: str) -> Iterator[tuple[Path, int]]:
        """All files below a folder, with their bytes. What goes meanwhile is left out; what refuses is an error."""
        self._mounted()
        for folder, _, names in os.walk(self._below(self._base, prefix), onerror=self._unlisted):
            for name in names:
                path = Path(folder, name)
                with self._errors():
                    try:
                        found = path.stat()
                    except FileNotFoundError:
                        continue
                if stat.S_ISREG(found.st_mode):
                    yield path, found.st_size

    def _unlisted(self, error: OSError) -> None:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise self._translated(error, None) from error

    def _written(self, partial: Path, chunks: Iterable[bytes]) -> int:
        with self._errors():
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        waiting = 0
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                waiting += len(chunk)
                with self._errors():
                    while rest:
                        rest = rest[os.write(descriptor, rest) :]
                    if waiting >= FLUSH_BYTES:
                        os.fdatasync(descriptor)
                        waiting = 0
            with self._errors():
                os.fsync(descriptor)
                return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _mounted(self) -> None:
        with self._errors():
            is_there = self._root.is_dir()
        if not is_there:
            raise NotFound(
                f"The volume of storage location {self._location!r} is not mounted at {self._root}.",
                remedy="Create the claim, or correct spec.filesystem.claimName.",
            )

    def _below(self, base: Path, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if key.startswith("/") or ".." in parts:
            raise SpecInvalid(
                f"The key {key!r} leaves the folder of storage location {self._location!r}.",
                remedy="Use keys below the location's path.",
            )
        return base.joinpath(*parts)

    @contextmanager
    def _errors(self, key: str | None = None) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise self._translated(error, key) from error

    def _translated(self, error: OSError, key: str | None) -> DataGuardianError:
        where = f"storage location {self._location!r}"
        if error.errno == errno.ENOENT and key is not None:
            return NotFound(
                f"The object {key!r} is not in {where}.", remedy="Restore another backup, or another copy of this one."
            )
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageFull(
                f"The volume of {where} is full.", remedy="Delete old backups or enlarge the volume, then run again."
            )
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return PermissionRefused(
                f"The volume of {where} refuses the access: {error.strerror}.",
                remedy="Mount it writable and let the runner's user or fsGroup write to it.",
            )
        return StorageUnavailable(
            f"The volume of {where} failed: {error.strerror or error}.", remedy="Check the volume, then run again."
        )


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
