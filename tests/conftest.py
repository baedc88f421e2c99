"""Which tests run beside which, and in what order, when several processes share them (``make test``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

TESTS = Path(__file__).parent
ALONE = "tests/cluster/alone/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what wants the cluster for itself; last the short tests, so that all processes end together."""
    files = list(dict.fromkeys(item.path for item in items))
    items.sort(key=lambda item: _place(item.path, files.index(item.path)))


def _place(path: Path, number: int) -> tuple[int, int]:
    kind, *below = path.relative_to(TESTS).parts
    if kind != "cluster":
        return (1 if kind == "integration" else 3), number
    return (0, number) if "alone" in below else (2, -number)  # the longest ones are last in the alphabet


class Lanes(LoadScopeScheduling):
    """The tests that want the cluster for themselves in one process; of all others each file."""

    def _split_scope(self, nodeid: str) -> str:
        return ALONE if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """xdist's own groups do nothing with this pytest; and it would begin with the files of most tests."""
    config.option.loadscopereorder = False
    return Lanes(config, log)
