"""What became of the values of each column: counted per call, and put together by whoever asks.

A plan counts what it is shown (:meth:`Plan.met`), and here it is shown each different value once. So it is counted
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TypeAlias


@dataclass(slots=True)
class Count:
    """What became of the values of one column."""

    rule: str
    """The rule's word; ``"default: keep"`` and the like for a column that no rule names."""

    values: int = 0
    """Values, nothings included; the sum of those below."""

    nulls: int = 0
    """Nothings that stayed nothing."""

    kept: int = 0
    """Passed on as they were."""

    changed: int = 0
    """Something else stands in their place."""

    dropped: int = 0
    """Left out."""

    suppressed: int = 0
    """The rule could not read them, and they became nothing."""

    found: dict[str, int] = field(default_factory=dict)
    """What the redactor found in texts, by entity."""

    def add(self, other: Count) -> None:
        """Adds what was counted elsewhere."""
        for each in fields(self):
            if each.name == "found":
                for entity, count in other.found.items():
                    self.found[entity] = self.found.get(entity, 0) + count
            elif each.name != "rule":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


Counts: TypeAlias = "dict[str, Count]"
"""By path."""


def add_counts(own: Counts, more: Counts) -> None:
    for path, count in more.items():
        own.setdefault(path, Count(count.rule)).add(count)
