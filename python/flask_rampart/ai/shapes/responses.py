"""Responses, OpenAI's ``/v1/responses``: what a request, an answer and an event of a streamed one look like.

1. Input is a text, or a list of messages, calls, outputs of calls and reasoning; what refers to what the model's server
   has kept (``previous_response_id``, ``conversation``, ``item_reference``) is refused: it is nobody's here, and
   nobody has treated it.
2. An answer is built anew from what is known; ``instructions`` and ``tools``, which servers repeat, are left out.
3. Of events, the deltas of texts are passed on as the filters release them; the arguments of calls leave when they are
   complete. Events that repeat what was said (``...done``, ``response.completed``) say what we passed on. Events of
   other kinds are left out. An item or part of a kind that is not known ends the answer, as one of a tool that is not
   allowed does.
4. A stopped answer is ``incomplete`` for ``content_filter``.

Source: OpenAI's API reference, "The response object" and "Streaming events".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..visiting import (
    Place,
    Unshaped,
    Visitor,
    arguments,
    flag,
    free,
    ident,
    is_base64,
    listed,
    members,
    nested,
    number,
    reference,
    text,
    word,
    words,
)
from .common import (
    ABOUT,
    Event,
    Events,
    Out,
    Stop,
    is_effort,
    list_of,
    object_of,
    positive,
    text_of,
    tool,
    tool_choice,
)
from .response_events import Steps
from .response_items import shell, stopped, whole_items

ROLES = ("developer", "system", "user", "assistant")


def _opaque(value: Any, visit: Visitor, role: str) -> Any:
    return text_of(value, "data")


def _sealed(value: Any, visit: Visitor, role: str) -> Any:
    """What only the model's server can read; so it is no text that anybody wrote."""
    if not is_base64(value):
        raise Unshaped("no base64")
    return value


_TEXT: dict[str, Place] = {"type": word, "text": text, "annotations": free, "logprobs": lambda v, s, r: []}
_PARTS: dict[str, dict[str, Place]] = {
    "input_text": _TEXT,
    "output_text": _TEXT,
    "refusal": {"type": word, "refusal": text},
    "input_image": {"type": word, "image_url": _opaque, "detail": word, "file_id": ident},
    "input_file": {"type": word, "filename": text, "file_data": _opaque, "file_url": _opaque, "file_id": ident},
}
_SUMMARY = listed(nested({"type": word, "text": text}, "summary"), "summary")


def _part(value: Any, visit: Visitor, role: str) -> Any:
    kind = object_of(value, "content").get("type")
    if kind not in _PARTS:
        raise Unshaped("a part of a kind that is not known")
    visit.part(kind, value)
    return members(_PARTS[kind], value, visit, role, kind)


def _content(value: Any, visit: Visitor, role: str) -> Any:
    return text(value, visit, role) if isinstance(value, str) else listed(_part, "content")(value, visit, role)


_ITEMS: dict[str, dict[str, Place]] = {
    "message": {"type": word, "role": word, "content": _content, "id": reference, "status": word},
    "function_call": {
        "type": word, "id": reference, "call_id": reference, "name": ident, "arguments": arguments, "status": word,
    },
    "function_call_output": {"type": word, "id": reference, "call_id": reference, "output": _content, "status": word},
    # What an answer has shown, a client sends again with the next question.
    "custom_tool_call": {
        "type": word, "id": reference, "call_id": reference, "name": ident, "input": text, "status": word,
    },
    "custom_tool_call_output": {
        "type": word, "id": reference, "call_id": reference, "output": _content, "status": word,
    },
    "file_search_call": {"type": word, "id": reference, "queries": free, "results": free, "status": word},
    "web_search_call": {"type": word, "id": reference, "action": free, "status": word},
    "reasoning": {"type": word, "id": reference, "summary": _SUMMARY, "encrypted_content": _sealed, "status": word},
}  # fmt: skip


def _item(value: Any, visit: Visitor, role: str) -> Any:
    found = object_of(value, "input")
    kind = found.get("type", "message")
    if kind not in _ITEMS:
        raise Unshaped("an item of a kind that is not known")
    role = {
        "message": found.get("role", ""),
        "custom_tool_call_output": "tool",
        "file_search_call": "tool",
        "function_call_output": "tool",
        "web_search_call": "tool",
    }.get(kind, "assistant")
    if kind == "message" and role not in ROLES:
        raise Unshaped("a role that is not known")
    visit.message(role)
    return members(_ITEMS[kind], value, visit, role, kind)


def _input(value: Any, visit: Visitor, role: str) -> Any:
    if isinstance(value, str):
        visit.message("user")
        return text(value, visit, "user")
    return listed(_item, "input")(value, visit, role)


def _instructions(value: Any, visit: Visitor, role: str) -> Any:
    visit.message("system")
    return text(value, visit, "system")


REQUEST: dict[str, Place] = {
    **ABOUT,
    "model": lambda value, visit, role: text_of(value, "model"),
    "input": _input,
    "instructions": _instructions,
    "include": words,
    "max_output_tokens": number,
    "max_tool_calls": number,
    "parallel_tool_calls": flag,
    "reasoning": nested({"effort": word, "summary": word}, "reasoning"),
    "temperature": number,
    "top_p": number,
    "top_logprobs": number,
    "text": nested({"format": free, "verbosity": word}, "text"),
    "tools": listed(tool, "tools"),
    "tool_choice": tool_choice,
    "truncation": word,
    "stream_options": nested({"include_obfuscation": flag}, "stream_options"),
}


class Responses:
    """OpenAI's responses."""

    name = "responses"
    ends: str | None = None

    def __init__(self, more: Iterable[str] = (), most_names: Sequence[str] = ()) -> None:
        self._most_names = ("max_output_tokens", *most_names)
        self._table = {**dict.fromkeys(more, free), **dict.fromkeys(most_names, number), **REQUEST}

    def prompt(self, body: Any, visit: Visitor) -> dict[str, Any]:
        made = members(self._table, body, visit, "user", "body")
        if not made.get("input"):
            raise Unshaped("input is missing")
        return made

    def model(self, body: Mapping[str, Any]) -> str | None:
        return body.get("model")

    def with_model(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        return {**body, "model": model}

    def choices(self, body: Mapping[str, Any]) -> int:
        return 1

    def most(self, body: Mapping[str, Any]) -> int | None:
        return positive(body, *self._most_names)

    def with_most(self, body: dict[str, Any], most: int) -> dict[str, Any]:
        return {**body, **dict.fromkeys(self._most_names, most)}

    def asks_stream(self, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def asks_reasoning(self, body: Mapping[str, Any]) -> bool:
        return is_effort((body.get("reasoning") or {}).get("effort"))

    def asking_usage(self, body: dict[str, Any]) -> dict[str, Any]:
        return body

    def answer(self, body: Any, out: Out) -> dict[str, Any]:
        body = object_of(body, "body")
        made = shell(body, out)
        try:
            made["output"] = whole_items(list_of(body.get("output"), "output"), out)
            out.finished(0)
        except Stop as stop:
            made |= stopped(stop)
        return made

    def events(self, out: Out, *, wants_usage: bool) -> Events:
        return Steps(out)

    def failed(self, code: str, message: str) -> Event:
        return "error", {"type": "error", "code": code, "message": message, "param": None}
