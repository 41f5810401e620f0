"""Chunks of a chat completion: what of each is passed on, and what is held.

1. Texts are passed on as their filters release them; what these hold leaves before the chunk with ``finish_reason``;
2. the arguments of a call are held until they are complete, to a stated length for each, and for all of an answer; they
   are counted as they come;
3. a stream that ends before its choices do has failed;
4. a choice that was stopped ends with its reason, and nothing more of it is passed on.

Source: OpenAI's API reference, "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..visiting import Unshaped
from .common import (
    MOST_CHOICES,
    Event,
    Out,
    Stop,
    base,
    counts,
    index_of,
    list_of,
    note_usage,
    object_of,
    reason_of,
    text_of,
)

REASONING = ("reasoning_content", "reasoning")
"""What servers call the words in which a model reasons."""
CHANNELS = (*REASONING, "content", "refusal")
"""The texts of a message, in the order in which what is held of them leaves."""


class _Held:
    """A call whose arguments are still coming."""

    __slots__ = ("arguments", "id", "index", "is_json", "length", "name", "said_id")

    def __init__(self, index: int | None = None) -> None:
        self.index = index
        #: As the server said it last, and what is passed on for it; None until something is.
        self.said_id: object = None
        self.id: str | None = None
        self.name = ""
        self.arguments: list[str] = []
        self.length = 0
        self.is_json = True

    def add(self, name: object, piece: object, out: Out) -> None:
        if name is not None:
            text = text_of(name, "name")
            out.heard(text)
            out.hold(len(text))
            if text != self.name:  # some servers say it with each piece
                self.name += text
        if piece is not None:
            text = text_of(piece, "arguments")
            out.heard(text)
            out.hold(len(text))
            self.length += len(text)
            self.arguments.append(text)
        if self.length > MOST_HELD or len(self.name) > _MOST_NAME:
            raise Unshaped("a call that does not end")


class _Choice:
    """One choice of a stream."""

    def __init__(self, index: int, out: Out) -> None:
        self._index = index
        self._out = out
        self._channels: dict[str, Any] = {}
        self._calls: list[_Held] = []
        self._function: _Held | None = None
        self.is_over = False
        #: The text that is looked at.
        self.at = "content"

    def delta(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        """What is passed on of a delta."""
        made: dict[str, Any] = {}
        if delta.get("role") is not None:
            made["role"] = "assistant"
        for name in CHANNELS:
            if delta.get(name) is not None:
                self.at = name
                if name not in self._channels:
                    if name in REASONING:
                        self._out.reasoned(shown=True)
                    self._channels[name] = self._out.channel(self._index, name)
                piece = self._channels[name].feed(text_of(delta[name], name))
                if piece or (name == "content" and delta[name] == ""):
                    made[name] = piece
        if delta.get("audio") is not None:
            raise Unshaped("audio, which nobody can look at")
        for call in list_of(delta.get("tool_calls") or [], "tool_calls"):
            self._call(object_of(call, "tool_calls"))
        if delta.get("function_call") is not None:
            function = object_of(delta["function_call"], "function_call")
            self._function = self._function or _Held()
            self._function.add(function.get("name"), function.get("arguments"), self._out)
        return made

    def _call(self, call: Mapping[str, Any]) -> None:
        is_custom = call.get("type", "function") == "custom" or "custom" in call
        inner = call.get("custom" if is_custom else "function")
        held = self._held(call, named=isinstance(inner, dict) and bool(inner.get("name")))
        if call.get("id") or held.id is None:
            held.said_id = call.get("id")
            held.id = self._out.reference(call.get("id"))  # some servers send an empty one with each further piece
        if is_custom:
            custom = object_of(inner, "custom")
            held.is_json = False
            held.add(custom.get("name"), custom.get("input"), self._out)
        elif inner is not None:
            function = object_of(inner, "function")
            held.add(function.get("name"), function.get("arguments"), self._out)

    def _held(self, call: Mapping[str, Any], *, named: bool) -> _Held:
        """The call that a piece goes on with.

        There are servers that number none, or all of them 0: there, an id and a name of its own begin another call. And
        some that make up an id for each piece, of which only the first has a name.
        """
        index = None if call.get("index") is None else index_of(call, "tool_calls")
        id_ = call.get("id")
        known = [held for held in self._calls if index is None or held.index == index]
        for held in known if id_ else ():
            if held.said_id == id_:
                return held
        if known:
            last = known[-1]
            is_other = bool(last.said_id) if id_ else index is None and bool(last.arguments)
            if not (named and is_other):
                return last
        if len(self._calls) >= MOST_CHOICES:
            raise Unshaped("more calls than an answer has")
        self._calls.append(_Held(index))
        return self._calls[-1]

    def rest(self) -> Iterator[dict[str, Any]]:
        """Deltas of what was held."""
        for name in CHANNELS:
            self.at = name
            if name in self._channels and (piece := self._channels[name].finish()):
                yield {name: piece}
        calls = []
        numbers = [held.index for held in self._calls]
        if None in numbers or len(set(numbers)) < len(numbers):
            numbers = list(range(len(numbers)))
        for at, held in sorted(zip(numbers, self._calls, strict=True), key=lambda each: each[0] or 0):
            given = self._out.call(
                self._index, held.name, "".join(held.arguments), is_json=held.is_json, is_counted=True
            )
            kind, inner = ("function", "arguments") if held.is_json else ("custom", "input")
            known = {} if held.id is None else {"id": held.id}
            calls.append({"index": at, **known, "type": kind, kind: {"name": held.name, inner: given}})
        if calls:
            yield {"tool_calls": calls}
        if self._function is not None:
            name = self._function.name
            given = self._out.call(self._index, name, "".join(self._function.arguments), is_counted=True)
            yield {"function_call": {"name": name, "arguments": given}}
        self._out.finished(self._index)


class Chunks:
    """The chunks of one answer."""

    def __init__(self, out: Out, wants_usage: bool) -> None:
        self._out = out
        self._wants_usage = wants_usage
        self._choices: dict[int, _Choice] = {}
        self._base: dict[str, Any] = {}

    def feed(self, name: str | None, data: Mapping[str, Any]) -> Iterator[Event]:
        self._base = base(data, "chat.completion.chunk", self._out)
        for choice in list_of(data.get("choices"), "choices"):
            yield from self._fed(object_of(choice, "choices"))
        note_usage(data, self._out)  # of all until now, and of this
        usage = counts(data.get("usage"))
        if usage is not None and self._wants_usage:
            yield None, {**self._base, "choices": [], "usage": usage}

    def _fed(self, value: Mapping[str, Any]) -> Iterator[Event]:
        index = index_of(value, "choices")
        choice = self._choices.setdefault(index, _Choice(index, self._out))
        reason = reason_of(value.get("finish_reason"))
        if choice.is_over:
            return
        try:
            made = choice.delta(object_of(value.get("delta") or {}, "delta"))
            if made:
                yield self._chunk(index, made)
            if reason is not None:
                for delta in choice.rest():
                    yield self._chunk(index, delta)
        except Stop as stop:
            if stop.rest:
                yield self._chunk(index, {choice.at: stop.rest})
            reason = stop.reason
        if reason is not None:
            choice.is_over = True
            yield self._chunk(index, {}, reason)

    def finish(self) -> Iterator[Event]:
        """:raises Unshaped: if a choice has not come to its end: it was cut off, and half of it is not all of it."""
        if not self._choices or not all(choice.is_over for choice in self._choices.values()):
            raise Unshaped("it has no end")
        return iter(())

    def is_over(self, choices: int) -> bool:
        return sum(choice.is_over for choice in self._choices.values()) >= choices

    def _chunk(self, index: int, delta: dict[str, Any], reason: str | None = None) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return None, {**self._base, "choices": [choice]}


MOST_HELD = 1 << 20
"""Characters of one call's arguments."""
_MOST_NAME = 128
