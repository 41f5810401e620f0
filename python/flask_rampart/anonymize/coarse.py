"""Values made coarser, so that more people share them. Pure functions, one for each kind.

Each reads strictly: what is not as it says is refused (:class:`AnonymizeRefused`), never passed on as it was. None
stays None.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from .. import _native
from ..errors import ConfigError


def coarse_date(
    value: str | date | None,
    *,
    to: Literal["day", "week", "month", "quarter", "year", "decade"],
    format: str = "YYYY-MM-DD",
    earliest: int | None = None,
) -> str | None:
    """The period of a date: ``"1984-05-09"``, ``"1984-W19"`` (ISO 8601), ``"1984-05"``, ``"1984-Q2"``, ``"1984"``,
    ``"1980s"``.

    A time of day may follow (ISO 8601); it is dropped, and its zone is not applied.

    :param format: how a text writes it: ``YYYY``, ``MM``, ``DD`` once each, with marks between them.
    :param earliest: dates before this year become ``"<year"``.
    :raises AnonymizeRefused: ``date`` or ``kind``.
    :raises ConfigError: for another *to*, *format* or *earliest*.

    >>> coarse_date("1984-05-09T12:30Z", to="quarter"), coarse_date("09.05.1984", to="decade", format="DD.MM.YYYY")
    ('1984-Q2', '1980s')
    """
    return _text(value, do="date", to=to, format=format, earliest=earliest)


def age_band(
    value: str | date | None, *, reference: date | str, width: int = 10, top: int = 90, format: str = "YYYY-MM-DD"
) -> str | None:
    """The band of the age that somebody has on the day *reference* who was born on *value*.

    From *top* years on it is one band, ``"90+"`` (45 CFR 164.514(b)(2)(i)(C)).

    :param reference: a date, or ``"YYYY-MM-DD"``.
    :param width: of the bands, 1 to 50 years.
    :raises AnonymizeRefused: ``date``, ``kind``, or ``range`` for a birth after that day or 150 years before it.
    :raises ConfigError: for what cannot be.

    >>> age_band("1990-06-15", reference="2026-06-14"), age_band("1930-01-01", reference="2026-06-14")
    ('30-39', '90+')
    """
    return _text(value, do="age", reference=str(reference), width=width, top=top, format=format)


def coarse_number(
    value: Any,
    *,
    edges: Sequence[float] | None = None,
    width: float | None = None,
    origin: float | None = None,
    round: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A number in a bin, rounded, or held between bounds; exact in decimals.

    :param edges: of bins, rising: ``"<0"``, ``"[0, 18)"``, ``">=18"``.
    :param width: of bins that are counted from *origin*.
    :param round: to the nearest multiple, halves away from zero; a number stays one.
    :param low: what is below it is it (or ``"<low"``); *high*: what is not below it is it (or ``">=high"``).
    :raises AnonymizeRefused: ``number``, ``kind``, or ``range`` beyond 30 digits.
    :raises ConfigError: for what cannot be.

    >>> coarse_number(0.3, width=0.1), coarse_number("17", edges=[0, 18, 65]), coarse_number(1234, round=100, high=1000)
    ('[0.3, 0.4)', '[0, 18)', 1000)
    """
    given = {"edges": None if edges is None else tuple(edges), "width": width, "origin": origin, "round": round}
    return _apply(value, do="number", **given, low=low, high=high)


def coarse_postcode(
    value: str | None,
    *,
    keep: int,
    country: Literal["us"] | None = None,
    small: Sequence[str] | Literal["us-2000"] = (),
    instead: str = "000",
) -> str | None:
    """The first *keep* letters and digits of a postcode, in capitals.

    For HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)(B)): ``keep=3, country="us", small="us-2000"``.

    :param country: ``"us"``: five digits, or nine with a dash. None: letters and digits, with single blanks or dashes.
    :param small: beginnings that become *instead*, because too few people live there. ``"us-2000"`` are those of the
        census of 2000, as the Department of Health and Human Services lists them.
    :raises AnonymizeRefused: ``postcode``, also for one that would be kept whole; ``kind`` for a number, which has
        lost its zeros.
    :raises ConfigError: for what cannot be.

    >>> coarse_postcode("sw1a 1aa", keep=2), coarse_postcode("03601", keep=3, country="us", small="us-2000")
    ('SW', '000')
    """
    listed = small if isinstance(small, str) else tuple(small)
    return _text(value, do="postcode", keep=keep, country=country, small=listed, instead=instead)


def network(value: str | None, *, v4: int = 24, v6: int = 48) -> str | None:
    """The network of an IP address, by so many bits. An IPv4 address in an IPv6 one is an IPv4 address.

    :raises AnonymizeRefused: ``ip`` or ``kind``.
    :raises ConfigError: for what cannot be.

    >>> network("192.0.2.77"), network("2001:db8:1:2::3")
    ('192.0.2.0/24', '2001:db8:1::/48')
    """
    return _text(value, do="ip", v4=v4, v6=v6)


def coarse_place(value: Any, *, decimals: int) -> Any:
    """A coordinate in degrees, or a text of two, ``"latitude,longitude"``, with 0 to 4 decimals.

    One decimal is some 11 km from north to south, two are 1.1 km.

    :raises AnonymizeRefused: ``number``, ``kind``, or ``range``.
    :raises ConfigError: for what cannot be.

    >>> coarse_place(48.8566, decimals=1), coarse_place("48.8566, 2.3522", decimals=2)
    (48.9, '48.86,2.35')
    """
    return _apply(value, do="geo", decimals=decimals)


def _text(value: object, **rule: Any) -> str | None:
    made: str | None = _apply(value, **rule)
    return made


def _apply(value: object, **rule: Any) -> Any:
    return _plan(tuple(sorted((name, given) for name, given in rule.items() if given is not None))).apply_row(
        {"value": value}
    )["value"]


@lru_cache(maxsize=64)
def _plan(rule: tuple[tuple[str, Any], ...]) -> _native.AnonymizePlan:
    try:
        return _native.AnonymizePlan({"columns": {"value": dict(rule)}})
    except ValueError as error:
        raise ConfigError(str(error).replace('columns."value".', "").replace('columns."value": ', "")) from None
