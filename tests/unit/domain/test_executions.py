"""States move forward only."""

from hypothesis import given
from hypothesis import strategies as st

from dataguardian.domain.executions import STATES, TERMINAL, State, as_phase, as_state, may_become

ANY = st.sampled_from(STATES)


@given(st.sampled_from(sorted(TERMINAL)), ANY)
def test_a_terminal_state_never_changes(terminal: State, following: State) -> None:
    assert not may_become(terminal, following)


@given(st.lists(ANY, max_size=20))
def test_no_sequence_of_legal_moves_comes_back(wishes: list[State]) -> None:
    path: list[State | None] = [None]
    for wish in wishes:
        if may_become(path[-1], wish):
            path.append(wish)

    assert len(set(path)) == len(path)


@given(ANY)
def test_a_phase_is_its_state_in_capitals(state: State) -> None:
    assert as_state(as_phase(state)) == state
