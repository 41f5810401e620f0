"""Ids in prompts and answers: whatever a model's server writes as one, no conversation ends with it.

Gemini's OpenAI-compatible endpoint gives ``function-call-`` and 19 digits, or nothing at all; others give UUIDs, base64,
or an empty id with each further piece. A card's digits stand in 3 % of such numbers.
"""

from __future__ import annotations

import json
import random
import string
import uuid
from typing import Any

import pytest

from flask_rampart import Redactor, ai

from .asking import Asked, chunk, events_of, saying
from .test_ai_kinds import SAID, answering

CARD = "function-call-6581585515546486195"
HOSTILE = [CARD, "call_" + "a" * 130, "call/abc+==", "2f1c-…", "ada@example.com", 4111111111111111]
PLAIN = ["", None, "toolu_01A09q90qw90lq917835lq9", "D681PevKs", "functions.w:0"]


def call(at: Any, **more: Any) -> dict[str, Any]:
    return {"index": 0, "id": at, "type": "function", "function": {"name": "w", "arguments": '{"a":"b"}'}, **more}


def answered(*calls: Any, streamed: bool, output: Any) -> tuple[Any, Asked]:
    """The id that a client gets of a call whose pieces are *calls*."""
    whole = {
        **saying(""),
        "choices": [{"index": 0, "message": {"tool_calls": [*calls]}, "finish_reason": "tool_calls"}],
    }
    pieces = [*(chunk({"tool_calls": [one]}) for one in calls), chunk({}, "tool_calls")]
    asked = Asked(lambda p: ai.stream(pieces) if streamed else whole, output=output)
    answer = asked.ask(stream=streamed)
    assert answer.get_data() and answer.status_code == 200 and asked.last["decision"] == "answered"
    if not streamed:
        return answer.json["choices"][0]["message"]["tool_calls"][0].get("id"), asked
    [made] = [
        one
        for event in events_of(answer)
        if isinstance(event, dict)
        for choice in event["choices"]
        for one in choice["delta"].get("tool_calls", ())
    ]
    return made.get("id"), asked


@pytest.mark.parametrize("streamed", [False, True])
def test_no_id_of_a_call_ends_an_answer(streamed: bool) -> None:
    output = [ai.tools(["w"]), ai.redact(), ai.max_chars(20)]
    for at in PLAIN:
        assert answered(call(at), streamed=streamed, output=output)[0] == at
    found = set()
    for at in HOSTILE:
        made, asked = answered(call(at), streamed=streamed, output=output)
        assert made.startswith("call_") and len(made) == 37 and made.isascii(), at
        assert asked.last["findings"]["tools.id"] == 1
        found.add(made)
    assert len(found) == len(HOSTILE)
    for step in (ai.redact(on_finding="refuse"), ai.clean(on_finding="refuse")):
        assert answered(call(CARD), streamed=streamed, output=[ai.tools(["w"]), step])[0]


def test_a_call_without_an_id_or_with_an_empty_one_in_its_pieces_is_passed_on() -> None:
    without = call(None)
    del without["id"]
    for streamed in (False, True):
        assert answered(without, streamed=streamed, output=[ai.tools(["w"])])[0] is None
    output = [ai.tools(["w"])]
    rest = [{"index": 0, "id": at, "function": {"arguments": " "}} for at in ("", None)]
    assert answered(call("call_1"), *rest, streamed=True, output=output)[0] == "call_1"


@pytest.mark.parametrize("on_finding", ["replace", "refuse", "report"])
def test_a_prompt_is_not_refused_for_an_id_and_its_messages_still_name_each_other(on_finding: Any) -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.pii(restore=False, on_finding=on_finding)])
    passing = {
        **{at: at for at in PLAIN},
        **({CARD: CARD, 4111111111111111: "4111111111111111"} if on_finding == "report" else {}),
    }
    for at in (*PLAIN, *HOSTILE):
        messages = [
            {"role": "assistant", "content": None, "tool_calls": [call(at)]},
            {"role": "tool", "tool_call_id": at, "content": "r"},
        ]
        assert asked.post({"model": "small", "messages": messages}).status_code == 200, at
        called, result = asked.prompts[-1]["messages"]
        made = called["tool_calls"][0]["id"]
        assert made == result["tool_call_id"]
        assert made == passing[at] if at in passing else made.startswith("call_") and len(made) == 37
    for wrong in ({}, True, 1.5, ["x"]):
        result = {"role": "tool", "tool_call_id": wrong, "content": "r"}
        assert asked.post({"model": "small", "messages": [result]}).json["code"] == "ai.shape"


def test_an_answers_id_and_the_prompts_that_repeats_it_are_the_same() -> None:
    made, _ = answered(call(CARD), streamed=False, output=[ai.tools(["w"]), ai.redact()])
    later = Asked(lambda p: saying("ok"), input=[ai.pii()], output=[ai.restore()])
    for at in (CARD, made):
        later.post({"model": "small", "messages": [{"role": "tool", "tool_call_id": at, "content": "r"}]})
        assert later.prompts[-1]["messages"][0]["tool_call_id"] == made
    # Nobody who has not the key can try which number it was.
    other = Asked(lambda p: saying("ok"), input=[ai.pii()], config={"SECRET_KEY": "x" * 32}, output=[ai.restore()])
    other.post({"model": "small", "messages": [{"role": "tool", "tool_call_id": CARD, "content": "r"}]})
    assert other.prompts[-1]["messages"][0]["tool_call_id"] != made


def test_an_id_of_mistrals_stays_of_the_form_that_its_server_takes() -> None:
    # Its API refuses any other: "a-z, A-Z, 0-9, with a length of 9".
    at = "D681PevKs"
    redactor = Redactor(deny={at: "ID"})
    asked = Asked(lambda p: saying("ok"), input=[ai.pii(redactor=redactor, restore=False)])
    made, _ = answered(call(at), streamed=True, output=[ai.tools(["w"]), ai.redact(redactor=redactor)])
    asked.post({"model": "small", "messages": [{"role": "tool", "tool_call_id": at, "content": "r"}]})
    assert asked.prompts[-1]["messages"][0]["tool_call_id"] == made != at
    assert len(made) == 9 and made.isalpha() and made.isascii()


def test_ids_as_providers_write_them_stay() -> None:
    dice = random.Random(11)
    letters = string.ascii_letters + string.digits
    forms = [
        ("call_", 24, letters),
        ("chatcmpl-", 29, letters),
        ("", 9, letters),
        ("toolu_01", 22, letters),
        ("toolu_vrtx_01", 22, letters),
        ("toolu_bdrk_01", 22, letters),
        ("tooluse_", 22, letters + "_-"),
        ("chatcmpl-tool-", 32, "0123456789abcdef"),
        ("fc_", 48, "0123456789abcdef"),
    ]
    ids = [prefix + "".join(dice.choices(signs, k=length)) for prefix, length, signs in forms for _ in range(40)]
    ids += [str(uuid.UUID(int=dice.getrandbits(128))) for _ in range(40)]
    asked = Asked(lambda p: saying("ok"), input=[ai.clean(), ai.pii()], output=[ai.restore()])
    results = [{"role": "tool", "tool_call_id": at, "content": "r"} for at in ids]
    assert asked.post({"model": "small", "messages": results}).status_code == 200
    assert [message["tool_call_id"] for message in asked.prompts[-1]["messages"]] == ids


def test_in_what_takes_an_ids_place_nothing_is_found() -> None:
    redactor, dice = Redactor(), random.Random(7)
    asked = Asked(lambda p: saying("ok"), input=[ai.pii()], output=[ai.restore()])
    for _ in range(20):
        ids = [f"/{dice.getrandbits(128):x}" for _ in range(100)]
        results = [{"role": "tool", "tool_call_id": at, "content": "r"} for at in ids]
        assert asked.post({"model": "small", "messages": results}).status_code == 200
        for message in asked.prompts[-1]["messages"]:
            assert redactor.redact(message["tool_call_id"]) == message["tool_call_id"]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_items_of_a_response_keep_the_kind_of_their_ids(streamed: bool) -> None:
    made = {"type": "function_call", "id": "fc_4111111111111111", "call_id": CARD, "name": "w", "arguments": "{}"}
    said = {**SAID, "id": "msg/1+="}
    body, asked = answering(made, said, streamed=streamed, output=[ai.tools(["w"]), ai.redact()])
    assert asked.last["decision"] == "answered"
    first, second = body["output"]
    assert first["id"].startswith("fc_") and first["call_id"].startswith("call_") and "4111" not in json.dumps(body)
    assert second["id"].startswith("call_")
    given = [first, {"type": "function_call_output", "call_id": first["call_id"], "output": "x"}]
    again = Asked(lambda p: body, shape="responses", input=[ai.pii()], output=[ai.tools(["w"]), ai.restore()])
    assert again.post({"model": "small", "input": given}).status_code == 200
    assert [item["call_id"] for item in again.prompts[0]["input"]] == [first["call_id"]] * 2


def test_a_seed_stays_whatever_number_it_looks_like() -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.pii()], output=[ai.restore()])
    for seed in (7, -1, 4111111111111111, (1 << 64) - 1, -(1 << 63)):
        assert asked.ask(seed=seed).status_code == 200
        assert asked.prompts[-1]["seed"] == seed
    for absurd in (1 << 64, 1e300, 0.4111111111111111):
        assert asked.ask(seed=absurd).status_code == 200
        assert asked.prompts[-1]["seed"] is None
    for wrong in ("7", True, [7]):
        assert asked.ask(seed=wrong).json["code"] == "ai.shape"


def test_ids_and_names_count_for_the_length_of_a_prompt() -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.max_chars(1000)])
    calls = [call(f"{at:0100}") for at in range(9)]
    messages = [{"role": "assistant", "content": None, "tool_calls": calls}]
    assert asked.post({"model": "small", "messages": messages}).status_code == 200
    assert asked.last["prompt_chars"] == sum(len(one["id"] + "w" + '{"a":"b"}') for one in calls)
    messages[0]["tool_calls"] = [call(f"{at:0100}") for at in range(10)]
    assert asked.post({"model": "small", "messages": messages}).status_code == 413


@pytest.mark.parametrize("streamed", [False, True])
def test_a_function_whose_name_begins_as_a_servers_tool_allows_none(streamed: bool) -> None:
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
    others = {"file_search_call": "file_search", "code_interpreter_call": "code_interpreter", "mcp_call": "mcp"}
    for kind, name in others.items():
        _, asked = answering({"type": kind, "id": "x"}, SAID, streamed=streamed, output=[ai.tools([f"{name}_x"])])
        assert asked.last["rule"] == "tools.name"
    for name in ("web_search_x", "web_search_preview_x", "web_search_2025", "xweb_search"):
        _, asked = answering(searched, SAID, streamed=streamed, output=[ai.tools([name])])
        assert asked.last["rule"] == "tools.name", name
    for name in ("web_search", "web_search_preview", "web_search_preview_2025_03_11", "web_search_2025_08_26"):
        _, asked = answering(searched, SAID, streamed=streamed, output=[ai.tools([name])])
        assert asked.last["decision"] == "answered", name


@pytest.mark.parametrize("streamed", [False, True])
def test_each_tool_of_an_mcp_server_is_asked_for_by_its_name(streamed: bool) -> None:
    did: dict[str, Any] = {
        "type": "mcp_call",
        "id": "m1",
        "server_label": "crm",
        "name": "delete_all",
        "output": "done",
    }

    def rule(allow: list[str], **more: Any) -> Any:
        _, asked = answering({**did, **more}, SAID, streamed=streamed, output=[ai.tools(allow)])
        return asked.last["rule"]

    assert rule(["mcp", "delete_all"]) == ""
    for allow in (["mcp"], ["delete_all"], ["mcp_status"], ["mcp", "mcp_status", "delete"]):
        assert rule(allow) == "tools.name"
    for wrong in (None, ["delete_all"], 1):
        assert rule(["mcp", "delete_all"], name=wrong) == "tools.name"


def test_an_mcp_call_cannot_end_as_another_than_it_began() -> None:
    did: dict[str, Any] = {"type": "mcp_call", "id": "m1", "server_label": "crm", "name": "read", "output": "done"}
    events = [
        {"type": "response.created", "response": {"id": "r", "output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": did},
        {"type": "response.output_item.done", "output_index": 0, "item": {**did, "name": "delete_all"}},
        {"type": "response.completed", "response": {"id": "r", "output": [], "status": "completed"}},
    ]
    asked = Asked(lambda p: ai.stream(events), shape="responses", output=[ai.tools(["mcp", "read"])])
    answer = asked.post({"model": "small", "input": "hi", "stream": True})
    assert "delete_all" not in answer.get_data(as_text=True)
    assert asked.last["rule"] == "tools.name"
