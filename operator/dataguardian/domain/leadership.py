"""Who leads: what a candidate may conclude from the Lease, by its own clock alone.

No machine's clock is compared with another's. A holder trusts its claim for CERTAIN_S from the moment before it was
sent; all others leave a Lease alone for DURATION_S from the moment after they saw it change. So the holder has stopped
before anybody else begins, and what it sent last has had the difference to arrive.
"""

from __future__ import annotations

from dataclasses import dataclass

DURATION_S = 15.0  # a Lease that does not change for so long is anybody's
CERTAIN_S = 10.0  # a holder that could not renew for so long gives up
RETRY_S = 2.0  # between two looks at the Lease, and two renewals


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the Lease says."""

    holder: str  # empty: nobody
    version: str  # another one with each write
    duration_s: float = DURATION_S
    transitions: int = 0


class Candidate:
    """One process that leads or would like to; each moment is in seconds of its own clock, which stops for nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.claim: Claim | None = None
        self._seen_at: float | None = None
        self._claimed_at: float | None = None

    def saw(self, claim: Claim | None, *, at: float) -> None:
        """The Lease was read, and the answer was there at this moment; None when there is no Lease."""
        if self._seen_at is None and claim is None:
            return  # there never was one
        if self._seen_at is None or claim != self.claim:
            self._seen_at = at
        self.claim = claim
        if claim is None or claim.holder != self.name:
            self._claimed_at = None

    def won(self, claim: Claim, *, asked_at: float) -> None:
        """The API server took a claim of this candidate, which was sent after this moment."""
        self.claim = claim
        self._seen_at = self._claimed_at = asked_at

    def may_claim(self, *, at: float) -> bool:
        """Whether to ask for the Lease, as it was seen last: it is free, one's own already, or not kept up."""
        if self._seen_at is None or (self.claim and self.claim.holder in ("", self.name)):
            return True
        # A Lease that was deleted may have a holder that does not know yet.
        return at - self._seen_at >= (self.claim.duration_s if self.claim else DURATION_S)

    def is_certain(self, *, at: float) -> bool:
        """Whether this candidate leads, and no other one can."""
        return self._claimed_at is not None and at - self._claimed_at < CERTAIN_S
