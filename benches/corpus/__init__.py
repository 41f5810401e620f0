"""A corpus of labelled texts, made from seeds, on which no rule was tuned: what ``accuracy.py`` and a test count finds in.

For each kind of value (``people``, ``contact``, ``tokens``) texts in many styles (``styles``), each with one such value, whose place
is known; and texts without any (``decoys``). Three of ten values that a reader can tell by themselves have no label.

The same seed gives the same texts, with the same versions of Faker and python-stdnum.

>>> [text] = texts(kinds=[CONTACT[0]], each=1, decoys=0)
>>> text.entity, "@" in text.text[text.start : text.end]
('EMAIL_ADDRESS', True)
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from faker import Faker

from . import styles
from .contact import CONTACT
from .decoys import DECOYS
from .people import PEOPLE, Kind
from .tokens import NAMED, TOKENS

ALL: tuple[Kind, ...] = (*CONTACT, *PEOPLE, *TOKENS, *NAMED)
SECRETS = frozenset(kind.entity for kind in (*TOKENS, *NAMED))


@dataclass(frozen=True)
class Text:
    """A text, the kind of file that it would stand in, and where what is in it lies: code points; no entity, nothing."""

    text: str
    kind: str
    entity: str = ""
    start: int = 0
    end: int = 0


def texts(*, kinds: Sequence[Kind] = ALL, each: int = 30, decoys: int = 2000, seed: int = 1) -> Iterator[Text]:
    """For each of *kinds*, *each* texts with such a value in it; then *decoys* without any."""
    fake = Faker("en_US")
    for kind in kinds:
        # Of its own for each kind: one more kind leaves the others as they are.
        dice = random.Random(f"{seed} {kind.entity} {kind.labels}")
        fake.seed_instance(dice.getrandbits(64))
        for _ in range(each):
            yield _with(kind, dice, fake)
    dice = random.Random(f"{seed} decoys")
    fake.seed_instance(dice.getrandbits(64))
    for _ in range(decoys):
        text, file = dice.choice(DECOYS)(dice, fake)
        yield Text(text, file)


def _with(kind: Kind, dice: random.Random, fake: Faker) -> Text:
    value, label = kind.make(dice, fake), dice.choice(kind.labels)
    if kind in NAMED:
        style = {"A": styles.header, "a": styles.header}.get(label[0]) if label.endswith(("Bearer", "Basic")) else None
        style = style or (styles.located if "://" in label else styles.assigned)
        text, file = style(dice, fake, label)
    elif kind.plain and dice.random() < 0.3:
        text, file = styles.unlabelled(dice, fake)
    else:
        # No program calls a column `r. č.`: it has a name without dots.
        name = label if "." not in label else next((other for other in kind.labels if "." not in other), label)
        text, file = dice.choice(styles.LABELLED)(dice, fake, label, name)
    if file in {"json", "py", "js", "toml"}:
        value = json.dumps(value, ensure_ascii=False)[1:-1]
    before, _, after = text.partition(styles.HERE)
    return Text(before + value + after, file, kind.entity, len(before), len(before) + len(value))
