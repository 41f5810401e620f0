"""Decides whether an advisory is about an installed version.

An advisory is a record in OSV's format (the OpenSSF's OSV schema, 1.x). It affects a version when it was not withdrawn,
and one of its ``affected`` entries names the package in the ecosystem of Python, and either

1. lists the version in ``versions``, or
2. has a range of the type ECOSYSTEM or SEMVER whose events, in order, leave it in: ``introduced`` and later, before
   ``fixed``, up to and with ``last_affected``. ``"0"`` is before every version. Where there are ``limit`` events, the
   version is before one of them.

Versions are ordered by PEP 440: a pre-release of the fixed version has no fix, an epoch goes before everything, and a
local build is judged as the release that it is of. Ranges of commits (GIT) say nothing of installed versions.

An entry that names the package and can be judged by none of these is told of, never taken for "not affected".

Source: ossf.github.io/osv-schema, "Evaluation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import SourceFailed
from .versions import normalised, public_of, version_of

if TYPE_CHECKING:
    from packaging.version import Version

ECOSYSTEM = "PyPI"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_RANGES = ("ECOSYSTEM", "SEMVER")
_EVENTS = ("introduced", "fixed", "last_affected", "limit")
_AT_ONE_VERSION = ("fixed", "introduced", "last_affected")
_UNREADABLE = ("?", "?")
"""Stands for an event that is none: it is no version, so nothing is decided by a range that has it."""


class Entry(NamedTuple):
    """What an advisory says of one package."""

    name: str
    """Normalised (PEP 503)."""
    versions: tuple[str, ...]
    ranges: tuple[tuple[tuple[str, str], ...], ...]
    """Events of each range, ``("introduced", "0")`` and so on, as they were written."""

    @property
    def is_decidable(self) -> bool:
        return bool(self.versions or self.ranges)


class Advisory(NamedTuple):
    """One advisory, with what it says of packages of Python."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    modified: str
    withdrawn: bool
    entries: tuple[Entry, ...]

    def entries_of(self, name: str) -> list[Entry]:
        """The entries about a package, by its normalised name."""
        return [entry for entry in self.entries if entry.name == name]


def is_id(text: object) -> bool:
    """Whether this may stand for an advisory in a URL and in a terminal."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def read_record(record: Any, where: str) -> Advisory:
    """An advisory from its JSON.

    :raises SourceFailed: if it is none.
    """
    if not isinstance(record, Mapping) or not is_id(record.get("id")):
        raise SourceFailed(f"{where} is no advisory in OSV's format: it has no id.")
    name = record["id"]
    affected = record.get("affected", [])
    if not isinstance(affected, list):
        raise SourceFailed(f"{where}: 'affected' of {name} is no list.")
    summary = record.get("summary") or record.get("details") or ""
    return Advisory(
        name,
        tuple(alias for alias in _list(record.get("aliases"), where) if is_id(alias)),
        first_line(summary),
        str(record.get("modified", ""))[:32],
        bool(record.get("withdrawn")),
        tuple(entry for each in affected if (entry := _entry(each, f"{where}: {name}")) is not None),
    )


def affects(entry: Entry, version: Version) -> bool | None:
    """Whether a version is affected; None if the entry leaves it open."""
    public = public_of(version)
    listed = [version_of(text) for text in entry.versions]
    open_ = not entry.is_decidable or (bool(listed) and not any(listed))
    if version in listed or public in listed:
        return True
    for events in entry.ranges:
        found = _in_range(events, public)
        if found:
            return True
        open_ = open_ or found is None
    return None if open_ else False


def fixes(entry: Entry, version: Version) -> list[str]:
    """The versions that fix it and are later than *version*, the first first."""
    found = {}
    for events in entry.ranges:
        for kind, text in events:
            fixed = version_of(text) if kind == "fixed" else None
            if fixed is not None and fixed > version:
                found[fixed] = text
    return [found[fixed] for fixed in sorted(found)]


def _in_range(events: tuple[tuple[str, str], ...], version: Version) -> bool | None:
    if not any(kind == "introduced" for kind, _ in events):
        return None  # where it begins is not said
    begins_at_first = False
    ordered: list[tuple[Version, int, str]] = []
    limits: list[Version] = []
    for kind, text in events:
        if (kind, text) == ("introduced", "0"):
            begins_at_first = True
            continue
        if (kind, text) == ("limit", "*"):
            continue
        at = version_of(text)
        if at is None:
            return None  # an event that is no version: where the range ends is not known
        if kind == "limit":
            limits.append(at)
        else:
            # A range may end and begin anew at one version: a fix comes first, or it would hide the beginning. The last
            # that is affected may be the first as well, and ends what begins with it.
            ordered.append((at, _AT_ONE_VERSION.index(kind), kind))
    if limits and all(version >= limit for limit in limits):
        return False
    inside = begins_at_first
    for at, _, kind in sorted(ordered):
        if version > at or (version == at and kind != "last_affected"):
            inside = kind == "introduced"
    return inside


def _entry(each: Any, where: str) -> Entry | None:
    """None for a package of another ecosystem, or for no package."""
    if not isinstance(each, Mapping):
        raise SourceFailed(f"{where}: an entry of 'affected' is no object.")
    package = each.get("package")
    if not isinstance(package, Mapping):
        return None
    ecosystem, name = package.get("ecosystem"), package.get("name")
    purl = package.get("purl")
    if ecosystem is None and isinstance(purl, str) and purl.startswith("pkg:pypi/"):
        ecosystem, name = ECOSYSTEM, re.split("[@?#]", purl[len("pkg:pypi/") :])[0]
    if not isinstance(ecosystem, str) or not isinstance(name, str):
        return None
    if ecosystem.partition(":")[0].lower() != ECOSYSTEM.lower():
        return None
    versions = tuple(text for text in _list(each.get("versions"), where) if isinstance(text, str))
    ranges = tuple(
        _events(found, where) if _is_mapping(found).get("type") in _RANGES else (_UNREADABLE,)
        for found in _list(each.get("ranges"), where)
        if _is_mapping(found).get("type") != "GIT"
    )
    return Entry(normalised(name), versions, ranges)


def _events(found: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    events = []
    for event in _list(found.get("events"), where):
        for kind, text in _is_mapping(event).items():
            events.append((kind, text) if kind in _EVENTS and isinstance(text, str) else _UNREADABLE)
    if not events:
        raise SourceFailed(f"{where}: a range has no events.")
    return tuple(events)


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise SourceFailed(f"{where}: {type(value).__name__} where OSV's format has a list.")
    return value


def _is_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def first_line(text: Any) -> str:
    """The first line of a text, without what a terminal obeys."""
    line = str(text).strip().split("\n", 1)[0]
    shown = "".join(character if character.isprintable() else "?" for character in line)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


_LONGEST = 160
