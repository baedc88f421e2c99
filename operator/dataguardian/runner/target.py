"""The server that a restore or a sync goes to: a datasource's, or a throw-away one in the run's own pod."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import msgspec

from ..domain.plan import EphemeralServer, RestorePlan, SyncPlan
from ..domain.preflight import TargetState
from ..engines import Login
from ..errors import DatabaseUnavailable
from . import login
from .load import Load
from .phases import Mask, Replaces
from .run import Run
from .session import Session

ANSWER_SECONDS = 120.0  # an ephemeral server makes its data first
ASK_AGAIN_SECONDS = 0.5
TARGET_FILE = "target-login"
SETTLED_SECONDS = 2.0  # while it does, a first process may serve for a moment and end again


class Target:
    """A session on the database that the plan names, and what its server tells."""

    def __init__(self, plan: RestorePlan | SyncPlan, run: Run) -> None:
        self._plan, self._run = plan, run
        if isinstance(plan.target, EphemeralServer):
            access = login.beside(plan.target)
            self.engine, self.login = login.engine_of(access.endpoint), access
        else:
            self.engine = login.engine_of(plan.target)
            self.login = login.prepare(plan.target, self.engine, TARGET_FILE)
        self.session = Session(run, self.engine, self.login)

    def close(self) -> None:
        """End the session."""
        self.session.close()

    def client(self, state: TargetState, dumped_by: int) -> int:
        """The major of the programs that load a dump of this client. Raises ConfigInvalid when there are none."""
        return self.engine.client(state.major, at_least=dumped_by, dumps=False)

    def load(
        self,
        login: Login,
        client: int,
        state: TargetState,
        *,
        replaces: Replaces,
        settles: bool,
        mask: Mask | None = None,
    ) -> Load:
        """A load into a database of the server; see ``Load``."""
        plan = self._plan
        return Load(
            self._run,
            self.engine,
            login,
            client,
            state.major,
            replaces=replaces,
            lock_timeout_seconds=plan.lock_timeout_seconds,
            application=f"dataguardian-{plan.execution_id[:8]}",
            settles=settles,
            proves=isinstance(plan, RestorePlan),
            mask=mask,
        )

    def connect(self) -> TargetState:
        """Log in, and ask; an ephemeral server is waited for. Raises the engine's error of a login."""
        server = self._plan.target
        if not isinstance(server, EphemeralServer):
            return msgspec.structs.replace(self._state(), free_bytes=self._free_bytes())
        self._run.say("info", "Waiting for the ephemeral server", "server_awaited")
        state = self._awaited()
        self._run.say("info", "The ephemeral server answers", "server_answers", version=state.version)
        disk = os.statvfs(server.data_dir)
        return msgspec.structs.replace(state, free_bytes=disk.f_bavail * disk.f_frsize)

    def with_missing(self, state: TargetState, roles: Sequence[str], extensions: Sequence[str]) -> TargetState:
        """The state, and what the server lacks of these; an ephemeral one gets the roles."""
        if isinstance(self._plan.target, EphemeralServer):
            self.session.ask(self.engine.create_roles(roles))
        question = self.engine.find_missing(roles, extensions)
        missing = self.engine.missing(self.session.ask(question))
        return msgspec.structs.replace(state, missing_roles=missing.roles, missing_extensions=missing.extensions)

    def _state(self) -> TargetState:
        return self.engine.target(self.session.ask(self.engine.describe_target()))

    def _free_bytes(self) -> int | None:
        if self._plan.capacity_bytes is None:
            return None
        used = self.engine.used_bytes(self.session.ask(self.engine.measure_databases()))
        return self._plan.capacity_bytes - used

    def _awaited(self) -> TargetState:
        """The state, once the same server has answered twice."""
        deadline, before = time.monotonic() + ANSWER_SECONDS, ""
        while True:
            try:
                state = self._state()
                if state.started == before:
                    return state
                before = state.started
            except DatabaseUnavailable:
                self._run.check()
                if time.monotonic() > deadline:
                    raise
            self._run.pause(SETTLED_SECONDS if before else ASK_AGAIN_SECONDS)
            self.session.close()
            self.session = Session(self._run, self.engine, self.login)
