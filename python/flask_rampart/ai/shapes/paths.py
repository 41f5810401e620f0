"""Bodies of an app's own: a JSON object with a prompt in one place, and an answer with a text in one place.

1. A request is a JSON object with a text at *prompt*. It has the members that the places are in, and those that are
   named beside; another refuses it. All texts in it are treated, wherever they stand.
2. An answer is a JSON object with a text at *answer*; all texts in it are treated, each by itself. An answer that is a
   text (``text/plain``) is treated as one.
3. A streamed answer is of JSON objects, whose text at *delta* goes on from one to the next, or of pieces of text.
   What is held back leaves at the end.
4. There are no roles, parts and tools, and nothing says that an answer was stopped but an ``error`` member; a stopped
   text ends where it was stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...errors import ConfigError
from ..visiting import Unshaped, Visitor, free, text, walked
from .common import Channel, Event, Events, Out, Stop, note_reasoning, object_of, positive


class Paths:
    """Bodies of an app's own, by JSON Pointers (RFC 6901).

    :param prompt: where a request has its prompt.
    :param answer: where an answer has its text.
    :param delta: where an event of a streamed answer has the next piece of it; *answer*, if not given.
    :param model: where a request says which model.
    :param most: where a request says how many tokens the answer may have.
    :param stream: where a request says that the answer is to be streamed.
    :param members: names of further members that a request may have, beside those that these places are in.
    :raises ConfigError: for what is no pointer.

    >>> Paths(prompt="/question", answer="/reply").name
    'paths'
    """

    name = "paths"
    ends: str | None = None

    def __init__(
        self,
        prompt: str = "/prompt",
        answer: str = "/text",
        *,
        delta: str | None = None,
        model: str = "/model",
        most: str = "/max_tokens",
        stream: str = "/stream",
        members: Iterable[str] = (),
    ) -> None:
        self._prompt = _pointer("prompt", prompt)
        self._answer = _pointer("answer", answer)
        self._delta = self._answer if delta is None else _pointer("delta", delta)
        self._model = _pointer("model", model)
        self._most = _pointer("most", most)
        self._stream = _pointer("stream", stream)
        more = frozenset([members] if isinstance(members, str) else members)
        places = (self._prompt, self._model, self._most, self._stream)
        self._members = more | {place[0] for place in places}

    def prompt(self, body: Any, visit: Visitor) -> dict[str, Any]:
        found = object_of(body, "body")
        if not found.keys() <= self._members:
            raise Unshaped("body has a member that is not known")
        if not isinstance(_read(found, self._prompt), str):
            raise Unshaped("the prompt is no text")
        model, given = self.model(found), _read(found, self._prompt)
        positive({"most": _read(found, self._most)}, "most")
        visit.message("user")
        made: dict[str, Any] = free(_written(found, self._prompt, ""), visit, "user")
        made = _written(made, self._prompt, text(given, visit, "user"))
        return made if model is None else _written(made, self._model, model)

    def model(self, body: Mapping[str, Any]) -> str | None:
        found = _read(body, self._model)
        if found is not None and not isinstance(found, str):
            raise Unshaped("the model is no text")
        return found

    def with_model(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        return _written(body, self._model, model)

    def choices(self, body: Mapping[str, Any]) -> int:
        return 1

    def most(self, body: Mapping[str, Any]) -> int | None:
        return positive({"most": _read(body, self._most)}, "most")

    def with_most(self, body: dict[str, Any], most: int) -> dict[str, Any]:
        return _written(body, self._most, most)

    def asks_stream(self, body: Mapping[str, Any]) -> bool:
        return _read(body, self._stream) is True

    def asks_reasoning(self, body: Mapping[str, Any]) -> bool:
        return False

    def asking_usage(self, body: dict[str, Any]) -> dict[str, Any]:
        return body

    def answer(self, body: Any, out: Out) -> dict[str, Any]:
        found = object_of(body, "body")
        given = _read(found, self._answer)
        if not isinstance(given, str):
            raise Unshaped("the answer is no text")
        _note(found, out)
        try:
            try:
                made_text = out.whole(0, "text", given)
            except Stop as stop:
                if not stop.rest:
                    raise
                made_text = stop.rest
            rest = _written(found, self._answer, "")
            made = walked(rest, lambda item: out.text(0, item) if item else item)
            out.finished(0)
        except Stop:
            return {"error": {"code": "content_filter"}}
        return _written(made, self._answer, made_text)

    def events(self, out: Out, *, wants_usage: bool) -> Events:
        return _Deltas(out, self._delta)

    def failed(self, code: str, message: str) -> Event:
        return None, {"error": {"code": code, "message": message}}


class _Deltas:
    def __init__(self, out: Out, place: tuple[str, ...]) -> None:
        self._out = out
        self._place = place
        self._channel: Channel = out.channel(0, "text")
        self._is_over = False

    def feed(self, name: str | None, data: Mapping[str, Any]) -> Iterator[Event]:
        if self._is_over:
            return
        found = dict(data)
        _note(found, self._out)
        given = _read(found, self._place)
        if given is not None and not isinstance(given, str):
            raise Unshaped("a delta is no text")
        try:
            piece = self._channel.feed(given) if given is not None else ""
            rest = found if given is None else _written(found, self._place, "")
            made = walked(rest, lambda item: self._out.text(0, item) if item else item)
        except Stop as stop:
            self._is_over = True
            if stop.rest:
                yield None, _written({}, self._place, stop.rest)
            yield None, {"error": {"code": stop.reason}}
            return
        if given is None:
            yield None, made
        elif piece or len(found) > 1:
            yield None, _written(made, self._place, piece)

    def is_over(self, choices: int) -> bool:
        return self._is_over

    def finish(self) -> Iterator[Event]:
        if self._is_over:
            return
        self._is_over = True
        try:
            piece = self._channel.finish()
            self._out.finished(0)
        except Stop as stop:
            if stop.rest:
                yield None, _written({}, self._place, stop.rest)
            yield None, {"error": {"code": stop.reason}}
            return
        if piece:
            yield None, _written({}, self._place, piece)


def _note(body: Mapping[str, Any], out: Out) -> None:
    usage = body.get("usage")
    if isinstance(usage, dict):
        out.used(usage.get("prompt_tokens"), usage.get("completion_tokens"))
        note_reasoning(usage.get("completion_tokens_details"), out)


def _pointer(name: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, str) or not given.startswith("/"):
        raise ConfigError(f'ai.Paths({name}={given!r}) is a JSON Pointer to a member, such as "/prompt" (RFC 6901).')
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in given[1:].split("/"))


def _read(body: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        if isinstance(body, list) and step.isdecimal() and int(step) < len(body):
            body = body[int(step)]
        elif isinstance(body, dict):
            body = body.get(step)
        else:
            return None
    return body


def _written(body: Mapping[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    made: Any = copy.deepcopy(dict(body))
    at = made
    for step in place[:-1]:
        if isinstance(at, list):
            at = at[int(step)]
        else:
            at = at.setdefault(step, {})
    if isinstance(at, list):
        at[int(place[-1])] = value
    else:
        at[place[-1]] = value
    found: dict[str, Any] = made
    return found
