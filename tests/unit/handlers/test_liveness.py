"""What the kubelet is told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dataguardian.errors import LeadershipLost
from dataguardian.handlers.liveness import ailments
from dataguardian.kube.lease import STUCK_S, Lease
from dataguardian.workers import loop


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    return Lease(cast(Any, None), namespace="dataguardian", holder="a", clock=clock)


def test_a_standby_is_well_while_it_looks_at_the_lease(lease: Lease, clock: Clock) -> None:
    clock.at += STUCK_S
    assert ailments(lease, at=0) == []

    clock.at += 1
    assert ailments(lease, at=0) == ["the Lease is not looked at"]


def test_a_worker_that_hangs_is_named(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "heartbeats", {"sweep": 0.0, "recorder": 1000.0})
    monkeypatch.setattr(loop, "_loops", {"sweep", "recorder"})

    assert ailments(lease, at=1001) == ["worker sweep hangs"]


def test_a_process_that_holds_no_lease_may_not_write(lease: Lease) -> None:
    with pytest.raises(LeadershipLost):
        lease.fence()
