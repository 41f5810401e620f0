"""AI endpoints: what a model's server sends that is not as it should be, and what would not be noticed then."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from flask import Response
from werkzeug.wrappers import Response as BaseResponse

from flask_rampart import ai
from flask_rampart.errors import ConfigError

from .asking import Asked, chunk, events_of, saying, sse


def size(text: str) -> int:
    """Tokens, for these tests: one for each ``q``."""
    return text.count("q")


def test_an_app_with_werkzeugs_own_class_of_responses_is_treated_too() -> None:
    asked = Asked(lambda p: saying("ada@example.com"), output=[ai.redact()])
    asked.app.response_class = BaseResponse  # type: ignore[assignment]
    asked.app.json.response = lambda *args, **more: BaseResponse(  # type: ignore[method-assign]
        asked.app.json.dumps(args[0]), mimetype="application/json"
    )
    assert "[REDACTED:EMAIL_ADDRESS]" in asked.ask().get_data(as_text=True)
    text = Asked(lambda p: "ada@example.com", shape="prompt", output=[ai.redact()])
    text.app.response_class = BaseResponse  # type: ignore[assignment]
    assert text.post({"prompt": "hi"}).get_data(as_text=True) == "[REDACTED:EMAIL_ADDRESS]"


def test_a_server_that_counts_nothing_makes_no_answer_free() -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    asked = Asked(
        lambda p: {**saying("qqqqq"), "usage": usage}, budget=ai.budget("999/year", most_tokens=9), tokens=size
    )
    asked.ask("qqq")
    assert (asked.last["prompt_tokens"], asked.last["completion_tokens"], asked.last["counted"]) == (3, 5, "here")


def test_numbers_that_json_does_not_have_do_not_leave() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "seconds": float("nan"), "more": {"rate": float("inf")}}
    asked = Asked(lambda p: {**saying("ok"), "usage": usage})
    answer = asked.ask()
    assert answer.status_code == 200
    assert "NaN" not in answer.get_data(as_text=True) and "Infinity" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_choice_that_nobody_asked_for_is_held_back(stream: bool) -> None:
    def view(prompt: dict[str, Any]) -> Any:
        if not stream:
            return saying("one", "two", "three")
        return ai.stream([chunk({"content": "three"}, "stop", index=2)])

    asked = Asked(view)
    assert "three" in asked.ask(n=3, stream=stream).get_data(as_text=True)
    assert "three" not in asked.ask(n=2, stream=stream).get_data(as_text=True)
    assert asked.last["decision"] == "failed"


@pytest.mark.parametrize(
    "sent",
    [
        sse([chunk({"content": "I may not s"})]).replace(b"data: [DONE]\n\n", b""),
        sse([chunk({"content": "I may not s"})]),
        sse([chunk({"content": "I may not s"})])[:-60],
        b'{"choices": []}\n{"choices": []}\n',
        gzip.compress(sse([chunk({"content": "hi"}, "stop")]), mtime=0),
        b"",
    ],
    ids=range(6),
)
def test_a_stream_that_just_ends_is_not_told_as_whole(sent: bytes) -> None:
    asked = Asked(lambda p: Response(iter([sent]), mimetype="text/event-stream"), output=[ai.clean()])
    events = events_of(asked.ask(stream=True))
    assert events[-1]["error"]["code"] == "ai.failed"
    assert asked.last["decision"] == "failed"


def test_a_stream_that_says_it_is_compressed_is_held_back() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        sent = sse([chunk({"content": "hi"}, "stop")])
        return Response(iter([sent]), mimetype="text/event-stream", headers={"Content-Encoding": "gzip"})

    asked = Asked(view)
    answer = asked.ask(stream=True)
    assert answer.json["code"] == "response.invalid" and "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    "declared",
    [
        {"input": [ai.clean(on_finding="report"), ai.pii(restore=False)]},
        {"output": [ai.clean(on_finding="report"), ai.leak(canary="CANARY4f1d9c2ab7e0")]},
        {"output": [ai.links(), ai.max_chars(100)]},
        {"output": [ai.schema({}), ai.max_chars(100)]},
    ],
    ids=range(4),
)
def test_orders_that_undo_what_they_promise_are_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"hides|Change their places"):
        ai.guard(model="small", **declared)


def test_what_tells_whose_model_it_is_is_left_out() -> None:
    asked = Asked(lambda p: {**saying("ok"), "system_fingerprint": "fp_vendor", "service_tier": "scale"})
    assert asked.ask().json.keys().isdisjoint({"system_fingerprint", "service_tier"})


def piece(name: str | None, arguments: str | None, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return chunk({"tool_calls": [{"type": "function", "function": function, **more}]})


@pytest.mark.parametrize(
    "pieces",
    [
        [
            piece("mail", '{"a": 1}', index=0, id="c1"),
            piece("note", '{"b"', index=0, id="c2"),
            piece(None, ": 2}", index=0),
        ],
        [piece("mail", '{"a": 1}', id="c1"), piece("note", '{"b"', id="c2"), piece(None, ": 2}")],
        [
            piece("mail", '{"a": 1}', index=None, id="c1"),
            piece("note", '{"b"', index=None, id="c2"),
            piece(None, ": 2}"),
        ],
        [piece("mail", '{"a": 1}'), piece("note", '{"b"'), piece(None, ": 2}")],
        [
            piece("mail", '{"a": 1}', index=0, id="c1"),
            piece("note", '{"b"', index=1, id="c2"),
            piece(None, ": 2}", index=1),
        ],
    ],
    ids=["all 0", "no index", "null", "nothing", "numbered"],
)
def test_calls_that_a_server_does_not_number_are_calls_of_their_own(pieces: list[Any]) -> None:
    asked = Asked(lambda p: ai.stream([*pieces, chunk({}, "tool_calls")]), output=[ai.tools(allow=["mail", "note"])])
    (calls,) = [
        delta["tool_calls"]
        for event in events_of(asked.ask(stream=True))[:-1]
        for delta in [event["choices"][0]["delta"]]
        if "tool_calls" in delta
    ]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "mail"), (1, "note")]
    assert [call["function"]["arguments"] for call in calls] == ['{"a": 1}', '{"b": 2}']


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("mail", '{"a"', index=0, id="c1"), piece("mail", ": 1}", index=0, id="c1")],
        [piece("mail", '{"a"', index=0, id="c1"), piece(None, ": 1}", index=0, id="c9")],
        [piece("ma", None, index=0, id="c1"), piece("il", '{"a": 1}', index=0)],
    ],
    ids=["a name with each piece", "an id with each piece", "a name in pieces"],
)
def test_pieces_of_one_call_are_one_call(pieces: list[Any]) -> None:
    asked = Asked(lambda p: ai.stream([*pieces, chunk({}, "tool_calls")]), output=[ai.tools(allow=["mail"])])
    events = events_of(asked.ask(stream=True))[:-1]
    (call,) = next(e["choices"][0]["delta"]["tool_calls"] for e in events if e["choices"][0]["delta"].get("tool_calls"))
    assert call["function"] == {"name": "mail", "arguments": '{"a": 1}'}


def test_a_call_that_is_not_numbered_is_judged_as_any_other() -> None:
    pieces = [piece("mail", "{}", index=0, id="c1"), piece("shell", "{}", index=0, id="c2")]
    asked = Asked(lambda p: ai.stream([*pieces, chunk({}, "tool_calls")]), output=[ai.tools(allow=["mail"])])
    assert "shell" not in asked.ask(stream=True).get_data(as_text=True)
    assert asked.last["rule"] == "tools.name"
