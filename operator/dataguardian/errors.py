"""Every failure that DataGuardian reports on purpose; anything else is a bug and keeps its traceback.

    DataGuardianError
    ├── SpecInvalid            64   what was asked for cannot be done as written
    │   ├── RestoreRefused     64   a load that could not go well, refused before anything is touched
    │   │   ├── BackupNotCompleted      the source is no completed backup
    │   │   ├── ManifestUnknown         the manifest is of a version that this release does not read
    │   │   ├── EngineMismatch          the source is of another kind of database
    │   │   ├── ServerTooOld            the server is older than the one that was dumped
    │   │   ├── TargetMismatch          the target is another one than spec.expectedTarget says
    │   │   ├── TargetNotEmpty          it would mix with what is in the target
    │   │   ├── TargetTooSmall          the disk of the target would be full
    │   │   └── PrerequisiteMissing     the target lacks a role or an extension of the source
    │   └── SyncRefused        64   a sync that could do harm, refused before anything is touched
    │       ├── SameDatabase            source and target are one database
    │       ├── ProductionTarget        the target is classified as production
    │       ├── MaskingInvalid          a rule cannot be applied to the source's columns
    │       └── ColumnsUnclassified     columns of the source are neither masked nor allowed
    ├── BackupCorrupt          65   the stored bytes are not the bytes that were stored
    │   └── VerificationFailed      what was restored is not, or not provably, what was backed up
    ├── AuditBroken            65   the audit log is not what was written
    ├── NotFound               66   a Secret, database, bucket, volume or backup that is named does not exist
    │   ├── NoCopyAvailable         no storage location has the backup
    │   └── NoRecentBackup          a drill found no completed backup that is young enough
    ├── EngineFailed           70   the database's own tool failed
    │   ├── DumpFailed         70
    │   └── LoadFailed         70
    │       └── MaskingFailed      70   a masked row breaks a rule of its table
    ├── Unavailable            75   worth another try
    │   ├── StorageUnavailable
    │   │   └── StorageFull
    │   ├── DatabaseUnavailable
    │   │   └── TargetLocked        other sessions hold locks on what a restore replaces
    │   ├── HistoryUnavailable      our Postgres: backups go on, rows are written later
    │   ├── QueueUnavailable        our Redis: backups go on, the sweep finds what waits
    │   └── LeadershipLost          another operator may lead now: this one ends, and starts again as a standby
    ├── PermissionRefused      77   credentials or rights
    ├── ConfigInvalid          78   DataGuardian itself is set up wrongly
    ├── Interrupted            70   the runner could not tell how it ended; Kubernetes says why
    │   ├── OutOfMemory
    │   ├── Evicted
    │   ├── NotStarted              the pod could not start
    │   │   ├── ImagePullFailed
    │   │   ├── Unschedulable
    │   │   ├── QuotaExceeded
    │   │   ├── PodSecurityRefused
    │   │   ├── PodRefused          no such service account or priority class, another admission rule
    │   │   └── VolumeUnavailable
    │   ├── NodeLost
    │   ├── DeadlineExceeded
    │   ├── RunnerKilled
    │   ├── RunnerLost
    │   └── SafetyBackupFailed      the backup that a restore asked for first
    └── Cancelled             143   somebody asked for the end (SIGTERM)

Exit statuses follow sysexits.h. They are an interface: a Kubernetes Job's ``podFailurePolicy`` reads them.
"""

from __future__ import annotations

from typing import ClassVar


class DataGuardianError(Exception):
    """A failure with a remedy: ``what`` happened, and what the reader can do about it."""

    code: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = 70
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"


class SpecInvalid(DataGuardianError):
    """A field asks for something that cannot be done as written."""

    code, exit_status = "spec-invalid", 64


class RestoreRefused(SpecInvalid):
    """A restore that could not go well; the target was not touched."""

    code = "restore-refused"


class BackupNotCompleted(RestoreRefused):
    """The source of a restore is no completed backup."""

    code = "backup-not-completed"


class ManifestUnknown(RestoreRefused):
    """The manifest is of a version that this release does not read."""

    code = "manifest-unknown"


class EngineMismatch(RestoreRefused):
    """The backup is of another kind of database than the target."""

    code = "engine-mismatch"


class ServerTooOld(RestoreRefused):
    """The target's server is older than the one that was backed up."""

    code = "server-too-old"


class TargetMismatch(RestoreRefused):
    """The target is another one than expected."""

    code = "target-mismatch"


class TargetNotEmpty(RestoreRefused):
    """A restore would mix its tables with those already in the target."""

    code = "target-not-empty"


class TargetTooSmall(RestoreRefused):
    """The disk of the target would be full."""

    code = "target-too-small"


class PrerequisiteMissing(RestoreRefused):
    """The target's server lacks a role or an extension that the backup needs."""

    code = "prerequisite-missing"


class SyncRefused(SpecInvalid):
    """A sync that could do harm; the target was not touched."""

    code = "sync-refused"


class SameDatabase(SyncRefused):
    """Source and target are one database, under two names."""

    code = "same-database"


class ProductionTarget(SyncRefused):
    """The target is classified as production, and the DatabaseSyncJob does not allow that."""

    code = "production-target"


class MaskingInvalid(SyncRefused):
    """A masking rule cannot be applied to the columns that the source has."""

    code = "masking-invalid"


class ColumnsUnclassified(SyncRefused):
    """With requireAll: columns of the source have neither a masking rule nor stand on the allow list."""

    code = "columns-unclassified"


class BackupCorrupt(DataGuardianError):
    """Stored bytes differ from the bytes that were stored."""

    code, exit_status = "backup-corrupt", 65


class VerificationFailed(BackupCorrupt):
    """What was restored differs from what was backed up, or the backup has nothing to compare it with."""

    code = "verification-failed"


class AuditBroken(DataGuardianError):
    """The audit log is not what was written."""

    code, exit_status = "audit-broken", 65


class NotFound(DataGuardianError):
    """Something that is named does not exist."""

    code, exit_status = "not-found", 66


class NoCopyAvailable(NotFound):
    """No storage location has the backup."""

    code = "no-copy-available"


class NoRecentBackup(NotFound):
    """A drill found no completed backup that is young enough."""

    code = "no-recent-backup"


class EngineFailed(DataGuardianError):
    """A database tool ended with an error."""

    code, exit_status = "engine-failed", 70


class DumpFailed(EngineFailed):
    """The dump ended before all data was read."""

    code = "dump-failed"


class LoadFailed(EngineFailed):
    """The load ended early: the target is as it was or, with ``atomic: false``, may lack indexes and constraints."""

    code = "load-failed"


class MaskingFailed(LoadFailed):
    """A masked row breaks a constraint of its table, or an expression failed; the target is as it was."""

    code = "masking-failed"


class Unavailable(DataGuardianError):
    """A service did not answer; another try may work."""

    code, exit_status, retryable = "unavailable", 75, True


class StorageUnavailable(Unavailable):
    """A storage location did not answer, or is full."""

    code = "storage-unavailable"


class StorageFull(StorageUnavailable):
    """A storage location has no room left."""

    code = "storage-full"


class DatabaseUnavailable(Unavailable):
    """A database server did not answer."""

    code = "database-unavailable"


class TargetLocked(DatabaseUnavailable):
    """Other sessions hold locks on what a restore replaces; it waited as long as it may."""

    code = "target-locked"


class HistoryUnavailable(Unavailable):
    """The history database did not answer in time; what was to be recorded is recorded later."""

    code = "history-unavailable"


class QueueUnavailable(Unavailable):
    """The queue server did not answer in time; what waits is found in the run objects."""

    code = "queue-unavailable"


class LeadershipLost(Unavailable):
    """This operator is not certain any more that it is the one that leads; it ends, and another one goes on."""

    code = "leadership-lost"


class PermissionRefused(DataGuardianError):
    """Credentials were refused, or lack a right."""

    code, exit_status = "permission-refused", 77


class ConfigInvalid(DataGuardianError):
    """DataGuardian's own settings are wrong."""

    code, exit_status = "config-invalid", 78


class Interrupted(DataGuardianError):
    """The runner ended without a word of its own."""

    code = "interrupted"


class OutOfMemory(Interrupted):
    """The runner's container used more memory than its limit."""

    code = "out-of-memory"


class Evicted(Interrupted):
    """The node had no room for the runner's pod any more."""

    code = "evicted"


class NotStarted(Interrupted):
    """The runner's pod could not start."""

    code = "not-started"


class ImagePullFailed(NotStarted):
    """The runner's image could not be pulled."""

    code = "image-pull-failed"


class Unschedulable(NotStarted):
    """No node takes the runner's pod."""

    code = "unschedulable"


class QuotaExceeded(NotStarted):
    """The namespace's quota left no room for the runner's pod."""

    code = "quota-exceeded"


class PodSecurityRefused(NotStarted):
    """The namespace's Pod Security level does not allow the runner's pod."""

    code = "pod-security-refused"


class PodRefused(NotStarted):
    """The API server did not take the runner's pod: what it names is missing, or a policy forbids it."""

    code = "pod-refused"


class VolumeUnavailable(NotStarted):
    """A volume of the runner's pod is missing or cannot be mounted."""

    code = "volume-unavailable"


class NodeLost(Interrupted):
    """The node of the runner's pod does not answer any more."""

    code = "node-lost"


class DeadlineExceeded(Interrupted):
    """The run took longer than its deadline."""

    code = "deadline-exceeded"


class RunnerKilled(Interrupted):
    """Something outside ended the runner's process."""

    code = "runner-killed"


class RunnerLost(Interrupted):
    """The runner's pod or its Kubernetes Job is gone."""

    code = "runner-lost"


class SafetyBackupFailed(Interrupted):
    """The backup that a restore asked for first was not completed."""

    code = "safety-backup-failed"


class Cancelled(DataGuardianError):
    """The run was asked to end."""

    code, exit_status = "cancelled", 143


def meaning_of(error: type[DataGuardianError]) -> str:
    """What an error means, in one line."""
    return (error.__doc__ or "").splitlines()[0]


def every_error() -> list[type[DataGuardianError]]:
    """All classes of the tree above, parents before children."""
    found: list[type[DataGuardianError]] = [DataGuardianError]
    for error in found:
        found.extend(error.__subclasses__())
    return found
