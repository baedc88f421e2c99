"""Which backups of one job are kept: those that any rule of its policy keeps. docs/retention.md tells it to people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import msgspec

from ..errors import SpecInvalid
from .naming import human_seconds
from .plan import RetentionPolicy

NOTHING_HELD: Mapping[str, str] = MappingProxyType({})
NO_RULE = "no rule"
FUTURE = "dated in the future"
NEWEST = "newest good backup"
UNSURPASSED = "no newer good backup"  # of one that is damaged where it was seen

# The word of a rule in a BackupJob, and how the period that a backup belongs to is written.
PERIODS: Mapping[str, str] = {
    "keepDaily": "%Y-%m-%d",
    "keepWeekly": "%G-W%V",
    "keepMonthly": "%Y-%m",
    "keepYearly": "%Y",
}


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One stored backup, as its manifests tell it."""

    execution_id: str
    execution_name: str
    job_uid: str
    time: datetime  # when its run started
    copies: Mapping[str, bool]  # location → whether every stored object is there

    @property
    def good(self) -> bool:
        """Whether it can be restored from a location that was seen."""
        return any(self.copies.values())


class Verdict(msgspec.Struct, frozen=True):
    """A backup, and the rules that keep it; without one it may go."""

    backup: Backup
    kept_by: list[str]


class Judgement(msgspec.Struct, frozen=True):
    """All backups, the newest first, and how long this holds if nothing but time passes (None: for ever)."""

    verdicts: list[Verdict]
    next_expiry: datetime | None


def judge(
    backups: Collection[Backup], policy: RetentionPolicy, now: datetime, held: Mapping[str, str] = NOTHING_HELD
) -> Judgement:
    """Judge the backups of one job. Raises SpecInvalid for backups of several jobs, or an unknown time zone.

    Only good backups dated up to now take a place of a rule, so that no damage, no unseen location and no wrong clock
    can push a good backup out. ``held``: id of the execution → why its backup stays whatever the rules say.
    """
    _check(backups)
    ordered = sorted(backups, key=lambda backup: (backup.time, backup.execution_id), reverse=True)
    places = _places(policy)
    if not places and policy.max_age_seconds is None:
        return Judgement([Verdict(backup, [NO_RULE]) for backup in ordered], None)
    places.append(_Places(1, _itself, lambda backup, rank: NEWEST if backup.good else UNSURPASSED))
    age = policy.max_age_seconds
    verdicts, changes = [], []
    for backup in ordered:
        if backup.time > now:
            verdicts.append(Verdict(backup, [*_held(backup, held), FUTURE]))
            changes.append(backup.time)  # from then on it takes places
            continue
        kept_by = [reason for place in places if (reason := place.taken_by(backup))]
        if age is not None and now - backup.time < timedelta(seconds=age):
            if not kept_by:
                changes.append(backup.time + timedelta(seconds=age))
            kept_by.append(f"maxAge {human_seconds(age)}")
        verdicts.append(Verdict(backup, _held(backup, held) + kept_by))
    return Judgement(verdicts, min(changes, default=None))


def _held(backup: Backup, held: Mapping[str, str]) -> list[str]:
    return [held[backup.execution_id]] if backup.execution_id in held else []


def in_words(policy: RetentionPolicy) -> str:
    """The rules of a policy as a person writes them: ``maxBackups 3, keepDaily 7``."""
    age = policy.max_age_seconds
    rules = {"maxBackups": policy.max_backups, "maxAge": None if age is None else human_seconds(age)}
    rules |= _periods(policy)
    return ", ".join(f"{word} {value}" for word, value in rules.items() if value is not None) or NO_RULE


class _Places:
    """A rule with so many places: one for the newest good backup of each of the newest periods."""

    def __init__(self, count: int, period: Callable[[Backup], str], words: Callable[[Backup, int], str]) -> None:
        self._count, self._period, self._words = count, period, words
        self._taken: set[str] = set()

    def taken_by(self, backup: Backup) -> str | None:
        """Why the rule keeps the backup, or None; ask from the newest to the oldest.

        A damaged one is kept where a good one would be, as it may be good where it was not seen; it takes no place.
        """
        period = self._period(backup)
        if period in self._taken or len(self._taken) >= self._count:
            return None
        words = self._words(backup, len(self._taken) + 1)
        if backup.good:
            self._taken.add(period)
        return words


def _places(policy: RetentionPolicy) -> list[_Places]:
    places = []
    if (count := policy.max_backups) is not None:
        places.append(_Places(count, _itself, lambda backup, rank: f"maxBackups {rank}/{count}"))
    zone = _zone(policy.time_zone)
    for word, kept in _periods(policy).items():
        if kept is not None:
            places.append(_period_places(word, kept, zone))
    return places


def _period_places(word: str, count: int, zone: ZoneInfo) -> _Places:
    def period(backup: Backup) -> str:
        return backup.time.astimezone(zone).strftime(PERIODS[word])

    return _Places(count, period, lambda backup, rank: f"{word} {period(backup)}")


def _periods(policy: RetentionPolicy) -> dict[str, int | None]:
    counts = (policy.keep_daily, policy.keep_weekly, policy.keep_monthly, policy.keep_yearly)
    return dict(zip(PERIODS, counts, strict=True))


def _itself(backup: Backup) -> str:
    return backup.execution_id


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise SpecInvalid(
            f"spec.timeZone {name!r} is unknown.", remedy="Write a name such as America/Sao_Paulo."
        ) from error


def _check(backups: Collection[Backup]) -> None:
    """Nothing is removed on a guess."""
    jobs = {backup.job_uid for backup in backups}
    if len(jobs) > 1 or len({backup.execution_id for backup in backups}) < len(backups):
        raise SpecInvalid(
            f"Backups of {len(jobs)} jobs, or one backup twice, cannot be judged together: {', '.join(sorted(jobs))}.",
            remedy="Move the manifests that do not belong to the job out of its folder.",
        )
