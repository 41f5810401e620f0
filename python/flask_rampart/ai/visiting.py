"""Visiting: how every text in a prompt is met, wherever it stands, and how what has no known place is refused.

A shape (``shapes``) says what members a body may have, as a table of names, each with what stands there. Rules:

1. a member that no table names refuses the body: what nobody knows, nobody has treated;
2. null passes; a number (finite, and of 64 bits if it is whole), a flag and a word (a short name of up to 128 letters,
   digits and ``_ . : -``) are checked and pass; in the name of a called tool, no step may find anything;
   an id by which messages name each other is none to be refused for: one that is no word, or in which a step finds
   something, becomes another, the same wherever it stands;
3. all else is text, and is treated: also the name of a user, metadata, the texts of a schema;
4. a text that is JSON is treated inside, member by member, also where it stands in JSON again, since ``\\u0061`` is an
   ``a`` to whoever reads it. A text with such escapes that cannot be read as JSON (a name twice, more behind its end,
   too deep) is treated without them too; if something is found then, that is what goes on;
5. a number of six digits or more inside JSON is treated as the text that it is written as: a card number is one.

It decides nothing of what becomes of a text: that is the visitor's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .._native import JsonBounds, JsonRejected, parse_json

Place = Callable[[Any, "Visitor", str], Any]
"""What stands in a member: checks or treats a value, and gives what takes its place."""


class Unshaped(Exception):
    """A body is not of its shape. Says where, by names of ours, and never what stood there."""


class Visitor:
    """What is done at each place of a prompt. This one does nothing."""

    def message(self, role: str) -> None:
        """A message begins."""

    def part(self, kind: str, value: Mapping[str, Any]) -> None:
        """A part of a message that is no text."""

    def tool(self, name: str) -> None:
        """A tool is declared, or asked for."""

    def whole(self, text: str) -> None:
        """A text as it was sent, before :meth:`text` is asked about it, and about the texts in it if it is JSON."""

    def text(self, text: str, role: str) -> str:
        """A text; gives what takes its place."""
        return text

    def name(self, name: str, role: str) -> str:
        """A short name that a client chooses, and that a server knows; what takes its place has to be the same."""
        return name

    def reference(self, given: str, role: str) -> str:
        """An id by which messages name each other; gives what takes its place, the same for the same each time."""
        return given

    def treats_text(self) -> bool:
        """Whether :meth:`text` is of any effect."""
        return type(self).text is not Visitor.text


def members(table: Mapping[str, Place], value: Any, visit: Visitor, role: str, where: str) -> dict[str, Any]:
    """An object of the members of *table*, each treated.

    :raises Unshaped: for another value, and for another member.
    """
    if not isinstance(value, dict):
        raise Unshaped(f"{where} is no object")
    if not value.keys() <= table.keys():
        raise Unshaped(f"{where} has a member that is not known")
    return {name: None if item is None else _at(table, name, item, visit, role) for name, item in value.items()}


def _at(table: Mapping[str, Place], name: str, item: Any, visit: Visitor, role: str) -> Any:
    try:
        return table[name](item, visit, role)
    except Unshaped as error:
        raise Unshaped(f"{name}: {error}") from None


def number(value: Any, visit: Visitor, role: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST_NUMBER <= value < _MOST_NUMBER:
        raise Unshaped("no number")
    return value


def flag(value: Any, visit: Visitor, role: str) -> Any:
    if not isinstance(value, bool):
        raise Unshaped("neither true nor false")
    return value


def word(value: Any, visit: Visitor, role: str) -> Any:
    """A short name, which no text hides in."""
    if not is_word(value):
        raise Unshaped("no word")
    return value


def ident(value: Any, visit: Visitor, role: str) -> Any:
    """A word that a client chooses, of what the model's server or the app knows by it: where a step would change it,
    it is none."""
    if visit.name(word(value, visit, role), role) != value:
        raise Unshaped("a name with more in it than a name")
    return value


def reference(value: Any, visit: Visitor, role: str) -> Any:
    """An id by which messages name each other; an empty one stays. What ids look like, each server decides."""
    if value == "":
        return value
    return visit.reference(id_of(value), role)


def id_of(value: Any) -> str:
    """An id as a text; some servers write numbers.

    :raises Unshaped: for another value.
    """
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise Unshaped("an id that is no text")


def seed(value: Any, visit: Visitor, role: str) -> Any:
    """A whole number of 64 bits, signed or not. No step looks at it: each is as likely as a card's. Other numbers, in
    whose digits a text might stand, are left out."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unshaped("no number")
    return value if isinstance(value, int) and -_MOST_NUMBER <= value < 2 * _MOST_NUMBER else None


def words(value: Any, visit: Visitor, role: str) -> Any:
    if not isinstance(value, list) or not all(map(is_word, value)):
        raise Unshaped("no list of words")
    return value


def text(value: Any, visit: Visitor, role: str) -> Any:
    if not isinstance(value, str):
        raise Unshaped("no text")
    return treated(value, visit, role)


def label(value: Any, visit: Visitor, role: str) -> Any:
    """A text that only names somebody: where it would be changed, it is left out."""
    if not isinstance(value, str):
        raise Unshaped("no text")
    return value if treated(value, visit, role) == value else None


def texts(value: Any, visit: Visitor, role: str) -> Any:
    """A text, or a list of them."""
    if isinstance(value, list):
        return [text(item, visit, role) for item in value]
    return text(value, visit, role)


def numbers(value: Any, visit: Visitor, role: str) -> Any:
    if not isinstance(value, dict) or not all(is_word(name) for name in value):
        raise Unshaped("no object of numbers")
    return {name: number(item, visit, role) for name, item in value.items()}


def free(value: Any, visit: Visitor, role: str) -> Any:
    """Any JSON: all texts in it are treated, names too."""
    return walked(value, lambda item: treated(item, visit, role)) if visit.treats_text() else value


def nested(table: Mapping[str, Place], where: str) -> Place:
    return lambda value, visit, role: members(table, value, visit, role, where)


def listed(place: Place, where: str) -> Place:
    def each(value: Any, visit: Visitor, role: str) -> Any:
        if not isinstance(value, list):
            raise Unshaped(f"{where}: no list")
        return [place(item, visit, role) for item in value]

    return each


def arguments(value: Any, visit: Visitor, role: str) -> Any:
    """The arguments of a call: a text that is a JSON object, treated inside."""
    if not isinstance(value, str):
        raise Unshaped("no text")
    if not value.strip():
        return value
    parsed = json_of(value)
    if not isinstance(parsed, dict):
        raise Unshaped("no JSON object")
    if not visit.treats_text():
        return value
    visit.whole(value)
    return inside(value, parsed, lambda item: treated(item, visit, role, 1))


def treated(value: str, visit: Visitor, role: str, depth: int = 0) -> str:
    """A text as the visitor wants it: inside, if it is JSON, and then as the text that it is."""
    if not visit.treats_text():
        return value
    if depth == 0:
        visit.whole(value)
    if depth < _MOST_NESTED and looks_like_json(value):
        parsed = json_of(value)
        if isinstance(parsed, (dict, list)):
            return visit.text(inside(value, parsed, lambda item: treated(item, visit, role, depth + 1)), role)
    plain = unescaped(value)
    if plain != value:
        shown = visit.text(plain, role)
        if shown != plain:
            return shown
    return visit.text(value, role)


def unescaped(value: str) -> str:
    """A text that is not readable as JSON, or has JSON in it, without the escapes of JSON that hide letters.

    >>> unescaped(r'see {"to": "\\u0061da\\u0040example.com"}')
    'see {"to": "ada@example.com"}'
    """
    for _ in range(_MOST_NESTED):
        if _ESCAPE.search(value) is None:
            break
        value = _SIMPLE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], value)
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def inside(value: str, parsed: Any, treat: Callable[[str], str]) -> str:
    """The JSON text *value*, its texts treated; to the letter as it was, if none of them changes."""
    made = walked(parsed, treat)
    return value if _same(made, parsed) else json.dumps(made, ensure_ascii=False, separators=(",", ":"))


def walked(value: Any, treat: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return treat(value)
    if isinstance(value, list):
        return [walked(item, treat) for item in value]
    if isinstance(value, dict):
        made = {treat(name): walked(item, treat) for name, item in value.items()}
        if len(made) < len(value):
            raise Unshaped("two names became one")
        return made
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) >= _LONG:
        written = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        shown = treat(written)
        return value if shown == written else shown
    return value


def looks_like_json(value: str) -> bool:
    start = value.lstrip()[:1]
    return start in ("{", "[")


def json_of(value: str) -> Any:
    """What a JSON text says; None if it is none, or is beyond a bound."""
    try:
        return parse_json(value.encode(), JSON_BOUNDS)
    except (JsonRejected, UnicodeEncodeError):
        return None


def is_base64(value: Any) -> bool:
    return isinstance(value, str) and _BASE64.fullmatch(value) is not None


def is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _same(made: Any, value: Any) -> bool:
    if type(made) is not type(value):
        return False
    if isinstance(made, dict):
        return made.keys() == value.keys() and all(_same(item, value[name]) for name, item in made.items())
    if isinstance(made, list):
        return all(map(_same, made, value))
    return bool(made == value)


_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}")
_SIMPLE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["\\/]))')
_MOST_NESTED = 8
"""How many times JSON may stand in JSON to be read as such."""
_MOST_NUMBER = 1 << 63
_LONG = 100_000
KEPT = "audio"
"""The kind of what only names a thing that the model's server keeps."""
JSON_BOUNDS = JsonBounds(max_bytes=16 << 20, max_depth=64, max_keys=100_000, max_digits=309)
