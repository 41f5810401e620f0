"""What a plan says, as a tree of places to hold the columns of a schema against. The plan decides, not this."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..plan import Plan


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of a column."""

    path: str
    """As the plan writes it."""

    word: str
    gives: str
    """What kind of values its results are: see ``_native.AnonymizePlan.outline``."""

    on_error: str


@dataclass(slots=True)
class Place:
    """A place that has a rule, or that leads to some."""

    rule: Rule | None = None
    members: dict[str, Place] = field(default_factory=dict)
    each: Place | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    default: str
    on_error: str
    root: Place


def read_outline(plan: Plan) -> Outline:
    default, on_error, rules = plan._native.outline()
    root = Place()
    for steps, path, word, gives, of_rule in rules:
        place = root
        for step in steps:
            if step is not None:
                place = place.members.setdefault(step, Place())
            else:
                place.each = place.each or Place()
                place = place.each
        place.rule = Rule(path, word, gives, of_rule)
    return Outline(default, on_error, root)


def written(name: str) -> str:
    """A path of this one name."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def members_of(path: str) -> list[str]:
    """The names of a path that a plan has read, and that leads to one value of a record."""
    return [
        re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain
        for quoted, plain in ((found[1], found[2]) for found in re.finditer(r'"((?:[^"\\]|\\.)*)"|([^."]+)', path))
    ]


def shown(name: str) -> str:
    """A name as a message may show it: one that looks like that of a column, not like a value that became one."""
    plain = all(letter.isalnum() or letter in "_- " for letter in name)
    digits = sum(letter.isnumeric() for letter in name)
    return name if plain and digits <= 4 and 1 <= len(name.encode()) <= 64 else "(a name that is not shown)"
