"""What the API server itself refuses, with a message that names the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .cluster import ROOT, Cluster
from .shop import Shop

SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "61 * * * *"}, "schedule needs five cron fields"),
        ({"schedule": "* * * *"}, "schedule needs five cron fields"),
        ({"schedule": "@reboot"}, "schedule needs five cron fields"),
        ({"schedule": "@daily", "timeZone": "Mars/Base"}, "spec.timeZone"),
        ({"compression": {"codec": "gzip", "level": 12}}, "gzip has levels 1 to 9"),
        ({"compression": {"codec": "rar"}}, "spec.compression.codec"),
        ({"storage": {"locations": []}}, "spec.storage.locations"),
    ],
)
def test_a_bad_backup_job_is_refused(bare_shop: Shop, changes: dict[str, Any], said: str) -> None:
    assert said in bare_shop.cluster.refused(bare_shop.job(**changes))


def test_a_name_that_would_not_fit_its_runs_is_refused(bare_shop: Shop) -> None:
    assert "40 characters at most" in bare_shop.cluster.refused(bare_shop.job("a" * 41))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host": "a,b"}, "spec.host"),
        ({"host": "/tmp"}, "spec.host"),
        ({"database": "--help"}, "spec.database"),
        ({"engine": "oracle"}, "spec.engine"),
        ({"tls": {"mode": "verify-full"}}, "verify-ca and verify-full need caSecretRef"),
    ],
)
def test_a_bad_datasource_is_refused(bare_shop: Shop, changes: dict[str, Any], said: str) -> None:
    assert said in bare_shop.cluster.refused(bare_shop.datasource(**changes))


def test_a_location_is_a_bucket_or_a_volume(bare_shop: Shop) -> None:
    both = bare_shop.bucket_location()
    both["spec"]["filesystem"] = {"claimName": "backups"}

    assert "exactly one of s3, filesystem" in bare_shop.cluster.refused(both)
    assert "spec.s3.prefix" in bare_shop.cluster.refused(bare_shop.bucket_location(prefix="../other"))


def test_the_spec_of_a_run_never_changes(bare_shop: Shop) -> None:
    bare_shop.start_backup("first", "nightly")

    said = bare_shop.cluster.refused(bare_shop.object("BackupExecution", "first", {"backupJobRef": {"name": "other"}}))

    assert "the spec cannot be changed" in said


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_every_sample_is_taken(bare_shop: Shop, sample: Path) -> None:
    namespace = bare_shop.namespace
    text = sample.read_text().replace("namespace: shop", f"namespace: {namespace}")

    bare_shop.cluster.kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", stdin=text)


def test_kubectl_explains_the_fields(cluster: Cluster) -> None:
    said = cluster.kubectl("explain", "backupjob.spec.storage")

    assert "Where the backups go." in said
    assert "StorageLocations that receive the backup" in said
