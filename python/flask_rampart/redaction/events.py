"""Streams of events and of lines: each stays one, and a text that is spread over them is redacted as one text.

Models answer in server-sent events (WHATWG HTML section 9.2) whose ``data`` is JSON, a few letters of the answer in
each. A secret is then in no event, and in all of them. So, event by event:

1. what stands at *fields* is the next piece of a text: of its own for each field and for each place in a list
   (``index``, as in ``choices[0]``). The members of ``parts`` and ``content`` that have no ``index`` are one text, as
   clients put them together, and those that are a ``thought`` another. Each piece is replaced by what may leave of its
   text by now, which may be nothing;
2. what else the event holds is redacted as a nested value is, by name and by value;
3. what is no object or list is the next piece of one text, until such an event has another name. ``[DONE]`` stays;
4. what is held back of a text leaves when it is over: a choice has its ``finish_reason``, an event's ``type`` ends in
   ``_stop`` or ``.done``, ``[DONE]`` comes or the stream ends. An event is put before that one that has the text where
   it stood, and beside it what tells whose it is;
5. ``event``, ``id``, ``retry`` and comments stay where they are, each redacted alone. Once a comment was, those after
   it are empty, as a private key goes on in them. Other fields, which the standard has readers ignore, are left out. An
   event in which nothing was changed, and without such fields, is the same bytes.

Of lines (JSON Lines, newline-delimited JSON) each is redacted as JSON; those that are none, up to the next that is, are
one text.

An event or line of more than :data:`MOST_EVENT` characters, more than :data:`MOST_TEXTS` texts at a time, events to be
put before others that are much longer than what came, and bytes that are no UTF-8 end the stream with an error. So does
whatever else fails: nothing is passed on that was not understood. Of a whole that is in memory already (*bounded* is
False) neither the length nor the texts are counted.
"""

from __future__ import annotations

import codecs
import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..errors import ConfigError
from ..sse import Lines, broken_up, field_of
from .fields import CHOICE, DELTAS, OWN, Key, Way, ends_of, only, place_of, steps_of, texts_at
from .nested import Walk
from .places import Places
from .streams import RedactingStream

if TYPE_CHECKING:
    from .redactor import Redactor

MOST_EVENT = 1 << 20
MOST_TEXTS = 64
Events = Literal["sse", "lines"]
Rests: TypeAlias = dict[Key, tuple[str, Way]]
"""What is held of texts, and where in an event each stands."""
Framed: TypeAlias = Callable[[Rests], str]


class EventStream:
    """Chunks of a stream of events or lines, cut anywhere. Made by ``Redactor.stream(events=...)``.

    >>> from flask_rampart import Redactor
    >>> stream = Redactor().stream(events="sse")
    >>> one = '{"choices":[{"index":0,"delta":{"content":"to ada@exa"}}]}'
    >>> two = '{"choices":[{"index":0,"delta":{"content":"mple.com "}}]}'
    >>> print(stream.feed(f"data: {one}\\n\\ndata: {two}\\n\\n"), end="")
    data: {"choices":[{"index":0,"delta":{"content":"to "}}]}
    <BLANKLINE>
    data: {"choices":[{"index":0,"delta":{"content":"[REDACTED:EMAIL_ADDRESS]"}}]}
    <BLANKLINE>
    """

    def __init__(
        self,
        redactor: Redactor,
        events: Events,
        fields: Sequence[str] | None = None,
        places: Places | None = None,
        *,
        bounded: bool = True,
    ) -> None:
        if events not in ("sse", "lines"):
            raise ConfigError(f'stream(events=...) is "sse" or "lines", not {events!r}.')
        given = (DELTAS if events == "sse" else ()) if fields is None else fields
        if isinstance(given, str):
            raise ConfigError(f"stream(fields=...) is a list of places, such as [{given!r}], not one text.")
        self._fields = [(field, steps_of(field)) for field in dict.fromkeys(given)]
        self._redactor = redactor
        self._places = places or Places()
        most_event, self._most_texts, self._most_nodes = _BOUNDED if bounded else _WHOLE
        self._texts: dict[Key, _Text] = {}
        #: Keys by what ends their texts: the place of a choice, and each of an event's own numbers.
        self._ended_by: dict[tuple[int, Any], dict[Key, None]] = {}
        self._frame: Callable[[list[str]], str] = self._event if events == "sse" else self._line
        self._by_line = events == "lines"
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._is_text: bool | None = None
        self._cut = Lines(most_event)
        #: Those of the event that has begun.
        self._lines: list[str] = []
        #: Characters of those lines, and held by all texts: kept, since whoever streams may look after each piece.
        self._lines_held = self._texts_held = 0
        self._shows_mark = True
        #: Whether a comment was redacted: a key goes on in those after it.
        self._hides = False
        #: The last event without its texts, if nothing else of it was to be hidden, and where these stand in it.
        self._shell = ""
        self._shell_slots: list[tuple[Key, Way]] = []
        #: Of texts that are no object or list: the last event's name.
        self._names: dict[str, str] = {}
        #: Of lines: the last one that was none of JSON has left without its end.
        self._torn = False
        self._over = False
        #: Characters that have come, and those beside the texts of events that were put before others.
        self._come = self._beside = 0

    def feed(self, chunk: Any) -> Any:
        """What may leave now that *chunk* is there, of whole events (or lines).

        :raises ValueError: if the stream is over, and for what cannot be redacted.
        :raises TypeError: if *chunk* is neither text nor bytes, or not what the others were.
        """
        return self._guarded(lambda: self._taken(chunk))

    def finish(self) -> Any:
        """The rest. An event that was not ended leaves as one."""
        made = self._guarded(self._rest)
        self.end()
        return made

    def end(self) -> None:
        """Ends the stream without the rest."""
        self._over = True
        for text in self._texts.values():
            text.stream.end()
        self._texts.clear()
        self._ended_by.clear()
        self._lines.clear()
        self._cut.clear()
        self._lines_held = self._texts_held = 0

    @property
    def is_over(self) -> bool:
        """Whether it was finished or ended, or has failed."""
        return self._over

    @property
    def held(self) -> int:
        """Characters that are held back now: of texts, and of the event that has begun."""
        return self._cut.held + self._lines_held + self._texts_held

    def _guarded(self, work: Callable[[], str]) -> Any:
        if self._over:
            raise ValueError("the stream is over: it was finished, or has failed")
        self._over = True
        try:
            made = work()
        except BaseException:
            self.end()
            raise
        self._over = False
        return made.encode() if self._is_text is False else made

    def _taken(self, chunk: Any) -> str:
        is_text = isinstance(chunk, str)
        if not (is_text or isinstance(chunk, bytes)) or self._is_text not in (None, is_text):
            raise TypeError(
                f"a stream is of str or of bytes, the same throughout; this chunk is {type(chunk).__name__}"
            )
        self._is_text = is_text
        text = chunk if is_text else self._decoder.decode(chunk)
        self._come += len(text)
        made = [self._lined(line, ending) for line, ending in self._cut.feed(text)]
        if self._shows_mark and text:
            self._shows_mark = False
            made.insert(0, "\ufeff" * self._cut.has_mark)
        return "".join(made)

    def _lined(self, line: str, ending: str) -> str:
        if line.startswith(":") and not (self._lines or self._by_line):
            self._cut.over()
            return self._comment(line + ending)  # a sign of life does not wait for an event
        self._lines.append(line + ending)
        self._lines_held += len(line) + len(ending)
        if line and not self._by_line:
            return ""
        lines, self._lines, self._lines_held = self._lines, [], 0
        self._cut.over()
        return self._frame(lines)

    def _rest(self) -> str:
        made = ""
        if self._is_text is False:
            self._decoder.decode(b"", True)
        last = self._cut.finish()
        if last is not None:
            line, ending = last
            made = self._lined(line, ending or ("" if self._by_line else "\n"))
        if self._lines:
            lines, self._lines, self._lines_held = [*self._lines, "\n"], [], 0
            made += self._frame(lines)
        return made + self._flushed([*self._texts])

    # Server-sent events.

    def _event(self, lines: list[str]) -> str:
        data, name = [], ""
        for line in lines:
            field, value = field_of(line.rstrip("\r\n"))
            if field == "data":
                data.append(value)
            elif field == "event":
                # As it leaves: what is held back of a text leaves under this name, too.
                _, name = field_of(self._comment(line).rstrip("\r\n"))
        if not data:
            return "".join(map(self._comment, lines))
        whole = "\n".join(data)
        if whole.strip() == "[DONE]":
            return self._flushed([*self._texts]) + "".join(map(self._comment, lines))
        before, made = self._data(whole, name)
        if made == whole:
            return before + "".join(map(self._comment, lines))
        shown = []
        put = False
        for line in lines:
            if not _is_data(line):
                shown.append(self._comment(line))
            elif not put:
                put = True
                ending = line[len(line.rstrip("\r\n")) :] or "\n"
                shown += [f"data: {part}{ending}" for part in broken_up(made)]
        return before + "".join(shown)

    def _comment(self, line: str) -> str:
        """A line that holds none of the data: a comment, a name, an identifier may still be a secret."""
        text = line.rstrip("\r\n")  # a private key goes on to the text's end, and the line must end
        field, _ = field_of(text)
        if field == "data" or not text:
            return line
        if field not in _FIELDS:
            return ""  # of no meaning to any reader
        if not field and self._hides:
            return ":" + line[len(text) :]
        made = self._redactor.redact(text)
        if not field and made != text:
            self._hides = True
        return made + line[len(text) :]

    def _data(self, whole: str, name: str) -> tuple[str, str]:
        value = _json(whole)
        if value is _NONE or not isinstance(value, (dict, list, str)):
            before = self._renamed("", name)
            return before, self._fed(whole, ("", name), _event_of(name))
        if isinstance(value, str):
            before = self._renamed("$", name)
            made = self._fed(value, ("$", name), _event_of(name, _dump))
            return before, whole if made == value else _dump(made)
        return self._value(value, whole, lambda text: f"{_named(name)}data: {text}\n\n")

    def _renamed(self, kind: str, name: str) -> str:
        """The rest of such a text, if it has come under another name until now."""
        former, self._names[kind] = self._names.get(kind, name), name
        return "" if former == name else self._flushed([(kind, former)])

    # Lines.

    def _line(self, lines: list[str]) -> str:
        text = "".join(lines)
        mark = text[: text.startswith("\x1e")]  # of a record (RFC 7464)
        line = text.removeprefix(mark).rstrip("\r\n")
        value = _json(line) if line.strip() else _NONE
        if value is _NONE:
            # One text over lines, as a private key is.
            made = self._fed(text, _PLAIN, _alone)
            self._torn = not made.endswith(("\r", "\n")) if made else self._torn
            return made
        rest = self._flushed([_PLAIN])
        if (rest and not rest.endswith(("\r", "\n"))) or (not rest and self._torn):
            rest += "\n"  # what was hidden may have been the end of its line, too
        self._torn = False
        before, made = self._value(value, line, lambda text: f"{text}\n")
        return rest + before + mark + made + text[len(mark) + len(line) :]

    # What both have.

    def _value(self, value: Any, whole: str, frame: Callable[[str], str]) -> tuple[str, str]:
        """What is to leave before a nested value, and the value as it leaves."""
        as_before = self._as_before(value)
        if as_before is not None:
            return self._pieces(value, whole, frame, as_before)
        slots = [*self._slots(value)]
        pieces = []
        for _, holder, name, _ in slots:
            pieces.append(holder[name])
            holder[name] = ""
        walk = Walk(self._redactor, self._places, max_nodes=self._most_nodes, max_depth=_MOST_DEPTH)
        made = walk(value)
        self._note(value, made, [(key, way) for key, _, _, way in slots])
        # Where a text stands is the same in both; whose it is, only the event says as it came.
        stands = {way: (holder, name) for _, holder, name, way in self._slots(made)}
        framed = functools.partial(self._framed, made, frame)
        last = {}
        for (key, _, _, way), piece in zip(slots, pieces, strict=True):
            if way in stands:  # else it is inside of what is hidden whole
                holder, name = last[key] = stands[way]
                holder[name] = self._fed(piece, key, framed, made, way)
        over = self._ended(value)
        # What an event ends leaves with it, where it has a place for it, else before it.
        for key, (holder, name) in last.items():
            if key in over:
                holder[name] += self._taken_out(key).stream.finish()
        before = self._flushed(over)
        for (_, holder, name, _), piece in zip(slots, pieces, strict=True):
            holder[name] = piece
        return before, whole if _same(made, value) else _dump(made)

    def _note(self, value: Any, made: Any, slots: list[tuple[Key, Way]]) -> None:
        """Remembers an event without its texts, in which nothing was to be hidden: most that follow are the same."""
        self._shell = ""
        if slots and _same(made, value):
            shell = _dump(value)
            if len(shell) <= _MOST_SHELL:
                self._shell, self._shell_slots = shell, slots

    def _as_before(self, value: Any) -> list[tuple[Key, Way, Any, Any, str]] | None:
        """The pieces of texts of an event that is the last one but for them, which are taken out of it; None if it is
        another, and as it was."""
        if not self._shell:
            return None
        found: list[tuple[Key, Way, Any, Any, str]] = []
        for key, way in self._shell_slots:
            *steps, name = way
            holder = value
            try:
                for step in steps:
                    holder = holder[step]
                piece = holder[name]
            except (KeyError, IndexError, TypeError):
                break
            if not isinstance(piece, str) or isinstance(holder, str):
                break
            found.append((key, way, holder, name, piece))
            holder[name] = ""
        # Of the same text, so that 1 is not true. A text at another place would be in it.
        if len(found) == len(self._shell_slots) and _dump(value) == self._shell:
            return found
        for _, _, holder, name, piece in found:
            holder[name] = piece
        return None

    def _pieces(
        self, value: Any, whole: str, frame: Callable[[str], str], found: list[tuple[Key, Way, Any, Any, str]]
    ) -> tuple[str, str]:
        """As :meth:`_value`, of an event in which nothing but pieces of texts is to be looked at."""
        framed = functools.partial(self._framed, value, frame)
        fed = [self._fed(piece, key, framed, value, way) for key, way, _, _, piece in found]
        over = self._ended(value)
        last = {}
        for (key, _, holder, name, _), made in zip(found, fed, strict=True):
            last[key] = (holder, name)
            holder[name] = made
        for key, (holder, name) in last.items():
            if key in over:
                holder[name] += self._taken_out(key).stream.finish()
        before = self._flushed(over)
        is_same = all(holder[name] == piece for _, _, holder, name, piece in found)
        return before, whole if is_same else _dump(value)

    def _framed(self, made: Any, frame: Callable[[str], str], rests: Rests) -> str:
        """An event of the shape of *made*, in which *rests* stand alone.

        :raises ValueError: if more stands beside texts, in all such events, than the stream's length allows for.
        """
        event = frame(_dump(only(made, {way: rest for rest, way in rests.values()})))
        self._beside += len(event) - sum(len(rest) for rest, _ in rests.values())
        if self._beside > _BESIDE + _BESIDE_EACH * self._come:
            raise ValueError("the events that texts would have to leave in are much longer than those they came in")
        return event

    def _slots(self, value: Any) -> Iterator[tuple[Key, Any, Any, Way]]:
        """The texts of a value: their names, where they stand, and the ways there."""
        own = tuple(value.get(name) for name in OWN) if isinstance(value, dict) else ()
        own = tuple(number if isinstance(number, (int, str)) else None for number in own)
        for field, steps in self._fields:
            for places, holder, name, way in texts_at(value, steps):
                yield (field, places, own), holder, name, way

    def _fed(self, piece: str, key: Key, framed: Framed, shape: object = None, way: Way = ()) -> str:
        """What may leave of a text now that *piece* of it is there."""
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= self._most_texts:
                raise ValueError(f"more than {self._most_texts} texts are streamed at once")
            text = self._texts[key] = _Text(RedactingStream(self._redactor))
            for end in ends_of(key):
                self._ended_by.setdefault(end, {})[key] = None
        text.framed, text.shape, text.way = framed, shape, way
        made = text.stream.feed(piece)
        held = text.stream.held
        self._texts_held += held - text.held
        text.held = held
        return made

    def _taken_out(self, key: Key) -> _Text:
        for end in ends_of(key):
            with_it = self._ended_by[end]
            del with_it[key]
            if not with_it:
                del self._ended_by[end]
        text = self._texts.pop(key)
        self._texts_held -= text.held
        return text

    def _flushed(self, keys: Iterable[Key]) -> str:
        frames: dict[int, tuple[_Text, Rests]] = {}
        for key in keys:
            if key in self._texts:
                text = self._taken_out(key)
                rest = text.stream.finish()
                if rest:
                    # Rests of one event leave in one: an event of n texts is not repeated n times.
                    _, rests = frames.setdefault(id(text if text.shape is None else text.shape), (text, {}))
                    rests[key] = rest, text.way
        return "".join(text.framed(rests) for text, rests in frames.values())

    def _ended(self, value: Any) -> dict[Key, None]:
        """The texts that are over with an event, in order. Only those that it may be about are looked at: of a whole,
        there may be many."""
        found: dict[Key, None] = {}
        if not isinstance(value, dict):
            return found
        choices = value.get("choices")
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict) and choice.get("finish_reason"):  # some send an empty one with every piece
                found |= self._ended_by.get((CHOICE, place_of(choice, at)), {})
        kind = value.get("type")
        if isinstance(kind, str) and kind.endswith(("_stop", ".done", ".completed")):
            own = [(n, value.get(name)) for n, name in enumerate(OWN) if value.get(name) is not None]
            if not all(isinstance(one, (int, str)) for _, one in own):
                return found
            about = min((self._ended_by.get(end, {}) for end in own), key=len, default=None)
            if about is None:
                about = {key: None for key in self._texts if len(key) == 3}
            found |= {key: None for key in about if all(key[2][n] == one for n, one in own)}
        return found


class _Text:
    """A text that is spread over events."""

    __slots__ = ("framed", "held", "shape", "stream", "way")

    def __init__(self, stream: RedactingStream) -> None:
        self.stream = stream
        #: Characters that it held when it was last fed.
        self.held = 0
        #: An event with a piece of it, and of other texts of the same event, and nothing else.
        self.framed: Framed = _alone
        #: Of which event that is; None of one of its own.
        self.shape: object = None
        #: Where in it the piece stands.
        self.way: Way = ()


def _alone(rests: Rests) -> str:
    return "".join(rest for rest, _ in rests.values())


def _event_of(name: str, written: Callable[[str], str] = str) -> Framed:
    def framed(rests: Rests) -> str:
        return _named(name) + "".join(f"data: {part}\n" for part in broken_up(written(_alone(rests)))) + "\n"

    return framed


def _named(name: str) -> str:
    return f"event: {name}\n" if name else ""


def _is_data(line: str) -> bool:
    return field_of(line.rstrip("\r\n"))[0] == "data"


def _dump(value: Any) -> str:
    text = _ENCODER.encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair, as one event may end with
        return json.dumps(value, separators=(",", ":"))
    return text


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
#: Of lines that are no data; a comment has no name.
_FIELDS = ("", "event", "id", "retry")
_NONE = object()
#: The text of lines that are no JSON.
_PLAIN: Key = ("", "")


def _json(text: str) -> Any:
    """What a JSON text says; a member that is there twice would be seen once, so that is none."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return _NONE
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) < len(pairs)
        return found

    try:
        value = json.loads(text, object_pairs_hook=members)
    except json.JSONDecodeError:
        return _NONE
    except (ValueError, RecursionError):
        # It is JSON, in which a reader may see what a text does not show: letters that are escaped.
        raise ValueError("an event or line is nested too deeply, or has a number of too many digits") from None
    if twice:
        raise ValueError("an event or line names a member twice")
    return value


def _same(made: Any, value: Any) -> bool:
    if type(made) is not type(value):
        return False
    if isinstance(made, dict):
        return made.keys() == value.keys() and all(_same(one, value[key]) for key, one in made.items())
    if isinstance(made, list):
        return len(made) == len(value) and all(map(_same, made, value))
    return bool(made == value)


_MOST_DEPTH = 64
#: Characters of an event without its texts, if it is remembered.
_MOST_SHELL = 4096
#: Characters of an event, texts at once, and nodes of an event: of a stream, and of what is whole in memory.
_BOUNDED: tuple[float, float, int] = (MOST_EVENT, MOST_TEXTS, 100_000)
_WHOLE: tuple[float, float, int] = (math.inf, math.inf, 1_000_000)
#: Characters beside texts in events that are put before others: so many, and so many for each that has come.
_BESIDE = 1 << 16
_BESIDE_EACH = 4
