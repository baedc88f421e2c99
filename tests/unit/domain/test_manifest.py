"""A manifest says the same after any way through the store, and refuses to be something else."""

from __future__ import annotations

import shlex

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Fingerprint, Manifest, Segment, Sequence, Table
from dataguardian.errors import BackupCorrupt, SpecInvalid

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80)
SIZES = st.integers(0, 2**63 - 1)
HASHES = st.text("0123456789abcdef", min_size=16, max_size=16)
SEGMENTS = st.builds(Segment, name=TEXT, bytes=SIZES, sha256=TEXT)
MANIFESTS = st.builds(
    Manifest,
    execution_id=TEXT,
    execution_name=TEXT,
    namespace=TEXT,
    backup_job=TEXT,
    backup_job_uid=TEXT,
    engine=TEXT,
    engine_version=TEXT,
    database=TEXT,
    server_identity=TEXT,
    dump_arguments=st.lists(TEXT),
    codec=TEXT,
    level=st.integers(0, 22),
    segments=st.lists(SEGMENTS),
    checksum=TEXT,
    dump_bytes=SIZES,
    stored_bytes=SIZES,
    retried_execution_id=st.just("") | TEXT,
    schema_sidecar=st.none() | SEGMENTS,
    started_at=TEXT,
    completed_at=TEXT,
    tools=st.dictionaries(TEXT, TEXT),
    fingerprint=st.builds(
        Fingerprint,
        tables=st.lists(st.builds(Table, schema=TEXT, name=TEXT, rows=SIZES, sample=st.lists(HASHES | TEXT))),
        sequences=st.lists(st.builds(Sequence, schema=TEXT, name=TEXT, value=st.none() | SIZES)),
        extensions=st.dictionaries(TEXT, TEXT),
    ),
    restore_commands=st.lists(TEXT),
)


@settings(deadline=None)
@given(MANIFESTS)
def test_a_manifest_read_back_is_the_one_that_was_written(manifest: Manifest) -> None:
    assert manifests.decode(manifests.encode(manifest)) == manifest


@settings(deadline=None)
@given(MANIFESTS, st.integers(2, 100))
def test_a_manifest_of_a_later_version_is_refused_and_not_guessed_at(manifest: Manifest, version: int) -> None:
    later = manifests.encode(msgspec.structs.replace(manifest, version=version))

    with pytest.raises(SpecInvalid, match=f"version {version}"):
        manifests.decode(later)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_are_backup_corrupt(content: bytes) -> None:
    with pytest.raises(BackupCorrupt):
        manifests.decode(content)


@settings(deadline=None)
@given(MANIFESTS, TEXT)
def test_a_manifest_with_a_nul_in_a_text_is_backup_corrupt(manifest: Manifest, text: str) -> None:
    """No name has one, and a client of a database takes it for the end of a line: what follows would be left out."""
    changed = manifests.encode(msgspec.structs.replace(manifest, database=f"{text}\0"))

    with pytest.raises(BackupCorrupt):
        manifests.decode(changed)


@settings(deadline=None)
@given(MANIFESTS, st.integers(0, 5))
def test_a_name_that_only_looks_like_a_nul_in_json_is_a_name(manifest: Manifest, backslashes: int) -> None:
    named = msgspec.structs.replace(manifest, database="\\" * backslashes + "u0000")

    assert manifests.decode(manifests.encode(named)) == named


@settings(deadline=None)
@given(MANIFESTS, st.data())
def test_a_cut_manifest_is_backup_corrupt(manifest: Manifest, data: st.DataObject) -> None:
    whole = manifests.encode(manifest).rstrip()
    kept = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(BackupCorrupt):
        manifests.decode(whole[:kept])


def test_segments_are_read_in_the_order_of_their_names() -> None:
    names = [manifests.segment_name("zstd", index) for index in range(12)]

    assert names[:2] == ["data.dump.zst", "data.dump.zst.00001"]
    assert names == sorted(names)


def test_the_commands_check_every_segment_and_read_all_of_them_in_order() -> None:
    segments = [Segment(name=manifests.segment_name("zstd", i), bytes=1, sha256=str(i) * 64) for i in range(2)]

    check, load = manifests.restore_commands("zstd", segments, "pg_restore")

    assert shlex.split(check)[1] == f"{'0' * 64}  data.dump.zst\n{'1' * 64}  data.dump.zst.00001"
    assert load == "cat data.dump.zst data.dump.zst.00001 | zstd -dc | pg_restore"


@settings(deadline=None)
@given(MANIFESTS)
def test_a_retry_completes_the_same_dump_under_another_name(manifest: Manifest) -> None:
    retried = msgspec.structs.replace(manifest, execution_id="again", execution_name="again", started_at="later")

    assert manifests.same_dump(manifest, retried)


@settings(deadline=None)
@given(MANIFESTS, SEGMENTS)
def test_a_dump_with_another_file_is_another_dump(manifest: Manifest, segment: Segment) -> None:
    longer = msgspec.structs.replace(manifest, segments=[*manifest.segments, segment])

    assert not manifests.same_dump(manifest, longer)


def test_a_dump_that_waits_for_a_retry_is_told_from_a_backup_by_the_name_of_its_manifest() -> None:
    assert manifests.PENDING_FILE_NAME != manifests.FILE_NAME
    assert not manifests.PENDING_FILE_NAME.endswith(manifests.FILE_NAME)
