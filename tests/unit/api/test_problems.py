"""Which HTTP status an error means."""

from __future__ import annotations

import pytest

from dataguardian.api.problems import status_of
from dataguardian.errors import (
    BackupCorrupt,
    DataGuardianError,
    NotFound,
    PermissionRefused,
    QueueUnavailable,
    SpecInvalid,
    TargetNotEmpty,
    every_error,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SpecInvalid, 422),
        (TargetNotEmpty, 422),
        (NotFound, 404),
        (PermissionRefused, 403),
        (QueueUnavailable, 503),
        (BackupCorrupt, 500),
    ],
)
def test_an_error_has_the_status_of_its_family(error: type[DataGuardianError], status: int) -> None:
    assert status_of(error("x", remedy="y")) == status


def test_every_retryable_error_says_that_another_try_may_work() -> None:
    for error in every_error():
        bare = error.__new__(error)  # some want more than a text to be made
        assert (status_of(bare) == 503) == error.retryable
