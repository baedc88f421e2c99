"""Datasource: a database that can be reached."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import (
    Column,
    Kind,
    Model,
    ObjectName,
    Resource,
    SecretKey,
    SecretKeyReference,
    Status,
    Timestamp,
    condition_column,
    rule,
    validated,
)

Engine = Literal["postgresql"]
TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

# A DNS name or an IP address: nothing that libpq would read as a list, a socket path or an option.
Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$")]
# PostgreSQL's identifiers end at 63 bytes. No control characters; none that could begin an option.
DatabaseName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$")]


class ExpectedTarget(Model):
    """What the database must be that a Datasource leads to, or nothing is written to it."""

    model_config = validated(
        rule("has(self.serverIdentity) || has(self.database)", "expectedTarget needs serverIdentity or database"),
    )

    server_identity: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None,
        description="Identity of the server, as a dry run tells it (PostgreSQL: its system identifier).",
    )
    database: DatabaseName | None = Field(default=None, description="Name of the database.")


class CredentialsReference(Model):
    """A Secret that holds a user's name and password."""

    name: ObjectName = Field(description="Name of the Secret, in the same namespace.")
    username_key: SecretKey = Field(default="username", description="Key of the user's name.")
    password_key: SecretKey = Field(default="password", description="Key of the password.")


class Tls(Model):
    """Transport security, in libpq's words (sslmode)."""

    model_config = validated(
        rule(
            "!self.mode.startsWith('verify') || has(self.caSecretRef)",
            "verify-ca and verify-full need caSecretRef",
        )
    )

    mode: TlsMode = Field(default="prefer", description="disable, prefer, require, verify-ca or verify-full.")
    ca_secret_ref: SecretKeyReference | None = Field(
        default=None, description="Certificate authority that signed the server's certificate (PEM)."
    )


class Check(Model):
    """How the database is checked."""

    interval_seconds: Annotated[int, Field(ge=30, le=86400)] = Field(
        default=300, description="Seconds between two checks of a healthy database."
    )
    latency_warning_ms: Annotated[int, Field(ge=1, le=600000)] = Field(
        default=1000,
        description="A login and a query that take longer turn the health to warning (milliseconds).",
    )


class DatasourceSpec(Model):
    """Where the database is and how to log in."""

    engine: Engine = Field(description="Kind of database.")
    host: Hostname = Field(description="DNS name or address of the server.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(default=5432, description="TCP port of the server.")
    database: DatabaseName = Field(description="Name of the database.")
    credentials_secret_ref: CredentialsReference = Field(description="Secret with the user's name and password.")
    tls: Tls = Field(default=Tls(), description="Transport security.")
    max_concurrent_executions: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="Backups, restores and syncs that may use the database at once; others wait."
    )
    storage_capacity_bytes: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Size of the disk that the server has for all its databases. Where it is given, a restore that "
        "would not fit is refused; SQL cannot tell it.",
    )
    classification: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")]],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = Field(
        default=[],
        description="What kind of data it has, e.g. production: such a database is no target of a DatabaseSyncJob "
        "unless that says so.",
    )
    check: Check = Field(default=Check(), description="How the database is checked.")


class DatasourceStatus(Status):
    """The latest check."""

    health: Literal["healthy", "warning", "critical", "unknown"] | None = Field(
        default=None, description="healthy, warning (slow), critical (no login) or unknown (not checked yet)."
    )
    latency_ms: int | None = Field(default=None, ge=0, description="Time of a login and a query, in milliseconds.")
    server_version: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Version that the server reports."
    )
    last_checked_time: Timestamp | None = Field(default=None, description="When the last check ended.")


class Datasource(Resource[DatasourceSpec, DatasourceStatus]):
    """A database that can be reached: engine, address, and credentials by reference."""


KIND = Kind(
    model=Datasource,
    plural="datasources",
    short_name="dgds",
    columns=(
        Column("Engine", ".spec.engine"),
        Column("Host", ".spec.host", priority=1),
        Column("Database", ".spec.database"),
        Column("Health", ".status.health"),
        Column("Version", ".status.serverVersion"),
        Column("Checked", ".status.lastCheckedTime", type="date"),
        condition_column("Reason", "Ready", "reason", priority=1),
    ),
)
