"""Apps with one view that asks a model, and models that say what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask

from flask_rampart import Identity, Rampart, ai, require
from flask_rampart._native import Clock


class Asked:
    """One app, with its view at ``/``."""

    def __init__(
        self, answers: Callable[[dict[str, Any]], Any], *, config: dict[str, Any] | None = None, **declared: Any
    ):
        self.app = Flask("asked")
        self.app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", SECRET_KEY="k" * 32)
        self.app.config.update(config or {})
        self.clock = Clock.manual(1_700_000_000.0)
        self.rampart = Rampart(self.app, clock=self.clock)
        #: What the view saw.
        self.prompts: list[dict[str, Any]] = []
        #: What was told of each call.
        self.told: list[dict[str, Any]] = []
        declared = {"model": "small", **declared}

        @self.rampart.scheme("who", header="X-Who")
        def who(value: str) -> Identity | None:
            name, *scopes = value.split()
            models = [scope.removeprefix("model:") for scope in scopes if scope.startswith("model:")]
            return Identity(name, scopes=scopes, claims={"models": models} if models else {})

        @self.app.post("/")
        @require(optional=True) if not getattr(declared["model"], "demands_something", False) else require()
        @ai.guard(**declared)
        def view() -> Any:
            self.prompts.append(json.loads(json.dumps(dict(ai.prompt))))
            return answers(dict(ai.prompt))

        ai.called.connect(self._told, self.app)

    def _told(self, sender: Flask, **facts: Any) -> None:
        self.told.append(facts)

    def post(self, body: Any, who: str = "ada", **more: Any) -> Any:
        return self.app.test_client().post("/", json=body, headers={"X-Who": who}, **more)

    def ask(self, text: Any = "hello", **more: Any) -> Any:
        return self.post(asking(text, **more))

    @property
    def last(self) -> dict[str, Any]:
        return self.told[-1]


def asking(text: Any = "hello", **more: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": "small", "messages": [{"role": "user", "content": text}], **more}


def saying(*texts: str, reason: str = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer; several texts are several choices."""
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
        for at, text in enumerate(texts)
    ]
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream", "choices": choices}


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": reason, **more}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream",
        "choices": [choice],
    }


def pieces(text: str, size: int = 3, reason: str = "stop") -> Iterator[dict[str, Any]]:
    """A streamed answer."""
    for at in range(0, len(text), size):
        yield chunk({"content": text[at : at + size]})
    yield chunk({}, reason)


def sse(events: Iterable[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def events_of(answer: Any) -> list[Any]:
    """What an answer's stream says."""
    found = []
    for block in answer.get_data(as_text=True).split("\n\n"):
        data = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
        if data:
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def text_of(answer: Any, name: str = "content", index: int = 0) -> str:
    """A streamed text, put together."""
    return "".join(
        choice["delta"].get(name) or ""
        for event in events_of(answer)
        if isinstance(event, dict)
        for choice in event.get("choices", ())
        if choice["index"] == index
    )


def reasons(answer: Any) -> list[str]:
    return [
        choice["finish_reason"]
        for event in events_of(answer)
        if isinstance(event, dict)
        for choice in event.get("choices", ())
        if choice["finish_reason"]
    ]


def call_of(name: str, arguments: str, at: str = "call_1") -> dict[str, Any]:
    return {"id": at, "type": "function", "function": {"name": name, "arguments": arguments}}
