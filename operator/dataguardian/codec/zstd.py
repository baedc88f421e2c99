"""Zstandard: an ordinary frame with a checksum, which ``zstd -dc`` reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import BackupCorrupt

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1024 * 1024
# The default job size costs 50 to 80 MB more, for the same speed and size.
JOB_BYTES = 1024 * 1024
WORKERS_LIMIT = 4
_Parameter = zstd.CompressionParameter
# The default level's tables are made for inputs of any size; each job clears them and fills them anew. Half of them,
# and no matches of 5 bytes, need 16 to 46 % less time for jobs of 1 MiB; sizes change little: docs/benchmarks.md.
TUNED: dict[int, dict[int, int]] = {3: {_Parameter.hash_log: 16, _Parameter.chain_log: 15, _Parameter.min_match: 6}}
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


class Zstd:
    """Compression in threads of its own: as many as the pod has processors, four at most."""

    def compressor(self, level: int) -> ZstdStream:
        return ZstdStream(level)

    def decompressor(self) -> ZstdReader:
        return ZstdReader()


class ZstdStream:
    """One frame."""

    def __init__(self, level: int) -> None:
        self._stream = zstd.ZstdCompressor(
            options={
                _Parameter.compression_level: level,
                _Parameter.checksum_flag: 1,
                _Parameter.nb_workers: workers(),
                _Parameter.job_size: JOB_BYTES,
                **TUNED.get(level, {}),
            }
        )

    def compress(self, data: bytes | memoryview) -> bytes:
        return self._stream.compress(data)

    def finish(self) -> bytes:
        return self._stream.flush()


class ZstdReader:
    """Reads one frame and checks its checksum."""

    def __init__(self) -> None:
        self._stream = zstd.ZstdDecompressor()

    def decompress(self, data: bytes | memoryview) -> Iterator[bytes]:
        rest: bytes | memoryview = data
        while len(rest) or not (self._stream.needs_input or self._stream.eof):
            try:
                yield self._stream.decompress(rest, PIECE_BYTES)
            except zstd.ZstdError as error:
                raise _corrupt(str(error)) from error
            except EOFError as error:
                raise _corrupt("bytes follow its end") from error
            rest = b""
        if self._stream.unused_data:
            raise _corrupt("bytes follow its end")

    def finish(self) -> None:
        if not self._stream.eof:
            raise _corrupt("it was cut")


def workers() -> int:
    """Threads for one stream: the processors that this process may use, four at most."""
    allowed = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        if quota != "max":
            allowed = min(allowed, int(quota) / int(period))
    except (OSError, ValueError):
        pass  # no cgroup v2: the affinity is all that is known
    return max(1, min(round(allowed), WORKERS_LIMIT))


def _corrupt(why: str) -> BackupCorrupt:
    return BackupCorrupt(
        f"The stored bytes are not the Zstandard frame that was written: {why}.",
        remedy="Restore another backup, or another copy of this one.",
    )
