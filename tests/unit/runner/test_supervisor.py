"""What the supervisor tells of a run whose thread hangs."""

from __future__ import annotations

from dataguardian.runner.supervisor import OPERATIONS, SILENT


def test_each_operation_blames_only_whom_it_has_to_do_with() -> None:
    assert set(SILENT) == set(OPERATIONS)
    assert {operation for operation, silent in SILENT.items() if "store" not in silent} == {
        "restore",
        "expire",
        "probe",
    }
