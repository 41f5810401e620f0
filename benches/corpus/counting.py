"""Counts what a tool found in labelled texts: hits, misses and false finds, by entity.

1. A value counts as found if a find of its entity overlaps it. Of secrets any secret's name will do, since tools name them
   differently; so will a name that only says "secret".
2. It counts as covered if the finds hide all of it.
3. A find that overlaps no value of its entity is false: in a text without any, beside the value, or on it by another name. It
   counts against the entity that the tool named; whatever was named a secret, against secrets as a whole too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import SECRETS, Text

#: What a find is called, and where it lies, in code points.
Found = tuple[str, int, int]
SECRET = "any secret"


@dataclass
class Count:
    """Of one entity."""

    hits: int = 0
    misses: int = 0
    false: int = 0
    covered: int = 0

    @property
    def precision(self) -> float:
        """Of what was found, how much is what it was called; 1 of nothing."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else 1.0

    @property
    def recall(self) -> float:
        """Of what there is, how much was found."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 1.0

    @property
    def f1(self) -> float:
        """Their harmonic mean; 0 where nothing was found."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both and self.hits else 0.0


def count(
    texts: Iterable[Text],
    found: Iterable[Sequence[Found]],
    false: Iterable[Sequence[Found]] | None = None,
    *,
    names: Mapping[str, str] = {},
    personal: frozenset[str] = frozenset(),
) -> dict[str, Count]:
    """Hits and false finds by entity; ``any secret`` is all secrets together.

    :param found: the finds of each text, among which a value is looked for.
    :param false: those that are judged false, where a tool resolves its overlaps; *found* if not given.
    :param names: what a tool's names mean here.
    :param personal: the entities that are no secrets; all other names are secrets'.
    """
    counts: dict[str, Count] = defaultdict(Count)
    texts, found = list(texts), list(found)
    for text, finds, kept in zip(texts, found, found if false is None else false, strict=True):
        secret = text.entity in SECRETS

        def fits(find: Found, text: Text = text, secret: bool = secret) -> bool:
            name = names.get(find[0], find[0])
            overlaps = find[1] < text.end and text.start < find[2]
            return overlaps and (name not in personal if secret else name == text.entity)

        if text.entity:
            hits = [find for find in finds if fits(find)]
            hidden = {place for _, start, end in hits for place in range(max(start, text.start), min(end, text.end))}
            for name in (text.entity, SECRET) if secret else (text.entity,):
                counts[name].hits += bool(hits)
                counts[name].misses += not hits
                counts[name].covered += len(hidden) == text.end - text.start
        for find in kept:
            if not fits(find):
                name = names.get(find[0], find[0])
                counts[name].false += 1
                if name not in personal and name != SECRET:
                    counts[SECRET].false += 1
    return counts
