"""The redactor: finds secrets and personal data, and says what becomes of each.

What is found, and how, is decided in Rust (``src/redaction``), in time that is linear in the text. Here is decided
what takes its place: for each find the operator of its entity, else the one for ``"DEFAULT"``, else a mark. Without
operators of one's own, marks are written in Rust as well.

A finding says what was found and where, and never what it was. What is redacted twice with marks is as it was after the
first time; with other operators it may be found again (the hash of a password is still behind ``password=``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar, overload

from .. import _native
from ..errors import ConfigError
from ..readers import nearest
from .events import Events, EventStream
from .nested import MOST_DEPTH, Walk
from .operators import MARK, Keep, Operator, Replace, operator_of
from .places import Places
from .streams import MOST_VALUE, RedactingStream, asks_value, iterate, iterate_async, mark, too_long

T = TypeVar("T")
Chunk = TypeVar("Chunk", str, bytes)
DEFAULT = "DEFAULT"
MAX_NODES = 100_000
MAX_DEPTH = 64


@dataclass(frozen=True)
class Finding:
    """Something that was found: what and where, never its value.

    Offsets count code points in a text, and bytes in bytes.
    """

    entity: str
    """``"EMAIL_ADDRESS"``, ``"PASSWORD"``, …"""
    rule: str
    """What found it; for a member that was hidden by its place, ``name:``, ``key:`` or the path, as it was written."""
    start: int
    """Where it begins."""
    end: int
    """Where it is over; the same as *start*, 0, of a member that was hidden whole."""
    pointer: str = ""
    """In a nested value, the text that the offsets are of: a JSON Pointer (RFC 6901), its names redacted."""


@dataclass(frozen=True)
class Redacted:
    """What :meth:`Redactor.run` gives: the redacted value, and what was found in it."""

    value: Any
    """Of the kind that was given."""
    findings: tuple[Finding, ...]

    @property
    def text(self) -> Any:
        """The redacted text; the same as *value*."""
        return self.value

    def __repr__(self) -> str:
        # What an operator kept is in the value.
        return f"Redacted({len(self.findings)} findings)"


class Redactor:
    """Finds secrets and personal data in texts, bytes and nested values, and replaces them.

    :param entities: what is looked for, such as ``["EMAIL_ADDRESS", "CREDIT_CARD"]``; None: all of :attr:`entities`.
    :param operators: what becomes of a find, by entity, ``"DEFAULT"`` for the rest: ``{"EMAIL_ADDRESS":
        Mask(keep_last=4)}``, or as Presidio's ``OperatorConfig`` says it, ``{"type": "mask", ...}``. None: a mark,
        ``[REDACTED:<ENTITY>]``.
    :param allow: finds that are left alone: texts, each a whole find, and compiled patterns that match a whole find.
    :param deny: words that are always found, each with its entity: ``{"bluebird": "CODENAME"}``. They win over *allow*
        and *entities*.
    :param detectors: further kinds of secrets: dicts of ``name``, ``entity``, ``pattern``, and more; see
        ``docs/redaction-kinds.md``. Their samples are tried at once.
    :param names: further names whose values are secret: ``"license_key"`` also covers ``X-License-Key``.
    :param context: further words that announce a number, by its entity, which is among *entities*:
        ``{"US_SSN": ["member no"]}``. They count up to 64 bytes before it, on its line, as the built-in words do.
    :raises ConfigError: for what cannot be used.

    Immutable, and safe to use from all threads: make one and share it.

    >>> redactor = Redactor(operators={"EMAIL_ADDRESS": Replace("<{entity}>")})
    >>> redactor.redact("ada@example.com, password=hunter2")
    '<EMAIL_ADDRESS>, password=[REDACTED:PASSWORD]'
    >>> redactor.redact({"to": ["ada@example.com"], "pin": 1234})
    {'to': ['<EMAIL_ADDRESS>'], 'pin': '[REDACTED:PIN]'}
    >>> redactor.scan("pin: 1234")
    (Finding(entity='PIN', rule='named', start=5, end=9, pointer=''),)
    """

    __slots__ = ("_default", "_denied", "_operators", "_plain", "native")

    native: _native.Redactor
    """What finds; its own marks are what the access log shows."""
    _default: Operator
    _operators: dict[str, Operator]
    _plain: bool
    #: Finds the denied words alone, in what is kept.
    _denied: _native.Redactor | None

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        operators: Mapping[str, Any] | None = None,
        allow: Iterable[str | re.Pattern[str]] | None = None,
        deny: Mapping[str, str] | None = None,
        detectors: Iterable[Mapping[str, Any]] | None = None,
        *,
        names: Sequence[str] | None = None,
        context: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "entities": entities,
            "allow": allow,
            "deny": deny,
            "detectors": detectors,
            "names": names,
            "context": context,
        }
        try:
            native = _native.Redactor(**{name: value for name, value in given.items() if value is not None})
        except (ValueError, TypeError) as error:
            raise ConfigError(str(error)) from None
        self._made(native, _read(operators, native.entities))
        if deny and any(isinstance(operator, Keep) for operator in self._operators.values()):
            # Some entity has to be looked for: one of few finds, which are passed over.
            object.__setattr__(self, "_denied", _native.Redactor(entities=["MAC_ADDRESS"], deny=deny))

    def _made(self, native: _native.Redactor, operators: Mapping[str, Operator]) -> None:
        put = functools.partial(object.__setattr__, self)
        put("native", native)
        put("_operators", dict(operators))
        put("_denied", None)
        put("_default", operators.get(DEFAULT, Replace()))
        put("_plain", all(operator == Replace() for operator in operators.values()))

    @classmethod
    def over(cls, native: _native.Redactor) -> Redactor:
        """A redactor with marks over one of the core's."""
        redactor = cls.__new__(cls)
        redactor._made(native, {})
        return redactor

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A Redactor is immutable: make another.")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __repr__(self) -> str:
        told = ", ".join(f"{entity}: {operator.name}" for entity, operator in self._operators.items())
        return f"Redactor({told})"

    def __deepcopy__(self, memo: Any) -> Redactor:
        return self

    @property
    def entities(self) -> tuple[str, ...]:
        """What findings can be called, in alphabetical order."""
        return self.native.entities

    @property
    def asks_no_value(self) -> bool:
        """Whether no operator has to see what it replaces."""
        return not any(asks_value(operator) for operator in (*self._operators.values(), self._default))

    @property
    def has_denied(self) -> bool:
        """Whether denied words are looked for in what is kept."""
        return self._denied is not None

    @property
    def is_plain(self) -> bool:
        """Whether all that it finds is replaced by marks."""
        return self._plain

    def is_secret_name(self, name: str) -> bool:
        """Whether values of *name* are secret."""
        return self.secret_name(name) is not None

    def scan(self, value: Any) -> tuple[Finding, ...]:
        """What is found in a text, bytes or a nested value, from left to right."""
        return self.run(value).findings

    def redact(self, value: T) -> T:
        """*value* redacted: a text, bytes, or a nested value (see :meth:`redact_json`); it is not changed itself."""
        made: Any
        if isinstance(value, str):
            made = self.text_at(value, "", None)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            made = self.bytes_at(bytes(value), "", None)
        else:
            made = self.redact_json(value)
        return made  # type: ignore[no-any-return]

    def run(self, value: Any) -> Redacted:
        """*value* redacted, and what was found in it.

        >>> result = Redactor().run("mail to ada@example.com")
        >>> result.text, [(found.entity, found.start, found.end) for found in result.findings]
        ('mail to [REDACTED:EMAIL_ADDRESS]', [('EMAIL_ADDRESS', 8, 23)])
        """
        found: list[Finding] = []
        made: Any
        if isinstance(value, str):
            made = self.text_at(value, "", found)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            made = self.bytes_at(bytes(value), "", found)
        else:
            made = Walk(self, Places(), max_nodes=MAX_NODES, max_depth=MAX_DEPTH, objects="text", found=found)(value)
        return Redacted(made, tuple(found))

    @overload
    def stream(self) -> RedactingStream: ...
    @overload
    def stream(self, *, events: Events, fields: Sequence[str] | None = None) -> EventStream: ...
    def stream(
        self, *, events: Events | None = None, fields: Sequence[str] | None = None
    ) -> RedactingStream | EventStream:
        """One text that is redacted as it arrives, with no more held back than has to be.

        :param events: ``"sse"``: the chunks are of server-sent events, which stay such, ``"lines"``: of JSON Lines.
        :param fields: where in them pieces of texts stand; see :mod:`flask_rampart.redaction.events`. In events
            those of chat completions and their kin, if nothing is said; in lines none.
        :raises ConfigError: for no such kind or place.

        >>> stream = Redactor().stream()
        >>> [stream.feed("mail ada@exa"), stream.feed("mple.com now"), stream.finish()]
        ['mail ', '[REDACTED:EMAIL_ADDRESS] ', 'now']
        """
        if events is not None:
            return EventStream(self, events, fields)
        if fields is not None:
            raise ConfigError('stream(fields=...) needs events="sse" or events="lines".')
        return RedactingStream(self)

    def iter(
        self, chunks: Iterable[Chunk], *, events: Events | None = None, fields: Sequence[str] | None = None
    ) -> Iterator[Chunk]:
        """The chunks of one text, or of events, redacted as they come. Closing it closes *chunks*.

        >>> list(Redactor().iter(["pin: 12", "34, next: 5", "678"]))
        ['pin: [REDACTED:PIN], next:', ' 5678']
        """
        return iterate(self._streamed(events, fields), chunks)

    def aiter(
        self, chunks: AsyncIterable[Chunk], *, events: Events | None = None, fields: Sequence[str] | None = None
    ) -> AsyncIterator[Chunk]:
        """:meth:`iter` for chunks that are awaited."""
        return iterate_async(self._streamed(events, fields), chunks)

    def _streamed(self, events: Events | None, fields: Sequence[str] | None) -> RedactingStream | EventStream:
        return self.stream(events=events, fields=fields) if events is not None else self.stream()

    def redact_json(
        self,
        value: Any,
        *,
        paths: Mapping[str, Any] | None = None,
        keys: Mapping[str, Any] | None = None,
        max_nodes: int = MAX_NODES,
        max_depth: int = MAX_DEPTH,
    ) -> Any:
        """A redacted copy of dicts and lists, deep.

        :param paths: what becomes of the member at a place, whatever it holds: ``{"/users/*/email": Mask()}`` or
            ``{"$.users[*].email": Mask()}``.
        :param keys: what becomes of members of a name, at any depth: ``{"nickname": Redact()}``.
        :param max_nodes: members that are looked at; what is left becomes ``"[REDACTED:DEPTH]"``.
        :param max_depth: levels that are looked at, up to 200; what is below becomes that too.
        :raises ConfigError: for a path that cannot be read, or no operator.

        >>> Redactor().redact_json({"user": {"nick": "ada", "id": 7}}, paths={"/user/nick": "mask"})
        {'user': {'nick': '***', 'id': 7}}
        """
        places = Places(paths, keys)
        for name, number, most in (("max_nodes", max_nodes, 1 << 40), ("max_depth", max_depth, MOST_DEPTH)):
            if type(number) is not int or not 1 <= number <= most:
                raise ConfigError(f"redact_json({name}=...) is a whole number from 1 to {most}, not {number!r}.")
        return Walk(self, places, max_nodes=max_nodes, max_depth=max_depth, objects="text")(value)

    # What the walk asks for, of one text at its place; findings are put into *found*, if there is such a list.

    def text_at(self, text: str, pointer: str, found: list[Any] | None) -> str:
        if self._plain and found is None:
            return self.native.redact(text)
        spans = self._spans(text)
        if not spans:
            return text
        if found is not None:
            found += [Finding(entity, rule, start, end, pointer) for entity, rule, start, end in spans]
        marked = self.native.redact(text)
        if self._plain:
            return marked
        pieces = []
        done = 0
        for (entity, _, start, end), quote in zip(spans, _quotes(spans, marked), strict=True):
            pieces += [text[done:start], self.in_place_of(entity, quote, text[start:end])]
            done = end
        return "".join((*pieces, text[done:]))

    def in_place_of(self, entity: str, quote: str, value: str | None) -> str:
        """What takes the place of *value*, which may be too long to be there; *quote* is put round it."""
        operator = self.operator_for(entity)
        if asks_value(operator) and (value is None or too_long(value)):
            return mark(entity, quote)
        if isinstance(operator, Keep):
            return self._kept(value or "")
        return f"{quote}{operator.apply(value or '', entity)}{quote}"

    def bytes_at(self, data: bytes, pointer: str, found: list[Any] | None) -> bytes:
        if self._plain and found is None:
            return self.native.redact_bytes(data)
        text = data.decode("utf-8", "surrogateescape")
        spans = self._spans(text)
        if not spans:
            return data
        pieces: list[bytes] = []
        done = at = 0
        for (entity, rule, start, end), quote in zip(spans, _quotes(spans, self.native.redact(text)), strict=True):
            value = text[start:end]
            first = at + len(text[done:start].encode("utf-8", "surrogateescape"))
            last = first + len(value.encode("utf-8", "surrogateescape"))
            operator = self.operator_for(entity)
            made = data[first:last]
            if asks_value(operator) and last - first > MOST_VALUE:
                made = mark(entity, quote).encode()
            elif not isinstance(operator, Keep):
                made = f"{quote}{operator.apply(value, entity)}{quote}".encode("utf-8", "replace")
            elif self._denied is not None:
                made = self._kept(value).encode("utf-8", "surrogateescape")
            pieces += [data[at:first], made]
            done, at = end, last
            if found is not None:
                found.append(Finding(entity, rule, first, last, pointer))
        return b"".join((*pieces, data[at:]))

    def number_at(self, value: Any, pointer: str, found: list[Any] | None) -> Any:
        if isinstance(value, Decimal) and (not value.is_finite() or value.adjusted() > _MOST_DIGITS):
            text = str(value)  # NaN compares with nothing, and 1E+1000000 is a million digits as an int
        elif isinstance(value, int) and -100 < value < 100:
            return value  # most numbers are small, and none of two digits is a secret
        else:
            try:
                # A float that is whole is written by others without its point.
                text = str(int(value)) if isinstance(value, (float, Decimal)) and value == int(value) else str(value)
            except (ValueError, OverflowError, ArithmeticError):
                try:
                    text = str(value)
                except ValueError:  # an int of more digits than Python writes
                    return MARK.replace("{entity}", "DEPTH")
        spans = self._spans(text)
        if not spans:
            return value
        entity, rule, _, _ = spans[0]
        if found is not None:
            found.append(Finding(entity, rule, 0, len(text), pointer))
        operator = self.operator_for(entity)
        return value if isinstance(operator, Keep) else operator.apply(text, entity)

    def secret_name(self, name: str) -> str | None:
        """What values of *name* are called; None if they are not secret."""
        return self.native.entity_of_name(name)

    def allows(self, text: str) -> bool:
        """Whether a find that is all of *text* is left alone."""
        return self.native.allows(text)

    def operator_for(self, entity: str) -> Operator:
        """What becomes of a find."""
        return self._operators.get(entity, self._default)

    def noted_at(self, entity: str, rule: str, start: int, end: int) -> Finding:
        """A finding in a text."""
        return Finding(entity, rule, start, end)

    def noted(self, entity: str, rule: str, pointer: str) -> Finding:
        """A finding that is a whole member."""
        return Finding(entity, rule, 0, 0, pointer)

    def _kept(self, value: str) -> str:
        """What is kept of a find that is kept: all but the denied words in it."""
        if self._denied is None:
            return value
        pieces = []
        done = 0
        for entity, start, end, rule in self._denied.scan(value):
            if rule == "deny":
                pieces += [value[done:start], self.operator_for(entity).apply(value[start:end], entity)]
                done = end
        return "".join((*pieces, value[done:]))

    def _spans(self, text: str) -> list[tuple[str, str, int, int]]:
        return [(entity, rule, start, end) for entity, start, end, rule in self.native.scan(text)]


@functools.cache
def built_in() -> Redactor:
    """The redactor of all that is built in, with marks."""
    return Redactor()


def redactor_over(given: Redactor | _native.Redactor | None) -> Redactor:
    """A redactor as somebody has given it."""
    if given is None:
        return built_in()
    return given if isinstance(given, Redactor) else Redactor.over(given)


def _read(operators: Mapping[str, Any] | None, entities: Sequence[str]) -> dict[str, Operator]:
    if operators is None:
        return {}
    if not isinstance(operators, Mapping):
        raise ConfigError(
            f'operators= is a dict such as {{"EMAIL_ADDRESS": Mask(keep_last=4)}}, not {type(operators).__name__}.'
        )
    found = {}
    for entity, given in operators.items():
        if entity != DEFAULT and entity not in entities:
            close = nearest(str(entity), [*entities, DEFAULT]) or f' There are {", ".join(entities)} and "DEFAULT".'
            raise ConfigError(f"operators={{{entity!r}: ...}}: nothing is found by that name.{close}")
        found[entity] = operator_of(given, f"operators={{{entity!r}: ...}}")
    return found


def _quotes(spans: Sequence[tuple[str, str, int, int]], marked: str) -> list[str]:
    """What stands on both sides of each mark: quotes, where a bare number of a JSON text became a text.

    All else of *marked* is the text's own, so that the place of each mark is known.
    """
    quotes = []
    done = at = 0
    for entity, _, start, end in spans:
        mark = MARK.replace("{entity}", entity)
        at += start - done
        found = marked.find(mark, at, at + len(mark) + _MOST_QUOTE)
        if found < 0:
            return [""] * len(spans)
        quote = marked[at:found]
        quotes.append(quote)
        at = found + len(mark) + len(quote)
        done = end
    return quotes


_MOST_QUOTE = 256
_MOST_DIGITS = 40
