"""StorageLocation: where stored bytes go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import (
    Column,
    FolderPath,
    Kind,
    Model,
    ObjectName,
    Resource,
    SecretKey,
    SecretKeyReference,
    Status,
    Text,
    Timestamp,
    condition_column,
    rule,
    validated,
)


class S3CredentialsReference(Model):
    """A Secret that holds an access key."""

    name: ObjectName = Field(description="Name of the Secret, in the same namespace.")
    access_key_id_key: SecretKey = Field(default="accessKeyId", description="Key of the access key's id.")
    secret_access_key_key: SecretKey = Field(default="secretAccessKey", description="Key of the secret access key.")


class S3(Model):
    """A bucket of an S3 server."""

    bucket: Annotated[str, Field(min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$")] = Field(
        description="Name of the bucket; it must exist."
    )
    prefix: FolderPath = Field(default="", description="Folder inside the bucket.")
    endpoint: Annotated[str, Field(max_length=1024, pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$")] | None = Field(
        default=None,
        description="URL of the S3 server; AWS when absent. http:// sends the data in clear.",
    )
    region: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9-]+$")] = Field(
        default="us-east-1", description="Region of the bucket."
    )
    credentials_secret_ref: S3CredentialsReference = Field(description="Secret with the access key.")
    ca_secret_ref: SecretKeyReference | None = Field(
        default=None, description="Certificate authority that signed the server's certificate (PEM)."
    )


class Filesystem(Model):
    """A folder of a volume."""

    claim_name: ObjectName = Field(description="PersistentVolumeClaim, in the same namespace.")
    path: FolderPath = Field(default="", description="Folder inside the volume; it is made when absent.")


class StorageCheck(Model):
    """How the location is checked."""

    interval_seconds: Annotated[int, Field(ge=30, le=86400)] = Field(
        default=900, description="Seconds between two checks of an available location."
    )


class StorageIndex(Model):
    """How the stored backups are found."""

    interval_seconds: Annotated[int, Field(ge=300, le=604800)] = Field(
        default=21600,
        description="Seconds between two listings of the stored backups. Any new value of the annotation "
        "dataguardian.io/index-requested asks for one at once.",
    )


class StorageLocationSpec(Model):
    """A bucket or a volume."""

    model_config = validated(
        rule(
            "[has(self.s3), has(self.filesystem)].filter(x, x).size() == 1",
            "exactly one of s3, filesystem is needed",
        )
    )

    s3: S3 | None = Field(default=None, description="A bucket of an S3 server.")
    filesystem: Filesystem | None = Field(default=None, description="A folder of a volume.")
    access_mode: Literal["ReadWrite", "ReadOnly"] = Field(
        default="ReadWrite",
        description="ReadOnly takes no new backups and is never written to; restores go on.",
    )
    check: StorageCheck = Field(default=StorageCheck(), description="How the location is checked.")
    index: StorageIndex = Field(default=StorageIndex(), description="How the stored backups are found.")


class StorageLocationStatus(Status):
    """The latest check."""

    phase: Literal["Available", "Full", "Unreachable"] | None = Field(
        default=None, description="Available, Full or Unreachable."
    )
    last_checked_time: Timestamp | None = Field(default=None, description="When the last check ended.")
    last_indexed_time: Timestamp | None = Field(default=None, description="When the stored backups were last listed.")
    last_index_request: Text | None = Field(
        default=None, description="Value of the annotation dataguardian.io/index-requested that was answered last."
    )
    backups: int | None = Field(default=None, ge=0, description="Backups of this namespace found by the last listing.")
    stored_bytes: int | None = Field(default=None, ge=0, description="Bytes of these backups.")
    unfinished: int | None = Field(
        default=None,
        ge=0,
        description="Folders of runs that the last listing found without a manifest: of runs that go on, or that left "
        "something when they failed (see retention.unfinishedMaxAge of a BackupJob).",
    )
    unfinished_bytes: int | None = Field(default=None, ge=0, description="Bytes in these folders.")


class StorageLocation(Resource[StorageLocationSpec, StorageLocationStatus]):
    """Where stored bytes go: a bucket or a volume."""


KIND = Kind(
    model=StorageLocation,
    plural="storagelocations",
    short_name="dgsl",
    columns=(
        Column("Bucket", ".spec.s3.bucket"),
        Column("Claim", ".spec.filesystem.claimName"),
        Column("Mode", ".spec.accessMode"),
        Column("Phase", ".status.phase"),
        Column("Checked", ".status.lastCheckedTime", type="date"),
        condition_column("Reason", "Ready", "reason", priority=1),
    ),
)
