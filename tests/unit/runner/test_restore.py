"""A load cannot come to its end before the backup is proven."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.errors import BackupCorrupt
from dataguardian.runner.restore import held_back


def load(pieces: Iterator[bytes | bytearray], into: bytearray) -> None:
    """Take what arrives, until it ends."""
    for piece in pieces:
        into += piece


PIECES = st.lists(st.binary(max_size=50), max_size=20)


@settings(deadline=None)
@given(PIECES, st.integers(1, 200))
def test_the_bytes_of_a_good_backup_all_arrive_in_order(pieces: list[bytes], size: int) -> None:
    assert b"".join(held_back(iter(pieces), size)) == b"".join(pieces)


@settings(deadline=None)
@given(PIECES, st.integers(1, 200))
def test_the_last_bytes_of_a_corrupt_backup_never_arrive(pieces: list[bytes], size: int) -> None:
    def corrupt() -> Iterator[bytes]:
        yield from pieces
        raise BackupCorrupt("It has another checksum.", remedy="Restore another one.")

    arrived = bytearray()
    with pytest.raises(BackupCorrupt):
        load(held_back(corrupt(), size), arrived)

    whole = b"".join(pieces)
    assert arrived == whole[: max(0, len(whole) - size)]
