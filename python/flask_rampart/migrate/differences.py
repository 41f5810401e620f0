"""What behaves otherwise after a move, from the tables of ``docs/migrate``, and which of it concerns a project.

``differences.json`` has the rows as the pages have them; ``python -m tests.migrating`` writes it anew, and a test holds
the two together. Which rows concern whom stands in :mod:`.concerns`; one that stands there not concerns everybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from .concerns import CONCERNS, When
from .facts import Facts, Place
from .incumbents import Incumbent

_REFUSED = ("`ConfigError`",)
_VALUED = re.compile(r"[\w.]+=|[A-Z]+_[A-Z_]+")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Difference:
    """A row of a page."""

    heading: str
    what: str
    theirs: str
    ours: str
    switch: str
    """What is set to have theirs; empty if nothing is."""


@dataclass(frozen=True)
class Concerned:
    """A row, and why it concerns a project."""

    difference: Difference
    place: Place | None
    """Where the project uses what it is about; None if it concerns every app."""


def tables(page: str) -> list[list[list[str]]]:
    """The tables of a page: rows of cells, each table with the heading above it as its first row.

    >>> tables("## Stricter\\n\\n| | a | b |\\n|---|---|---|\\n| x | y | `p \\\\| q` |\\n")
    [[['Stricter'], ['x', 'y', '`p | q`']]]
    """
    found: list[list[list[str]]] = []
    heading, is_in = "", False
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
        if not line.startswith("|"):
            is_in = False
        elif not is_in:
            is_in = True
            found.append([[heading]])
        elif not line.startswith("|---"):
            cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
            found[-1].append([cell.strip().replace("\\|", "|") for cell in cells])
    return found


def differences(incumbent: Incumbent) -> list[Difference]:
    """All rows of an incumbent's page."""
    found = []
    for table in _pages().get(incumbent.page, []):
        heading = table[0][0]
        for row in table[1:]:
            what, theirs, ours, switch = [*row, "", "", ""][:4]
            found.append(Difference(heading, what, theirs, ours, switch))
    return found


def concerning(incumbent: Incumbent, facts: Facts) -> Iterator[Concerned]:
    """The rows that concern a project, in the order of the page."""
    of_page = CONCERNS.get(incumbent.page, {})
    for difference in differences(incumbent):
        when = of_page.get(difference.what)
        if when is None:
            yield Concerned(difference, None)
            continue
        concerns, place = _asked(when, facts)
        if concerns and not (difference.ours.startswith(_REFUSED) and _is_judged(when, facts)):
            yield Concerned(difference, place)


def plain(cell: str) -> str:
    """A cell as a terminal shows it: without marks of code and addresses of links.

    >>> plain("`exp` is checked by [`require`](../bound-tokens.md)")
    'exp is checked by require'
    """
    return _LINK.sub(r"\1", cell).replace("`", "")


def _is_judged(when: When, facts: Facts) -> bool:
    """Whether all that a row is about is written in the project: the face itself says then whether it is refused."""
    words = [word for word in when.words if word in facts.words]
    return bool(words) and all(_VALUED.fullmatch(word) and word not in facts.open for word in words)


def _asked(when: When, facts: Facts) -> tuple[bool, Place | None]:
    if any(word in facts.in_app for word in when.unless):
        return False, None
    if when.unset and not any(word in facts.in_app for word in when.unset):
        return True, None
    for word in when.words:
        if word in facts.words:
            return True, facts.words[word]
    for word in when.open:
        if word in facts.open and word in facts.words:
            return True, facts.words[word]
    if when.text:
        pattern = re.compile(when.text, re.IGNORECASE)
        for text, place in facts.texts.items():
            if pattern.search(text):
                return True, place
    return not (when.words or when.text or when.unset or when.open), None


@lru_cache(maxsize=1)
def _pages() -> dict[str, list[list[list[str]]]]:
    pages: dict[str, list[list[list[str]]]] = json.loads(
        files(__package__).joinpath("differences.json").read_text("utf-8")
    )
    return pages
