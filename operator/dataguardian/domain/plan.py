"""The plan of one run: what the operator tells the runner, as one JSON document without secrets.

Secrets are named by the paths of the files that hold them inside the pod.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from ..errors import ConfigInvalid

GIB = 1024**3
# S3 takes 10,000 parts an object; 8 MiB parts would end a stream at 78 GiB. Segments end before.
SEGMENT_BYTES = 32 * GIB

SECRETS_DIR = "/run/dataguardian/secrets"
WORK_DIR = "/run/dataguardian/work"  # a small volume in memory: libpq reads a password file only if nobody else can
VOLUMES_DIR = "/run/dataguardian/volumes"
SERVER_SOCKET_DIR = "/run/dataguardian/server"  # of a throw-away server, shared with its container
SERVER_DATA_DIR = "/run/dataguardian/server-data"  # its disk
LIMIT_BYTES = 127 * 1024  # Linux takes 128 KiB for one variable of an environment, with its name
STAGING = "staging"  # the name of the volume that dumps are staged on, where a location has its own


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint", tag_field="kind"):
    """A database, and the files to log in with."""

    datasource: str
    engine: str
    host: str
    port: int
    database: str
    username_file: str
    password_file: str
    tls_mode: str
    ca_file: str | None = None


class S3Target(msgspec.Struct, frozen=True, kw_only=True, tag="s3", tag_field="kind"):
    """A bucket."""

    location: str
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str
    access_key_id_file: str
    secret_access_key_file: str
    ca_file: str | None = None


class FilesystemTarget(msgspec.Struct, frozen=True, kw_only=True, tag="filesystem", tag_field="kind"):
    """A folder of a mounted volume."""

    location: str
    root: str
    prefix: str = ""


Target = S3Target | FilesystemTarget


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which backups of a job are kept: those that any rule keeps. See ``domain.retention``."""

    max_backups: int | None = None
    max_age_seconds: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None
    time_zone: str = "UTC"


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True, tag="backup", tag_field="operation"):
    """Dump one database to one or more targets."""

    execution_id: str
    execution_name: str
    namespace: str
    job_name: str
    job_uid: str
    folder: str  # below the target's prefix; see naming.backup_folder
    source: Endpoint
    targets: list[Target]
    codec: str = "zstd"
    level: int = 3
    verification: Literal["ReadBack", "Size"] = "ReadBack"
    strategy: Literal["Replicate", "Fallback"] = "Replicate"
    min_copies: int = 1
    staging: FilesystemTarget | None = None
    # A retry: the folders of the runs that failed, the latest first; in ``staging`` or a target they may hold the dump.
    retry_folders: list[str] = []
    left_out: list[str] = []  # locations of the job that take no backups now: copies that are told as not made
    in_use: list[str] = []  # folders, by their names, that other runs of the job still need; see ``staging``
    schemas: list[str] = []
    include_tables: list[str] = []
    exclude_tables: list[str] = []
    segment_bytes: int = SEGMENT_BYTES


class RestoreSource(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a backup."""

    target: Target
    manifest_key: str  # below the target's prefix
    read_only: bool = False  # it takes no proof


class EphemeralServer(msgspec.Struct, frozen=True, kw_only=True, tag="ephemeral", tag_field="kind"):
    """A throw-away database server beside the runner in its pod, reached by its socket, and by nobody else."""

    engine: str
    socket_dir: str
    data_dir: str  # its disk, mounted to see how much room there is
    username: str = "postgres"


class ExpectedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What the target must be; None is not compared."""

    server_identity: str | None = None
    database: str | None = None


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True, tag="restore", tag_field="operation"):
    """Load one backup into one database, or (``verify``) into a temporary one that is compared and removed."""

    execution_id: str
    execution_name: str
    namespace: str
    backup_execution_id: str | None = None  # None: whatever the manifest is of
    backup_execution_name: str | None = None  # of the run object, as far as it and the next one are known
    backup_job: str | None = None
    sources: list[RestoreSource]  # the best copy first; the next one is read when one is away or corrupt
    target: Endpoint | EphemeralServer  # the latter only with ``verify``
    drop_existing: bool = False
    dry_run: bool = False  # tell what would happen, and change nothing
    verify: bool = False
    keep_database: bool = False  # the temporary one
    expected: ExpectedTarget = ExpectedTarget()
    lock_timeout_seconds: int = 60
    atomic: bool = True  # all in one transaction; a verification needs none
    jobs: int = 2  # connections that build indexes at once when not atomic
    capacity_bytes: int | None = None  # of the target's disk
    expected_seconds: int | None = None  # by an earlier restore


class MaskingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How one column is masked; see ``resources.masking``."""

    schema: str
    table: str
    column: str
    how: Literal["null", "fixed", "hash", "email", "name", "digits", "shuffle", "sql"]
    value: str | None = None
    expression: str | None = None


class MaskingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns are masked, and which may be copied as they are when each needs a decision."""

    digest: str  # of all that follows but the key
    rules: list[MaskingRule] = []
    require_all: bool = False
    allow: list[tuple[str, str, str]] = []  # schema, table, column
    allow_large_objects: bool = False
    key_file: str | None = None


class SyncPlan(msgspec.Struct, frozen=True, kw_only=True, tag="sync", tag_field="operation"):
    """Make one database a copy of another, from a dump that goes straight from the one into the other."""

    execution_id: str
    execution_name: str
    namespace: str
    job_name: str
    source: Endpoint
    target: Endpoint
    strategy: Literal["Transaction", "Swap"] = "Transaction"
    keep_previous_seconds: int = 0  # only with Swap
    drop_existing: bool = False
    expected: ExpectedTarget = ExpectedTarget()
    lock_timeout_seconds: int = 60
    jobs: int = 2  # connections that build indexes at once, with Swap
    capacity_bytes: int | None = None  # of the target's disk
    masking: MaskingPlan | None = None
    backup: BackupPlan | None = None  # what else becomes of the dump; its ``source`` is the same


class ExpirePlan(msgspec.Struct, frozen=True, kw_only=True, tag="expire", tag_field="operation"):
    """Drop the databases that were this one before a Swap and whose time is over, and tell what became of one."""

    target: Endpoint
    previous: str  # the database that is told of


class CopyPlan(msgspec.Struct, frozen=True, kw_only=True, tag="copy", tag_field="operation"):
    """Copy one backup to the locations that miss it, from the first source that has it whole."""

    backup_execution_id: str
    manifest_key: str  # below each location's prefix
    sources: list[Target]
    targets: list[Target]
    verification: Literal["ReadBack", "Size"] = "ReadBack"


class CleanupPlan(msgspec.Struct, frozen=True, kw_only=True, tag="cleanup", tag_field="operation"):
    """Judge the backups of one job, in all its locations, and delete those that no rule keeps."""

    folder: str  # of the job, below each location's prefix: ``<namespace>/<job>-<first 8 of its UID>``
    policy: RetentionPolicy
    targets: list[Target]
    read_only: list[str] = []  # locations that are only looked at
    held: dict[str, str] = {}  # id of an execution → why its backup stays whatever the policy says
    refuted: list[str] = []  # ids of executions: the latest verification of their backup found it not to be whole
    # Folders without a manifest of runs from before this moment, RFC 3339, are removed too; None: they stay.
    unfinished_before: str | None = None
    in_use: list[str] = []  # but for these, by their names


class IndexPlan(msgspec.Struct, frozen=True, kw_only=True, tag="index", tag_field="operation"):
    """Tell every backup in a folder of a location: of a namespace, or of one execution."""

    folder: str  # below the location's prefix
    targets: list[Target]


class DatasourceProbe(msgspec.Struct, frozen=True, kw_only=True, tag="probe-datasource", tag_field="operation"):
    """Log in and ask for the version."""

    source: Endpoint


class StorageProbe(msgspec.Struct, frozen=True, kw_only=True, tag="probe-storage", tag_field="operation"):
    """Write, read and delete a small object; only list when the location is read-only."""

    target: Target
    read_only: bool = False


Plan = (
    BackupPlan
    | RestorePlan
    | SyncPlan
    | CopyPlan
    | CleanupPlan
    | IndexPlan
    | ExpirePlan
    | DatasourceProbe
    | StorageProbe
)
PlanT = TypeVar("PlanT", bound=msgspec.Struct)


def encode(plan: Plan) -> str:
    """The plan as one line of JSON."""
    return msgspec.json.encode(plan).decode()


def fits(plan: Plan) -> bool:
    """Whether a runner can be given the plan."""
    return len(msgspec.json.encode(plan)) <= LIMIT_BYTES


def decode(text: str, kind: type[PlanT]) -> PlanT:
    """The plan of this kind. Raises ConfigInvalid when the text is not one."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def decode_probe(text: str) -> DatasourceProbe | StorageProbe:
    """The plan of a probe. Raises ConfigInvalid when the text is not one."""
    try:
        return msgspec.json.decode(text, type=DatasourceProbe | StorageProbe)
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def _unreadable(error: msgspec.DecodeError) -> ConfigInvalid:
    return ConfigInvalid(
        f"The runner's plan cannot be read: {error}.", remedy="Run the operator and the runner from the same image."
    )
