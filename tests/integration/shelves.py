"""Backups as others have stored them: their objects are written and looked at without the code under test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from dataguardian.domain import manifest as manifests
from dataguardian.domain.manifest import Fingerprint, Manifest, Segment
from dataguardian.domain.plan import CleanupPlan, FilesystemTarget, RetentionPolicy, S3Target
from dataguardian.domain.report import Report

from .runs import Ended
from .services import S3Server

JOB = "shop/nightly-0a1b2c3d"
JOB_UID = "0a1b2c3d-0000-4000-8000-000000000000"
CONTENT = b"a dump"
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Shelf:
    """One location, from outside."""

    target: S3Target | FilesystemTarget
    server: S3Server | None = None

    def put(self, key: str, content: bytes) -> None:
        """Store an object below the location's prefix."""
        if self.server:
            self.server.admin.put(self._bucket, f"prod/{key}", content)
        else:
            self._path(key).parent.mkdir(parents=True, exist_ok=True)
            self._path(key).write_bytes(content)

    def begin(self, key: str) -> None:
        """Send an object in part, as a runner does that is killed."""
        if self.server:
            self.server.admin.request("POST", f"/{self._bucket}/prod/{key}", {"uploads": ""})
        else:
            folder, _, name = key.rpartition("/")
            self.put(f"{folder}/.{name}.partial", CONTENT)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        return self.server.admin.get(self._bucket, f"prod/{key}") if self.server else self._path(key).read_bytes()

    def delete(self, key: str) -> None:
        """Remove an object, as a person does by hand."""
        if self.server:
            self.server.admin.delete(self._bucket, f"prod/{key}")
        else:
            self._path(key).unlink()

    @property
    def stored(self) -> set[str]:
        """The keys of all objects."""
        if self.server:
            return {key.removeprefix("prod/") for key in self.server.admin.keys(self._bucket)}
        base = self._path("")
        return {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}

    def store(self, manifest: Manifest, folder: str | None = None) -> str:
        """Store a backup whole; return its folder."""
        folder = folder or folder_of(manifest)
        for segment in manifest.segments:
            self.put(f"{folder}/{segment.name}", CONTENT)
        self.put(f"{folder}/manifest.json", manifests.encode(manifest))
        return folder

    @property
    def _bucket(self) -> str:
        assert isinstance(self.target, S3Target)
        return self.target.bucket

    def _path(self, key: str) -> Path:
        assert isinstance(self.target, FilesystemTarget)
        return Path(self.target.root) / "prod" / key


def manifest(days_old: int, **changes: Any) -> Manifest:
    """The manifest of a backup of the job."""
    started = NOW - timedelta(days=days_old)
    segment = Segment(name="data.dump.zst", bytes=len(CONTENT), sha256=sha256(CONTENT).hexdigest())
    made = Manifest(
        execution_id=f"{days_old:08d}-0000-4000-8000-000000000000",
        execution_name=f"nightly-{days_old}-days-old",
        namespace="shop",
        backup_job="nightly",
        backup_job_uid=JOB_UID,
        datasource="orders",
        engine="postgresql",
        engine_version="17.2",
        database="orders",
        server_identity="",
        dump_arguments=[],
        codec="zstd",
        level=3,
        segments=[segment],
        checksum=f"sha256:{segment.sha256}",
        dump_bytes=100,
        stored_bytes=len(CONTENT),
        started_at=started.isoformat().replace("+00:00", "Z"),
        completed_at=started.isoformat().replace("+00:00", "Z"),
        tools={},
        fingerprint=Fingerprint(),
        restore_commands=[],
    )
    return msgspec.structs.replace(made, **changes)


def folder_of(made: Manifest) -> str:
    """The folder that a backup belongs into."""
    time = f"{datetime.fromisoformat(made.started_at):%Y%m%dT%H%M%SZ}"
    job = f"{made.namespace}/{made.backup_job}-{made.backup_job_uid[:8]}"
    return f"{job}/{time}-{made.execution_id[:8]}"


def cleanup_plan(*shelves: Shelf, read_only: tuple[str, ...] = (), **policy: Any) -> CleanupPlan:
    """A plan to judge the job's backups in these locations."""
    targets = [shelf.target for shelf in shelves]
    return CleanupPlan(folder=JOB, policy=RetentionPolicy(**policy), targets=targets, read_only=list(read_only))


def told(ended: Ended, action: str) -> list[tuple[str, str]]:
    """What the lines of this action name: execution and location."""
    return sorted(
        (line["execution_name"], line.get("location", "")) for line in ended.lines if line["action"] == action
    )


def store(shelves: Iterable[Shelf], *ages: int) -> None:
    """Backups that are so many days old, in each of these locations."""
    for shelf in shelves:
        for age in ages:
            shelf.store(manifest(age))


def ages(shelf: Shelf) -> list[int]:
    """How old the backups of a location are, in days."""
    return sorted(int(key.split("/")[2][17:25]) for key in shelf.stored if key.startswith(JOB) and "manifest" in key)


def cleaned(ended: Ended) -> Report:
    """The report of a cleanup that completed."""
    assert ended.status == 0, ended.output
    assert ended.report is not None
    return ended.report
