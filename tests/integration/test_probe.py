"""Probes tell whether a database or a storage location serves, and leave no trace."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dataguardian.domain.plan import DatasourceProbe, StorageProbe

from .runs import Pod
from .services import S3Server, free_port


def test_a_database_that_serves_tells_its_version_and_latency(pod: Pod) -> None:
    ended = pod.run(DatasourceProbe(source=pod.endpoint("postgres")))

    assert ended.status == 0, ended.output
    assert ended.report is not None
    assert ended.report.engine_version is not None
    assert ended.report.latency_ms is not None
    assert ended.report.latency_ms < 60_000


def test_a_wrong_password_is_permission_refused(pod: Pod) -> None:
    plan = DatasourceProbe(source=pod.endpoint("postgres"))
    pod.secret("password", "wrong")

    assert pod.run(plan).failure == (77, "permission-refused", "connect")


def test_an_unreachable_database_is_unavailable(pod: Pod) -> None:
    plan = DatasourceProbe(source=pod.endpoint("postgres", port=free_port()))

    assert pod.run(plan).failure == (75, "database-unavailable", "connect")


def test_a_server_without_tls_is_refused_when_tls_is_required(pod: Pod) -> None:
    plan = DatasourceProbe(source=pod.endpoint("postgres", tls_mode="require"))

    assert pod.run(plan).failure == (64, "spec-invalid", "connect")


def test_a_missing_certificate_authority_is_not_found(pod: Pod) -> None:
    plan = DatasourceProbe(source=pod.endpoint("postgres", tls_mode="verify-full", ca_file=str(pod.folder / "ca.crt")))

    assert pod.run(plan).failure == (66, "not-found", "connect")


def test_a_bucket_that_serves_keeps_nothing_of_the_probe(pod: Pod, s3_server: S3Server) -> None:
    target = pod.s3(s3_server, s3_server.bucket())

    ended = pod.run(StorageProbe(target=target))

    assert ended.status == 0, ended.output
    assert s3_server.admin.keys(target.bucket) == []


def test_a_volume_that_serves_keeps_nothing_of_the_probe(pod: Pod) -> None:
    target = pod.volume()

    ended = pod.run(StorageProbe(target=target))

    assert ended.status == 0, ended.output
    assert [path for path in Path(target.root).rglob("*") if path.is_file()] == []


def test_a_location_that_is_only_read_is_not_written_to(pod: Pod) -> None:
    target = pod.volume()

    ended = pod.run(StorageProbe(target=target, read_only=True))

    assert ended.status == 0, ended.output
    assert list(Path(target.root).iterdir()) == []


def test_a_missing_bucket_is_not_found(pod: Pod, s3_server: S3Server) -> None:
    target = msgspec.structs.replace(pod.s3(s3_server, s3_server.bucket()), bucket="no-such-bucket")

    assert pod.run(StorageProbe(target=target)).failure == (66, "not-found", "connect")
