"""Compares installed packages with advisories.

1. An advisory that was withdrawn counts for nothing.
2. Advisories that are aliases of each other are one: it is told of once, with all its names.
3. What the advisory leaves open (no versions and no ranges that can be read), and a package whose version is none by
   PEP 440, is told of as undecided: somebody has to look.
4. How old files are is told by their newest advisory. Where one is dated in the future, that is undecided, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from .cache import Cache
from .files import advisories_in
from .index import Index
from .osv import Advisory, affects, fixes
from .packages import Package
from .service import CANARY_IDS, Found, Service
from .versions import version_of


class Affected(NamedTuple):
    """An installed package that an advisory is about."""

    package: Package
    id: str
    aliases: tuple[str, ...]
    summary: str
    fixed_in: tuple[str, ...]
    """The releases that fix it, the first first; empty if none is known."""


class Outcome(NamedTuple):
    """What a comparison found."""

    source: str
    checked: int
    """Packages that were compared."""
    advisories: int | None
    """Advisories in the file; None for a service."""
    affected: tuple[Affected, ...]
    undecided: tuple[tuple[Package, str], ...]
    """Packages of which it is not known, each with why."""
    age: float | None
    """Seconds since the service said it, where that was kept; of files, since the newest advisory, None if none says or
    one is dated in the future."""
    is_whole: bool = True
    """Of files, whether they have the advisory of flask 0.12.2, as all that there are have."""
    ahead: str | None = None
    """Of files, an advisory that is dated in the future, and when."""

    @property
    def is_from_file(self) -> bool:
        return self.advisories is not None


def audit(
    packages: Sequence[Package], source: Path | Service | Index, cache: Cache | None = None, *, now: float
) -> Outcome:
    """Which of the packages have known advisories.

    :param source: a file, folder or zip of advisories, or a service or an index that is asked.
    :param cache: where a service's answers are kept.
    :param now: seconds since 1970.
    :raises CannotCheck: unless all of them were compared.
    """
    advisories: list[Advisory] | None = None
    count, age = None, None
    is_whole, ahead = True, None
    if not isinstance(source, (Service, Index)):
        advisories = advisories_in(source)
        count, age, ahead = len(advisories), *_since(advisories, now)
        is_whole = any(not CANARY_IDS.isdisjoint((each.id, *each.aliases)) for each in advisories)
    affected: list[Affected] = []
    undecided: list[tuple[Package, str]] = []
    for part in _rounds(packages):
        unknown: dict[str, str] = {}
        if isinstance(source, (Service, Index)):
            found, unknown, kept_for = _asked(part, source, cache)
            age = age if kept_for is None else max(age or 0.0, kept_for)
        else:
            found = _by_package(advisories or (), {package.name for package in part})
        # What a service names for a version affects it: it has judged that itself.
        _judge(part, found, unknown, affected, undecided, trusted=advisories is None)
    name = source.url if isinstance(source, (Service, Index)) else str(source)
    return Outcome(name, len(packages), count, tuple(affected), tuple(undecided), age, is_whole, ahead)


def _rounds(packages: Sequence[Package]) -> list[list[Package]]:
    """The packages, in as few parts as have no name twice: answers are by name."""
    parts: list[dict[str, Package]] = [{}]
    for package in packages:
        part = next((each for each in parts if package.name not in each), None)
        if part is None:
            part = {}
            parts.append(part)
        part[package.name] = package
    return [list(part.values()) for part in parts]


def _asked(
    packages: Sequence[Package], source: Service | Index, cache: Cache | None
) -> tuple[Found, dict[str, str], float | None]:
    kept = None if cache is None else cache.read(source.url, packages)
    if kept is not None:
        return kept
    found, unknown = source.ask(packages)
    if cache is not None:
        cache.write(source.url, packages, found, unknown)
    return found, unknown, None


def _judge(
    packages: Sequence[Package],
    found: Found,
    unknown: dict[str, str],
    affected: list[Affected],
    undecided: list[tuple[Package, str]],
    *,
    trusted: bool,
) -> None:
    for package in packages:
        version = version_of(package.version)
        if version is None:
            undecided.append((package, f"its version, {package.version!r}, is none by PEP 440"))
            continue
        if package.name in unknown:
            undecided.append((package, unknown[package.name]))
        hits: list[Affected] = []
        for advisory in found.get(package.name, ()):
            if advisory.withdrawn:
                continue
            entries = advisory.entries_of(package.name)
            verdicts = [affects(entry, version) for entry in entries]
            if trusted or True in verdicts:
                fixed = dict.fromkeys(text for entry in entries for text in fixes(entry, version))
                hits.append(Affected(package, advisory.id, advisory.aliases, advisory.summary, tuple(fixed)))
            elif None in verdicts:
                undecided.append((package, f"{advisory.id} names it, and no version that can be compared"))
        affected += _merged(hits)


def _by_package(advisories: Iterable[Advisory], names: set[str]) -> Found:
    found: Found = {}
    for advisory in advisories:
        for name in dict.fromkeys(entry.name for entry in advisory.entries):
            if name in names:
                found.setdefault(name, []).append(advisory)
    return found


def _merged(hits: Iterable[Affected]) -> list[Affected]:
    """One of those that are aliases of each other, with the names of all."""
    merged: list[Affected] = []
    for hit in sorted(hits, key=lambda hit: (not hit.id.startswith("PYSEC-"), hit.id)):
        names = {hit.id, *hit.aliases}
        for index, other in enumerate(merged):
            known = {other.id, *other.aliases}
            if names & known:
                aliases = tuple(sorted((names | known) - {other.id}))
                fixed = other.fixed_in or hit.fixed_in
                merged[index] = other._replace(aliases=aliases, fixed_in=fixed, summary=other.summary or hit.summary)
                break
        else:
            merged.append(hit._replace(aliases=tuple(sorted(hit.aliases))))
    return merged


def _since(advisories: Iterable[Advisory], now: float) -> tuple[float | None, str | None]:
    """Seconds since the newest advisory was written or changed, and which is dated in the future, if one is.

    None if none says when, or one says what cannot be: all others may be as old as they like.
    """
    newest = max(advisories, key=lambda advisory: advisory.modified, default=None)
    if newest is None:
        return None, None
    try:
        written = datetime.fromisoformat(newest.modified[:19].rstrip("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return None, None
    age = now - written.timestamp()
    if age < -_AHEAD:
        return None, f"{newest.id} ({newest.modified[:10]})"
    return max(0.0, age), None


_AHEAD = 86400.0
"""Seconds by which this machine's clock, or another's, may be wrong."""
