"""The WHERE of a list: what its ``Filter`` asks for, and the place in its order that it goes on from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Composable, Composed

Place = tuple[datetime, UUID]  # the newest first, and those of one moment by their ids

# With the bound on the moment alone an index leads to the place, however far down the list it is.
AFTER = SQL("({moment} <= %(after_at)s AND ({moment} < %(after_at)s OR id > %(after_id)s))")


def filtered(
    wanted: object, conditions: Mapping[str, SQL], *, after: Place | None = None, **names: SQL
) -> tuple[list[Composed], dict[str, Any]]:
    """The conditions that hold for what is wanted, and the values of their parameters.

    ``conditions`` are what SQL makes of the field of the same name, with ``names`` in their braces; ``moment`` is the
    name that ``after`` needs. A field that is None asks for nothing, and is left out, so that an index serves.
    """
    values = {name: value for name in conditions if (value := getattr(wanted, name)) is not None}
    chosen = [conditions[name] for name in values]
    if "namespaces" in values:
        values["namespaces"] = list(values["namespaces"])
    if after is not None:
        chosen.append(AFTER)
        values |= {"after_at": after[0], "after_id": after[1]}
    return [condition.format(**names) for condition in chosen], values


def where(conditions: Collection[Composable]) -> Composable:
    """That all of them hold; nothing when there is none."""
    return SQL(" WHERE ") + SQL(" AND ").join(conditions) if conditions else SQL("")
