r"""Unescaping: JSON in an answer is given to the steps as it reads.

1. Of JSON, ``\/`` becomes ``/``, and ``\u0068`` the character that it is, so that an address, a canary or a placeholder
   is seen by the steps behind. What must be escaped (control characters, ``"``, ``\``, half of a pair) stays. The JSON
   says the same as before;
2. a text that begins as JSON does (``{`` and a name, ``[`` and a value, or a quote, also behind a fence of Markdown, of
   no language or of JSON) is taken for it to its end;
3. of any other, those texts are that may stand in JSON: from each ``{`` and ``[`` on as long as nothing comes that JSON
   has not got there, and a quote that a fence of no language or of JSON begins with;
4. at most eleven characters are held back, of an escape that has begun.

One layer is read: JSON in a text of JSON keeps its escapes. It does not judge whether what began as JSON goes on so: a
list of texts in a program is read as JSON would be. What is like JSON, and is none (names without quotes, texts in
single ones), keeps its escapes, but for a text that begins as JSON does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


class Unescaping:
    r"""A filter that finds nothing.

    >>> reader = Unescaping()
    >>> reader.feed(r'{"a": "\u00') + reader.feed(r'68ttps:\/\/x \n"}') + reader.finish()
    '{"a": "https://x \\n"}'
    >>> reader = Unescaping()
    >>> reader.feed(r'A \/ is a slash: ["\/"]') + reader.finish()
    'A \\/ is a slash: ["/"]'
    """

    findings: Mapping[str, tuple[int, Sequence[int]]] = {}
    stopped: str | None = None

    def __init__(self) -> None:
        #: None until it is known.
        self._is_json: bool | None = None
        self._begun = ""
        self._held = ""
        self._places = _Places()

    def feed(self, text: str) -> str:
        # Until it is known, there was no backslash.
        for char in text if self._is_json is None else ():
            self._begin(char)
            if self._is_json is not None:
                break
        if self._is_json and not (self._held or "\\" in text):
            return text
        text, self._held = self._held + text, ""
        made, at = [], 0
        while (place := text.find("\\", at) if self._is_json else self._places.escape(text, at)) >= 0:
            made.append(text[at:place])
            if _OPEN.match(text, place):
                self._held = text[place:]
                return "".join(made)
            found = _ESCAPE.match(text, place)
            # A backslash that begins no escape stands for itself, and so does what is behind it: JSON may begin there.
            escape = found.group() if found else "\\"
            made.append(_spelled(escape))
            at = place + len(escape)
        made.append(text[at:])
        return "".join(made)

    def finish(self) -> str:
        rest, self._held = self._held, ""
        return rest

    def _begin(self, char: str) -> None:
        if char in _BLANK:
            return
        self._begun += char.lower()
        if _JSON.match(self._begun):
            self._is_json = True
        elif len(self._begun) > _LONGEST or not _MAY_BE_JSON.fullmatch(self._begun):
            self._is_json = False


class _Places:
    """Where the texts of JSON stand in a text that is more than that.

    JSON may begin at each bracket, also within what looks like a text of JSON that begins before. So there are two
    readings: one in which a text is open here, and one in which none is. A quote makes each of them the other one.
    All readings of one kind go on in the same way, so one number for each is enough: how many brackets are open in it.
    """

    def __init__(self) -> None:
        self._inside: int | None = None
        self._outside: int | None = None
        #: The last character that is no blank.
        self._last = ""
        #: The line so far, and whether the one before it begins a fence.
        self._line = ""
        self._fenced = False

    def escape(self, text: str, at: int) -> int:
        """The next backslash in a text of JSON, which is not read; -1, if there is none."""
        while found := _SIGN.search(text, at):
            sign, place = found.group(), found.start()
            self._pass(text[at:place])
            if sign == "\\" and self._inside is not None:
                self._outside, self._last = None, sign
                return place
            if sign == '"':
                self._quote()
            elif sign == "\\":
                self._outside = None
            elif sign in "[{":
                self._outside = (self._outside or 0) + 1
            elif self._outside is not None:
                self._outside = self._outside - 1 or None
            self._line, self._last, at = (self._line + sign)[:_LONGEST], sign, place + 1
        self._pass(text[at:])
        return -1

    def _quote(self) -> None:
        opens = self._outside if self._last in _BEFORE_TEXT else None
        if self._fenced and not self._line:
            opens = opens or 0
        self._inside, self._outside = opens, self._inside or None

    def _pass(self, text: str) -> None:
        """Goes over what is none of the signs."""
        if not text:
            return
        if self._outside is not None and _STRANGE.search(text):
            self._outside = None
        shown = text.rstrip(_BLANK)
        if shown:
            self._last = shown[-1]
        before, end, line = text.rpartition("\n")
        if end:
            # Blank lines behind a fence are none of its language's.
            lines = (self._line + before).rstrip(_BLANK).rpartition("\n")
            if lines[2]:
                self._fenced = _FENCE.fullmatch(lines[2].lstrip(_BLANK)) is not None
            self._line = ""
        self._line = (self._line + line).lstrip(_BLANK)[:_LONGEST]


def _spelled(escape: str) -> str:
    """The character that an escape stands for, unless it has to be escaped."""
    if escape == "\\/":
        return "/"
    if not escape.startswith("\\u"):
        return escape
    units = [int(escape[at + 2 : at + _LENGTH], 16) for at in range(0, len(escape), _LENGTH)]
    char = b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be", "surrogatepass")
    return escape if char < " " or char in _KEPT or "\ud800" <= char <= "\udfff" else char


_BLANK = " \t\r\n\ufeff"
_KEPT = '"\\\x7f'
_LENGTH = len("\\u0068")
_LONGEST = 80
"""So many characters of a line are looked at for a fence."""

_JSON = re.compile(r'(?:(?:`{3,}|~{3,})(?:json[c5l]?)?)?(?:"|\{["}]|\[["{\[\]tfn0-9-])')
_MAY_BE_JSON = re.compile(r"(?:`*|~*)(?:j|js|jso|json[c5l]?)?[\[{]?")
_FENCE = re.compile(r"(?:`{3,}|~{3,})[ \t]*(?:json[c5l]?)?[ \t\r]*", re.IGNORECASE)
_SIGN = re.compile(r'["\\\[\]{}]')
_STRANGE = re.compile(r"[^ \t\r\n,:0-9+.EINaefilnrstuy-]")
"""What JSON has not got outside of its texts; `NaN` and `Infinity`, of which Python reads it, are none."""

_BEFORE_TEXT = ("[", "{", ",", ":")
_HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf'{_HIGH}{_LOW}|\\u[0-9a-fA-F]{{4}}|\\["\\/bfnrt]')
_OPEN = re.compile(rf"(?:\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)\Z")
"""An escape that the text may go on with."""
