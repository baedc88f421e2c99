"""What speaks against a Swap is told with the statement that cures it, before anything is touched."""

import msgspec
import pytest

from dataguardian.domain.swap import SwapTarget, refusals

GOOD = SwapTarget(
    oid=16384,
    database='Or"ders',
    role="sync",
    owner="team",
    owner_is_superuser=False,
    owned=True,
    may_create_databases=True,
    slots=[],
    subscriptions=[],
    prepared=[],
)


def test_a_target_of_ones_own_without_ties_may_be_swapped() -> None:
    assert refusals("staging", GOOD) == []


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"may_create_databases": False}, "permission-refused", 'ALTER ROLE "sync" CREATEDB;'),
        ({"owned": False}, "permission-refused", 'ALTER DATABASE "Or""ders" OWNER TO "sync";'),
        ({"owned": False}, "permission-refused", 'GRANT "team" TO "sync";'),
        ({"slots": ["cdc", "wal"]}, "sync-refused", "logical replication slots cdc, wal"),
        ({"subscriptions": ["feed"]}, "sync-refused", "subscriptions feed"),
        ({"prepared": ["tx1"]}, "sync-refused", "Commit them or roll them back"),
    ],
)
def test_each_obstacle_is_named_with_its_cure(changes: dict[str, object], code: str, told: str) -> None:
    (refusal,) = refusals("staging", msgspec.structs.replace(GOOD, **changes))

    assert refusal.code == code
    assert told in str(refusal)
    assert "spec.strategy" in refusal.remedy


def test_nobody_is_told_to_grant_a_superuser() -> None:
    (refusal,) = refusals("staging", msgspec.structs.replace(GOOD, owned=False, owner_is_superuser=True))

    assert 'OWNER TO "sync";' in refusal.remedy
    assert "GRANT" not in refusal.remedy
