"""When a schedule is due: one slot for each civil time of its time zone, also where clocks change (cronsim's rule)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ..errors import SpecInvalid
from ..resources.schedule import MACROS


def next_slot(schedule: str, time_zone: str, after: datetime) -> datetime:
    """The first slot later than ``after``, in UTC. Raises SpecInvalid for a schedule that never comes."""
    expression = MACROS.get(schedule, schedule)
    try:
        zone = ZoneInfo(time_zone)
        slots = (slot.astimezone(UTC) for slot in CronSim(expression, after.astimezone(zone)))
        # In the hour that clocks repeat, cronsim counts from its first passing.
        return next(slot for slot in slots if slot > after)
    except (CronSimError, StopIteration) as error:
        raise SpecInvalid(
            f"spec.schedule {schedule!r} is never due.", remedy="Write five cron fields that meet some day."
        ) from error
    except ZoneInfoNotFoundError as error:
        raise SpecInvalid(
            f"spec.timeZone {time_zone!r} is unknown.", remedy="Write a name such as America/Sao_Paulo."
        ) from error
