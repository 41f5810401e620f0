"""The packages and the Python that the app runs on, by the tables of :mod:`~flask_rampart.dependencies.ages`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from ..dependencies import CannotCheck, ages
from .findings import Finding, Place
from .subject import Subject, found

_SERVERS = (
    "gunicorn",
    "granian",
    "waitress",
    "uwsgi",
    "pyuwsgi",
    "hypercorn",
    "mod-wsgi",
    "bjoern",
    "cheroot",
    "gevent",
)


def check(subject: Subject) -> Iterator[Finding]:
    """What is too old, and what is missing."""
    yield from old(subject.today, subject.notes)
    if not any(_is_installed(name) for name in _SERVERS):
        yield found("RMP-805", "What is left is the development server, which is made for one developer.")


def old(today: date, notes: list[str]) -> Iterator[Finding]:
    """What is too old.

    :param notes: where it is told if versions cannot be compared.
    """
    if ages.is_stale(today):
        yield found("RMP-804", f"Its tables are of {ages.AS_OF}.")
    running = sys.version_info[:2]
    ended = ages.python_ended((running[0], running[1]), today)
    if ended is not None:
        yield found("RMP-802", f"Python {running[0]}.{running[1]} has got none since {ended}.")
    try:
        for each in ages.outdated():
            yield found(
                "RMP-801",
                f"{each.name} {each.version} has {each.because}: {each.least} is the least version.",
                Place(package=each.name),
            )
        for each in ages.unsupported():
            yield found(
                "RMP-803",
                f"{each.name} {each.version} gets none: {each.least} is the line that does, as of {ages.AS_OF}.",
                Place(package=each.name),
            )
    except CannotCheck as error:
        notes.append(str(error))


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
