"""Completions, OpenAI's older ``/v1/completions``: a prompt that is text, and choices that are text.

As of chat completions, with these differences: a prompt of token numbers is refused, since nobody can read what they
say; there are no roles, parts and tools.

Source: OpenAI's API reference, "Create completion".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..visiting import Place, Unshaped, flag, nested, number, numbers, seed, text, texts
from .chat import Chat
from .common import (
    ABOUT,
    Channel,
    Event,
    Events,
    Out,
    Stop,
    base,
    choices_of,
    counts,
    index_of,
    list_of,
    note_usage,
    object_of,
    reason_of,
    text_of,
)

REQUEST: dict[str, Place] = {
    **ABOUT,
    "model": lambda value, visit, role: text_of(value, "model"),
    "prompt": texts,
    "suffix": text,
    "best_of": number,
    "echo": flag,
    "frequency_penalty": number,
    "presence_penalty": number,
    "logit_bias": numbers,
    "logprobs": number,
    "max_tokens": number,
    "n": number,
    "seed": seed,
    "stop": texts,
    "stream_options": nested({"include_usage": flag, "include_obfuscation": flag}, "stream_options"),
    "temperature": number,
    "top_p": number,
}


class Completions(Chat):
    """OpenAI's older completions."""

    name = "completions"
    _known = REQUEST
    _needs = "prompt"
    _most_name = "max_tokens"

    def choices(self, body: Mapping[str, Any]) -> int:
        prompts = body.get("prompt")
        # Each prompt of a list is answered by itself.
        return super().choices(body) * (len(prompts) if isinstance(prompts, list) else 1)

    def answer(self, body: Any, out: Out) -> dict[str, Any]:
        body = object_of(body, "body")
        made = base(body, "text_completion", out)
        note_usage(body, out)
        made["choices"] = [self._completed(choice, out) for choice in choices_of(body)]
        if (usage := counts(body.get("usage"))) is not None:
            made["usage"] = usage
        return made

    def _completed(self, choice: Mapping[str, Any], out: Out) -> dict[str, Any]:
        index = index_of(choice, "choices")
        reason = reason_of(choice.get("finish_reason"))
        try:
            made = out.whole(index, "text", text_of(choice.get("text"), "text"))
            out.finished(index)
        except Stop as stop:
            made, reason = stop.rest, stop.reason
        return {"index": index, "text": made, "logprobs": None, "finish_reason": reason}

    def events(self, out: Out, *, wants_usage: bool) -> Events:
        return _Pieces(out, wants_usage)


class _Pieces:
    def __init__(self, out: Out, wants_usage: bool) -> None:
        self._out = out
        self._wants_usage = wants_usage
        self._channels: dict[int, Channel] = {}
        self._over: set[int] = set()
        self._base: dict[str, Any] = {}

    def feed(self, name: str | None, data: Mapping[str, Any]) -> Iterator[Event]:
        self._base = base(data, "text_completion", self._out)
        for choice in list_of(data.get("choices"), "choices"):
            yield from self._fed(object_of(choice, "choices"))
        note_usage(data, self._out)  # of all until now, and of this
        usage = counts(data.get("usage"))
        if usage is not None and self._wants_usage:
            yield None, {**self._base, "choices": [], "usage": usage}

    def _fed(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        index = index_of(choice, "choices")
        reason = reason_of(choice.get("finish_reason"))
        if index in self._over:
            return
        made = ""
        try:
            if index not in self._channels:
                self._channels[index] = self._out.channel(index, "text")
            made = self._channels[index].feed(text_of(choice.get("text", ""), "text"))
            if reason is not None:
                made += self._channels[index].finish()
                self._out.finished(index)
        except Stop as stop:
            made, reason = stop.rest, stop.reason
        if reason is not None:
            self._over.add(index)
        if made or reason is not None:
            yield self._piece(index, made, reason)

    def finish(self) -> Iterator[Event]:
        if not self._over or self._channels.keys() - self._over:
            raise Unshaped("it has no end")
        return iter(())

    def is_over(self, choices: int) -> bool:
        return len(self._over) >= choices

    def _piece(self, index: int, text: str, reason: str | None) -> Event:
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        return None, {**self._base, "choices": [choice]}
