"""Names are deterministic, valid and bounded."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguardian.domain.naming import (
    NAME_BYTES,
    PREVIOUS,
    SYNC,
    VERIFICATION,
    backup_folder,
    database_beside,
    folder_time,
    human_bytes,
    human_seconds,
    is_sync_backup,
    job_of_key,
    kept_until,
    kubernetes_job_name,
    run_folder,
    slot_run_name,
    sync_backup_id,
    sync_backup_name,
)
from dataguardian.resources.execution import RUN_NAME_MAX

JOB_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
KEY = re.compile(r"^[A-Za-z0-9._/-]+$")


@given(JOB_NAMES, MOMENTS)
def test_a_slots_run_has_a_name_that_its_kubernetes_job_and_labels_can_carry(job: str, slot: datetime) -> None:
    run = slot_run_name(job, slot)

    assert len(run) <= RUN_NAME_MAX
    assert len(kubernetes_job_name("restore", run)) <= 63


@given(JOB_NAMES, MOMENTS, st.integers(-14, 14))
def test_one_slot_has_one_name_in_every_time_zone(job: str, slot: datetime, hours: int) -> None:
    elsewhere = slot.astimezone(timezone(timedelta(hours=hours)))

    assert slot_run_name(job, slot) == slot_run_name(job, elsewhere)


@given(uid=st.uuids().map(str), other=st.uuids().map(str))
def test_a_backup_that_a_sync_has_kept_is_known_by_its_name_and_id_together(uid: str, other: str) -> None:
    name = sync_backup_name(uid)

    assert is_sync_backup(name, sync_backup_id(uid))
    assert not is_sync_backup(name, other)
    assert not any(is_sync_backup(each, sync_backup_id(uid)) for each in ("", "sync-1", "nightly-1", f"a{name}"))


def test_a_backup_and_a_restore_of_one_name_have_kubernetes_jobs_of_two_names() -> None:
    assert kubernetes_job_name("backup", "nightly") != kubernetes_job_name("restore", "nightly")


@given(st.uuids(), MOMENTS)
def test_a_runs_folder_tells_when_the_run_was_created(uid: UUID, created: datetime) -> None:
    assert folder_time(run_folder(str(uid), created)) == created.replace(microsecond=0)


@given(st.text() | st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8,9}", fullmatch=True))
def test_no_other_folder_tells_a_time(name: str) -> None:
    time = folder_time(name)

    assert time is None or run_folder(name[-8:], time) == name


@given(JOB_NAMES, JOB_NAMES, st.uuids(), st.uuids(), MOMENTS)
def test_a_backup_folder_is_made_of_safe_characters_and_never_climbs(
    namespace: str, job: str, job_uid: UUID, uid: UUID, started: datetime
) -> None:
    folder = backup_folder(namespace, job, str(job_uid), str(uid), started)

    assert KEY.match(folder)
    assert ".." not in folder.split("/")
    assert folder.startswith(f"{namespace}/{job}-{str(job_uid)[:8]}/")


@given(JOB_NAMES, st.uuids(), st.uuids(), MOMENTS)
def test_the_key_of_a_manifest_tells_which_job_the_backup_is_of(
    job: str, job_uid: UUID, uid: UUID, started: datetime
) -> None:
    folder = backup_folder("shop", job, str(job_uid), str(uid), started)

    assert job_of_key(f"{folder}/manifest.json") == job


@pytest.mark.parametrize("key", ["", "manifest.json", "shop/manifest.json"])
def test_a_key_outside_of_a_jobs_folder_is_of_no_job(key: str) -> None:
    assert job_of_key(key) == ""


def test_sizes_and_durations_read_as_people_write_them() -> None:
    assert [human_bytes(size) for size in (0, 1023, 1536, 286261248, 5 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "273 MiB",
        "5.0 TiB",
    ]
    assert [human_seconds(seconds) for seconds in (0, 59.4, 61, 3723)] == ["0s", "59s", "1m1s", "1h2m3s"]


@settings(deadline=None)
@given(
    st.sampled_from([VERIFICATION, SYNC, PREVIOUS]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=63),
)
def test_the_name_of_a_database_of_ours_is_never_cut_by_the_server_and_tells_what_it_is_of(
    prefix: str, database: str
) -> None:
    name = database_beside(prefix, database, "20261124020000")

    middle = name.removeprefix(f"{prefix}_").removesuffix("_20261124020000")
    assert len(name.encode()) <= NAME_BYTES
    assert database.startswith(middle)
    assert middle == database or len(name.encode()) > NAME_BYTES - 4  # it ends where a character does


def test_a_previous_database_is_kept_from_its_own_time_on() -> None:
    assert kept_until("20261231235930", 90) == "2027-01-01T00:01:00Z"
