"""How fast requests may follow one another."""

from __future__ import annotations


class TokenBucket:
    """``per_second`` tokens flow in and at most ``burst`` lie in it; each request takes one, in the order of asking."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, *, at: float) -> float:
        """Take a token at this moment of a steady clock; how many seconds to wait until it is there."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, at - self._at) * self._per_second)
        self._at = at if self._at is None else max(at, self._at)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)
