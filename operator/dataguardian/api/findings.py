"""What a verification and a dry run found, as the API tells it: the status of their run objects in snake case."""

from __future__ import annotations

from pydantic import AliasGenerator, ConfigDict
from pydantic.alias_generators import to_camel

from ..resources.restore import PreviewStatus, VerificationStatus

# Rows have it as the status has it.
TOLD = ConfigDict(alias_generator=AliasGenerator(validation_alias=to_camel, serialization_alias=str))


class Verification(VerificationStatus):
    """What a verification found."""

    model_config = TOLD


class Preview(PreviewStatus):
    """What a restore would do."""

    model_config = TOLD
