"""Which window of the calendar it is: for quotas that are ``fixed``.

A day begins at midnight in its zone, also when it has 23 or 25 hours; a month and a year with their first day.
Seconds, minutes
and hours divide the day from its beginning on: of a day with 25 hours, the last window of six is one hour long. So
windows never overlap, and each instant is in one.

It counts nothing.
"""

from __future__ import annotations

import functools
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from ..errors import ConfigError

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


@functools.lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name in the IANA database.

    :raises ConfigError: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"{name!r} is no time zone that this system knows. Write one such as 'Europe/Berlin' or 'UTC'; a system "
            "without time zones gets them by pip install tzdata."
        ) from None


def window(zone: str, unit: str, every: int, unix: int) -> tuple[int, int, int]:
    """The window that the second *unix* is in: its first second, the first one after it, and the end of the next.

    >>> window("Europe/Berlin", "day", 1, 1_800_000_000)
    (1799967600, 1800054000, 1800140400)
    """
    start, end = _window(zone_of(zone), unit, every, unix)
    return start, end, _window(zone_of(zone), unit, every, end)[1]


def _window(zone: ZoneInfo, unit: str, every: int, unix: int) -> tuple[int, int]:
    today = datetime.fromtimestamp(unix, zone).date()
    if unit in _SECONDS:
        length = _SECONDS[unit] * every
        start, end = _days(zone, today, _after(today, "day", 1), unix)
        start += (unix - start) // length * length
        return start, min(start + length, end)
    if unit == "month":
        today = today.replace(month=(today.month - 1) // every * every + 1, day=1)
    elif unit == "year":
        today = today.replace(month=1, day=1)
    return _days(zone, today, _after(today, unit, every), unix)


def _days(zone: ZoneInfo, first: date, after: date, unix: int) -> tuple[int, int]:
    start, end = _midnight(zone, first), _midnight(zone, after)
    if end <= unix:
        # The clock was set back over this midnight, which therefore comes twice.
        end = _midnight(zone, after, fold=1)
    return start, end


def _midnight(zone: ZoneInfo, day: date, fold: int = 0) -> int:
    # One that the clock jumps over is the instant of the jump.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone, fold=fold).astimezone(timezone.utc).timestamp())


def _after(day: date, unit: str, every: int) -> date:
    if unit == "day":
        return date.fromordinal(day.toordinal() + every)
    month = day.month - 1 + (every if unit == "month" else 12 * every)
    return date(day.year + month // 12, month % 12 + 1, 1)
