"""The fields of a kind that runs by a schedule; the API server itself refuses a wrong cron expression."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .common import Model, Status, Timestamp, rule

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"


def _field(value: str) -> str:
    """A list of values, ranges and steps."""
    item = rf"(\*|({value})(-({value}))?)(/[1-9][0-9]?)?"
    return rf"{item}(,{item})*"


_MINUTE = _field("[0-5]?[0-9]")
_HOUR = _field("[01]?[0-9]|2[0-3]")
_DAY_OF_MONTH = _field("0?[1-9]|[12][0-9]|3[01]")
_MONTH = _field(rf"0?[1-9]|1[0-2]|{_MONTHS}")
_DAY_OF_WEEK = _field(rf"[0-7]|{_DAYS}")

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

CRON_PATTERN = rf"^({'|'.join(MACROS)}|({_MINUTE}) +({_HOUR}) +({_DAY_OF_MONTH}) +({_MONTH}) +({_DAY_OF_WEEK}))$"


class ScheduleSpec(Model):
    """When to run."""

    schedule: Annotated[str, Field(max_length=128)] | None = Field(
        default=None,
        description="When to run: five cron fields, or @hourly, @daily, @weekly, @monthly, @yearly. "
        "Absent: manual runs only.",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    f"self.matches(r'{CRON_PATTERN}')",
                    "schedule needs five cron fields (minute, hour, day of month, month, day of week), "
                    "or @hourly, @daily, @weekly, @monthly, @yearly",
                )
            ]
        },
    )
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$")] = Field(
        default="UTC",
        description="IANA time zone of the schedule, e.g. America/Sao_Paulo.",
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
                    "timeZone must be a name of the IANA time zone database",
                )
            ]
        },
    )
    suspend: bool = Field(default=False, description="No scheduled run starts while true.")
    jitter_seconds: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=0,
        description="Runs start up to this much after their slot, each object always by the same time, "
        "so that not all start at once.",
    )
    starting_deadline_seconds: Annotated[int, Field(ge=10, le=604800)] = Field(
        default=3600,
        description="A slot that could not start, because the operator was away, is caught up within this time; "
        "only the latest one is, all others are counted in status.missedSchedules.",
    )
    concurrency_policy: Literal["Allow", "Forbid"] = Field(
        default="Forbid",
        description="Forbid: a slot is missed while an earlier run is queued or running. Allow: it waits behind it.",
    )


class ScheduleStatus(Status):
    """What became of the schedule."""

    last_schedule_time: Timestamp | None = Field(default=None, description="The latest slot that was run.")
    next_schedule_time: Timestamp | None = Field(default=None, description="The slot that comes next.")
    missed_schedules: Annotated[int, Field(ge=0)] = Field(default=0, description="Slots that did not run, since ever.")
