"""The pattern of cron expressions, so that the API server itself refuses a wrong one."""

from __future__ import annotations

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
