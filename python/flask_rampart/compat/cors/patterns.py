r"""Which patterns would keep ``re`` busy for years: those that repeat what reads one text in two ways.

``([a-z]+\.?)+`` reads ``aa`` as one part or as two, so that a long name that does not match is tried in more ways than
there are seconds. ``([a-z]+\.)+`` has but one way. A part in brackets that is repeated is tried by itself, on texts so
short that no pattern takes long on them. Not all such patterns are found: what is within an alternative that is not
itself repeated is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Alternatives = list[str]


def is_ambiguous(pattern: re.Pattern[str]) -> bool:
    r"""Whether it repeats what reads one text in two ways.

    >>> is_ambiguous(re.compile(r"https://([a-z]+\.?)+example\.com"))
    True
    >>> is_ambiguous(re.compile(r"https://([a-z]+\.)+example\.com"))
    False
    """
    return any(_is_read_twice(alternatives) for alternatives in _repeated(pattern.pattern))


def _is_read_twice(alternatives: Alternatives) -> bool:
    body = "|".join(alternatives)
    try:
        whole = re.compile(body, re.IGNORECASE)
        parts = [re.compile(part, re.IGNORECASE) for part in alternatives]
    except re.error:  # refers to what stands elsewhere
        return True
    known = [text for text in _texts(body) if whole.fullmatch(text)]
    return any(sum(part.fullmatch(text) is not None for part in parts) > 1 for text in known) or any(
        whole.fullmatch(one + other) for one in known for other in known
    )


def _texts(body: str) -> Iterator[str]:
    yield from _SHORT
    yield from (word[:_LONGEST] for word in _WORD.findall(body)[:_MOST])


def _repeated(text: str) -> Iterator[Alternatives]:
    """What stands in brackets that are repeated, the inner ones first."""
    open_at: list[list[int]] = []
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece[0] == "(":
            open_at.append([found.end()])
        elif piece == "|" and open_at:
            open_at[-1].append(found.end())
        elif piece == ")" and open_at:
            starts = open_at.pop()
            if _AGAIN.match(text, found.end()):
                ends = [start - 1 for start in starts[1:]] + [found.start()]
                yield [text[start:end] for start, end in zip(starts, ends, strict=True)]


_LONGEST = 8
_MOST = 8
_WORD = re.compile(r"[A-Za-z0-9]+")
# An escape, a class of characters, a bracket with what says its kind, or one character.
_PIECE = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|P=\w*|<?[=!]|>|[a-zA-Z-]*:|#[^)]*))?|.", re.DOTALL
)
# Five times or more; `++` and the like never try another way.
_AGAIN = re.compile(r"(?:[*+]|\{\d*,\}|\{(?:\d*,)?(?:[5-9]|\d{2,})\})(?!\+)")
_SHORT = (
    *(one + other for one in "a0-.:" for other in ("", *"a0-.:")),
    *("a" * length + end for length in range(3, _LONGEST) for end in ("", ".", "-")),
    *(f"{begin}{'a' * length}" for length in range(2, _LONGEST) for begin in ".-"),
)
