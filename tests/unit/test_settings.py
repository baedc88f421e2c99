"""What the environment says, and what it must not say."""

import pytest

from dataguardian.errors import ConfigInvalid
from dataguardian.settings import Environment, RunLimits, run_limits


def limits(**values: str) -> RunLimits:
    return run_limits(Environment(values={f"DATAGUARDIAN_{name}": value for name, value in values.items()}))


def test_the_limits_of_runs_are_those_of_the_environment() -> None:
    assert limits() == RunLimits(max_concurrent=10, start_deadline_seconds=600)
    told = limits(MAX_CONCURRENT_EXECUTIONS="3", START_DEADLINE_SECONDS="20")
    assert told == RunLimits(max_concurrent=3, start_deadline_seconds=20)


@pytest.mark.parametrize("name", ["MAX_CONCURRENT_EXECUTIONS", "START_DEADLINE_SECONDS"])
@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_limit_that_lets_nothing_run_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ConfigInvalid, match=name):
        limits(**{name: value})
