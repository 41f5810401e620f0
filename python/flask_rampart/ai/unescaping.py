r"""Unescaping: an answer that is JSON is given to the steps as it reads.

1. A text is taken for JSON by its beginning: ``{`` and a name, ``[`` and a value, or a quote, also behind
   Markdown's fence, of no language or ``json``. Any other stays as it is;
2. of JSON, ``\/`` becomes ``/``, and ``\u0068`` the character that it is, so that an address, a canary or a placeholder
   is seen by the steps behind. What must be escaped (control characters, ``"``, ``\``, half of a pair) stays. The JSON
   says the same as before;
3. at most eleven characters are held back, of an escape that has begun.

One layer is read: JSON in a text of JSON keeps its escapes. It does not judge whether what began as JSON goes on so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


class Unescaping:
    r"""A filter that finds nothing.

    >>> reader = Unescaping()
    >>> reader.feed(r'{"a": "\u00') + reader.feed(r'68ttps:\/\/x \n"}') + reader.finish()
    '{"a": "https://x \\n"}'
    """

    findings: Mapping[str, tuple[int, Sequence[int]]] = {}
    stopped: str | None = None

    def __init__(self) -> None:
        #: None until it is known.
        self._is_json: bool | None = None
        self._begun = ""
        self._held = ""

    def feed(self, text: str) -> str:
        at = 0
        while self._is_json is None and at < len(text):
            self._begin(text[at])
            at += 1
        if not self._is_json or not (self._held or "\\" in text):
            return text
        return text[:at] + self._unescaped(self._held + text[at:])

    def finish(self) -> str:
        rest, self._held = self._held, ""
        return rest

    def _begin(self, char: str) -> None:
        """Looks at the beginning; until it is known, there was no backslash."""
        if char in _BLANK:
            return
        self._begun += char.lower()
        begun = self._begun.removeprefix(_FENCE).removeprefix(_FENCE[:3])
        if _JSON.match(begun):
            self._is_json = True
        elif not (begun in ("", "{", "[") or _FENCE.startswith(self._begun)):
            self._is_json = False

    def _unescaped(self, text: str) -> str:
        made, at = [], 0
        self._held = ""
        while (place := text.find("\\", at)) >= 0:
            made.append(text[at:place])
            if _OPEN.match(text, place):
                self._held = text[place:]
                return "".join(made)
            found = _ESCAPE.match(text, place)
            # A backslash that begins no escape stands for itself, and so does what is behind it.
            escape = found.group() if found else text[place : place + 2]
            made.append(_spelled(escape))
            at = place + len(escape)
        made.append(text[at:])
        return "".join(made)


def _spelled(escape: str) -> str:
    """The character that an escape stands for, unless it has to be escaped."""
    if escape == "\\/":
        return "/"
    if not escape.startswith("\\u") or len(escape) < _LENGTH:
        return escape
    units = [int(escape[at + 2 : at + _LENGTH], 16) for at in range(0, len(escape), _LENGTH)]
    char = b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be", "surrogatepass")
    return escape if char < " " or char in _KEPT or "\ud800" <= char <= "\udfff" else char


_BLANK = " \t\r\n\ufeff"
_FENCE = "```json"
_KEPT = '"\\\x7f'
_LENGTH = len("\\u0068")
_JSON = re.compile(r'"|\{["}]|\[["{\[\]tfn0-9-]')
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"{_HIGH}{_LOW}|\\u[0-9a-fA-F]{{4}}|\\.", re.DOTALL)
_OPEN = re.compile(rf"(?:\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)\Z")
"""An escape that the text may go on with."""
