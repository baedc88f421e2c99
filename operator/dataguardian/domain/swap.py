"""What speaks against a Swap before anything is touched: facts of the target → refusals."""

from __future__ import annotations

import msgspec

from ..errors import DataGuardianError, PermissionRefused, SyncRefused
from .naming import quoted_name


class SwapTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A database that shall change places with a new one, as its server tells."""

    oid: int
    database: str
    role: str  # who has logged in
    owner: str
    owner_is_superuser: bool
    owned: bool  # the role has the owner's rights
    may_create_databases: bool
    slots: list[str]  # names of logical replication slots, of subscriptions, and of prepared transactions in it
    subscriptions: list[str]
    prepared: list[str]


def refusals(datasource: str, target: SwapTarget) -> list[DataGuardianError]:
    """Every reason why this database must not be swapped."""
    return [*_missing_rights(datasource, target), *_ties(datasource, target)]


def _missing_rights(datasource: str, target: SwapTarget) -> list[DataGuardianError]:
    role, found = quoted_name(target.role), list[DataGuardianError]()
    if not target.may_create_databases:
        found.append(
            PermissionRefused(
                f"Role {target.role!r} of datasource {datasource!r} may not create databases, as strategy Swap does.",
                remedy=f"ALTER ROLE {role} CREATEDB; or set spec.strategy to Transaction.",
            )
        )
    if not target.owned:
        database = quoted_name(target.database)
        member = "" if target.owner_is_superuser else f"or GRANT {quoted_name(target.owner)} TO {role}; "
        found.append(
            PermissionRefused(
                f"Role {target.role!r} of datasource {datasource!r} may not rename database {target.database!r}: "
                f"its owner is {target.owner!r}.",
                remedy=f"ALTER DATABASE {database} OWNER TO {role}; {member}or set spec.strategy to Transaction.",
            )
        )
    return found


def _ties(datasource: str, target: SwapTarget) -> list[DataGuardianError]:
    """What would stay with the old database, where nobody looks for it."""
    return [
        SyncRefused(
            f"The database of datasource {datasource!r} has {what} {', '.join(names)}, which a Swap would leave "
            "with the old database.",
            remedy=f"{cure}, or set spec.strategy to Transaction.",
        )
        for what, names, cure in (
            ("the logical replication slots", target.slots, "Drop them"),
            ("the subscriptions", target.subscriptions, "Drop them"),
            ("the prepared transactions", target.prepared, "Commit them or roll them back"),
        )
        if names
    ]
