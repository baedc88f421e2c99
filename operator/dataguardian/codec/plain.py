"""No compression."""

from __future__ import annotations

from collections.abc import Iterator


class Plain:
    """Bytes as they are."""

    def compressor(self, level: int) -> PlainStream:
        return PlainStream()

    def decompressor(self) -> PlainReader:
        return PlainReader()


class PlainStream:
    """Gives back what it takes."""

    def compress(self, data: bytes | memoryview) -> bytes:
        return bytes(data)

    def finish(self) -> bytes:
        return b""


class PlainReader:
    """Gives back what it takes; whether it was cut, only the checksum tells."""

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        yield bytes(data)

    def finish(self) -> None:
        """Any end is an end."""
