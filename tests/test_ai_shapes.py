"""AI endpoints: shapes other than chat completions, and what is treated in a chat's older and rarer places."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flask_rampart import ai

from .asking import Asked, call_of, chunk, events_of, saying

CANARY = "CANARY4f1d9c2ab7e0"
INPUT = [ai.clean(), ai.pii()]
TOOLS = ai.tools(allow=["mail"])


def test_completions_are_treated_whole_and_streamed() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        if not prompt.get("stream"):
            return {
                "choices": [
                    {
                        "index": 0,
                        "text": f"{prompt['prompt']} bob@example.com",
                        "logprobs": {"tokens": ["bob"]},
                        "finish_reason": "stop",
                    }
                ]
            }
        text = f"{prompt['prompt']} bob@example.com"
        pieces = [{"choices": [{"index": 0, "text": c, "finish_reason": None}]} for c in text]
        return ai.stream([*pieces, {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}])

    asked = Asked(view, shape="completions", input=INPUT, output=[ai.redact(), ai.restore()])
    body = {"model": "small", "prompt": "ada@example.com"}
    whole = asked.post(body).json["choices"][0]
    assert whole == {
        "index": 0,
        "text": "ada@example.com [REDACTED:EMAIL_ADDRESS]",
        "logprobs": None,
        "finish_reason": "stop",
    }
    streamed = asked.post({**body, "stream": True})
    said = "".join(c["text"] for e in events_of(streamed) if isinstance(e, dict) for c in e["choices"])
    assert said == whole["text"]
    assert "ada@" not in str(asked.prompts)
    assert asked.post({"model": "small", "prompt": [1, 2, 3]}).json["code"] == "ai.shape"


def test_an_apps_own_shape_is_treated_at_its_places() -> None:
    shape = ai.Paths(prompt="/ask/text", answer="/say", stream="/live")

    def view(prompt: dict[str, Any]) -> Any:
        text = prompt["ask"]["text"] + " bob@example.com"
        if prompt.get("live"):
            return (text[at : at + 4] for at in range(0, len(text), 4))
        return {"say": text, "log": ["bob@example.com"], "number": 7}

    asked = Asked(view, shape=shape, input=INPUT, output=[ai.redact(), ai.restore()])
    body = {"model": "small", "ask": {"text": "ada@example.com", "note": "eve@example.com"}}
    assert asked.post(body).json == {
        "say": "ada@example.com [REDACTED:EMAIL_ADDRESS]",
        "log": ["[REDACTED:EMAIL_ADDRESS]"],
        "number": 7,
    }
    live = asked.post({**body, "live": True})
    assert live.get_data(as_text=True) == "ada@example.com [REDACTED:EMAIL_ADDRESS]"
    assert live.mimetype == "text/plain"
    assert "@example.com" not in str(asked.prompts)
    assert asked.post({"model": "small", "ask": "hi"}).json["code"] == "ai.shape"


def test_a_plain_prompt_is_answered_with_a_text() -> None:
    asked = Asked(lambda p: {"text": p["prompt"] + " bob@example.com"}, shape="prompt", output=[ai.redact()])
    assert asked.post({"prompt": "hi"}).json == {"text": "hi [REDACTED:EMAIL_ADDRESS]"}
    page = Asked(lambda p: "bob@example.com", shape="prompt", output=[ai.redact()])
    assert page.post({"prompt": "hi"}).get_data(as_text=True) == "[REDACTED:EMAIL_ADDRESS]"
    cut = Asked(lambda p: iter([f"it is {CANARY} ", "and more"]), shape="prompt", output=[ai.leak(canary=CANARY)])
    assert CANARY not in cut.post({"prompt": "hi"}).get_data(as_text=True)


def test_a_stream_of_text_that_fails_is_cut_off() -> None:
    def failing() -> Iterator[str]:
        yield "Hello "
        raise ConnectionError

    asked = Asked(lambda p: failing(), shape="prompt")
    with pytest.raises(RuntimeError, match="could not be completed"):
        asked.post({"prompt": "hi"}).get_data()


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "instructions": "the secret system prompt",
    "model": "upstream",
    "output": [
        {
            "type": "message",
            "id": "m1",
            "status": "completed",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "mail bob@example.com",
                    "logprobs": [{"token": "bob@example.com"}],
                    "annotations": [],
                }
            ],
        },
        {
            "type": "function_call",
            "id": "f1",
            "call_id": "c1",
            "name": "mail",
            "arguments": r'{"to": "bob\u0040example.com"}',
            "status": "completed",
        },
    ],
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}


def response_events() -> Iterator[dict[str, Any]]:
    message, call = RESPONSE["output"]  # type: ignore[misc]
    at = {"item_id": "m1", "output_index": 0, "content_index": 0}
    text: str = message["content"][0]["text"]
    yield {"type": "response.created", "response": {**RESPONSE, "output": [], "status": "in_progress"}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}}
    yield {"type": "response.content_part.added", **at, "part": {"type": "output_text", "text": ""}}
    for c in text:
        yield {"type": "response.output_text.delta", **at, "delta": c, "logprobs": [{"token": c}]}
    yield {"type": "response.output_text.done", **at, "text": text}
    yield {"type": "response.content_part.done", **at, "part": message["content"][0]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": message}
    yield {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}}
    yield {
        "type": "response.function_call_arguments.delta",
        "item_id": "f1",
        "output_index": 1,
        "delta": call["arguments"],
    }
    yield {
        "type": "response.function_call_arguments.done",
        "item_id": "f1",
        "output_index": 1,
        "arguments": call["arguments"],
    }
    yield {"type": "response.output_item.done", "output_index": 1, "item": call}
    yield {"type": "response.completed", "response": RESPONSE}


def test_responses_are_treated_whole_and_streamed() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        return ai.stream(response_events()) if prompt.get("stream") else RESPONSE

    asked = Asked(view, shape="responses", input=INPUT, output=[ai.redact(), ai.restore(), ai.tools(allow=["mail"])])
    body = {
        "model": "small",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "ada@example.com"}]}],
        "instructions": "eve@example.com",
    }
    whole = asked.post(body)
    assert "@example.com" not in str(asked.prompts)
    assert "bob" not in whole.get_data(as_text=True) and "secret system prompt" not in whole.get_data(as_text=True)
    assert whole.json["output"][0]["content"][0]["text"] == "mail [REDACTED:EMAIL_ADDRESS]"
    streamed = asked.post({**body, "stream": True})
    events = events_of(streamed)
    deltas = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert deltas == "mail [REDACTED:EMAIL_ADDRESS]"
    assert "bob" not in streamed.get_data(as_text=True) and "secret system" not in streamed.get_data(as_text=True)
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"] == whole.json["output"]
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert (asked.last["prompt_tokens"], asked.last["completion_tokens"]) == (3, 4)


@pytest.mark.parametrize(
    "more",
    [{"previous_response_id": "resp_0"}, {"conversation": "c"}, {"input": [{"type": "item_reference", "id": "x"}]}],
    ids=str,
)
def test_what_the_models_server_has_kept_is_nobodys_here(more: dict[str, Any]) -> None:
    asked = Asked(lambda p: RESPONSE, shape="responses")
    assert asked.post({"model": "small", "input": "hi", **more}).json["code"] == "ai.shape"


def test_a_stopped_response_is_incomplete() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        return ai.stream(response_events()) if prompt.get("stream") else RESPONSE

    asked = Asked(view, shape="responses", output=[ai.redact(on_finding="refuse"), ai.tools(allow=["mail"])])
    whole = asked.post({"model": "small", "input": "hi"}).json
    assert (whole["status"], whole["incomplete_details"], whole["output"]) == (
        "incomplete",
        {"reason": "content_filter"},
        [],
    )
    events = events_of(asked.post({"model": "small", "input": "hi", "stream": True}))
    assert events[-1]["type"] == "response.incomplete" and "bob@" not in str(events)


def test_the_old_call_of_a_function_is_held_too() -> None:
    def old() -> Iterator[dict[str, Any]]:
        yield chunk({"function_call": {"name": "mail", "arguments": '{"to": "bob@ex'}})
        yield chunk({"function_call": {"arguments": 'ample.com"}'}})
        yield chunk({}, "function_call")

    asked = Asked(lambda p: ai.stream(old()), output=[ai.redact(), TOOLS])
    data = asked.ask(stream=True).get_data(as_text=True)
    assert "bob@" not in data and "[REDACTED:EMAIL_ADDRESS]" in data
    whole = saying("", function_call={"name": "shell", "arguments": "{}"})
    assert Asked(lambda p: whole, output=[TOOLS]).ask().json["choices"][0]["finish_reason"] == "content_filter"


def test_calls_of_an_assistant_in_a_prompt_are_treated_inside() -> None:
    asked = Asked(lambda p: saying("ok"), input=INPUT, output=[ai.restore()])
    body = {
        "model": "small",
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [call_of("mail", r'{"to": "bob\u0040example.com"}')]},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": r'{"from": "eve\u0040example.com", "card": 4111111111111111}',
            },
        ],
    }
    assert asked.post(body).status_code == 200
    seen = json.dumps(asked.prompts)
    assert "example.com" not in seen and "4111111111111111" not in seen


def test_further_members_are_taken_where_they_are_named_and_are_treated() -> None:
    asked = Asked(lambda p: saying("ok"), members=["top_k", "note"], input=INPUT, output=[ai.restore()])
    assert asked.ask(top_k=5, note={"of": "ada@example.com"}).status_code == 200
    assert asked.prompts[0]["top_k"] == 5 and "ada@example.com" not in str(asked.prompts)
    assert asked.ask(min_p=1).json["code"] == "ai.shape"
