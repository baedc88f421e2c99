"""The operator that leads, asked how its workers are: it may be in this pod or in another one."""

from __future__ import annotations

import asyncio

import msgspec
from yarl import URL

from ..errors import DataGuardianError
from ..kube.client import JSON, Absent
from ..kube.lease import current_holder, host_of
from ..workers.loop import Pulses
from .clients import Clients
from .pulses import OWN_POD, pulses_at, pulses_url

PORT_NAME = "liveness"
ANSWER_S = 1.0  # of an operator
LOOKUP_S = 1.5  # of the API server, for where the leader is
ASKED_FOR_S = 2.0  # how long an answer is good
NOBODY = Pulses(leading=False, workers={})


class Leader:
    """Where the leader is, and what it told last."""

    def __init__(self, clients: Clients) -> None:
        self._kube, self._place = clients.kube, clients.operators
        self._seat: tuple[str, URL] | None = None  # holder of the Lease, and where it answers
        self._told = NOBODY

    async def pulses(self) -> Pulses:
        """How the leader's workers are; when nobody leads, or answers, those that were told last."""
        told = await _ask(pulses_url(OWN_POD, self._place.liveness_port))
        if not told.leading and (elsewhere := await self._elsewhere()):
            told = await _ask(elsewhere)
        self._told = told if told.leading else msgspec.structs.replace(self._told, leading=False)
        return self._told

    async def _elsewhere(self) -> URL | None:
        """Where the holder of the Lease answers; where it was, while the API server does not tell."""
        try:
            async with asyncio.timeout(LOOKUP_S):
                self._seat = await self._look_up()
        except (DataGuardianError, Absent, TimeoutError):
            pass
        return self._seat[1] if self._seat else None

    async def _look_up(self) -> tuple[str, URL] | None:
        holder = await current_holder(self._kube, self._place.namespace)
        if self._seat and self._seat[0] == holder:
            return self._seat
        pod = await self._kube.pod(self._place.namespace, host_of(holder)) if holder else None
        address = pod.get("status", {}).get("podIP") if pod else None
        return (holder, pulses_url(address, _port_of(pod) or self._place.liveness_port)) if pod and address else None


async def _ask(url: URL) -> Pulses:
    """What the operator there tells; nobody leads there when none answers."""
    return await pulses_at(url, within_s=ANSWER_S) or NOBODY


def _port_of(pod: JSON) -> int | None:
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports", ()))
    return next((int(port["containerPort"]) for port in ports if port.get("name") == PORT_NAME), None)
