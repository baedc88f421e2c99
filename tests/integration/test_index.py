"""An index tells every backup of a location from nothing but the location."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataguardian.domain import told
from dataguardian.domain.manifest import Segment
from dataguardian.domain.plan import FilesystemTarget, IndexPlan
from dataguardian.domain.told import ManifestFound

from .runs import FOLDER, Ended, Pod
from .services import PostgresServer, S3Server
from .shelves import CONTENT, JOB, Shelf, folder_of, manifest
from .shop import shop


@pytest.fixture(params=["s3", "volume"])
def shelf(request: pytest.FixtureRequest, pod: Pod, s3_server: S3Server) -> Shelf:
    """Both kinds of storage."""
    if request.param == "volume":
        return Shelf(pod.volume())
    return Shelf(pod.s3(s3_server, s3_server.bucket()), s3_server)


def indexed(pod: Pod, *shelves: Shelf, folder: str = "shop") -> Ended:
    """An index that completed."""
    ended = pod.run(IndexPlan(folder=folder, targets=[shelf.target for shelf in shelves]))
    assert ended.status == 0, ended.output
    return ended


def found(ended: Ended) -> dict[str, ManifestFound]:
    """Name of the execution → what was told of it."""
    lines = [told.read(line.encode()) for line in ended.output.splitlines()]
    return {line.execution_name: line for line in lines if isinstance(line, ManifestFound)}


def test_every_backup_of_a_namespace_is_told_and_no_other(pod: Pod, shelf: Shelf) -> None:
    for age in range(30):
        shelf.store(manifest(age))
    shelf.store(manifest(40, backup_job="hourly", backup_job_uid="ffffffff-0000"))
    shelf.store(manifest(41, namespace="bank"))
    shelf.put(f"{JOB}/20200101T000000Z-00000042/data.dump.zst", CONTENT)  # of a run that goes on
    one = manifest(7)

    ended = indexed(pod, shelf)

    assert set(found(ended)) == {f"nightly-{age}-days-old" for age in [*range(30), 40]}
    assert ended.report is not None
    assert (ended.report.unfinished, ended.report.unfinished_bytes) == (1, len(CONTENT))
    assert found(ended)[one.execution_name] == ManifestFound(
        location="primary",
        key=f"{folder_of(one)}/manifest.json",
        execution_id=one.execution_id,
        execution_name=one.execution_name,
        namespace="shop",
        backup_job="nightly",
        backup_job_uid=one.backup_job_uid,
        datasource="orders",
        engine="postgresql",
        engine_version="17.2",
        database="orders",
        checksum=one.checksum,
        dump_bytes=100,
        stored_bytes=len(CONTENT),
        started_at=one.started_at,
        completed_at=one.completed_at,
        whole=True,
    )
    assert ended.report is not None
    assert (ended.report.backups, ended.report.stored_bytes) == (31, 31 * len(CONTENT))
    assert ended.report.warnings == []


def test_a_backup_that_lacks_a_segment_or_a_byte_is_told_as_not_whole(pod: Pod, shelf: Shelf) -> None:
    segment = manifest(0).segments[0]
    second = Segment(name="data.dump.zst.00001", bytes=len(CONTENT), sha256=segment.sha256)
    whole, lacking, short, without = (manifest(age, segments=[segment, second]) for age in range(4))
    for each in (whole, lacking, short):
        shelf.store(each)
    shelf.delete(f"{folder_of(lacking)}/data.dump.zst.00001")
    shelf.put(f"{folder_of(short)}/data.dump.zst", CONTENT[1:])
    shelf.store(manifest(3, execution_name=without.execution_name, segments=[]))

    told_whole = {name: line.whole for name, line in found(indexed(pod, shelf)).items()}

    assert told_whole == {
        whole.execution_name: True,
        lacking.execution_name: False,
        short.execution_name: False,
        without.execution_name: False,
    }


def test_the_index_of_one_executions_folder_tells_that_backup_alone(pod: Pod, shelf: Shelf) -> None:
    for age in (1, 2):
        shelf.store(manifest(age))

    assert set(found(indexed(pod, shelf, folder=folder_of(manifest(2))))) == {"nightly-2-days-old"}
    assert found(indexed(pod, shelf, folder=f"{JOB}/20200101T000000Z-00000042")) == {}


def test_manifests_that_cannot_be_read_are_warnings_and_the_others_are_told(pod: Pod, shelf: Shelf) -> None:
    shelf.store(manifest(1))
    for number in range(4):
        shelf.put(f"{JOB}/2020010{number}T000000Z-0000000{number}/manifest.json", b"{")
    shelf.store(manifest(5, version=2))

    ended = indexed(pod, shelf)

    assert set(found(ended)) == {"nightly-1-days-old"}
    assert ended.report is not None
    assert len(ended.report.warnings) == 4
    assert "20200100T000000Z-00000000" in ended.report.warnings[0]
    assert ended.report.warnings[3] == "2 more manifests cannot be read"


def test_an_index_of_several_locations_tells_each_copy(pod: Pod, shelf: Shelf) -> None:
    second = Shelf(FilesystemTarget(location="second", root=str(pod.folder / "second"), prefix="prod"))
    Path(pod.folder / "second").mkdir()
    for each in (shelf, second):
        each.store(manifest(1))

    ended = indexed(pod, shelf, second)

    assert sorted(line["location"] for line in ended.lines if line["action"] == "manifest_found") == [
        "primary",
        "second",
    ]


def test_a_location_that_is_not_served_fails_the_index_as_its_error_says(pod: Pod, s3_server: S3Server) -> None:
    missing_bucket = IndexPlan(folder="shop", targets=[pod.s3(s3_server, "no-such-bucket")])
    no_volume = IndexPlan(folder="shop", targets=[FilesystemTarget(location="volume", root=str(pod.folder / "none"))])

    assert pod.run(missing_bucket).failure == (66, "not-found", "index")
    assert pod.run(no_volume).failure == (66, "not-found", "index")


def test_a_backup_of_ours_is_found_whole(pod: Pod, shelf: Shelf, postgres_server: PostgresServer) -> None:
    backup = pod.run(pod.backup_plan(shop(postgres_server), shelf.target))
    assert backup.status == 0

    (line,) = found(indexed(pod, shelf)).values()

    assert line.whole
    assert line.key == f"{FOLDER}/manifest.json"
    assert backup.report is not None
    assert backup.report.dump_time == line.started_at
