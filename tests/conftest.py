"""Which tests run beside which, when several processes share them (``make test``)."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling


class OneCluster(LoadScopeScheduling):
    """All tests of the cluster in one process; of the others each file, whose fixtures its tests share."""

    def _split_scope(self, nodeid: str) -> str:
        return "cluster" if nodeid.startswith("tests/cluster/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneCluster:
    """xdist's own groups do nothing with this pytest."""
    return OneCluster(config, log)
