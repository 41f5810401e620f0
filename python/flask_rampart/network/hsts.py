"""Climbs to a long ``Strict-Transport-Security`` by steps, so that a mistake costs minutes and not years.

A browser that has seen the field does not take plain HTTP of this host until ``max-age`` has passed, whatever is done
on the server (RFC 6797). Who sends two years on the first day, and then finds a subdomain without a certificate, waits
two years. With ``RAMPART_HSTS_SINCE`` set to the day on which it began:

=============  ===========================================
from day       ``max-age``
=============  ===========================================
0              5 minutes
1              a week
8              a month
38             what ``RAMPART_HSTS`` says; two years
=============  ===========================================

No step is longer than the last. ``preload`` is sent with the last alone: the browsers' list takes no shorter one. Days
are counted in UTC; before the first, nothing is sent.

It is sent over TLS alone, and never to ``localhost`` or to an address: ``src/headers/hsts.rs`` decides that, for the
constant field without steps as well.

In deployment: a host whose clock is wrong climbs too early or too late. A worker climbs without a restart.

Source: the steps that hstspreload.org recommends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..exchange import Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FIELD = "Strict-Transport-Security"
DEFAULT = "max-age=63072000; includeSubDomains"
"""What the profiles send (``src/headers/profiles.rs``)."""

_DAY = 86400
_STEPS = ((0, 300), (1, 7 * _DAY), (8, 30 * _DAY))
_LAST = 38


class Ramp:
    """What is sent at which time.

    :param last: the field's value at the end.
    :param since: its first day.
    :raises ConfigError: if the end is no longer than the beginning.

    >>> ramp = Ramp("max-age=63072000; includeSubDomains; preload", date(2026, 11, 29))
    >>> ramp.at(datetime(2026, 11, 30, tzinfo=timezone.utc).timestamp())
    'max-age=604800; includeSubDomains'
    """

    def __init__(self, last: str, since: date) -> None:
        begin = datetime(since.year, since.month, since.day, tzinfo=timezone.utc).timestamp()
        found = re.match(r"max-age=([0-9]+)", last)
        end = int(found[1]) if found else 0
        if end <= _STEPS[0][1]:
            raise ConfigError(
                "RAMPART_HSTS_SINCE climbs from 5 minutes to the max_age of RAMPART_HSTS, which is not longer. Leave "
                "RAMPART_HSTS_SINCE out to send it as it is."
            )
        rest = last[found.end() :].replace("; preload", "") if found else ""
        steps = [(day, f"max-age={min(age, end)}{rest}") for day, age in _STEPS]
        self._times = [begin + day * _DAY for day, _ in steps] + [begin + _LAST * _DAY]
        self._values = ["", *(value for _, value in steps), last]

    def at(self, now: float) -> str:
        """The field's value; empty before the first day."""
        return self._values[bisect_right(self._times, now)]

    def span(self, now: float) -> tuple[float, float]:
        """From when until before when that is the value."""
        index = bisect_right(self._times, now)
        times = [float("-inf"), *self._times, float("inf")]
        return times[index], times[index + 1]


class Climb:
    """The step of the edge that sends it."""

    def __init__(self, ramp: Ramp, now: Callable[[], float]) -> None:
        self._ramp = ramp
        self._now = now
        # What is sent from when until when: one assignment, which threads see whole.
        self._current: tuple[float, float, tuple[tuple[str, str], ...]] = (0.0, 0.0, ())

    def stop(self) -> None:
        """Sends nothing from now on."""
        self._current = (float("-inf"), float("inf"), ())

    def __call__(self, environ: WSGIEnvironment, exchange: Exchange) -> None:
        if environ.get("wsgi.url_scheme") not in ("https", "wss"):
            return
        now = self._now()
        begin, end, sends = self._current
        if not begin <= now < end:
            value = self._ramp.at(now)
            sends = ((FIELD, value),) if value else ()
            self._current = (*self._ramp.span(now), sends)
        exchange.sends += sends
