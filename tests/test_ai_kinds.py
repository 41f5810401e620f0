"""AI answers of every kind: what a model's server ran by itself, ids that a model writes, and how much of all is kept."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from flask_rampart import ai

from .asking import Asked, asking, call_of, chunk, events_of, pieces, reasons, saying, text_of

CANARY = "CANARY7f3a91c2e8b04d65"
SEARCHED = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": f"about {CANARY[:8]} ", "sources": [{"url": "https://evil.example/x"}]},
}
TYPED = {"type": "custom_tool_call", "id": "c", "call_id": "c1", "name": "shell", "input": "echo ada@example.com"}
SAID = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Found."}]}


def response(*items: Any, status: str = "completed") -> dict[str, Any]:
    return {"id": "r", "object": "response", "created_at": 1, "status": status, "output": list(items)}


def events(*items: Any) -> Iterator[dict[str, Any]]:
    """A streamed response, as OpenAI's server writes it."""
    yield {"type": "response.created", "response": response(status="in_progress")}
    for at, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": at, "item": {**item, "content": []}}
        where = {"item_id": "m", "output_index": at, "content_index": 0}
        for part in item.get("content", ()):
            yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
            if part["type"] == "reasoning_text":
                yield {"type": "response.reasoning_text.delta", **where, "delta": part["text"]}
            else:
                yield {"type": "response.output_text.delta", **where, "delta": part["text"]}
            yield {"type": "response.content_part.done", **where, "part": part}
        yield {"type": f"response.{item['type']}.searching", "output_index": at, "item_id": "x"}
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    yield {"type": "response.completed", "response": response(*items)}


def answering(*items: Any, streamed: bool, **declared: Any) -> tuple[dict[str, Any], Asked]:
    """A response of these items as it leaves; of a stream, as its last event says it."""
    asked = Asked(lambda p: ai.stream(events(*items)) if streamed else response(*items), shape="responses", **declared)
    answer = asked.post({"model": "small", "input": "hello", "stream": streamed})
    assert answer.status_code == 200
    return (events_of(answer)[-1]["response"] if streamed else answer.json), asked


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_server_ran_is_shown_treated_if_its_tool_is_allowed(streamed: bool) -> None:
    output = [ai.redact(["EMAIL_ADDRESS"]), ai.links(), ai.tools(["web_search_preview", "shell"])]
    made, asked = answering(SEARCHED, TYPED, SAID, streamed=streamed, output=output)
    assert [item["type"] for item in made["output"]] == ["web_search_call", "custom_tool_call", "message"]
    assert made["output"][0]["action"]["sources"] == [{"url": "(hxxps://evil[.]example/x)"}]
    assert made["output"][1]["input"] == "echo [REDACTED:EMAIL_ADDRESS]"
    assert (asked.last["decision"], asked.last["tool_calls"]) == ("answered", 2)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (SEARCHED, "tools.name"),
        (TYPED, "tools.name"),
        ({"type": "code_interpreter_call", "id": "x", "code": "1"}, "tools.name"),
        ({"type": "image_generation_call", "id": "x", "result": "AAAA"}, "shape.unknown"),
        ({"type": "of tomorrow"}, "shape.unknown"),
        ({**SAID, "content": [{"type": "output_audio", "text": "x"}]}, "shape.unknown"),
    ],
)
def test_an_item_that_is_not_allowed_or_not_known_ends_the_answer(
    item: dict[str, Any], rule: str, streamed: bool
) -> None:
    made, asked = answering(item, SAID, streamed=streamed, output=[ai.tools(["mail"])])
    assert made["incomplete_details"] == {"reason": "content_filter"}
    assert made["output"] == []
    assert (asked.last["decision"], asked.last["rule"], asked.last["findings"]) == ("stopped", rule, {rule: 1})


def test_a_call_of_a_kind_that_is_not_known_ends_the_choice() -> None:
    asked = Asked(lambda p: saying("", tool_calls=[{"id": "1", "type": "of tomorrow"}]), output=[ai.tools(["mail"])])
    answer = asked.ask()
    assert (answer.status_code, answer.json["choices"][0]["finish_reason"]) == (200, "content_filter")
    assert asked.last["rule"] == "shape.unknown"


def test_reasoning_is_left_out_of_a_response_and_its_words_of_a_stream() -> None:
    thought = {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": CANARY}]}
    made, asked = answering(thought, SAID, streamed=True)
    assert [item["type"] for item in made["output"]] == ["reasoning", "message"]
    assert CANARY not in json.dumps(made)
    assert asked.last["completion_tokens"] == len(CANARY) + len("Found.")


def test_what_an_answer_has_shown_may_be_sent_again() -> None:
    asked = Asked(lambda p: response(SAID), shape="responses", input=[ai.pii(["EMAIL_ADDRESS"], restore=False)])
    given = [SEARCHED, TYPED, {"type": "custom_tool_call_output", "call_id": "c1", "output": "ada@example.com"}]
    assert asked.post({"model": "small", "input": given}).status_code == 200
    assert "ada@" not in json.dumps(asked.prompts)
    # What a server has kept is nobody's here.
    kept = {"type": "code_interpreter_call", "id": "x", "container_id": "cntr_1", "code": "1"}
    assert asked.post({"model": "small", "input": [kept]}).json["code"] == "ai.shape"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("on_finding", ["refuse", "report"])
def test_a_call_tells_nothing_by_its_id_or_name(on_finding: Any, streamed: bool) -> None:
    # Some models write the ids of their calls themselves (Kimi K2: functions.name:0).
    def ask(name: str, at: str) -> Asked:
        calls = [call_of(name, "{}", at)]
        stream = [chunk({"tool_calls": [{"index": 0, **calls[0]}]}), chunk({}, "tool_calls")]
        output = [ai.leak(canary=CANARY), ai.tools(["mail"], on_finding=on_finding)]
        asked = Asked(lambda p: ai.stream(stream) if streamed else saying("", tool_calls=calls), output=output)
        told.append(asked.ask(stream=streamed).get_data(as_text=True))
        return asked

    told: list[str] = []
    assert ask("mail", "functions.mail:0").last["decision"] == "answered"
    assert "functions.mail:0" in told[-1]
    # An id ends nothing: what is wrong with it does not leave, and another takes its place.
    for at in (CANARY, "any text, of any length"):
        asked = ask("mail", at)
        assert asked.last["decision"] == "answered" and asked.last["findings"]["tools.id"] == 1
        assert re.search(r'"id":\s*"call_[a-z]{32}"', told[-1])
    assert ask(CANARY, "1").last["rule"] == ("tools.name" if on_finding == "refuse" else "canary.plain")
    assert ask("any text, of any length", "1").last["rule"] == "tools.name"
    assert CANARY not in "".join(told)
    assert "any text" not in "".join(told)


def test_a_prompt_has_no_personal_data_in_its_ids_and_texts() -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.pii(["CREDIT_CARD"], restore=False)])
    card = 4111111111111111
    result = {"role": "tool", "content": "x", "tool_call_id": str(card)}
    assert asked.post({"model": "small", "messages": [result]}).status_code == 200
    assert str(card) not in json.dumps(asked.prompts[-1])
    # The name of a tool is one that the app knows: another says nothing to it.
    called = {"role": "assistant", "content": None, "tool_calls": [call_of(str(card), "{}")]}
    assert asked.post({"model": "small", "messages": [called]}).json["code"] == "ai.shape"
    assert asked.ask(user=f"no. {card}", metadata={"card": card, str(card): "x"}).status_code == 200
    assert str(card) not in json.dumps(asked.prompts[-1])


def test_a_text_that_is_json_is_counted_once() -> None:
    seen: list[Any] = []
    text = json.dumps({"a": json.dumps({"b": "c" * 400})})
    asked = Asked(lambda p: saying("ok"), input=[ai.max_chars(500), ai.check(lambda passages: seen.extend(passages))])
    assert asked.ask(text).status_code == 200
    assert asked.last["prompt_chars"] == len(text)
    assert "c" * 400 in [passage.text for passage in seen]
    assert asked.ask(text + " " * 100).json["code"] == "ai.too_long"


def test_nobody_asks_for_more_answers_than_an_answer_may_have() -> None:
    asked = Asked(lambda p: saying("ok"))
    assert asked.ask(n=128).status_code == 200
    assert asked.ask(n=129).json["code"] == "ai.shape"
    older = Asked(lambda p: {"choices": []}, shape="completions")
    assert older.post({"model": "small", "prompt": ["x"] * 65, "n": 2}).json["code"] == "ai.shape"
    # One index for all choices is no way round it.
    twice = Asked(lambda p: {"choices": [*saying("a")["choices"], *saying("b")["choices"]]})
    assert twice.ask().status_code == 500


def test_what_an_answer_keeps_is_bounded_over_all_its_choices_and_calls() -> None:
    piece = '"' + "x" * (1 << 18)

    def flood(prompt: Any) -> Any:
        for at in range(100):
            for choice in range(2):
                call = call_of("mail", '{"a":' + piece + '"}', f"c{at}")
                yield chunk({"tool_calls": [{"index": at, **call}]}, index=choice)

    asked = Asked(lambda p: ai.stream(flood(p)), output=[ai.tools(["mail"])])
    tracemalloc.start()
    try:
        answer = asked.ask(stream=True, n=2)
        assert events_of(answer)[-1]["error"]["code"] == "ai.failed"
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert (asked.last["decision"], asked.last["rule"]) == ("failed", "response.invalid")


def test_a_response_whose_text_has_no_end_does_not_fill_the_memory() -> None:
    where = {"item_id": "m", "output_index": 0, "content_index": 0}

    def flood() -> Any:
        yield {"type": "response.created", "response": response(status="in_progress")}
        while True:
            yield {"type": "response.output_text.delta", **where, "delta": "x " * (1 << 19)}

    asked = Asked(lambda p: ai.stream(flood()), shape="responses")
    answer = asked.post({"model": "small", "input": "x", "stream": True})
    assert events_of(answer)[-1]["code"] == "ai.failed"


def test_reasoning_is_a_text_by_either_name() -> None:
    asked = Asked(lambda p: saying("ok", reasoning=f"I was told {CANARY}"), output=[ai.leak(canary=CANARY)])
    assert asked.ask().json["choices"][0]["finish_reason"] == "content_filter"
    live = Asked(lambda p: ai.stream([chunk({"reasoning": "Let me "}), *pieces("Hi")]))
    answer = live.post(asking(stream=True))
    assert (text_of(answer, "reasoning"), text_of(answer), reasons(answer)) == ("Let me ", "Hi", ["stop"])
    assert live.last["completion_chars"] == len("Let me Hi")


def test_a_number_that_is_no_json_does_not_leave() -> None:
    asked = Asked(lambda p: {"text": "ok", "score": float("nan")}, shape="prompt")
    assert asked.post({"model": "small", "prompt": "x"}).json["code"] == "response.invalid"


def test_a_text_may_be_cut_in_the_middle_of_a_character() -> None:
    for cut in range(1, 9):
        data = "é→😀".encode()
        asked = Asked(lambda p, d=data, n=cut: iter([d[:n], d[n:]]), shape="prompt")
        assert asked.post({"model": "small", "prompt": "x"}).get_data() == data
    half = Asked(lambda p: iter([b"a \xc3"]), shape="prompt")
    with pytest.raises(RuntimeError, match="could not be completed"):
        half.post({"model": "small", "prompt": "x"}).get_data()
    assert half.last["decision"] == "failed"
