"""Where the bytes of a run go: locations and volumes → targets, the secrets that become files, the mounts.

What the database that is written to must be stands here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SpecInvalid
from ..resources import datasource
from ..resources.backup import BackupJob
from ..resources.storage_location import S3, StorageLocation
from .plan import SECRETS_DIR, STAGING, VOLUMES_DIR, ExpectedTarget, FilesystemTarget, S3Target, Target


@dataclass(frozen=True)
class SecretFile:
    """One key of a Secret as a file; the path is relative to SECRETS_DIR."""

    secret: str
    key: str
    path: str

    @property
    def mounted(self) -> str:
        """The absolute path inside the pod."""
        return f"{SECRETS_DIR}/{self.path}"


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim and where it is mounted."""

    claim: str
    path: str
    read_only: bool


def expected_target(expected: datasource.ExpectedTarget | None) -> ExpectedTarget:
    """What the target must be, as the runner compares it."""
    if expected is None:
        return ExpectedTarget()
    return ExpectedTarget(server_identity=expected.server_identity, database=expected.database)


def is_read_only(location: StorageLocation) -> bool:
    """Whether the location takes no new backups."""
    return location.spec.access_mode == "ReadOnly"


def targets_of(
    locations: Sequence[StorageLocation], *, read_only: bool
) -> tuple[list[Target], tuple[SecretFile, ...], tuple[Volume, ...]]:
    """The targets of these locations, in their order, with the secrets and mounts that they need."""
    targets: list[Target] = []
    secrets: list[SecretFile] = []
    volumes: list[Volume] = []
    for index, location in enumerate(locations):
        if location.spec.s3:
            target, files = _s3_target(location.metadata.name, location.spec.s3, f"storage-{index}")
            targets.append(target)
            secrets.extend(files)
        elif location.spec.filesystem:
            root = f"{VOLUMES_DIR}/storage-{index}"
            filesystem = location.spec.filesystem
            targets.append(FilesystemTarget(location=location.metadata.name, root=root, prefix=filesystem.path))
            volumes.append(Volume(filesystem.claim_name, root, read_only or is_read_only(location)))
    return targets, tuple(secrets), tuple(volumes)


def staging_of(job: BackupJob) -> tuple[FilesystemTarget | None, tuple[Volume, ...]]:
    """Where the job stages its dumps, if it does, and the mount of that volume."""
    staging = job.spec.staging
    if staging is None:
        return None, ()
    root = f"{VOLUMES_DIR}/{STAGING}"
    target = FilesystemTarget(location=STAGING, root=root, prefix=staging.path)
    return target, (Volume(staging.claim_name, root, read_only=False),)


def refuse_same_places(locations: Sequence[StorageLocation], job: BackupJob) -> None:
    """Raise SpecInvalid for two names of one place: two copies would be one, and what was staged there none."""
    staging = job.spec.staging
    seen: dict[tuple[str, ...], str] = {}
    if staging:
        seen["volume", staging.claim_name, staging.path] = "spec.staging"
    for location in locations:
        place, name = _place(location), f"StorageLocation {location.metadata.name!r}"
        if place in seen:
            raise SpecInvalid(
                f"{seen[place]} and {name} are the same place.",
                remedy="Give one of them another bucket, claim, prefix or path in spec of the BackupJob's locations.",
            )
        seen[place] = name


def _place(location: StorageLocation) -> tuple[str, ...]:
    if location.spec.s3:
        s3 = location.spec.s3
        # Host names have no case, and the last slash says nothing.
        server = s3.endpoint.rstrip("/").lower() if s3.endpoint else s3.region
        return ("bucket", server, s3.bucket, s3.prefix)
    filesystem = location.spec.filesystem
    return ("volume", filesystem.claim_name, filesystem.path) if filesystem else ("nowhere", location.metadata.name)


def _s3_target(location: str, s3: S3, folder: str) -> tuple[S3Target, list[SecretFile]]:
    credentials = s3.credentials_secret_ref
    key_id = SecretFile(credentials.name, credentials.access_key_id_key, f"{folder}/access-key-id")
    secret_key = SecretFile(credentials.name, credentials.secret_access_key_key, f"{folder}/secret-access-key")
    secrets = [key_id, secret_key]
    ca_file = None
    if s3.ca_secret_ref:
        ca = SecretFile(s3.ca_secret_ref.name, s3.ca_secret_ref.key, f"{folder}/ca.crt")
        secrets.append(ca)
        ca_file = ca.mounted
    target = S3Target(
        location=location,
        bucket=s3.bucket,
        prefix=s3.prefix,
        endpoint=s3.endpoint,
        region=s3.region,
        access_key_id_file=key_id.mounted,
        secret_access_key_file=secret_key.mounted,
        ca_file=ca_file,
    )
    return target, secrets
