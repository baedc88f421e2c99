"""What speaks against a restore before anything is touched: facts of the backup and of the target → refusals.

What speaks against any load stands here too; ``sync_guards`` asks it of a database that is copied.
"""

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
from .plan import EphemeralServer, ExpectedTarget, RestorePlan

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


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be loaded, and where to. ``needed_bytes`` is 0 when nobody can tell."""

    name: str  # what it is, inside a sentence
    engine: str
    version: str
    needed_bytes: int
    where: str  # the target, inside a sentence


def refusals(plan: RestorePlan, manifest: Manifest, target: TargetState) -> list[DataGuardianError]:
    """Every reason why this backup must not be restored into this target, the gravest first."""
    if other := of_another_engine(_incoming(plan, manifest), plan.target.engine):
        return [other]  # then nothing else can be compared
    return [refusal for check in _CHECKS if (refusal := check(plan, manifest, target))]


def is_filtered(manifest: Manifest) -> bool:
    """Whether the dump has a part of its database: then the fingerprint's roles and extensions may not be in it."""
    return any(argument.startswith(_FILTERS) for argument in manifest.dump_arguments)


def _where(plan: RestorePlan) -> str:
    return (
        "the ephemeral server" if isinstance(plan.target, EphemeralServer) else f"datasource {plan.target.datasource!r}"
    )


def _incoming(plan: RestorePlan, manifest: Manifest) -> Incoming:
    return Incoming(
        name="the backup",
        engine=manifest.engine,
        version=manifest.engine_version,
        needed_bytes=manifest.fingerprint.database_bytes or manifest.dump_bytes,
        where=_where(plan),
    )


def of_another_engine(incoming: Incoming, target_engine: str) -> DataGuardianError | None:
    """Whether it is of another kind of database."""
    if incoming.engine == target_engine:
        return None
    return EngineMismatch(
        f"The engine of {incoming.name} is {incoming.engine}; that of {incoming.where} is {target_engine}.",
        remedy="Use a database of the same engine.",
    )


def of_a_newer_major(incoming: Incoming, target: TargetState) -> DataGuardianError | None:
    """Whether the target's server may not understand it."""
    made_by = major_of(incoming.version)
    if target.major >= made_by:
        return None
    return ServerTooOld(
        f"The server of {incoming.name} is {incoming.engine} {made_by}; {incoming.where} has {target.major}.",
        remedy="Use a server of the same major version or a newer one.",
    )


def too_large(incoming: Incoming, target: TargetState) -> DataGuardianError | None:
    """Whether the target's disk would be full; nothing is freed before, as old and new both exist until the end."""
    if target.free_bytes is None or incoming.needed_bytes <= target.free_bytes:
        return None
    return TargetTooSmall(
        f"A copy of {incoming.name} needs about {human_bytes(incoming.needed_bytes)}, and the disk of {incoming.where} "
        f"has {human_bytes(max(target.free_bytes, 0))} left.",
        remedy="Enlarge the disk (then correct spec.storageCapacityBytes of the Datasource), or use another server.",
    )


def without_prerequisites(incoming: Incoming, target: TargetState) -> DataGuardianError | None:
    """Whether the target's server lacks roles or extensions that it needs."""
    missing = [
        f"{what} {', '.join(names[:NAMED])}{f' and {len(names) - NAMED} more' if len(names) > NAMED else ''}"
        for what, names in (("the roles", target.missing_roles), ("the extensions", target.missing_extensions))
        if names
    ]
    if not missing:
        return None
    remedies = [f"CREATE ROLE {quoted_name(name)} NOLOGIN;" for name in target.missing_roles[:NAMED]]
    if target.missing_extensions:
        remedies.append(
            "Install the missing extensions' packages on the server, so that pg_available_extensions has them."
        )
    return PrerequisiteMissing(
        f"The server of {incoming.where} lacks {' and '.join(missing)} that {incoming.name} needs.",
        remedy=" ".join(remedies),
    )


def of_another_target(expected: ExpectedTarget, target: TargetState, where: str) -> DataGuardianError | None:
    """Whether the target, ``where`` inside a sentence, is another one than expected, or nobody can tell."""
    if expected.server_identity is not None and not target.identity:
        return TargetMismatch(
            f"The identity of the server of {where} is not known: role {target.role!r} may not read it.",
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
        f"The target, {where}, is another one than expected: {' and '.join(differences)}.",
        remedy="Check where the Datasource leads to; then correct it, or spec.expectedTarget.",
    )


def _older(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    return of_a_newer_major(_incoming(plan, manifest), target)


def _another(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    return of_another_target(plan.expected, target, _where(plan))


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
    return too_large(_incoming(plan, manifest), target)


def _lacking(plan: RestorePlan, manifest: Manifest, target: TargetState) -> DataGuardianError | None:
    return None if is_filtered(manifest) else without_prerequisites(_incoming(plan, manifest), target)


_Check = Callable[[RestorePlan, Manifest, TargetState], DataGuardianError | None]
_CHECKS: Sequence[_Check] = (_older, _another, _filled, _powerless, _crowded, _lacking)
