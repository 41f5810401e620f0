"""Says what a support ticket is about: billing, technical, account or shipping.

A multinomial naive Bayes classifier: for each label it knows how often each word, and each pair of
neighbouring words, was seen in training. A new text belongs to the label under which its words are the
least surprising. The model is a file of whole numbers (``model.json``, made by ``train.py``), so it is
the same on every machine, and can be read and understood.

Standard library only; classifying a ticket takes some ten microseconds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

MODEL = Path(__file__).with_name("model.json")

_WORD = re.compile(r"[a-z0-9]+")

# Words that stand in tickets of every kind. They say nothing about the topic, but would add up.
# fmt: off
_COMMON = frozenset((
    "a", "an", "and", "are", "at", "be", "but", "do", "for", "has", "i", "in", "is", "it", "me", "my", "no", "not",
    "of", "on", "or", "our", "so", "that", "the", "this", "to", "we", "you", "your",
))
# fmt: on


def features(text: str) -> Iterator[str]:
    """The words of a text without the common ones, and each pair of neighbours as ``"first second"``.

    >>> list(features("Where is my parcel?"))
    ['where', 'parcel', 'where parcel']
    """
    words = [word for word in _WORD.findall(text.lower()) if word not in _COMMON]
    yield from words
    for first, second in pairwise(words):
        yield f"{first} {second}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the classifier thinks of one text."""

    label: str
    probabilities: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """The probability of the label, from 0 to 1."""
        return self.probabilities[self.label]


class Classifier:
    """A trained model, ready to be asked. Immutable, so threads can share it."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.version: str = model["version"]
        self.labels: tuple[str, ...] = tuple(model["labels"])
        counts: Mapping[str, list[int]] = model["counts"]
        lines: list[int] = model["lines"]

        # How common each label is by itself: what to say of a text without one known word.
        self._prior = tuple(math.log(count / sum(lines)) for count in lines)

        # log P(feature | label), for all features at once, so that asking is a sum. One is added to
        # each count (Laplace): a word never seen under a label is unlikely there, not impossible.
        totals = [sum(column) + len(counts) for column in zip(*counts.values(), strict=True)]
        self._weights = {
            feature: tuple(math.log((count + 1) / total) for count, total in zip(row, totals, strict=True))
            for feature, row in counts.items()
        }

    @classmethod
    def load(cls, path: Path = MODEL) -> Classifier:
        """The model in a file."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def classify(self, text: str) -> Verdict:
        """The most likely label of *text*, with the probability of each.

        >>> Classifier.load().classify("I was charged twice for one invoice").label
        'billing'
        """
        scores = list(self._prior)
        for feature in features(text):
            weights = self._weights.get(feature)
            if weights is not None:  # words that were not in training have no say
                scores = [score + weight for score, weight in zip(scores, weights, strict=True)]

        # From logarithms back to probabilities that add up to 1. The best score is subtracted first:
        # exp() of a number far below zero is 0, and a sum of zeros cannot be divided by.
        best = max(scores)
        shares = [math.exp(score - best) for score in scores]
        probabilities = {label: round(share / sum(shares), 4) for label, share in zip(self.labels, shares, strict=True)}
        return Verdict(self.labels[scores.index(best)], probabilities)
