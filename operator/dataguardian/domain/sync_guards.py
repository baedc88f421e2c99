"""What speaks against a sync before anything is touched: facts of source and target → refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..errors import DataGuardianError, PermissionRefused, SameDatabase, SyncRefused, TargetNotEmpty
from . import preflight
from .naming import quoted_name
from .plan import SyncPlan
from .preflight import NAMED, Incoming, TargetState


class SyncSource(msgspec.Struct, frozen=True, kw_only=True):
    """A database that is about to be copied, as its server tells."""

    version: str
    identity: str  # of the server; empty when the role may not read it
    database: str
    in_recovery: bool  # a replica
    bytes: int
    extensions: list[str]
    roles: list[str]  # that own something or have been granted something
    tables: list[tuple[str, str]]  # schema, name


class SyncTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync asks of its target beyond ``TargetState``."""

    is_source: bool  # it sees the session that is in the source
    in_recovery: bool
    owns: bool  # the role has the rights of the database's owner
    is_marked: bool  # the database's comment tells of masking rules
    may_create: bool  # in the database
    foreign_owners: list[str]  # roles that own something in it that the role may not drop
    superusers: list[str]  # of these
    tables: list[tuple[str, str]]


class Both(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of both sides."""

    source: SyncSource
    target: TargetState
    sync: SyncTarget


def of_other_engines(plan: SyncPlan) -> DataGuardianError | None:
    """What can be said before anybody is asked."""
    incoming = Incoming(name=_source(plan), engine=plan.source.engine, version="", needed_bytes=0, where=_target(plan))
    return preflight.of_another_engine(incoming, plan.target.engine)


def refusals(plan: SyncPlan, both: Both) -> list[DataGuardianError]:
    """Every reason why the target must not become a copy of the source, the gravest first."""
    return [refusal for check in _CHECKS if (refusal := check(plan, both))]


def removed(both: Both) -> list[str]:
    """The tables that go for good: those in the target that the source does not have, as people write them."""
    kept = set(both.source.tables)
    return [f"{schema}.{name}" for schema, name in sorted(both.sync.tables) if (schema, name) not in kept]


def _source(plan: SyncPlan) -> str:
    return f"datasource {plan.source.datasource!r}"


def _target(plan: SyncPlan) -> str:
    return f"datasource {plan.target.datasource!r}"


def _incoming(plan: SyncPlan, source: SyncSource) -> Incoming:
    return Incoming(
        name=_source(plan),
        engine=plan.source.engine,
        version=source.version,
        needed_bytes=source.bytes,
        where=_target(plan),
    )


def _same(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    source, target = both.source, both.target
    # A copy of a server's disk has its identity too, and databases of its own; a replica has those of its primary.
    of_one_server = bool(source.identity) and source.identity == target.identity
    is_replica = source.in_recovery or both.sync.in_recovery
    replicated = of_one_server and source.database == target.database and is_replica
    if not both.sync.is_source and not replicated:
        return None
    how = "one of them is in recovery, as replicas are" if replicated else "a session in one is seen in the other"
    return SameDatabase(
        f"The datasources {plan.source.datasource!r} and {plan.target.datasource!r} are one database, "
        f"{target.database!r}: {how}.",
        remedy="Let spec.targetRef name a Datasource of another database. A physical copy of a server can be told from "
        "its replica only when the source is no replica.",
    )


def _another(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    return preflight.of_another_target(plan.expected, both.target, _target(plan))


def _unidentified(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    """Whether a replica and its primary cannot be told from two servers."""
    source, target = both.source, both.target
    sides = ((plan.source.datasource, source.identity), (plan.target.datasource, target.identity))
    unknown = [repr(datasource) for datasource, identity in sides if not identity]
    if not unknown or source.database != target.database or not (source.in_recovery or both.sync.in_recovery):
        return None
    return PermissionRefused(
        f"One of the servers is a replica, and whether it is one of the other cannot be told: the users of the "
        f"datasources {' and '.join(unknown)} may not read the identity of their servers.",
        remedy=f"GRANT EXECUTE ON FUNCTION pg_control_system() TO the user, in database "
        f"{quoted_name(source.database)}; on a replica it comes from its primary.",
    )


def _aliased(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    """Whether the name that a Swap would rename is not that of the database which has been looked at."""
    named, found = plan.target.database, both.target.database
    if plan.strategy != "Swap" or named == found:
        return None
    return SyncRefused(
        f"{_target(plan)[0].upper()}{_target(plan)[1:]} leads to database {found!r} by the name {named!r}, as a pooler "
        "does: a Swap renames databases, and would take another one.",
        remedy=f"Set spec.database of the Datasource to {found!r}, or spec.strategy to Transaction.",
    )


def _older(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    return preflight.of_a_newer_major(_incoming(plan, both.source), both.target)


def _filled(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    return None if plan.drop_existing else not_empty(plan.target.datasource, both.target)


def not_empty(datasource: str, target: TargetState) -> DataGuardianError | None:
    """Whether something is in a target of which nothing may be replaced."""
    if not target.relations:
        return None
    return TargetNotEmpty(
        f"The database of datasource {datasource!r} is not empty: it has {target.relations} tables, views "
        f"or sequences, such as {', '.join(target.examples)}.",
        remedy="Set spec.dropExisting of the DatabaseSyncJob to replace all of it, or use an empty database.",
    )


def _powerless(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    target = both.target
    if plan.strategy == "Swap" or both.sync.may_create:  # what a Swap needs is asked where it is made
        return None
    return PermissionRefused(
        f"Role {target.role!r} of {_target(plan)} may create nothing in database {target.database!r}.",
        remedy=f"GRANT CREATE ON DATABASE {quoted_name(target.database)} TO {quoted_name(target.role)};",
    )


def _markless(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    target = both.target
    # A new database, as a Swap makes, is the role's own.
    if plan.strategy == "Swap" or both.sync.owns or not (plan.masking or both.sync.is_marked):
        return None
    return PermissionRefused(
        f"Role {target.role!r} of {_target(plan)} may not write the comment of database {target.database!r}, which "
        "tells by which rules the copy is masked: it does not own the database.",
        remedy=f"ALTER DATABASE {quoted_name(target.database)} OWNER TO {quoted_name(target.role)};",
    )


def _foreign(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    owners, role = both.sync.foreign_owners, both.target.role
    if plan.strategy == "Swap" or not owners:
        return None
    return PermissionRefused(
        f"Role {role!r} of {_target(plan)} may not drop what is there: it belongs to {', '.join(owners[:NAMED])}.",
        remedy=" ".join(_ways_to_drop(owners[:NAMED], both.sync.superusers, quoted_name(role))),
    )


def _ways_to_drop(owners: Sequence[str], superusers: Sequence[str], role: str) -> list[str]:
    """Statements that give the role what belongs to these, but no superuser's rights."""
    granted = ", ".join(quoted_name(owner) for owner in owners if owner not in superusers)
    powerful = ", ".join(quoted_name(owner) for owner in owners if owner in superusers)
    return [
        *([f"GRANT {granted} TO {role};"] if granted else []),
        *(
            [f"ALTER … OWNER TO {role}; for what belongs to {powerful}, never a grant of a superuser."]
            if powerful
            else []
        ),
    ]


def _crowded(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    return preflight.too_large(_incoming(plan, both.source), both.target)


def _lacking(plan: SyncPlan, both: Both) -> DataGuardianError | None:
    return preflight.without_prerequisites(_incoming(plan, both.source), both.target)


_Check = Callable[[SyncPlan, Both], DataGuardianError | None]
_CHECKS: Sequence[_Check] = (
    _same,
    _unidentified,
    _another,
    _aliased,
    _older,
    _filled,
    _powerless,
    _markless,
    _foreign,
    _crowded,
    _lacking,
)
