"""The cluster for these tests alone, from the first of them to the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..cluster import Cluster
from ..sharing import turn


@pytest.fixture(scope="package", autouse=True)
def beside(cluster: Cluster) -> Iterator[None]:
    """No other process tests anything in the cluster meanwhile."""
    with turn(alone=True):
        yield
