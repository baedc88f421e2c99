"""gzip, for readers that have nothing newer."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..errors import BackupCorrupt

PIECE_BYTES = 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say: with gzip's header and CRC


class Gzip:
    """Compression by zlib in one thread."""

    def compressor(self, level: int) -> GzipStream:
        return GzipStream(level)

    def decompressor(self) -> GzipReader:
        return GzipReader()


class GzipStream:
    """One gzip member."""

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, _GZIP)

    def compress(self, data: bytes | memoryview) -> bytes:
        return self._stream.compress(data)

    def finish(self) -> bytes:
        return self._stream.flush()


class GzipReader:
    """Reads one gzip member and checks its CRC."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        rest: bytes | memoryview = data
        while len(rest) and not self._stream.eof:
            try:
                yield self._stream.decompress(rest, PIECE_BYTES)
            except zlib.error as error:
                raise _corrupt(str(error)) from error
            rest = self._stream.unconsumed_tail
        if len(rest) or self._stream.unused_data:
            raise _corrupt("bytes follow its end")

    def finish(self) -> None:
        if not self._stream.eof:
            raise _corrupt("it was cut")


def _corrupt(why: str) -> BackupCorrupt:
    return BackupCorrupt(
        f"The stored bytes are not the gzip stream that was written: {why}.",
        remedy="Restore another backup, or another copy of this one.",
    )
