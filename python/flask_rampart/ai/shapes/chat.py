"""Chat completions, OpenAI's ``/v1/chat/completions``: what a request, an answer and a chunk of one look like.

1. A request has the members of :data:`REQUEST` alone, and its messages those of their table; parts are of the kinds
   ``text``, ``refusal``, ``image_url``, ``input_audio`` and ``file``. Of the last three nobody reads what is in them:
   they are for ``ai.parts(allow=...)``.
2. An answer is built anew from the members that are known. Others are left out, and so are ``logprobs``, always: they
   hold the model's own text, piece by piece, whatever became of it.
3. Of a streamed answer, texts are passed on as the filters release them. The arguments of a call are held until they
   are complete: half of a JSON text cannot be judged. What is held leaves before the chunk that has the choice's
   ``finish_reason``.
4. A choice that was stopped ends with ``finish_reason`` ``"content_filter"``.
5. The model is called as the client has called it.

Source: OpenAI's API reference, "Create chat completion" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..visiting import (
    KEPT,
    Place,
    Unshaped,
    Visitor,
    arguments,
    flag,
    free,
    ident,
    label,
    listed,
    members,
    nested,
    number,
    numbers,
    reference,
    seed,
    text,
    texts,
    word,
    words,
)
from .chunks import CHANNELS, REASONING, Chunks
from .common import (
    ABOUT,
    FUNCTION,
    MOST_CHOICES,
    Event,
    Events,
    Out,
    Stop,
    base,
    choices_of,
    counts,
    index_of,
    is_effort,
    list_of,
    note_usage,
    object_of,
    positive,
    reason_of,
    text_of,
    tool,
    tool_choice,
    tool_name,
)

ROLES = ("developer", "system", "user", "assistant", "tool", "function")


def _part(value: Any, visit: Visitor, role: str) -> Any:
    kind = object_of(value, "content").get("type")
    if kind not in _PARTS:
        raise Unshaped("a part of a kind that is not known")
    visit.part(kind, value)
    return members(_PARTS[kind], value, visit, role, kind)


def _content(value: Any, visit: Visitor, role: str) -> Any:
    return text(value, visit, role) if isinstance(value, str) else listed(_part, "content")(value, visit, role)


def _opaque(value: Any, visit: Visitor, role: str) -> Any:
    """Data that nobody reads here: ``parts(allow=...)`` has let it pass."""
    return text_of(value, "data")


def _kept(value: Any, visit: Visitor, role: str) -> Any:
    """A sound of an earlier answer, which the model's server keeps."""
    visit.part(KEPT, object_of(value, KEPT))
    return members({"id": ident}, value, visit, role, KEPT)


_PARTS: dict[str, dict[str, Place]] = {
    "text": {"type": word, "text": text},
    "refusal": {"type": word, "refusal": text},
    "image_url": {"type": word, "image_url": nested({"url": _opaque, "detail": word}, "image_url")},
    "input_audio": {"type": word, "input_audio": nested({"data": _opaque, "format": word}, "input_audio")},
    "file": {"type": word, "file": nested({"filename": text, "file_data": _opaque, "file_id": ident}, "file")},
}
_CALLED = nested({"name": ident, "arguments": arguments}, "function")
_CALL: dict[str, Place] = {
    "id": reference,
    "index": number,
    "type": word,
    "function": _CALLED,
    "custom": nested({"name": ident, "input": text}, "custom"),
}
_MESSAGE: dict[str, Place] = {
    "role": word,
    "content": _content,
    "name": label,
    "refusal": text,
    "reasoning_content": text,
    "reasoning": text,
    "tool_calls": listed(nested(_CALL, "tool_calls"), "tool_calls"),
    "tool_call_id": reference,
    "function_call": _CALLED,
    "audio": _kept,
    "annotations": free,
}


def _message(value: Any, visit: Visitor, role: str) -> Any:
    role = object_of(value, "messages").get("role", "")
    if role not in ROLES:
        raise Unshaped("a role that is not known")
    visit.message(role)
    return members(_MESSAGE, value, visit, role, "messages")


REQUEST: dict[str, Place] = {
    **ABOUT,
    "model": lambda value, visit, role: text_of(value, "model"),
    "messages": listed(_message, "messages"),
    "frequency_penalty": number,
    "presence_penalty": number,
    "temperature": number,
    "top_p": number,
    "n": number,
    "max_tokens": number,
    "max_completion_tokens": number,
    "seed": seed,
    "logprobs": flag,
    "top_logprobs": number,
    "logit_bias": numbers,
    "stop": texts,
    "reasoning_effort": word,
    "verbosity": word,
    "parallel_tool_calls": flag,
    "modalities": words,
    "response_format": free,
    "prediction": nested({"type": word, "content": _content}, "prediction"),
    "stream_options": nested({"include_usage": flag, "include_obfuscation": flag}, "stream_options"),
    "tools": listed(tool, "tools"),
    "tool_choice": tool_choice,
    "functions": listed(nested(FUNCTION, "functions"), "functions"),
    "function_call": lambda value, visit, role: (
        word(value, visit, role) if isinstance(value, str) else members({"name": tool_name}, value, visit, role, "")
    ),
}


class Chat:
    """OpenAI's chat completions."""

    name = "chat"
    ends: str | None = "[DONE]"
    _known = REQUEST
    _needs = "messages"

    def __init__(self, more: Iterable[str] = (), most_names: Sequence[str] = ()) -> None:
        self._said_most = tuple(most_names)
        self._table = {**dict.fromkeys(more, free), **dict.fromkeys(most_names, number), **self._known}

    def prompt(self, body: Any, visit: Visitor) -> dict[str, Any]:
        made = members(self._table, body, visit, "user", "body")
        if not made.get(self._needs):
            raise Unshaped(f"{self._needs} is missing")
        for name in ("n", "best_of"):
            positive(made, name)
        if self.choices(made) > MOST_CHOICES:
            raise Unshaped("more answers than may be asked for")
        return made

    def model(self, body: Mapping[str, Any]) -> str | None:
        return body.get("model")

    def with_model(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        return {**body, "model": model}

    def choices(self, body: Mapping[str, Any]) -> int:
        return max(positive(body, "n") or 1, positive(body, "best_of") or 1)

    def most(self, body: Mapping[str, Any]) -> int | None:
        return positive(body, "max_tokens", "max_completion_tokens", *self._said_most)

    def with_most(self, body: dict[str, Any], most: int) -> dict[str, Any]:
        known = ("max_tokens", "max_completion_tokens", *self._said_most)
        # What the client says by any name is held to it; the server that was named hears it by its own.
        named = [name for name in known if body.get(name) is not None]
        return {**body, **dict.fromkeys([*named, *self._said_most] or [self._most_name], most)}

    _most_name = "max_completion_tokens"

    def asks_stream(self, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def asks_reasoning(self, body: Mapping[str, Any]) -> bool:
        return is_effort(body.get("reasoning_effort"))

    def asking_usage(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.asks_stream(body):
            return body
        return {**body, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}

    def answer(self, body: Any, out: Out) -> dict[str, Any]:
        body = object_of(body, "body")
        made = base(body, "chat.completion", out)
        note_usage(body, out)
        made["choices"] = [self._choice(choice, out) for choice in choices_of(body)]
        if (usage := counts(body.get("usage"))) is not None:
            made["usage"] = usage
        return made

    def _choice(self, value: Any, out: Out) -> dict[str, Any]:
        choice = object_of(value, "choices")
        index = index_of(choice, "choices")
        message = object_of(choice.get("message"), "message")
        made: dict[str, Any] = {"role": "assistant", "content": None}
        reason = reason_of(choice.get("finish_reason"))
        name = ""
        try:
            if message.get("audio") is not None:
                raise Unshaped("audio, which nobody can look at")
            for name in CHANNELS:
                if message.get(name) is not None:
                    if name in REASONING:
                        out.reasoned(shown=True)
                    made[name] = out.whole(index, name, text_of(message[name], name))
            calls = [_called(call, index, out) for call in list_of(message.get("tool_calls") or [], "tool_calls")]
            if calls:
                made["tool_calls"] = calls
            if message.get("function_call") is not None:
                made["function_call"] = _function(message["function_call"], index, out)
            out.finished(index)
        except Stop as stop:
            # What was cut at its cap is shown up to there; of what was stopped otherwise, nothing.
            made = {**made, name: stop.rest} if stop.rest else {"role": "assistant", "content": None}
            reason = stop.reason
        return {"index": index, "message": {"refusal": None, **made}, "logprobs": None, "finish_reason": reason}

    def events(self, out: Out, *, wants_usage: bool) -> Events:
        return Chunks(out, wants_usage)

    def failed(self, code: str, message: str) -> Event:
        return None, {"error": {"message": message, "type": "server_error", "param": None, "code": code}}


def _function(value: Any, index: int, out: Out) -> dict[str, Any]:
    function = object_of(value, "function")
    name = text_of(function.get("name"), "name")
    return {"name": name, "arguments": out.call(index, name, text_of(function.get("arguments", ""), "arguments"))}


def _called(value: Any, index: int, out: Out) -> dict[str, Any]:
    call = object_of(value, "tool_calls")
    made: dict[str, Any] = {"id": out.reference(call["id"])} if "id" in call else {}
    made["type"] = "function"
    if call.get("type", "function") == "function":
        return made | {"function": _function(call.get("function"), index, out)}
    if call["type"] != "custom":
        raise out.unknown()
    custom = object_of(call.get("custom"), "custom")
    name = text_of(custom.get("name"), "name")
    given = out.call(index, name, text_of(custom.get("input", ""), "input"), is_json=False)
    return {**made, "type": "custom", "custom": {"name": name, "input": given}}
