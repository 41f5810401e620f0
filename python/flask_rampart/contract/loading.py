"""Reads the text of an OpenAPI document, YAML or JSON, into dicts, lists and scalars.

1. It is at most 8 MiB long, 100 levels deep, and of 300 000 values, with what aliases repeat counted each time: nine
   lines of YAML can mean a billion values (CWE-776).
2. No member stands there twice: one reader would take the first and the next one the last.
3. Names are texts; only among ``responses`` may a status be written as a number.
4. YAML means what the core schema of YAML 1.2 says, as OpenAPI demands: ``2026-01-01``, ``no``, ``on`` and ``12:30``
   are texts, ``010`` is ten. No merge keys, no tags of other types, no infinity.

It builds no objects of anybody's classes, and it does not know OpenAPI.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from .._native import JsonBounds, JsonRejected, parse_json
from ..errors import ConfigError

MOST_BYTES = 8 << 20
MOST_DEPTH = 100
MOST_VALUES = 300_000


def escaped(pointer: tuple[str, ...]) -> str:
    """A JSON Pointer (RFC 6901).

    >>> escaped(("paths", "/pets"))
    '/paths/~1pets'
    """
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in pointer)


def read_json(file: str, text: bytes) -> Any:
    """:raises ConfigError: if it is not JSON within the bounds."""
    bounds = JsonBounds(max_bytes=MOST_BYTES, max_depth=MOST_DEPTH, max_keys=MOST_VALUES, max_digits=309)
    try:
        value = parse_json(text, bounds)
    except JsonRejected as rejected:
        raise ConfigError(f"{file} cannot be read: {rejected} ({rejected.code} at byte {rejected.offset}).") from None
    return checked(file, value)


def checked(file: str, value: Any) -> Any:
    """A copy of *value*, which is made of dicts, lists and scalars.

    :raises ConfigError: for another type, a name that is no text, or what is beyond the bounds.
    """
    return _Copy(file).of(value, (), "")


class _Copy:
    def __init__(self, file: str) -> None:
        self.file = file
        self.left = MOST_VALUES

    def of(self, value: Any, at: tuple[str, ...], inside: str) -> Any:
        self.left -= 1
        if self.left < 0 or len(at) > MOST_DEPTH:
            raise _too_much(self.file)
        if isinstance(value, Mapping):
            copy: dict[str, Any] = {}
            for key, member in value.items():
                name = _name(self.file, key, at, inside)
                if name in copy:
                    raise ConfigError(f"{self.file}#{escaped((*at, name))} stands there twice.")
                copy[name] = self.of(member, (*at, name), name)
            return copy
        if isinstance(value, (list, tuple)):
            return [self.of(item, (*at, str(index)), "") for index, item in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{self.file}#{escaped(at)} is no finite number.")
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        raise ConfigError(f"{self.file}#{escaped(at)} is {type(value).__name__}, which JSON does not have.")


def read_yaml(file: str, text: bytes) -> Any:
    """:raises ConfigError: if it is not YAML within the bounds, or PyYAML is not installed."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise ConfigError(
            f'{file} is YAML, which PyYAML reads: pip install "flask-rampart[openapi]", or give the document as JSON.'
        ) from None
    if len(text) > MOST_BYTES:
        raise _too_much(file)
    try:
        # As events: no nesting is deep for a parser that has no stack, and aliases are counted while they come.
        return _Events(file).read(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        raise ConfigError(f"{file} cannot be read as YAML{line}: {reason}.") from None


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("anchor", "at", "before", "inside", "key", "levels", "value")

    def __init__(self, value: Any, at: tuple[str, ...], anchor: str | None, before: int) -> None:
        self.value = value
        self.at = at
        self.inside = at[-1] if at else ""
        self.anchor = anchor
        self.before = before
        self.key: str | None = None
        self.levels = 1


class _Known(NamedTuple):
    """What an alias repeats."""

    value: Any
    size: int
    levels: int


class _Events:
    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, _Known] = {}
        self.result: list[Any] = []

    def read(self, events: Iterator[Any]) -> Any:
        for event in events:
            kind = type(event).__name__
            if kind == "ScalarEvent":
                self.count += 1
                self._put(_Known(self._scalar(event), 1, 0), event.anchor)
            elif kind == "AliasEvent":
                if event.anchor not in self.anchors:
                    raise ConfigError(f"{self._here()}: the alias *{event.anchor} names nothing, or what it is in.")
                self.count += self.anchors[event.anchor].size
                self._put(self.anchors[event.anchor], None)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._start({} if kind == "MappingStartEvent" else [], event)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                done = self.open.pop()
                self._put(_Known(done.value, self.count - done.before, done.levels), done.anchor)
            elif kind == "DocumentStartEvent" and self.result:
                raise ConfigError(f"{self.file} holds more than one YAML document.")
        if not self.result:
            raise ConfigError(f"{self.file} is empty.")
        return self.result[0]

    def _start(self, value: Any, event: Any) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise ConfigError(f"{self._here()}: the tag {event.tag} is not read.")
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            raise ConfigError(f"{self._here()}: a name is a text, not a list or mapping.")
        self.open.append(_Open(value, self._at(), event.anchor, self.count))
        self.count += 1
        self._bound(0)

    def _bound(self, levels: int) -> None:
        if self.count > MOST_VALUES or len(self.open) + levels > MOST_DEPTH:
            raise _too_much(self.file)

    def _put(self, known: _Known, anchor: str | None) -> None:
        value = known.value
        self._bound(known.levels)
        if anchor is not None:
            self.anchors[anchor] = known
        if not self.open:
            self.result.append(value)
            return
        holder = self.open[-1]
        holder.levels = max(holder.levels, known.levels + 1)
        if isinstance(holder.value, list):
            holder.value.append(value)
        elif holder.key is None:
            name = _name(self.file, value, holder.at, holder.inside)
            if name == "<<":
                raise ConfigError(f"{self.file}#{escaped(holder.at)}: merge keys (<<) are not read: use $ref.")
            if name in holder.value:
                raise ConfigError(f"{self.file}#{escaped((*holder.at, name))} stands there twice.")
            holder.key = name
        else:
            holder.value[holder.key] = value
            holder.key = None

    def _at(self) -> tuple[str, ...]:
        if not self.open:
            return ()
        holder = self.open[-1]
        last = str(len(holder.value)) if isinstance(holder.value, list) else holder.key
        return holder.at if last is None else (*holder.at, last)

    def _here(self) -> str:
        return f"{self.file}#{escaped(self._at())}"

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag in ("tag:yaml.org,2002:str", "!") or (event.tag is None and not event.implicit[0]):
            return text
        if event.tag is not None:
            raise ConfigError(f"{self._here()}: the tag {event.tag} is not read; write the value as it is.")
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                raise ConfigError(f"{self._here()}: a number of {len(text)} digits is not read.")
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if _FLOAT.fullmatch(text) and len(text) <= _MOST_DIGITS:
            value = float(text)
            if math.isfinite(value):
                return value
        if _NOT_FINITE.fullmatch(text) or _FLOAT.fullmatch(text):
            raise ConfigError(f"{self._here()} is no finite number.")
        return text


def _name(file: str, key: object, at: tuple[str, ...], inside: str) -> str:
    if isinstance(key, str):
        if not key.isascii() and any("\ud800" <= letter <= "\udfff" for letter in key):
            raise ConfigError(f"{file}#{escaped(at)}: the name {key!a} holds half of a surrogate pair.")
        return key
    if inside == "responses" and isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise ConfigError(
        f"{file}#{escaped(at)}: the name {key!r} is {type(key).__name__} and no text: put it in quotation marks."
    )


def _too_much(file: str) -> ConfigError:
    return ConfigError(
        f"{file} is too much: at most {MOST_BYTES >> 20} MiB, {MOST_DEPTH} levels and {MOST_VALUES} values are read, "
        "with what aliases repeat counted each time."
    )


# YAML 1.2.2 section 10.3.2, the core schema.
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MOST_DIGITS = 300
