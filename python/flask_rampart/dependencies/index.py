"""Asks a package index, or a mirror of one, which of its releases have known advisories.

An index tells it with each release (``GET /NAME/VERSION/json``, in the member ``vulnerabilities``). Rules, in order:

1. a release that is known to be vulnerable is asked for first: where nothing is said of it, the index knows no
   advisories, as mirrors often do not;
2. every package is asked for by itself. One that the index does not have (404) is told of as not known: whether it is
   affected, nobody said;
3. an answer without ``vulnerabilities``, or with another shape, is a :class:`SourceFailed`, as is what ``asking`` takes
   for no answer.

Names and versions leave this machine, each in an address. No index is asked unless it is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from .asking import Asking
from .errors import SourceFailed
from .osv import Advisory, Entry, first_line, is_id
from .packages import Package
from .service import AT_ONCE, CANARY, CANARY_IDS, Found, not_believed, public_version
from .versions import normalised, version_of


class Index:
    """A package index at *url*; as :class:`~flask_rampart.dependencies.Service`."""

    def __init__(self, url: str, *, seconds: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        self._asking = Asking(url, seconds, now)
        self.url = self._asking.url

    def ask(self, packages: Sequence[Package]) -> tuple[Found, dict[str, str]]:
        """The advisories that affect each package, by its name; and the packages that it does not know, with why.

        :raises SourceFailed: unless all of it was answered.
        """
        self._asking.begin()
        known = self._release(*CANARY) or ()
        if CANARY_IDS.isdisjoint(name for advisory in known for name in (advisory.id, *advisory.aliases)):
            raise not_believed(self.url)
        asked = [package for package in packages if version_of(package.version) is not None]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda package: self._release(package.name, public_version(package)), asked))
        found: Found = {}
        unknown: dict[str, str] = {}
        for package, advisories in zip(asked, answers, strict=True):
            if advisories is None:
                unknown[package.name] = f"{self.url} does not have this release"
            elif advisories:
                found[package.name] = advisories
        return found, unknown

    def _release(self, name: str, version: str) -> list[Advisory] | None:
        answer = self._asking.json(f"/{quote(name, safe='')}/{quote(version, safe='')}/json", absent=404)
        if answer is None:
            return None
        told = answer.get("vulnerabilities") if isinstance(answer, dict) else None
        if not isinstance(told, list):
            raise SourceFailed(f"{self.url} says nothing of advisories with {name}: it is no index that knows them.")
        info = answer.get("info")
        about = info if isinstance(info, dict) else {}
        if normalised(str(about.get("name", ""))) != normalised(name) or not _is_same(version, about.get("version")):
            raise SourceFailed(f"{self.url} answered for {name} {version} with another release.")
        return [self._advisory(name, each) for each in told]

    def _advisory(self, name: str, told: Any) -> Advisory:
        aliases = told.get("aliases", []) if isinstance(told, dict) else None
        fixed = told.get("fixed_in", []) if isinstance(told, dict) else None
        if not isinstance(aliases, list) or not isinstance(fixed, list) or not is_id(told.get("id")):
            raise SourceFailed(f"{self.url} gave an advisory of {name} that is none.")
        events = tuple(("fixed", text) for text in fixed if isinstance(text, str))
        return Advisory(
            told["id"],
            tuple(alias for alias in aliases if is_id(alias)),
            first_line(told.get("summary") or told.get("details") or ""),
            "",
            bool(told.get("withdrawn")),
            (Entry(name, (), (events,) if events else ()),),
        )


def _is_same(version: str, told: Any) -> bool:
    return isinstance(told, str) and version_of(told) == version_of(version)
