"""One leader, whatever is delayed, lost or frozen: the Lease and its candidates, step by step in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dataguardian.domain.leadership import CERTAIN_S, DURATION_S, Candidate, Claim

ON_THE_WAY_S = DURATION_S - CERTAIN_S  # how long what was sent may take to arrive


def claim(holder: str, version: str = "1", **fields: float) -> Claim:
    return Claim(holder=holder, version=version, duration_s=fields.get("duration_s", DURATION_S))


def test_a_lease_that_never_was_is_claimed_at_once() -> None:
    candidate = Candidate("a")
    candidate.saw(None, at=100)

    assert candidate.may_claim(at=100)


def test_a_released_lease_is_claimed_at_once() -> None:
    candidate = Candidate("a")
    candidate.saw(claim("b"), at=100)
    candidate.saw(claim("", "2"), at=101)

    assert candidate.may_claim(at=101)


def test_a_held_lease_is_left_alone_until_it_has_not_changed_for_as_long_as_it_says() -> None:
    candidate = Candidate("a")
    candidate.saw(claim("b", "1", duration_s=30), at=100)
    candidate.saw(claim("b", "2", duration_s=30), at=120)
    candidate.saw(claim("b", "2", duration_s=30), at=140)

    assert not candidate.may_claim(at=149)
    assert candidate.may_claim(at=150)


def test_a_deleted_lease_is_left_alone_for_as_long_as_its_holder_may_trust_it() -> None:
    candidate = Candidate("a")
    candidate.saw(claim("b"), at=100)
    candidate.saw(None, at=110)
    candidate.saw(None, at=112)

    assert not candidate.may_claim(at=110 + DURATION_S - 1)
    assert candidate.may_claim(at=110 + DURATION_S)


def test_a_claim_counts_from_the_moment_before_it_was_sent() -> None:
    candidate = Candidate("a")
    candidate.won(claim("a"), asked_at=100)

    assert candidate.is_certain(at=100 + CERTAIN_S - 0.1)
    assert not candidate.is_certain(at=100 + CERTAIN_S)


def test_a_leader_that_sees_another_ones_claim_is_certain_of_nothing() -> None:
    candidate = Candidate("a")
    candidate.won(claim("a"), asked_at=100)
    candidate.saw(claim("b", "2"), at=101)

    assert not candidate.is_certain(at=101)


def test_a_leader_that_sees_its_own_renewal_whose_answer_was_lost_goes_on() -> None:
    candidate = Candidate("a")
    candidate.won(claim("a"), asked_at=100)
    candidate.saw(claim("a", "2"), at=105)

    assert candidate.is_certain(at=105)
    assert candidate.may_claim(at=105)


@dataclass
class Process:
    """A candidate, its clock, where it is in its turn, and what is on the way between it and the API server."""

    candidate: Candidate
    offset: int
    next_step: str = "read"
    read: Claim | None = None
    asked_at: float = 0
    version: str | None = None  # of the Lease that its claim is about
    answer: Claim | None = None
    writes: list[int] = field(default_factory=list)  # when each was sent


class Election(RuleBasedStateMachine):
    """Each process takes its steps in order, with any time and any steps of the others between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000
        self.lease: Claim | None = None
        self.written = 0
        self.late: list[tuple[str, str | None]] = []  # claims that were given up and may arrive yet: name, version
        self.processes = [Process(Candidate("a"), 0), Process(Candidate("b"), 77)]
        self.started = 2

    @rule(
        seconds=st.sampled_from([0, 0, 2, 4, 9, 11, 15, 60]),
        number=st.integers(0, 1),
        steps=st.sampled_from([1, 2, 5, 8]),
    )
    def goes_on_after(self, seconds: int, number: int, steps: int) -> None:
        self.now += seconds
        process = self.processes[number]
        for _ in range(steps):
            getattr(self, f"_{process.next_step}")(process, self._clock(process))
        if process.candidate.is_certain(at=self._clock(process)):
            process.writes.append(self.now)

    @rule(number=st.integers(0, 1))
    def gives_its_claim_up(self, number: int) -> None:
        process = self.processes[number]
        if process.next_step in ("arrive", "hear"):
            if process.next_step == "arrive":
                self.late.append((process.candidate.name, process.version))
            process.next_step = "read"

    @precondition(lambda self: self.late)
    @rule()
    def a_claim_that_was_given_up_arrives(self) -> None:
        self._judge(*self.late.pop(0))

    @precondition(lambda self: self.now % 8 == 7)  # seldom
    @rule(number=st.integers(0, 1), in_order=st.booleans(), offset=st.integers(0, 500))
    def ends_and_starts_again(self, number: int, in_order: bool, offset: int) -> None:
        process = self.processes[number]
        known = process.candidate.claim
        certain = process.candidate.is_certain(at=self._clock(process))
        if in_order and certain and known == self.lease and process.next_step != "arrive":
            self._write("")
        self.processes[number] = Process(Candidate(f"p{self.started}"), offset)
        self.started += 1

    @invariant()
    def who_is_certain_holds_the_lease(self) -> None:
        for process in self.processes:
            if process.candidate.is_certain(at=self._clock(process)):
                assert self.lease is not None
                assert self.lease.holder == process.candidate.name

    @invariant()
    def what_a_leader_sent_arrives_before_another_one_begins(self) -> None:
        for process in self.processes:
            process.writes = [sent for sent in process.writes if self.now - sent <= ON_THE_WAY_S]
            if process.writes:
                assert self.lease is not None
                assert self.lease.holder == process.candidate.name

    def _clock(self, process: Process) -> float:
        return float(self.now + process.offset)

    def _read(self, process: Process, at: float) -> None:
        process.read, process.next_step = self.lease, "see"

    def _see(self, process: Process, at: float) -> None:
        process.candidate.saw(process.read, at=at)
        process.next_step = "ask" if process.candidate.may_claim(at=at) else "read"

    def _ask(self, process: Process, at: float) -> None:
        known = process.candidate.claim
        process.asked_at, process.version = at, known.version if known else None
        process.next_step = "arrive"

    def _arrive(self, process: Process, at: float) -> None:
        process.answer, process.next_step = self._judge(process.candidate.name, process.version), "hear"

    def _hear(self, process: Process, at: float) -> None:
        if process.answer:
            process.candidate.won(process.answer, asked_at=process.asked_at)
        process.next_step = "ask" if process.candidate.is_certain(at=at) else "read"

    def _judge(self, name: str, version: str | None) -> Claim | None:
        """What the API server does with a claim: it takes that of one who knows the Lease as it is."""
        if version != (self.lease.version if self.lease else None):
            return None
        return self._write(name)

    def _write(self, holder: str) -> Claim:
        self.written += 1
        self.lease = Claim(holder=holder, version=str(self.written))
        return self.lease


TestElection = Election.TestCase
TestElection.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
