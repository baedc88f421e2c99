"""Requests, paced."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.token_bucket import TokenBucket


def test_a_burst_waits_for_nothing_and_those_after_it_for_their_turn() -> None:
    bucket = TokenBucket(per_second=10, burst=3)

    assert [round(bucket.take(at=50), 3) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]


def test_a_quiet_time_fills_the_bucket_up_to_its_burst() -> None:
    bucket = TokenBucket(per_second=10, burst=3)
    for _ in range(5):
        bucket.take(at=0)

    assert [round(bucket.take(at=1000), 3) for _ in range(4)] == [0, 0, 0, 0.1]


@given(
    per_second=st.integers(1, 200),
    burst=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 3000), min_size=1, max_size=200),
)
def test_no_span_of_time_sees_more_than_the_burst_and_what_flows_in(
    per_second: int, burst: int, pauses: list[int]
) -> None:
    bucket = TokenBucket(per_second=per_second, burst=burst)
    at, sent = 0.0, []
    for pause in pauses:
        at += pause / 1000
        sent.append(at + bucket.take(at=at))

    assert sent == sorted(sent)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= burst + (sent[last] - begin) * per_second + 1e-6
