"""Asks a service that speaks OSV's API which advisories affect packages.

Rules, in order:

1. all packages are asked for in as few questions as the service takes (``POST /v1/querybatch``), a package that is
   known to be vulnerable among them. Where nothing is said of that one, the service knows nothing, whatever it answers;
2. an answer that has more pages is followed to its end;
3. each advisory that is named is fetched (``GET /v1/vulns/ID``): what was withdrawn does not count, and what fixes it
   is in there;
4. an answer of another shape, or the answers of another number of questions, are a :class:`SourceFailed`, as is what
   ``asking`` takes for no answer.

Only names and versions leave this machine.

Source: google.github.io/osv.dev/api.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from .asking import Asking
from .errors import SourceFailed
from .osv import ECOSYSTEM, Advisory, is_id, read_record
from .packages import Package
from .versions import public_of, version_of

DEFAULT_URL = "https://api.osv.dev"
CANARY = ("flask", "0.12.2")
"""Affected by PYSEC-2018-66 (CVE-2018-1000656), whatever else there is."""

CANARY_IDS = frozenset(("PYSEC-2018-66", "GHSA-562c-5r94-xh97", "CVE-2018-1000656"))

_MOST_QUESTIONS = 1000
_MOST_PAGES = 50
_MOST_NAMED = 2000
AT_ONCE = 8

Found = dict[str, list[Advisory]]
Question = dict[str, Any]


class Service:
    """A service at *url*.

    :param seconds: for which all questions together may take.
    :param now: a clock that only goes forward, in seconds.
    :raises SourceFailed: for an address that is not https.
    """

    def __init__(self, url: str = DEFAULT_URL, *, seconds: float = 60.0, now: Callable[[], float] = time.monotonic):
        self._asking = Asking(url, seconds, now)
        self.url = self._asking.url

    def ask(self, packages: Sequence[Package]) -> tuple[Found, dict[str, str]]:
        """The advisories that affect each package, by its name; and the packages that it does not know, with why.

        :raises SourceFailed: unless all of it was answered.
        """
        self._asking.begin()
        named: dict[str, list[str]] = {}
        asked = [package for package in packages if version_of(package.version) is not None]
        for start in range(0, max(len(asked), 1), _MOST_QUESTIONS - 1):
            part = asked[start : start + _MOST_QUESTIONS - 1]
            *answers, canary = self._batch([*map(_question, part), _asks(*CANARY)])
            if CANARY_IDS.isdisjoint(canary):
                raise not_believed(self.url)
            for package, ids in zip(part, answers, strict=True):
                if ids:
                    named[package.name] = ids
        ids = sorted({each for found in named.values() for each in found})
        if len(ids) > _MOST_NAMED:
            raise SourceFailed(f"{self.url} names {len(ids)} advisories, more than can be meant.")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            records = dict(zip(ids, pool.map(self._record, ids), strict=True))
        return {name: [records[each] for each in found] for name, found in named.items()}, {}

    def _batch(self, questions: list[Question]) -> list[list[str]]:
        """The ids that answer each question, all pages of them."""
        found: list[list[str]] = [[] for _ in questions]
        open_ = list(enumerate(questions))
        for _ in range(_MOST_PAGES):
            body = json.dumps({"queries": [question for _, question in open_]}).encode()
            answer = self._asking.json("/v1/querybatch", body)
            results = answer.get("results") if isinstance(answer, dict) else None
            if not isinstance(results, list) or len(results) != len(open_):
                raise SourceFailed(f"{self.url} answered {len(open_)} questions with another number of answers.")
            more = []
            for (index, question), result in zip(open_, results, strict=True):
                ids, token = self._ids(result)
                found[index] += [each for each in ids if each not in found[index]]
                if token is not None:
                    if question.get("page_token") == token:
                        raise SourceFailed(f"{self.url} gives the same page again and again.")
                    more.append((index, {**question, "page_token": token}))
            if not more:
                return found
            open_ = more
        raise SourceFailed(f"{self.url} has more pages than {_MOST_PAGES}.")

    def _ids(self, result: Any) -> tuple[list[str], str | None]:
        # What has other members may be an error, or say in another word that there is more.
        known = isinstance(result, dict) and set(result) <= {"vulns", "next_page_token", "nextPageToken"}
        vulns = result.get("vulns", []) if known else None
        if not isinstance(vulns, list) or not all(isinstance(each, dict) and is_id(each.get("id")) for each in vulns):
            raise SourceFailed(f"{self.url} gave an answer that is not of OSV's API.")
        token = result.get("next_page_token") or result.get("nextPageToken") or None
        if token is not None and not isinstance(token, str):
            raise SourceFailed(f"{self.url} gave an answer that is not of OSV's API.")
        return [each["id"] for each in vulns], token

    def _record(self, name: str) -> Advisory:
        record = read_record(self._asking.json(f"/v1/vulns/{quote(name)}"), self.url)
        if name not in (record.id, *record.aliases):
            raise SourceFailed(f"{self.url} gave {record.id} for {name}.")
        return record


def not_believed(url: str) -> SourceFailed:
    """A source that says nothing of what is known to be vulnerable."""
    name, version = CANARY
    return SourceFailed(
        f"{url} says nothing of {name} {version}, which has known advisories: what it says of the others cannot be "
        "believed."
    )


def public_version(package: Package) -> str:
    """The version that a service would know: a build of one's own is no release."""
    version = version_of(package.version)
    return package.version if version is None or version.local is None else str(public_of(version))


def _question(package: Package) -> Question:
    return _asks(package.name, public_version(package))


def _asks(name: str, version: str) -> Question:
    return {"package": {"name": name, "ecosystem": ECOSYSTEM}, "version": version}
