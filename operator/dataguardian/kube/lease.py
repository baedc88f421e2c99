"""The Lease ``dataguardian-operator``: claimed, renewed and released over a connection of its own.

Each write carries the version that was read, so the API server takes it only from one who knows the Lease as it is.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from ..domain.leadership import CERTAIN_S, DURATION_S, RETRY_S, Candidate, Claim
from ..domain.naming import LEASE
from ..errors import ConfigInvalid, DataGuardianError, LeadershipLost
from .client import JSON, Absent, Conflict, Kubernetes

log = logging.getLogger(__name__)

ANSWER_S = 3.0  # for all calls of one turn: several of them fit into CERTAIN_S
STUCK_S = 30.0  # without a turn


def boottime() -> float:
    """Seconds of a clock that goes on while a process is stopped and while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def candidate_name(host: str) -> str:
    """A name that no other process ever has, of one on this host: a pod's hostname is its name."""
    return f"{host}_{uuid.uuid4().hex}"


def host_of(holder: str) -> str:
    """The host in a candidate's name."""
    return holder.rpartition("_")[0]


async def current_holder(kube: Kubernetes, namespace: str) -> str:
    """Whom the Lease names; empty when it names nobody, or does not exist. Raises what ``Kubernetes.get`` does."""
    try:
        return _claim_of(await kube.get(f"{_path(namespace)}/{LEASE}")).holder
    except Absent:
        return ""


class Lease:
    """One candidate's hold on the Lease; ``holder`` is a name that no other process ever has."""

    def __init__(self, kube: Kubernetes, *, namespace: str, holder: str, clock: Callable[[], float] = boottime) -> None:
        self._kube = kube
        self._path = _path(namespace)
        self._candidate = Candidate(holder)
        self._clock = clock
        self._doubted = asyncio.Event()
        self._turned_at = clock()

    @property
    def is_held(self) -> bool:
        """Whether this process leads, for certain."""
        return self._candidate.is_certain(at=self._clock())

    @property
    def is_stuck(self) -> bool:
        """Whether the Lease has not been looked at for STUCK_S."""
        return self._clock() - self._turned_at > STUCK_S

    def fence(self) -> None:
        """Raise LeadershipLost unless this process leads for certain; then ``keep`` ends too."""
        if not self.is_held:
            self._doubted.set()
            raise self._lost()

    async def acquire(self) -> None:
        """Return when this process leads."""
        while True:
            await self._turn()
            if self.is_held:
                return
            await asyncio.sleep(RETRY_S)

    async def keep(self) -> None:
        """Renew the Lease for ever. Raises LeadershipLost when this process is not certain any more that it leads."""
        while self.is_held:
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._doubted.wait()
            except TimeoutError:
                if self.is_held:  # one that was frozen writes nothing
                    await self._turn()
        raise self._lost()

    async def release(self) -> None:
        """Leave the Lease to the next one at once, if this process leads."""
        if not self.is_held:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._write({"holderIdentity": None, "renewTime": _now()})
        except (DataGuardianError, Absent, Conflict, TimeoutError) as error:
            log.warning("The Lease runs out instead of being released: %s", error, extra={"action": "lease_kept"})

    async def _turn(self) -> None:
        """Look at the Lease and claim or renew it, if that is allowed; what fails is tried again in the next turn."""
        try:
            async with asyncio.timeout(ANSWER_S):
                if not self.is_held:
                    await self._read()
                if self._candidate.may_claim(at=self._clock()):
                    await self._claim()
        except (DataGuardianError, TimeoutError) as error:
            reason = str(error) or f"nothing within {ANSWER_S:.0f} s"
            log.warning("The Lease could not be looked at: %s", reason, extra={"action": "lease_unseen"})
        self._turned_at = self._clock()

    async def _read(self) -> None:
        try:
            claim = _claim_of(await self._kube.get(f"{self._path}/{LEASE}"))
        except Absent:
            claim = None
        self._candidate.saw(claim, at=self._clock())

    async def _claim(self) -> None:
        asked_at, now = self._clock(), _now()
        before, me = self._candidate.claim, self._candidate.name
        spec: JSON = {"holderIdentity": me, "leaseDurationSeconds": int(DURATION_S), "renewTime": now}
        if before is None or before.holder != me:
            transitions = before.transitions + 1 if before else 0
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        try:
            lease = await (self._create(spec) if before is None else self._write(spec))
        except (Conflict, Absent):
            # Another one was faster, or an earlier claim of this one arrived after it had been given up.
            await self._read()
        else:
            self._candidate.won(_claim_of(lease), asked_at=asked_at)

    async def _create(self, spec: JSON) -> JSON:
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        try:
            return await self._kube.create(self._path, {**kind, "metadata": {"name": LEASE}, "spec": spec})
        except Absent as error:
            raise ConfigInvalid(
                f"The operator's own namespace does not exist: {error}.", remedy="Name it in DATAGUARDIAN_NAMESPACE."
            ) from error

    async def _write(self, spec: JSON) -> JSON:
        version = self._candidate.claim.version if self._candidate.claim else ""
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._kube.patch(f"{self._path}/{LEASE}", body)

    def _lost(self) -> LeadershipLost:
        claim = self._candidate.claim
        other = claim.holder if claim and claim.holder != self._candidate.name else ""
        return LeadershipLost(
            f"{other} leads now." if other else f"The Lease {LEASE} could not be renewed for {CERTAIN_S:.0f} s.",
            remedy="This operator ends and starts again as a standby; look at the API server and the node if it lasts.",
        )


def _path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _claim_of(lease: JSON) -> Claim:
    spec = lease.get("spec", {})
    return Claim(
        holder=spec.get("holderIdentity") or "",
        version=lease["metadata"]["resourceVersion"],
        duration_s=float(spec.get("leaseDurationSeconds") or DURATION_S),
        transitions=spec.get("leaseTransitions") or 0,
    )


def _now() -> str:
    """For people who read the Lease; nobody judges by it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
