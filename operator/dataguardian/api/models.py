"""What the queries and answers of the API are made of: snake case, times in UTC, nothing unknown taken."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from ..rfc3339 import written

MOST = 500  # of one page
USUAL = 50

ItemT = TypeVar("ItemT")


Moment = Annotated[datetime, PlainSerializer(written, return_type=str, when_used="json")]
# A moment that a caller names; one without a zone would mean another one to each reader.
AskedMoment = AwareDatetime


class Answer(BaseModel):
    """What is answered. Absent is null: a reader can tell what is unknown from what does not exist."""

    model_config = ConfigDict(frozen=True)


class Asked(BaseModel):
    """A query. A name that is misspelt is told, not passed by."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ListQuery(Asked):
    """Which page of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    limit: int = Field(default=USUAL, ge=1, le=MOST, description="Number of items at most.")
    continue_: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, alias="continue", description="`continue` of the page before, with the same filters."
    )

    def values(self) -> dict[str, Any]:
        """What is asked for beside the page and the namespace, as the ``Filter`` of the list has it."""
        return self.model_dump(exclude={"namespace", "limit", "continue_"})

    def filters(self) -> dict[str, Any]:
        """What is asked for beside the page."""
        return self.model_dump(mode="json", exclude={"limit", "continue_"}, exclude_none=True)


class Page(Answer, Generic[ItemT]):
    """A page of a list."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    data: list[ItemT] = Field(description="The items, in a stable order.")
    continue_: str | None = Field(
        default=None, alias="continue", description="Asks for the next page; null on the last one."
    )
