"""Every codec gives back what it took, and says so when it cannot."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.codec import CODECS, Codec
from dataguardian.codec.zstd import workers
from dataguardian.domain.manifest import CODEC_COMMAND, CODEC_SUFFIX
from dataguardian.errors import BackupCorrupt

PIECES = st.lists(st.binary(max_size=5000) | st.integers(0, 200_000).map(bytes), max_size=8)


def compressed(codec: Codec, pieces: list[bytes]) -> bytes:
    """The whole stream."""
    stream = codec.compressor(3)
    return b"".join(stream.compress(memoryview(piece)) for piece in pieces) + stream.finish()


def decompressed(codec: Codec, data: bytes, step: int) -> bytes:
    """The whole content, fed in steps."""
    stream = codec.decompressor()
    content = b"".join(
        piece for start in range(0, len(data), step) for piece in stream.decompress(data[start : start + step])
    )
    stream.finish()
    return content


@pytest.mark.parametrize("name", CODECS)
@settings(deadline=None)
@given(pieces=PIECES, step=st.integers(1, 100_000))
def test_what_comes_out_is_what_went_in(name: str, pieces: list[bytes], step: int) -> None:
    data = compressed(CODECS[name], pieces)

    assert decompressed(CODECS[name], data, max(step, len(data) // 50)) == b"".join(pieces)


@pytest.mark.parametrize("name", CODECS)
def test_the_program_that_the_manifest_names_reads_it(name: str) -> None:
    content = b"some bytes" * 100_000

    read = subprocess.run(
        CODEC_COMMAND[name].split(), input=compressed(CODECS[name], [content]), capture_output=True, check=True
    ).stdout

    assert read == content


def test_every_codec_has_a_suffix_and_a_program() -> None:
    assert set(CODECS) == set(CODEC_SUFFIX) == set(CODEC_COMMAND)


@pytest.mark.parametrize("name", ["zstd", "gzip"])
@settings(deadline=None)
@given(pieces=PIECES, data=st.data())
def test_a_cut_stream_is_backup_corrupt(name: str, pieces: list[bytes], data: st.DataObject) -> None:
    whole = compressed(CODECS[name], pieces)
    kept = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(BackupCorrupt):
        decompressed(CODECS[name], whole[:kept], len(whole))


@pytest.mark.parametrize("name", ["zstd", "gzip"])
@settings(deadline=None)
@given(pieces=PIECES, tail=st.binary(min_size=1, max_size=50), step=st.sampled_from([1, 1000, 10**9]))
def test_bytes_after_the_end_are_backup_corrupt(name: str, pieces: list[bytes], tail: bytes, step: int) -> None:
    with pytest.raises(BackupCorrupt):
        decompressed(CODECS[name], compressed(CODECS[name], pieces) + tail, step)


@pytest.mark.parametrize("name", ["zstd", "gzip"])
def test_a_small_object_that_grows_large_is_read_in_bounded_pieces(name: str) -> None:
    data = compressed(CODECS[name], [bytes(50_000_000)])

    pieces = [len(piece) for piece in CODECS[name].decompressor().decompress(data)]

    assert sum(pieces) == 50_000_000
    assert max(pieces) <= 1024 * 1024


def test_there_is_a_thread_for_each_processor_four_at_most() -> None:
    assert 1 <= workers() <= 4
