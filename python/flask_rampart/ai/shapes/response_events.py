"""The events of a streamed response: which are passed on, and what they say.

1. Deltas of texts are passed on as their filters release them; a call's arguments leave when they are complete, and
   are counted as they come;
2. all texts are one to the filters (``response_items``), so what says that a text is over waits until the next text
   goes on, or the answer ends: by then it is known what the filters made of its end;
3. events that repeat what was said say what we passed on, and are numbered anew;
4. an item of a tool that is not allowed, or of a kind that is not known, ends the answer when it begins;
5. events of other kinds are left out; one that says that the model's server failed ends the answer.

Source: OpenAI's API reference, "Streaming events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..visiting import Unshaped
from .common import Event, Out, Stop, list_of, object_of, text_of, whole
from .response_items import CALLS, RUN, Texts, answered, named, part_of, shell, shown_part, stopped

At = tuple[int, int]
"""Which part: its item's index, and its own."""
Made = tuple[str, Callable[[], dict[str, Any]]]
"""An event: its kind, and what makes the rest of it when it leaves."""


class Steps:
    """The events of one answer."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._texts = Texts(out)
        #: Which texts have been said to be over, and what they still had to say.
        self._ended_texts: set[At] = set()
        self._ends: dict[At, tuple[str, str]] = {}
        #: What waits until it is known what the texts before it come to.
        self._waiting: list[Made] = []
        #: Items whose pieces are counted as they come, and those of tools that may be run.
        self._heard: set[int] = set()
        self._allowed: set[tuple[int, str, str]] = set()
        self._done: dict[int, dict[str, Any]] = {}
        self._number = 0
        self._is_over = False
        self._shell: dict[str, Any] = {}

    def feed(self, name: str | None, data: Mapping[str, Any]) -> Iterator[Event]:
        kind = data.get("type", name)
        if kind == "error":
            raise Unshaped("the model's server says that it failed")
        treat = _TREATED.get(kind) if isinstance(kind, str) else None
        if self._is_over or treat is None:
            return
        try:
            for made in treat(self, str(kind), data):
                if self._ended_texts and not self._is_over:
                    self._wait(made)
                else:
                    yield from self._released()
                    yield self._made(made)
        except Stop as stop:
            self._is_over = True
            cut = {**self._shell, **stopped(stop), "output": [item for _, item in sorted(self._done.items())]}
            yield self._made(("response.incomplete", lambda: {"response": cut}))

    def is_over(self, choices: int) -> bool:
        return self._is_over

    def finish(self) -> Iterator[Event]:
        if not self._is_over:
            raise Unshaped("it has no end")
        return iter(())

    def _wait(self, made: Made) -> None:
        self._waiting.append(made)
        if len(self._waiting) > _MOST_WAITING:
            raise Unshaped("more events than an answer has")

    def _released(self) -> Iterator[Event]:
        waiting, self._waiting = self._waiting, []
        for made in waiting:
            more = made[1]()
            if made[0] not in _DELTAS or more["delta"]:
                yield self._made((made[0], lambda more=more: more))  # type: ignore[misc]

    def _made(self, made: Made) -> Event:
        kind, make = made
        more = make()
        if kind == "response.output_item.done":
            self._done[more["output_index"]] = more["item"]
        number = self._number
        self._number += 1
        return kind, {"type": kind, "sequence_number": number, **more}

    def _begun(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        self._shell = shell(object_of(data.get("response"), "response"), self._out)
        shown = self._shell
        yield kind, lambda: {"response": shown}

    def _ended(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        made = shell(object_of(data.get("response"), "response"), self._out)
        self._ends = self._texts.finish()
        self._out.finished(0)
        self._is_over = True
        for at in sorted(self._ends.keys() - self._ended_texts):
            yield self._end_of(at, "")
        yield kind, lambda: {"response": {**made, "output": [item for _, item in sorted(self._done.items())]}}

    def _item_begun(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        at, item = _place(data, "output_index"), object_of(data.get("item"), "item")
        if item.get("type") == "message":
            shown = {"type": "message", **named(item, self._out), "role": "assistant", "content": []}
            yield kind, lambda: {"output_index": at, "item": shown}
        elif item.get("type") in RUN:
            # It is asked for now: what is not allowed need not come to its end.
            self._out.tool(RUN[item["type"]][0], item.get("name"))
            self._allowed.add((at, item["type"], str(item.get("name"))))
        elif item.get("type") == "reasoning":
            self._out.reasoned(shown=False)
        elif item.get("type") not in CALLS:
            raise self._out.unknown()
        # The name of a call is looked at with its arguments, and a summary comes when it is whole.

    def _item_done(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        at, item = _place(data, "output_index"), object_of(data.get("item"), "item")
        if item.get("type") == "message":
            shown = {"type": "message", **named(item, self._out), "role": "assistant"}
            places = []
            for n, part in enumerate(list_of(item.get("content"), "content")):
                if (at, n) not in self._texts:
                    self._texts.feed((at, n), *part_of(object_of(part, "content"), self._out))
                yield from self._over((at, n), item.get("id"))
                places.append((at, n))
            yield (
                kind,
                lambda: {
                    "output_index": at,
                    "item": {**shown, "content": [self._texts.part(place) for place in places]},
                },
            )
            return
        asked = (at, str(item.get("type")), str(item.get("name")))
        made = answered(item, self._out, is_counted=at in self._heard, is_allowed=asked in self._allowed)
        begun = {**made, "status": "in_progress"}
        inner = CALLS.get(made["type"], "")
        if inner:
            begun[inner] = ""
        yield "response.output_item.added", lambda: {"output_index": at, "item": begun}
        if inner:
            where = {"item_id": made.get("id", ""), "output_index": at}
            given = made[inner]
            yield f"response.{made['type']}_{inner}.delta", lambda: {**where, "delta": given}
            done = {**where, **({"name": made["name"]} if inner == "arguments" else {}), inner: given}
            yield f"response.{made['type']}_{inner}.done", lambda: done
        yield kind, lambda: {"output_index": at, "item": made}

    def _part_begun(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        part = object_of(data.get("part"), "part").get("type")
        if part == _REASONING:
            return
        if part not in ("output_text", "refusal"):
            raise self._out.unknown()
        where, shown = self._where(data), shown_part(part, "")
        self._texts.begin(_at(data), part)
        yield kind, lambda: {**where, "part": shown}

    def _part_done(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        part = data.get("part")
        if isinstance(part, dict) and part.get("type") == _REASONING:
            return
        at, where = _at(data), self._where(data)
        yield from self._over(at, data.get("item_id"))
        yield kind, lambda: {**where, "part": self._texts.part(at)}

    def _delta(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        at, where = _at(data), self._where(data)
        which = "refusal" if kind.startswith("response.refusal") else "output_text"
        if at in self._ended_texts:
            raise Unshaped("a text goes on after its end")
        piece = self._texts.feed(at, which, text_of(data.get("delta"), "delta"))
        if piece:
            # What was held of the texts before has left in this piece.
            self._ended_texts.clear()
            yield kind, lambda: {**where, "delta": piece, **_LOGPROBS}

    def _held(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        """A piece of what is passed on when it is whole, or not at all: it was made all the same."""
        self._heard.add(_place(data, "output_index"))
        if kind == f"response.{_REASONING}.delta":
            self._out.reasoned(shown=True)
        self._out.heard(text_of(data.get("delta"), "delta"))
        return iter(())

    def _text_done(self, kind: str, data: Mapping[str, Any]) -> Iterator[Made]:
        at, where = _at(data), self._where(data)
        name = "refusal" if kind.startswith("response.refusal") else "text"
        yield from self._over(at, data.get("item_id"))
        yield kind, lambda: {**where, name: self._texts.part(at).get(name, ""), **_LOGPROBS}

    def _where(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "item_id": self._out.reference(data.get("item_id")) or "",
            "output_index": _place(data, "output_index"),
            "content_index": _place(data, "content_index"),
        }

    def _over(self, at: At, item_id: object) -> Iterator[Made]:
        """Where the end of a text is to be told, when it is known; nothing the second time."""
        self._texts.begin(at, "output_text")
        if at not in self._ended_texts:
            self._ended_texts.add(at)
            yield self._end_of(at, item_id)

    def _end_of(self, at: At, item_id: object) -> Made:
        kind = self._texts.part(at)["type"]
        where = {"item_id": self._out.reference(item_id) or "", "output_index": at[0], "content_index": at[1]}
        return f"response.{kind}.delta", lambda: {**where, "delta": self._ends.get(at, ("", ""))[1], **_LOGPROBS}


_LOGPROBS: dict[str, Any] = {"logprobs": []}


def _place(data: Mapping[str, Any], name: str) -> int:
    found = whole(data.get(name))
    if found is None or found >= _MOST_ITEMS:
        raise Unshaped(f"{name} is none")
    return found


def _at(data: Mapping[str, Any]) -> At:
    return _place(data, "output_index"), _place(data, "content_index")


_REASONING = "reasoning_text"
"""A part of reasoning, which is counted and left out."""
_MOST_ITEMS = 1024
_MOST_WAITING = 8192
_DELTAS = ("response.output_text.delta", "response.refusal.delta")
_TREATED: dict[str, Callable[[Steps, str, Mapping[str, Any]], Iterator[Made]]] = {
    "response.created": Steps._begun,
    "response.in_progress": Steps._begun,
    "response.queued": Steps._begun,
    "response.completed": Steps._ended,
    "response.incomplete": Steps._ended,
    "response.failed": Steps._ended,
    "response.output_item.added": Steps._item_begun,
    "response.output_item.done": Steps._item_done,
    "response.content_part.added": Steps._part_begun,
    "response.content_part.done": Steps._part_done,
    "response.output_text.delta": Steps._delta,
    "response.output_text.done": Steps._text_done,
    "response.refusal.delta": Steps._delta,
    "response.function_call_arguments.delta": Steps._held,
    "response.custom_tool_call_input.delta": Steps._held,
    "response.reasoning_summary_text.delta": Steps._held,
    "response.reasoning_text.delta": Steps._held,
    "response.refusal.done": Steps._text_done,
}
