"""When a schedule is due: one slot for each civil time of its time zone, also where clocks change (cronsim's rule)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ..errors import SpecInvalid
from ..resources.schedule import MACROS, ScheduleSpec

# How far back missed slots are counted after a pause: 10,080 of a schedule for every minute.
COUNTED = timedelta(days=7)
INTERVALS = 16384  # known at once: those of all jobs, which are asked for at each scrape and change once a slot


@dataclass(frozen=True)
class Timing:
    """What decides when a scheduled object runs."""

    schedule: str
    time_zone: str
    delay: timedelta  # after each slot, the same for all slots of one object
    deadline: timedelta  # after which a slot that could not start is missed

    @classmethod
    def of(cls, spec: ScheduleSpec, uid: str) -> Timing | None:
        """None for an object that has no schedule, or is suspended."""
        if spec.schedule is None or spec.suspend:
            return None
        return cls(
            spec.schedule,
            spec.time_zone,
            _delay(uid, spec.jitter_seconds),
            timedelta(seconds=spec.starting_deadline_seconds),
        )

    def next_slot(self, after: datetime) -> datetime:
        """The first slot later than ``after``. Raises SpecInvalid for a schedule that never comes."""
        return next_slot(self.schedule, self.time_zone, after)

    def is_due(self, slot: datetime, now: datetime) -> bool:
        """Whether a slot's time has come."""
        return slot + self.delay <= now

    def has_slot(self, moment: datetime) -> bool:
        """Whether the moment is a slot of this schedule."""
        return self.next_slot(moment - timedelta(seconds=1)) == moment


@dataclass(frozen=True, kw_only=True)
class Due:
    """What the slots up to now come to."""

    run: datetime | None  # the latest one, while its deadline has not passed
    missed: int
    following: datetime  # the first one that is not due yet


def due(timing: Timing, first: datetime, now: datetime) -> Due:
    """Judge the slots from ``first``, itself a slot, to now: only the latest one runs, the others are missed."""
    reached = now - timing.delay
    begin = max(first, reached - COUNTED)
    latest, passed = None, 0
    for slot in _slots(timing.schedule, timing.time_zone, begin - timedelta(seconds=1)):
        if slot > reached:
            break
        latest, passed = slot, passed + 1
    if latest is None or reached - latest > timing.deadline:
        return Due(run=None, missed=passed, following=slot)
    return Due(run=latest, missed=passed - 1, following=slot)


def next_slot(schedule: str, time_zone: str, after: datetime) -> datetime:
    """The first slot later than ``after``, in UTC. Raises SpecInvalid for a schedule that never comes."""
    return next(_slots(schedule, time_zone, after))


@lru_cache(maxsize=INTERVALS)
def interval_after(schedule: str, time_zone: str, slot: datetime) -> timedelta:
    """From a slot to the next one. Raises SpecInvalid for a schedule that never comes."""
    return next_slot(schedule, time_zone, slot) - slot


def _delay(uid: str, jitter_seconds: int) -> timedelta:
    """The object's own part of the jitter, so that the times between its runs stay as they are written."""
    return timedelta(seconds=int.from_bytes(sha256(uid.encode()).digest()[:8]) % (jitter_seconds + 1))


def _never(schedule: str) -> SpecInvalid:
    return SpecInvalid(f"spec.schedule {schedule!r} is never due.", remedy="Write five cron fields that meet some day.")


def _slots(schedule: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The slots later than ``after``, in order, in UTC. Raises SpecInvalid as soon as none is to come."""
    expression = MACROS.get(schedule, schedule)
    try:
        zone = ZoneInfo(time_zone)
        for slot in CronSim(expression, after.astimezone(zone)):
            moment = slot.astimezone(UTC)
            # In the hour that clocks repeat, cronsim counts from its first passing; times in the hour that they leave
            # out all become its end.
            if moment > after:
                yield (after := moment)
    except CronSimError as error:
        raise _never(schedule) from error
    except ZoneInfoNotFoundError as error:
        raise SpecInvalid(
            f"spec.timeZone {time_zone!r} is unknown.", remedy="Write a name such as America/Sao_Paulo."
        ) from error
    raise _never(schedule)
