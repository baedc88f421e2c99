"""What the kinds share: names, references, conditions, and the base of every model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

GROUP = "dataguardian.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Model(BaseModel):
    """Camel case on the wire, snake case in code; frozen; unknown fields are ignored, as the API server prunes them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    def wire(self) -> dict[str, Any]:
        """The JSON object as Kubernetes stores it: aliases, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _as_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC to the second, the form of metav1.Time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Timestamp = Annotated[datetime, AfterValidator(_as_utc), PlainSerializer(timestamp, return_type=str, when_used="json")]

# RFC 1123 subdomain, the rule of Kubernetes object names.
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=NAME_PATTERN)]
# The keys of a Secret's or ConfigMap's data.
SecretKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
# Printable text on one line.
Text = Annotated[str, Field(max_length=1024)]
# Go's form of durations, in hours, minutes and seconds.
Duration = Annotated[str, Field(max_length=32, pattern=r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$")]
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds_of(duration: str) -> int:
    """A Duration in seconds: ``1h30m`` → 5400."""
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


# A folder inside a bucket or volume; no empty, "." or ".." part can be written with these.
FolderPath = Annotated[
    str, Field(max_length=256, pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$")
]


class ObjectReference(Model):
    """An object in the same namespace, by name."""

    name: ObjectName = Field(description="Name of the object, in the same namespace.")


class SecretKeyReference(Model):
    """One key of a Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret, in the same namespace.")
    key: SecretKey = Field(default="ca.crt", description="Key inside the Secret.")


class Condition(Model):
    """metav1.Condition."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Type of the condition, in CamelCase.")
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)] = Field(
        description="True, False or Unknown."
    )
    reason: Annotated[str, Field(max_length=1024)] = Field(description="Reason of the last change, in CamelCase.")
    message: Annotated[str, Field(max_length=32768)] = Field(description="What happened and what to do about it.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation that the condition is about.")


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class Status(Model):
    """What every kind's status has."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that this status is about."
    )
    conditions: Conditions = Field(default=[], description="Ready, Reconciling and Stalled, as kstatus reads them.")


class ObjectMeta(Model):
    """The part of an object's metadata that DataGuardian reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: Timestamp
    deletion_timestamp: Timestamp | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


SpecT = TypeVar("SpecT", bound=Model)
StatusT = TypeVar("StatusT", bound=Status)
ModelT = TypeVar("ModelT", bound=Model)
ResourceT = TypeVar("ResourceT", bound="Resource[Any, Any]")


class Resource(Model, Generic[SpecT, StatusT]):
    """One custom resource as read from the API server."""

    metadata: ObjectMeta
    spec: SpecT
    status: StatusT

    @classmethod
    def read(cls, body: Any) -> Self:
        """The object from the API server's JSON; an absent status reads as an empty one."""
        return _slim(cls.model_validate({**body, "status": body.get("status") or {}}))


_NO_FIELDS: set[str] = set()


def _slim(model: ModelT) -> ModelT:
    """The model without pydantic's notes of which fields were given: half of its memory, and asked for nowhere."""
    object.__setattr__(model, "__pydantic_fields_set__", _NO_FIELDS)
    for value in vars(model).values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, Model):
                _slim(part)
    return model


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``; priority 1 shows it with ``-o wide`` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    format: str | None = None


def condition_column(name: str, condition: str, field: str, *, priority: int = 0) -> Column:
    """A column that shows one field of one condition."""
    return Column(name, f".status.conditions[?(@.type=='{condition}')].{field}", priority=priority)


@dataclass(frozen=True)
class Kind(Generic[ResourceT]):
    """What the API server must know of a kind beside its schema."""

    model: type[ResourceT]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    rules: tuple[JsonDict, ...] = ()

    @property
    def name(self) -> str:
        """The kind as written in manifests."""
        return self.model.__name__


def rule(expression: str, message: str) -> JsonDict:
    """One CEL rule of a CRD (x-kubernetes-validations)."""
    return {"rule": expression, "message": message}


def longer_than_nothing(field: str) -> str:
    """CEL: a duration that is more than nothing; its own pattern lets the empty text and zeros pass."""
    return f"self.{field}.matches('[1-9]')"


def validated(*rules: JsonDict) -> ConfigDict:
    """The configuration of a model whose objects must follow these CEL rules."""
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": list(rules)})


def immutable(*rules: JsonDict, but: tuple[str, ...]) -> ConfigDict:
    """The configuration of a spec that never changes but for these fields, whose own rules say how they may."""

    def extend(schema: JsonDict, model: type[Model]) -> None:
        terms = [_unchanged(field) for field in model.model_fields.values() if field.alias not in but]
        frozen = rule(" && ".join(terms), "the spec cannot be changed; create a new object instead")
        schema["x-kubernetes-validations"] = [frozen, *rules]

    return ConfigDict(json_schema_extra=extend)


def _unchanged(field: FieldInfo) -> str:
    """CEL: the field is as it was. One with a default is always there."""
    name = field.alias
    same = f"self.{name} == oldSelf.{name}"
    if field.is_required() or field.default is not None:
        return same
    return f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})"
