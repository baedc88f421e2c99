"""What the environment says, read once at the start of a process; secrets are files, named here by their paths."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ConfigInvalid

PREFIX = "DATAGUARDIAN_"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the kubelet, Prometheus and other pods' sidecars come to the pod's address


def read_secret(path: Path) -> str:
    """The text of a secret's file, without the newline that editors add. Raises ConfigInvalid."""
    try:
        return path.read_text().rstrip("\r\n")
    except OSError as error:
        raise ConfigInvalid(
            f"The secret file {path} cannot be read: {error.strerror}.",
            remedy="Mount the Secret that the chart's values name, with the keys that they name.",
        ) from error


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """Where history is kept."""

    host: str
    port: int
    database: str
    username_file: Path
    password_file: Path
    sslmode: str


@dataclass(frozen=True, kw_only=True)
class RedisSettings:
    """Where the queues are."""

    host: str
    port: int
    password_file: Path | None
    tls: bool


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How a throw-away server of one engine is started beside a runner."""

    image: str  # {major} in it becomes the server's major version
    user: int = 999
    size_limit: str = ""  # of its disk; empty: that of the node
    resources: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunnerSettings:
    """What the pods of the runs are made of."""

    image: str
    image_pull_policy: str
    image_pull_secrets: tuple[str, ...]
    servers: dict[str, ServerSettings] = field(default_factory=dict)  # by engine


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """How many runs there are at once, and how long the pod of one may take to start."""

    max_concurrent: int = 10
    start_deadline_seconds: int = 600


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """How much the operator asks of the API server."""

    per_second: int
    burst: int


@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """All that the operator is told, so that a standby that could not lead says so at its start."""

    namespace: str
    liveness_port: int
    metrics_port: int
    postgres: PostgresSettings
    redis: RedisSettings
    runner: RunnerSettings
    requests: RequestLimits
    limits: RunLimits


@dataclass(frozen=True, kw_only=True)
class OperatorsSettings:
    """Where the operators are, for the sidecar that asks the one that leads."""

    namespace: str = "dataguardian"
    liveness_port: int = 8081


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The variables of this process, with errors that name the variable."""

    values: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        """The variable's value. Raises ConfigInvalid when it is absent and has no default."""
        value = self.values.get(PREFIX + name, "") or default
        if value is None:
            raise ConfigInvalid(
                f"The environment variable {PREFIX}{name} is not set.",
                remedy="Install with the chart, or set it.",
            )
        return value

    def number(self, name: str, default: int) -> int:
        """The variable's value as a whole number."""
        value = self.text(name, str(default))
        try:
            return int(value)
        except ValueError as error:
            raise ConfigInvalid(
                f"The environment variable {PREFIX}{name} is {value!r}.", remedy="Set it to a whole number."
            ) from error

    def path(self, name: str) -> Path | None:
        """The variable's value as a path; None when it is absent."""
        value = self.values.get(PREFIX + name, "")
        return Path(value) if value else None


def environment() -> Environment:
    """This process's own variables."""
    return Environment(values=os.environ)


def postgres(env: Environment) -> PostgresSettings:
    """Settings of the history database."""
    return PostgresSettings(
        host=env.text("POSTGRES_HOST"),
        port=env.number("POSTGRES_PORT", 5432),
        database=env.text("POSTGRES_DATABASE", "dataguardian"),
        username_file=Path(env.text("POSTGRES_USERNAME_FILE")),
        password_file=Path(env.text("POSTGRES_PASSWORD_FILE")),
        sslmode=env.text("POSTGRES_SSLMODE", "prefer"),
    )


def redis(env: Environment) -> RedisSettings:
    """Settings of the queue server."""
    return RedisSettings(
        host=env.text("REDIS_HOST"),
        port=env.number("REDIS_PORT", 6379),
        password_file=env.path("REDIS_PASSWORD_FILE"),
        tls=env.text("REDIS_TLS", "false") == "true",
    )


def runner(env: Environment) -> RunnerSettings:
    """Settings of the runner's pods."""
    secrets = env.text("RUNNER_IMAGE_PULL_SECRETS", " ").split(",")
    return RunnerSettings(
        image=env.text("RUNNER_IMAGE"),
        image_pull_policy=env.text("RUNNER_IMAGE_PULL_POLICY", "IfNotPresent"),
        image_pull_secrets=tuple(name.strip() for name in secrets if name.strip()),
        servers=servers(env),
    )


def servers(env: Environment) -> dict[str, ServerSettings]:
    """The throw-away servers for verifications, by engine. Raises ConfigInvalid for what is no JSON of them."""
    text = env.text("VERIFICATION_SERVERS", "{}")
    try:
        return {engine: ServerSettings(**given) for engine, given in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigInvalid(
            f"The environment variable {PREFIX}VERIFICATION_SERVERS cannot be read: {error}.",
            remedy="Install with the chart, which makes it from the values under verification.",
        ) from error


def run_limits(env: Environment) -> RunLimits:
    """Limits of the runs of this installation. Raises ConfigInvalid for one below 1."""
    limits = RunLimits(
        max_concurrent=env.number("MAX_CONCURRENT_EXECUTIONS", RunLimits.max_concurrent),
        start_deadline_seconds=env.number("START_DEADLINE_SECONDS", RunLimits.start_deadline_seconds),
    )
    if limits.max_concurrent < 1 or limits.start_deadline_seconds < 1:
        raise ConfigInvalid(
            f"{PREFIX}MAX_CONCURRENT_EXECUTIONS is {limits.max_concurrent} and {PREFIX}START_DEADLINE_SECONDS "
            f"{limits.start_deadline_seconds}.",
            remedy="Set both to 1 or more.",
        )
    return limits


def requests(env: Environment) -> RequestLimits:
    """The bound on the operator's requests to the API server. Raises ConfigInvalid when it allows none."""
    limits = RequestLimits(per_second=env.number("KUBERNETES_QPS", 100), burst=env.number("KUBERNETES_BURST", 200))
    if limits.per_second < 1 or limits.burst < 1:
        raise ConfigInvalid(
            f"{PREFIX}KUBERNETES_QPS is {limits.per_second} and {PREFIX}KUBERNETES_BURST {limits.burst}.",
            remedy="Set both to 1 or more.",
        )
    return limits


def operators(env: Environment) -> OperatorsSettings:
    """Where the operators of this installation are."""
    return OperatorsSettings(
        namespace=env.text("NAMESPACE", OperatorsSettings.namespace),
        liveness_port=env.number("LIVENESS_PORT", OperatorsSettings.liveness_port),
    )


def operator(env: Environment) -> OperatorSettings:
    """Settings of the operator. Raises ConfigInvalid."""
    return OperatorSettings(
        namespace=env.text("NAMESPACE"),
        liveness_port=env.number("LIVENESS_PORT", OperatorsSettings.liveness_port),
        metrics_port=env.number("METRICS_PORT", 9090),
        postgres=postgres(env),
        redis=redis(env),
        runner=runner(env),
        requests=requests(env),
        limits=run_limits(env),
    )
