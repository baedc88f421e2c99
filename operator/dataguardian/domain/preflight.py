"""What speaks against a restore before anything is touched: facts of the backup and of the target → refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..errors import (
    DataGuardianError,
    EngineMismatch,
    PermissionRefused,
    PrerequisiteMissing,
    ServerTooOld,
    TargetMismatch,
    TargetNotEmpty,
    TargetTooSmall,
)
from .manifest import Manifest
from .naming import human_bytes, major_of, quoted_name
from .plan import EphemeralServer, RestorePlan

NAMED = 10  # missing roles and extensions are named one by one up to here
_FILTERS = ("--schema=", "--table=", "--exclude-table=")


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """A database that is about to be loaded and its server, as the server itself tells. Sizes in bytes."""

    version: str
    major: int
    identity: str = ""  # of the server; empty when the role may not read it
    database: str
    role: str  # who has logged in
    started: str  # when the server did, as it writes it
    may_create_databases: bool
    relations: int  # tables, views and sequences that are not an extension's
    examples: list[str]  # the first names of them
    free_bytes: int | None = None  # None: nobody can tell
    missing_roles: list[str] = []  # of the backup
    missing_extensions: list[str] = []


def refusals(plan: RestorePlan, manifest: Manifest, target: TargetState) -> list[DataGuardianError]:
    """Every reason why this backup must not be restored into this target, the gravest first."""
    if manifest.engine != plan.target.engine:  # then nothing else can be compared
        return [_other_engine(plan, manifest)]
    return [refusal for check in _CHECKS if (refusal := check(plan, manifest, target))]


def is_filtered(manifest: Manifest) -> bool:
    """Whether the dump has a part of its database: then the fingerprint's roles and extensions may not be in it."""
    return any(argument.startswith(_FILTERS) for argument in manifest.dump_arguments)


def _where(plan: RestorePlan) -> str:
    return (
        "the ephemeral server" if isinstance(plan.target, EphemeralServer) else f"datasource {plan.target.datasource!r}"
    )


def _other_engine(plan: RestorePlan, manifest: Manifest) -> DataGuardianError:
    return EngineMismatch(
        f"The backup is of {manifest.engine}; {_where(plan)} is {plan.target.engine}.",
        remedy="Restore into a database of the same engine.",
    )


def _older(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    made_by = major_of(manifest.engine_version)
    if target.major >= made_by:
        return None
    return ServerTooOld(
        f"The backup comes from {manifest.engine} {made_by}; {_where(plan)} has {target.major}.",
        remedy="Restore into a server of the same major version or a newer one.",
    )


def _another(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    expected = plan.expected
    if expected.server_identity is not None and not target.identity:
        return TargetMismatch(
            f"The identity of the server of {_where(plan)} is not known: role {target.role!r} may not read it.",
            remedy="On PostgreSQL grant it EXECUTE on function pg_control_system, or expect no serverIdentity.",
        )
    differences = [
        f"its {name} is {found!r} instead of {wanted!r}"
        for name, wanted, found in (
            ("server's identity", expected.server_identity, target.identity),
            ("database", expected.database, target.database),
        )
        if wanted not in (None, found)
    ]
    if not differences:
        return None
    return TargetMismatch(
        f"The target, {_where(plan)}, is another one than expected: {' and '.join(differences)}.",
        remedy="Check where the Datasource leads to; then correct it, or spec.expectedTarget.",
    )


def _filled(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    if plan.verify or plan.drop_existing or not target.relations:
        return None
    return TargetNotEmpty(
        f"The database of {_where(plan)} is not empty: it has {target.relations} tables, views "
        f"or sequences, such as {', '.join(target.examples)}.",
        remedy="Restore into an empty database, or set spec.dropExisting to replace what the backup contains.",
    )


def _powerless(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    if not plan.verify or target.may_create_databases:
        return None
    return PermissionRefused(
        f"Role {target.role!r} of {_where(plan)} may not create the temporary database of a verification.",
        remedy=f"ALTER ROLE {quoted_name(target.role)} CREATEDB; or verify with verificationTarget Ephemeral.",
    )


def _crowded(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    # What dropExisting frees does not count: the old and the new tables both exist until the commit.
    needed = manifest.fingerprint.database_bytes or manifest.dump_bytes
    if target.free_bytes is None or needed <= target.free_bytes:
        return None
    return TargetTooSmall(
        f"The restored database needs about {human_bytes(needed)}, and the disk of {_where(plan)} has "
        f"{human_bytes(max(target.free_bytes, 0))} left.",
        remedy="Enlarge the disk (then correct spec.storageCapacityBytes of the Datasource), or use another server.",
    )


def _lacking(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    missing = [
        f"{what} {', '.join(names[:NAMED])}{f' and {len(names) - NAMED} more' if len(names) > NAMED else ''}"
        for what, names in (("the roles", target.missing_roles), ("the extensions", target.missing_extensions))
        if names
    ]
    if not missing or is_filtered(manifest):
        return None
    remedies = [f"CREATE ROLE {quoted_name(name)} NOLOGIN;" for name in target.missing_roles[:NAMED]]
    if target.missing_extensions:
        remedies.append(
            "Install the missing extensions' packages on the server, so that pg_available_extensions has them."
        )
    return PrerequisiteMissing(
        f"The server of {_where(plan)} lacks {' and '.join(missing)} that the backup needs.", remedy=" ".join(remedies)
    )


_Check = Callable[[RestorePlan, Manifest, TargetState], DataGuardianError | None]
_CHECKS: Sequence[_Check] = (_older, _another, _filled, _powerless, _crowded, _lacking)
