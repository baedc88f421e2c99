"""The states of an execution, and the legal moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from .naming import RunOperation

State = Literal["queued", "running", "completed", "failed", "cancelled"]
Attempt = Literal["backup", "restore", "verify", "sync"]  # what an execution is one of
RUN_OF: Mapping[Attempt, RunOperation] = {  # what its run object asks for
    "backup": "backup",
    "restore": "restore",
    "verify": "restore",
    "sync": "sync",
}
STATES: tuple[State, ...] = get_args(State)
TERMINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled"})
_RANK: dict[State, int] = {"queued": 0, "running": 1, "completed": 2, "failed": 2, "cancelled": 2}


def may_become(current: State | None, following: State) -> bool:
    """Whether the move is forward; a terminal state never changes, and None is a run not yet accepted."""
    return current is None or _RANK[following] > _RANK[current]


def as_phase(state: State) -> str:
    """The state as status shows it."""
    return state.capitalize()


def as_state(phase: str | None) -> State | None:
    """The state that a status's phase means. Raises ValueError for an unknown one."""
    if phase is None:
        return None
    for state in STATES:
        if as_phase(state) == phase:
            return state
    raise ValueError(f"unknown phase {phase!r}")
