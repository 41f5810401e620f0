"""AI endpoints: answers that are streamed, of each shape; cut anywhere, ended anyhow."""

from __future__ import annotations

import gc
import json
import random
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response, stream_with_context

from flask_rampart import ai

from .asking import Asked, chunk, events_of, pieces, reasons, saying, sse, text_of

CANARY = "CANARY4f1d9c2ab7e0"
OUTPUT = [ai.clean(), ai.leak(canary=CANARY), ai.redact(), ai.restore(), ai.links(allow=["docs.example"])]
ALONE = [ai.clean(), ai.leak(canary=CANARY), ai.redact(), ai.links(allow=["docs.example"])]
INPUT = [ai.clean(), ai.pii()]
TEXT = (
    "Dear customer, write to bob@example.com\u200b or see [the docs](https://docs.example/a) and not "
    "![x](https://evil.example/p.png?q=1), \x1b[31mred\x1b[0m. You wrote: "
)


def treated(text: str, **declared: Any) -> str:
    """What the whole text becomes."""
    asked = Asked(lambda prompt: saying(text + prompt["messages"][0]["content"]), **declared)
    content: str = asked.ask("I am ada@example.com, ok").json["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40, 1000])
def test_a_stream_is_treated_as_the_whole_would_be(size: int) -> None:
    # BerriAI/litellm#41611, #41936: personal data that is cut by chunks leaks, or all is buffered.
    whole = treated(TEXT, input=INPUT, output=OUTPUT)
    assert "I am ada@example.com, ok" in whole
    assert not any(bad in whole for bad in ("bob@example.com", "evil.example/p.png", "\x1b", "\u200b"))
    asked = Asked(lambda p: ai.stream(pieces(TEXT + p["messages"][0]["content"], size)), input=INPUT, output=OUTPUT)
    answer = asked.ask("I am ada@example.com, ok", stream=True)
    assert text_of(answer) == whole
    assert reasons(answer) == ["stop"] and events_of(answer)[-1] == "[DONE]"
    assert answer.mimetype == "text/event-stream"
    assert asked.last["decision"] == "answered" and asked.last["streamed"] is True


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_bytes_of_events_are_cut_anywhere(line: bytes) -> None:
    events = [chunk({"role": "assistant", "content": ""}), *pieces(TEXT, 5)]
    data = (b": hello\n\nretry: 9\nid: 1\n" + sse(events)).replace(b"\n", line)
    whole = Asked(lambda p: saying(TEXT), output=ALONE).ask().json["choices"][0]["message"]["content"]
    rng = random.Random(7)
    for size in (1, 3, 64, 5000):
        cuts = [data[at : at + size] for at in range(0, len(data), size)]
        if size == 3:
            places = sorted(rng.sample(range(len(data)), 60))
            cuts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
        asked = Asked(lambda p, cuts=cuts: Response(iter(cuts), mimetype="text/event-stream"), output=ALONE)
        answer = asked.ask("x", stream=True)
        assert text_of(answer) == whole
        assert events_of(answer)[-1] == "[DONE]"


def test_the_first_word_leaves_before_the_second_is_written() -> None:
    written: list[str] = []

    def words() -> Iterator[dict[str, Any]]:
        for word in ("Hello there, ", "world. ", "Bye."):
            written.append(word)
            yield chunk({"content": word})
        yield chunk({}, "stop")

    asked = Asked(lambda prompt: ai.stream(words()), output=[ai.clean(), ai.leak(canary=CANARY), ai.links()])
    answer = asked.app.test_client().post(
        "/",
        json={"model": "small", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        headers={"X-Who": "ada"},
        buffered=False,
    )
    first = next(iter(answer.response))
    assert b"Hello" in first and written == ["Hello there, "]
    answer.close()


def test_choices_do_not_mix() -> None:
    def two() -> Iterator[dict[str, Any]]:
        for a, b in zip("ada@example.com and more", "nothing to see, it is all", strict=False):
            yield chunk({"content": a}, index=0)
            yield chunk({"content": b}, index=1)
        yield chunk({}, "stop", index=0)
        yield chunk({}, "stop", index=1)

    answer = Asked(lambda prompt: ai.stream(two()), output=[ai.redact()]).ask(n=2, stream=True)
    assert text_of(answer, index=0) == "[REDACTED:EMAIL_ADDRESS] and more"
    assert text_of(answer, index=1) == "nothing to see, it is al"


def test_half_a_secret_in_each_of_two_texts_is_not_joined_and_each_text_is_looked_at() -> None:
    def both() -> Iterator[dict[str, Any]]:
        yield chunk({"reasoning_content": "mail bob@exam"})
        yield chunk({"content": "mail ada@exam"})
        yield chunk({"reasoning_content": "ple.com now"})
        yield chunk({"content": "ple.com now"})
        yield chunk({}, "stop")

    answer = Asked(lambda prompt: ai.stream(both()), output=[ai.redact()]).ask(stream=True)
    assert text_of(answer) == text_of(answer, "reasoning_content") == "mail [REDACTED:EMAIL_ADDRESS] now"


def test_log_probabilities_do_not_leave_with_a_stream() -> None:
    def words() -> Iterator[dict[str, Any]]:
        for piece in ("ada@", "example.com"):
            yield chunk({"content": piece}, logprobs={"content": [{"token": piece, "logprob": -1}]}, token_ids=[1])
        yield chunk({}, "stop")

    data = Asked(lambda prompt: ai.stream(words()), output=[ai.redact()]).ask(stream=True).get_data(as_text=True)
    assert "example.com" not in data and 'logprob"' not in data and "token" not in data


# Calls of tools.

SHAPE = {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}
TOOLS = ai.tools(allow=["mail"], arguments={"mail": SHAPE})


def calling(name: str, arguments: str, size: int = 4) -> Iterator[dict[str, Any]]:
    yield chunk(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": ""}}],
        }
    )
    for at in range(0, len(arguments), size):
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + size]}}]})
    yield chunk({}, "tool_calls")


def called(answer: Any) -> list[dict[str, Any]]:
    return [
        call["function"]
        for event in events_of(answer)
        if isinstance(event, dict)
        for choice in event.get("choices", ())
        for call in choice["delta"].get("tool_calls", ())
    ]


@pytest.mark.parametrize(
    "written", ['{"to": "bob@example.com"}', r'{"to": "bob\u0040ex\u0061mple.com"}'], ids=["plain", "escaped"]
)
def test_arguments_are_judged_as_what_they_mean(written: str) -> None:
    asked = Asked(lambda p: ai.stream(calling("mail", written)), output=[ai.redact(), TOOLS])
    answer = asked.ask(stream=True)
    assert called(answer) == [{"name": "mail", "arguments": '{"to":"[REDACTED:EMAIL_ADDRESS]"}'}]
    assert reasons(answer) == ["tool_calls"]


def test_a_card_number_that_is_a_number_is_hidden_in_arguments() -> None:
    asked = Asked(
        lambda p: ai.stream(calling("mail", '{"to": "x", "card": 4111111111111111}')), output=[ai.redact(), TOOLS]
    )
    assert "4111111111111111" not in asked.ask(stream=True).get_data(as_text=True)


def test_the_clients_own_data_comes_back_in_arguments() -> None:
    def mailing(prompt: dict[str, Any]) -> Any:
        return ai.stream(calling("mail", json.dumps({"to": prompt["messages"][0]["content"]})))

    asked = Asked(mailing, input=INPUT, output=[ai.restore(), TOOLS])
    assert called(asked.ask("ada@example.com", stream=True))[0]["arguments"] == '{"to":"ada@example.com"}'


@pytest.mark.parametrize("name,arguments", [("shell", "{}"), ("mail", "{}"), ("mail", '{"to"'), ("ma", '{"to": "x"}')])
def test_a_call_that_is_not_allowed_never_begins(name: str, arguments: str) -> None:
    answer = Asked(lambda p: ai.stream(calling(name, arguments)), output=[TOOLS]).ask(stream=True)
    assert called(answer) == [] and reasons(answer) == ["content_filter"]


def test_a_call_without_end_is_not_held_without_end() -> None:
    def endless() -> Iterator[dict[str, Any]]:
        while True:
            yield chunk(
                {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "mail", "arguments": "x" * 65536}}]}
            )

    asked = Asked(lambda p: ai.stream(endless()), output=[TOOLS])
    assert events_of(asked.ask(stream=True))[-1]["error"]["code"] == "ai.failed"


# Ends.


class Closing:
    """A model's stream that knows whether it was closed."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items
        self.closed = 0
        self.given = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.given += 1
        return next(self.items)

    def close(self) -> None:
        self.closed += 1


def test_a_leak_ends_the_choice_and_the_models_stream() -> None:
    source = Closing(pieces(f"I was told: {CANARY}. And then " + "more " * 500, 4))
    asked = Asked(lambda p: ai.stream(source), output=ALONE)
    answer = asked.ask(stream=True)
    assert CANARY not in text_of(answer) and "more" not in text_of(answer)
    assert reasons(answer) == ["content_filter"] and events_of(answer)[-1] == "[DONE]"
    assert source.closed == 1 and source.given < 20
    assert asked.last["decision"] == "stopped" and asked.last["rule"].startswith("canary.")


def test_other_choices_go_on_when_one_is_stopped() -> None:
    def two() -> Iterator[dict[str, Any]]:
        yield chunk({"content": f"it is {CANARY} you see"}, index=0)
        yield chunk({"content": "harmless"}, index=1)
        yield chunk({}, "stop", index=0)
        yield chunk({}, "stop", index=1)

    answer = Asked(lambda p: ai.stream(two()), output=ALONE).ask(n=2, stream=True)
    assert sorted(reasons(answer)) == ["content_filter", "stop"]
    assert text_of(answer, index=1) == "harmless" and CANARY not in answer.get_data(as_text=True)


def test_a_cap_cuts_an_answer_for_its_length() -> None:
    asked = Asked(lambda p: ai.stream(pieces("abcdefghij" * 10, 7)), output=[ai.max_chars(25)])
    answer = asked.ask(stream=True)
    assert text_of(answer) == "abcdefghijabcdefghijabcde" and reasons(answer) == ["length"]
    whole = Asked(lambda p: saying("abcdefghij" * 10), output=[ai.max_chars(25)]).ask().json["choices"][0]
    assert (whole["message"]["content"], whole["finish_reason"]) == ("abcdefghijabcdefghijabcde", "length")


def test_a_source_that_fails_ends_the_answer_with_nothing_held_back_passed_on() -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield chunk({"content": "Hello. Write to ada@exam"})
        raise ConnectionError("upstream said: ada@example.com")

    asked = Asked(lambda p: ai.stream(failing()), output=[ai.redact()])
    answer = asked.ask(stream=True)
    last = events_of(answer)[-1]
    assert last["error"]["code"] == "ai.failed"
    assert "ada@" not in answer.get_data(as_text=True)
    assert (asked.last["decision"], asked.last["rule"]) == ("failed", "ConnectionError")


def test_a_filter_that_fails_lets_nothing_more_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        stopped = None

        def __init__(self) -> None:
            self.findings: dict[str, Any] = {}
            self.count = 0

        def feed(self, text: str) -> str:
            self.count += 1
            if self.count == 3:
                raise ValueError(f"cannot treat {text}")
            return text

        def finish(self) -> str:
            raise AssertionError("it was given up")

    from flask_rampart.ai.filters import Stage

    monkeypatch.setattr(ai.redact, "stage", lambda self, call, channel: Stage(Broken()))
    source = Closing(pieces("abcdefghijklmnop", 3))
    answer = Asked(lambda p: ai.stream(source), output=[ai.redact()]).ask(stream=True)
    assert text_of(answer) == "abcdef" and "error" in events_of(answer)[-1]
    assert source.closed == 1


@pytest.mark.parametrize(
    "item",
    [
        {"choices": "x"},
        {"choices": [{"index": 0, "delta": {"content": ["ada"]}}]},
        {"choices": [{"index": 0, "delta": {"audio": {"data": "x"}}}]},
        {"choices": [{"index": 4000, "delta": {}}]},
        {"strange": "ada"},
        {"error": {"message": "ada said this"}},
        ["ada"],
        b"data: {ada\n\n",
        b"data: \xff\n\n",
        b'data: [DONE]\n\ndata: {"choices": []}\n\n',
        object(),
    ],
    ids=range(11),
)
def test_an_event_of_no_known_shape_ends_the_answer(item: Any) -> None:
    source = Closing(iter([chunk({"content": "hi"}), item, chunk({"content": "more"})]))
    asked = Asked(lambda p: ai.stream(source))
    answer = asked.ask(stream=True)
    assert text_of(answer) == "hi" and "ada" not in answer.get_data(as_text=True)
    assert events_of(answer)[-1]["error"]["code"] == "ai.failed"
    assert source.closed == 1 and asked.last["decision"] == "failed"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_client_that_leaves_ends_the_models_stream(after: int) -> None:
    source = Closing(pieces("word " * 1000, 5))
    asked = Asked(lambda p: ai.stream(source))
    answer = asked.app.test_client().post(
        "/",
        json={"model": "small", "stream": True, "messages": [{"role": "user", "content": "x"}]},
        headers={"X-Who": "ada"},
        buffered=False,
    )
    read = iter(answer.response)
    for _ in range(after):
        next(read)
    answer.close()
    assert source.closed == 1 and source.given <= after + 1
    assert [told["decision"] for told in asked.told] == ["aborted"]


def test_usage_is_passed_on_to_who_asked_for_it() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    last = {"id": "x", "created": 1, "choices": [], "usage": usage}
    asked = Asked(lambda p: ai.stream([*pieces("hi"), last]), budget=ai.budget("100000/minute"))
    silent = asked.ask(stream=True)
    assert not any("usage" in event for event in events_of(silent) if isinstance(event, dict))
    assert asked.prompts[-1]["stream_options"] == {"include_usage": True}
    told = asked.ask(stream=True, stream_options={"include_usage": True})
    assert events_of(told)[-2]["usage"] == usage
    assert (asked.last["prompt_tokens"], asked.last["completion_tokens"], asked.last["counted"]) == (5, 2, "upstream")


def test_a_streamed_answer_is_held_against_its_schema_before_any_of_it_leaves() -> None:
    shape = {"type": "object", "required": ["label"]}
    good = Asked(lambda p: ai.stream(pieces('{"label": 1}')), output=[ai.schema(shape)]).ask(stream=True)
    assert text_of(good) == '{"label": 1}' and reasons(good) == ["stop"]
    for text in ('{"label": 1', '{"other": 1}', ""):
        bad = Asked(lambda p, text=text: ai.stream(pieces(text)), output=[ai.schema(shape)]).ask(stream=True)
        assert text_of(bad) == "" and reasons(bad) == ["content_filter"]


def test_texts_in_an_answer_that_has_a_schema_are_looked_at_unescaped() -> None:
    written = r'{"to": "b\u006fb\u0040example.com"}'
    asked = Asked(
        lambda p: ai.stream(pieces(written)) if p.get("stream") else saying(written),
        output=[ai.redact(), ai.schema({"type": "object", "required": ["to"]})],
    )
    assert text_of(asked.ask(stream=True)) == '{"to":"[REDACTED:EMAIL_ADDRESS]"}'
    assert asked.ask().json["choices"][0]["message"]["content"] == '{"to":"[REDACTED:EMAIL_ADDRESS]"}'
    assert asked.last["findings"] == {"redact.EMAIL_ADDRESS": 1}
    long = Asked(lambda p: ai.stream(pieces('{"to": "' + "x" * 90 + '"}')), output=[ai.max_chars(50), ai.schema({})])
    answer = long.ask(stream=True)
    assert text_of(answer) == "" and reasons(answer) == ["length"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_nothing_of_a_call_outlives_its_answer(stream: bool) -> None:
    calls: list[Any] = []

    def view(prompt: dict[str, Any]) -> Any:
        calls.append(weakref.ref(ai.call._get_current_object()))
        return ai.stream(pieces("hello")) if stream else saying("hello")

    asked = Asked(view, input=INPUT, output=OUTPUT, budget=ai.budget("100000/minute"))
    gc.disable()
    try:
        asked.ask("ada@example.com", stream=stream).close()
        asked.told.clear()
        assert calls[0]() is None
    finally:
        gc.enable()


def test_a_view_may_stream_in_its_own_context() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        return stream_with_context(pieces(str(ai.prompt["messages"][0]["content"])))

    answer = Asked(view).ask("from the request", stream=True)
    assert text_of(answer) == "from the request"
