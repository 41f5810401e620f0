"""What is too old whatever the advisories say: the dates on which Python's releases end, and least versions.

The tables are in this file, and say when they were written (:data:`AS_OF`). Where they are older than
:data:`STALE_AFTER` days, that is told of: what they say of "newest" is not to be believed any more.

The least versions are those of packages that an API stands on, and the advisory that the one before has. They leave
out faults that the usual way of using a package does not meet, and are no list of advisories: that is what
:func:`~flask_rampart.dependencies.audit` is for.

Sources: devguide.python.org/versions; the advisories named. Looked up again on 2026-11-30, each with the version that
mends it: certifi (GHSA-248v-346w-9cwc), eventlet (as gunicorn's pull request 3445 requires it), flask-httpauth
(GHSA-p44q-vqpr-4xmg), gevent (GHSA-x7m3-jprg-wc5g, and its issue 1989), h11 (GHSA-vqfr-h8mv-ghfj), jinja2
(GHSA-cpwx-vrp4-4pq7), pyyaml (its issue 522), redis (GHSA-8fww-64cx-x8p5), waitress (GHSA-9298-4cf8-g4wj).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from .versions import version_of

AS_OF = date(2026, 11, 30)
STALE_AFTER = 270
"""Days."""

PYTHON_ENDS = {
    (3, 7): date(2023, 6, 27),
    (3, 8): date(2024, 10, 7),
    (3, 9): date(2025, 10, 31),
    (3, 10): date(2026, 10, 31),
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}
"""From when on a release gets no security fixes."""

SUPPORTED = {"flask": "3.1", "werkzeug": "3.1"}
"""The release lines that get fixes: Pallets mends the newest alone."""

LEAST = {
    "authlib": ("1.6.12", "CVE-2026-44681"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("50.0.0", "CVE-2026-69247"),
    "eventlet": ("0.40.3", "CVE-2025-58068"),
    "flask": ("3.1.3", "CVE-2026-27205"),
    "flask-cors": ("6.0.0", "CVE-2024-6839"),
    "flask-httpauth": ("4.8.1", "CVE-2026-34531"),
    "gevent": ("23.9.0", "CVE-2023-41419"),
    "gunicorn": ("23.0.0", "CVE-2024-6827"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.15", "CVE-2026-45409"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pyjwt": ("2.13.0", "CVE-2026-48526"),
    "pymysql": ("1.1.1", "CVE-2024-36039"),
    "python-jose": ("3.4.0", "CVE-2024-33663"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "redis": ("4.5.4", "CVE-2023-28859"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "urllib3": ("2.7.0", "CVE-2026-44431"),
    "waitress": ("3.0.1", "CVE-2024-49768"),
    "werkzeug": ("3.1.6", "CVE-2026-27199"),
}
"""By package: the least version, and what the one before it has."""


class Old(NamedTuple):
    """A package that is older than it should be."""

    name: str
    version: str
    least: str
    because: str


def python_ended(running: tuple[int, int], today: date) -> date | None:
    """The day on which this Python's fixes ended, if it has passed."""
    oldest = min(PYTHON_ENDS)
    if running < oldest:
        return PYTHON_ENDS[oldest]
    ends = PYTHON_ENDS.get(running)
    return ends if ends is not None and ends < today else None


def is_stale(today: date) -> bool:
    """Whether these tables are too old to be believed."""
    return (today - AS_OF).days > STALE_AFTER


def outdated(names: Iterable[str] = LEAST) -> list[Old]:
    """The installed packages of :data:`LEAST` that are older.

    :raises CannotCheck: if ``packaging`` is not installed.
    """
    return [old for name in names if (old := _old(name, *LEAST[name])) is not None]


def unsupported() -> list[Old]:
    """The installed packages of :data:`SUPPORTED` whose release line gets no fixes.

    :raises CannotCheck: as :func:`outdated`.
    """
    return [old for name, line in SUPPORTED.items() if (old := _old(name, line, "")) is not None]


def _old(name: str, least: str, because: str) -> Old | None:
    try:
        text = version(name)
    except PackageNotFoundError:
        return None
    found, wanted = version_of(text), version_of(least)
    if found is None or wanted is None or found >= wanted:
        return None
    return Old(name, text, least, because)
