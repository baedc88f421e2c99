"""How the run of a request is called."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.api.starting import NAME_DIGITS, run_name
from dataguardian.resources.common import NAME_PATTERN
from dataguardian.resources.execution import RUN_NAME_MAX

SUFFIX = "0123456789ab"


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True))
def test_a_run_has_a_name_that_the_api_server_takes(prefix: str) -> None:
    name = run_name(prefix, SUFFIX)

    assert len(name) <= RUN_NAME_MAX
    assert re.fullmatch(NAME_PATTERN, name)
    assert re.fullmatch(NAME_PATTERN, name.removesuffix(f"-{SUFFIX}"))
    assert name.endswith(f"-{SUFFIX}")


def test_the_longest_name_of_a_job_is_not_cut() -> None:
    assert len(SUFFIX) == NAME_DIGITS
    assert run_name("j" * 40, SUFFIX) == "j" * 40 + f"-{SUFFIX}"
