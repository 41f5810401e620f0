r"""Which patterns would keep ``re`` busy for years: those that repeat what reads one text in two ways.

``([a-z]+\.?)+`` reads ``aa`` as one part or as two, so that a long name that does not match is tried in more ways than
there are seconds. ``([a-z]+\.)+`` has but one way. A part in brackets that is repeated is tried by itself, on texts so
short that no pattern takes long on them; and so are the alternatives of each part within it, as of
``((www|[a-z]+)\.)+``. Not all such patterns are found: two parts, one behind the other, may share a text in two ways.
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
    return any(_is_read_twice(found, again=again) for found, again in _repeated(pattern.pattern))


def _is_read_twice(alternatives: Alternatives, *, again: bool) -> bool:
    """Whether two alternatives read one text.

    :param again: whether what reads it is itself repeated, so that it may also read the text as two.
    """
    body = "|".join(alternatives)
    try:
        whole = re.compile(body, re.IGNORECASE)
        parts = [re.compile(part, re.IGNORECASE) for part in alternatives]
    except re.error:  # refers to what stands elsewhere
        return True
    known = [text for text in _texts(body) if whole.fullmatch(text)]
    if any(sum(part.fullmatch(text) is not None for part in parts) > 1 for text in known):
        return True
    return again and any(whole.fullmatch(one + other) for one in known for other in known)


def _texts(body: str) -> Iterator[str]:
    yield from _SHORT
    yield from (word[:_LONGEST] for word in _WORD.findall(body)[:_MOST])


def _repeated(text: str) -> Iterator[tuple[Alternatives, bool]]:
    """What stands in brackets that are repeated, or within such; and whether it is these that are. Inner ones first."""
    # Where the alternatives begin, what kind of brackets it is, and the alternatives of others within.
    open_at: list[tuple[list[int], str, list[Alternatives]]] = []
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece[0] == "(":
            open_at.append(([found.end()], piece, []))
        elif piece == "|" and open_at:
            open_at[-1][0].append(found.end())
        elif piece == ")" and open_at:
            starts, kind, within = open_at.pop()
            ends = [start - 1 for start in starts[1:]] + [found.start()]
            alternatives = [text[start:end] for start, end in zip(starts, ends, strict=True)]
            if _AGAIN.match(text, found.end()):
                yield from ((each, False) for each in within)
                yield alternatives, True
            elif open_at and not kind.startswith(_ONE_WAY):
                open_at[-1][2].extend((*within, alternatives) if len(alternatives) > 1 else within)


_ONE_WAY = ("(?=", "(?!", "(?<=", "(?<!", "(?>")
"""What looks ahead or back, or is atomic, is never tried another way."""
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
