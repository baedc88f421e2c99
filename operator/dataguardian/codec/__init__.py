"""Codecs: how the dump is compressed, as a stream in bounded memory. To add one: one file, one entry here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from . import gzip, plain, zstd


class Compressor(Protocol):
    """One stream being compressed."""

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take these bytes; return what is ready, often nothing."""

    def finish(self) -> bytes:
        """The rest of the stream."""


class Decompressor(Protocol):
    """One stream being read back. Raises BackupCorrupt for bytes that no compressor wrote."""

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        """The content of these bytes in pieces of at most 1 MiB."""

    def finish(self) -> None:
        """Nothing follows. Raises BackupCorrupt when the stream was cut."""


class Codec(Protocol):
    """One way to compress."""

    def compressor(self, level: int) -> Compressor:
        """A new stream at this level."""

    def decompressor(self) -> Decompressor:
        """A new stream to read back."""


CODECS: Mapping[str, Codec] = {"zstd": zstd.Zstd(), "gzip": gzip.Gzip(), "none": plain.Plain()}
