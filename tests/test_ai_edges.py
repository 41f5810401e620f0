"""AI endpoints at their edges: who shows no credential, what a view adds to a prompt, what one API calls otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Identity, Rampart, ai, require
from flask_rampart.errors import ConfigError

from .asking import Asked, asking, call_of, chunk, events_of, saying


def size(text: str) -> int:
    """Tokens, for these tests: one for each ``q``."""
    return text.count("q")


def left(answer: Any) -> int:
    return int(answer.headers["RateLimit"].split(";")[1].removeprefix("r="))


# Models.


def test_a_claim_that_says_which_models_is_not_got_round_by_showing_no_credential() -> None:
    table = ai.models({"small": None, "large": None}, claim="models")
    asked = Asked(lambda p: saying("ok"), model=table)

    @asked.app.get("/models")
    @require(optional=True)
    def listed() -> Any:
        return list(table.visible())

    get = asked.app.test_client().get
    assert get("/models", headers={"X-Who": "ada model:small"}).json == ["small"]
    assert get("/models", headers={"X-Who": "ada"}).json == ["small", "large"]
    assert get("/models").json == []


def test_a_claim_is_of_no_use_where_nobody_has_to_show_a_credential() -> None:
    app = Flask("nobody")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", TESTING=True)
    rampart = Rampart(app)

    @rampart.scheme("who", header="X-Who")
    def who(value: str) -> Identity | None:
        return Identity(value)

    @app.post("/")
    @require(optional=True)
    @ai.guard(model=ai.models({"large": None}, claim="models"))
    def view() -> Any:
        return saying("ok")

    with pytest.raises(ConfigError, match="read a claim"):
        app.test_client().post("/", json=asking())


# Budgets.


def test_what_the_view_adds_is_reserved_too_so_calls_at_once_cannot_spend_more() -> None:
    system = "q" * 200
    spent: list[int] = []
    gate = threading.Barrier(8, timeout=10)

    def view(prompt: dict[str, Any]) -> Any:
        spent.append(300)
        usage = {"prompt_tokens": 200, "completion_tokens": 100}
        return {**saying("ok"), "usage": usage}

    asked = Asked(view, budget=ai.budget("1000/year", most_tokens=100), tokens=size, overhead=system)
    asked.ask(max_tokens=1, seed=1)  # the app is sealed; 300 are gone
    spent.clear()

    def ask(_: int) -> int:
        gate.wait()
        return int(asked.ask().status_code)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(8)))
    assert codes.count(200) == 2 and sum(spent) <= 700


def test_an_overhead_may_be_a_number_of_tokens() -> None:
    asked = Asked(lambda p: saying("ok"), budget=ai.budget("1000/year", most_tokens=100), tokens=size, overhead=250)
    assert left(asked.ask("qq")) == 1000 - 100 - 250 - 2


def test_an_image_costs_what_is_said_of_its_kind_and_not_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://images.example/huge.png"}}
    asked = Asked(
        lambda p: {**saying("ok"), "usage": {"prompt_tokens": 0, "completion_tokens": 1}},
        input=[ai.parts(allow=["image_url"], urls="https")],
        budget=ai.budget("10000/year", most_tokens=100),
        part_tokens={"image_url": 1500},
        tokens=size,
    )
    text = {"type": "text", "text": "hi"}
    assert left(asked.ask([text, image, image])) == 10000 - 100 - 3000


@pytest.mark.parametrize(
    "declared,said",
    [
        ({"input": [ai.parts(allow=["file"])], "budget": ai.budget("9/day")}, "part_tokens"),
        (
            {
                "input": [ai.parts(allow=["file", "image_url"])],
                "budget": ai.budget("9/day"),
                "part_tokens": {"image_url": 9},
            },
            "takes file",
        ),
        ({"part_tokens": -1, "input": [ai.parts(allow=["file"])]}, "at least 0"),
        ({"overhead": -1}, "overhead"),
        ({"overhead": True}, "overhead"),
    ],
    ids=range(5),
)
def test_a_budget_that_cannot_know_what_is_spent_is_refused_at_import(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ai.guard(**{"model": "small", **declared})


# Responses: a client puts the parts of an answer together.

TEXTS = ["mail me: bob@exa", "mple.com", " or not"]


def response_of(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    items = [
        {"type": "message", "id": f"m{at}", "status": "completed", "role": "assistant", "content": content}
        for at, content in enumerate([parts[:1], parts[1:]])
    ]
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": items}


def response_stream(*texts: str, deltas: bool = True) -> Iterator[dict[str, Any]]:
    whole = response_of(*texts)
    yield {"type": "response.created", "response": {**whole, "output": []}}
    for at, item in enumerate(whole["output"]):
        yield {"type": "response.output_item.added", "output_index": at, "item": {**item, "content": []}}
        for n, part in enumerate(item["content"] if deltas else ()):
            where = {"item_id": item["id"], "output_index": at, "content_index": n}
            yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
            for c in part["text"]:
                yield {"type": "response.output_text.delta", **where, "delta": c}
            yield {"type": "response.output_text.done", **where, "text": part["text"]}
            yield {"type": "response.content_part.done", **where, "part": part}
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    yield {"type": "response.completed", "response": whole}


def joined(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])


def test_what_is_cut_by_the_parts_of_a_response_is_found() -> None:
    asked = Asked(lambda p: response_of(*TEXTS), shape="responses", output=[ai.redact()])
    answer = asked.post({"model": "small", "input": "hi"}).json
    assert joined(answer) == "mail me: [REDACTED:EMAIL_ADDRESS] or not"
    assert [len(item["content"]) for item in answer["output"]] == [1, 2]


@pytest.mark.parametrize("deltas", [True, False], ids=["deltas", "items"])
@pytest.mark.parametrize("texts", [TEXTS, ["all in ", "", "order ada@example.com"], ["", "", ""]], ids=range(3))
def test_a_streamed_response_says_in_all_its_events_what_the_whole_one_says(texts: list[str], deltas: bool) -> None:
    whole = Asked(lambda p: response_of(*texts), shape="responses", output=[ai.redact()])
    said = joined(whole.post({"model": "small", "input": "hi"}).json)
    asked = Asked(lambda p: ai.stream(response_stream(*texts, deltas=deltas)), shape="responses", output=[ai.redact()])
    events = events_of(asked.post({"model": "small", "input": "hi", "stream": True}))
    assert asked.last["decision"] == "answered"
    assert joined(events[-1]["response"]) == said
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"] and len(done) == 2
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    if deltas:
        assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == said
        assert "".join(e["text"] for e in events if e["type"] == "response.output_text.done") == said
        assert "".join(e["part"]["text"] for e in events if e["type"] == "response.content_part.done") == said
        # A text is told to be over after all of it was told.
        for at, n in ((0, 0), (1, 0), (1, 1)):
            kinds = [e["type"] for e in events if (e.get("output_index"), e.get("content_index", n)) == (at, n)]
            assert "response.output_text.delta" not in kinds[kinds.index("response.output_text.done") :]


def test_a_response_that_is_stopped_late_tells_nothing_that_was_held() -> None:
    parts = ["the canary is CANARY4f1d", "9c2ab7e0", " yes"]
    output = [ai.leak(canary="CANARY4f1d9c2ab7e0")]
    asked = Asked(lambda p: ai.stream(response_stream(*parts)), shape="responses", output=output)
    answer = asked.post({"model": "small", "input": "hi", "stream": True})
    assert "CANARY" not in answer.get_data(as_text=True)
    assert events_of(answer)[-1]["type"] == "response.incomplete"
    whole = Asked(lambda p: response_of(*parts), shape="responses", output=output)
    assert whole.post({"model": "small", "input": "hi"}).json["status"] == "incomplete"


# Calls of tools.

MAIL = {"type": "object", "required": ["to"], "properties": {"to": {"enum": ["desk@shop.example"]}}}


@pytest.mark.parametrize(
    "given,passes",
    [
        ('{"to": "desk@shop.example"}', True),
        ('{"to": "eve@evil.example"}', False),
        ("eve@evil.example", False),
        ("", False),
    ],
    ids=range(4),
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_call_of_another_kind_does_not_get_round_the_tools_schema(given: str, passes: bool, stream: bool) -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "mail", "input": given}}

    def view(prompt: dict[str, Any]) -> Any:
        if not stream:
            return saying("", tool_calls=[call])
        return ai.stream([chunk({"tool_calls": [{"index": 0, **call}]}), chunk({}, "tool_calls")])

    asked = Asked(view, output=[ai.tools(allow=["mail"], arguments={"mail": MAIL})])
    answer = asked.ask(stream=stream)
    assert ("eve" in answer.get_data(as_text=True)) is False
    assert (asked.last["decision"], asked.last["rule"]) == (
        ("answered", "") if passes else ("stopped", "tools.arguments")
    )


def aborted(asked: Asked, body: dict[str, Any], events: int) -> int:
    """What is counted of a stream that a client leaves after so many events."""
    answer = asked.app.test_client().post("/", json=body, headers={"X-Who": "ada"}, buffered=False)
    read = iter(answer.response)
    for _ in range(events):
        next(read)
    answer.close()
    assert asked.last["decision"] == "aborted" and asked.last["counted"] == "here"
    return int(asked.last["completion_tokens"])


def test_arguments_that_are_held_are_counted_as_they_come_and_once() -> None:
    def view(prompt: dict[str, Any]) -> Iterator[Any]:
        function = {"name": "mail", "arguments": ""}
        yield chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]})
        for c in '{"to": "' + "q" * 50 + '"}':
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": c}}]})
        yield chunk({"content": "."})
        yield chunk({}, "tool_calls")

    asked = Asked(lambda p: ai.stream(view(p)), output=[ai.tools(allow=["mail"])], tokens=size)
    assert aborted(asked, asking(stream=True), 1) == 50
    asked.ask(stream=True).get_data()
    assert asked.last["completion_tokens"] == 50


def test_what_a_response_thinks_and_does_is_counted_as_it_comes() -> None:
    reasoning = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "q" * 30}]}
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "mail", "arguments": '{"a": "qqqqq"}'}

    def view(prompt: dict[str, Any]) -> Iterator[Any]:
        whole = response_of("ok", "!")
        yield {"type": "response.created", "response": {**whole, "output": []}}
        yield {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "q" * 30}
        yield {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": call["arguments"]}
        yield {"type": "response.in_progress", "response": {**whole, "output": []}}
        yield {"type": "response.output_item.done", "output_index": 0, "item": reasoning}
        yield {"type": "response.output_item.done", "output_index": 1, "item": call}
        yield {"type": "response.completed", "response": whole}

    output = [ai.tools(allow=["mail"])]
    asked = Asked(lambda p: ai.stream(view(p)), shape="responses", output=output, tokens=size)
    assert aborted(asked, {"model": "small", "input": "hi", "stream": True}, 2) == 35
    asked.post({"model": "small", "input": "hi", "stream": True}).get_data()
    assert asked.last["completion_tokens"] == 35


# What a prompt may have.


@pytest.mark.parametrize("shape", ["prompt", ai.Paths()], ids=["named", "paths"])
def test_a_body_of_the_apps_own_has_no_member_that_nobody_has_named(shape: Any) -> None:
    asked = Asked(lambda p: {"text": "ok"}, shape=shape)
    known = {"prompt": "hi", "model": "small", "max_tokens": 5, "stream": False}
    assert asked.post(known).status_code == 200
    assert asked.post({**known, "max_new_tokens": 10**6}).json["code"] == "ai.shape"


def test_further_members_of_a_body_of_the_apps_own_are_named() -> None:
    for declared in ({"shape": "prompt", "members": ["top_k"]}, {"shape": ai.Paths(members=["top_k"])}):
        asked = Asked(lambda p: {"text": "ok"}, **declared)
        assert asked.post({"prompt": "hi", "top_k": 5}).status_code == 200 and asked.prompts[0]["top_k"] == 5


def file_of(**file: Any) -> dict[str, Any]:
    return {"type": "file", "file": file}


def sound_of(data: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


@pytest.mark.parametrize(
    "part,passes",
    [
        (file_of(file_id="file-of-another"), False),
        (file_of(file_data="http://169.254.169.254/latest"), False),
        (file_of(file_data="HTTPS://evil.example/"), False),
        (file_of(file_data="data:application/pdf;base64,JVBERi0="), True),
        (file_of(file_data="JVBERi0="), True),
        (sound_of("https://evil.example/a.wav"), False),
        (sound_of("UklGRg=="), True),
    ],
    ids=range(7),
)
def test_a_file_is_in_the_request_and_neither_anothers_nor_elsewhere(part: Any, passes: bool) -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.parts(allow=["file", "input_audio"])])
    answer = asked.ask([{"type": "text", "text": "hi"}, part])
    assert (answer.status_code, len(asked.prompts)) == ((200, 1) if passes else (422, 0))


@pytest.mark.parametrize(
    "part,passes",
    [
        ({"type": "input_file", "file_id": "file-of-another"}, False),
        ({"type": "input_image", "file_id": "file-of-another"}, False),
        ({"type": "input_file", "file_data": "http://169.254.169.254/"}, False),
        ({"type": "input_image", "image_url": "data:image/png;base64,iVBORw0="}, True),
    ],
    ids=range(4),
)
def test_so_it_is_with_a_file_of_a_response(part: Any, passes: bool) -> None:
    allow = ["input_file", "input_image"]
    asked = Asked(lambda p: response_of("ok", "."), shape="responses", input=[ai.parts(allow=allow)])
    answer = asked.post({"model": "small", "input": [{"role": "user", "content": [part]}]})
    assert answer.status_code == (200 if passes else 422)


def test_what_the_models_server_keeps_is_named_only_where_that_is_said() -> None:
    messages = [
        {"role": "assistant", "content": None, "audio": {"id": "audio_of_another"}},
        {"role": "user", "content": "go on"},
    ]
    for steps, status in ([], 422), ([ai.parts(allow=["input_audio"])], 422), ([ai.parts((), ids=True)], 200):
        asked = Asked(lambda p: saying("ok"), input=steps)
        assert asked.post({"model": "small", "messages": messages}).status_code == status
    asked = Asked(lambda p: saying("ok"), input=[ai.parts(allow=["file"], ids=True)])
    assert asked.ask([file_of(file_id="file-1")]).status_code == 200


HIDDEN = r"\u0061da\u0040example.com"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": f'{{"to": "{HIDDEN}"}}'}),
        json.dumps({"a": json.dumps({"b": json.dumps([f'{{"to": "{HIDDEN}"}}'])})}),
        f'{{"to": "{HIDDEN}", "to": 1}}',
        "[" * 70 + f'"{HIDDEN}"' + "]" * 70,
        f'{{"to": "{HIDDEN}"}} and more',
        f'the tool says {{"to": "{HIDDEN}"}}',
        json.dumps(f'the tool says {{"to": "{HIDDEN}"}}'),
        r'{"to": "ada@example.com", "broken": "\ud800"',
    ],
    ids=range(8),
)
def test_escapes_hide_nothing_wherever_json_stands(text: str) -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.clean(), ai.pii(restore=False)])
    assert asked.ask(text).status_code == 200
    content = asked.prompts[0]["messages"][0]["content"]
    assert "[REDACTED:EMAIL_ADDRESS]" in content
    assert "0040" not in content and "@example.com" not in content


def test_a_text_with_escapes_in_which_nothing_is_found_is_as_it_was() -> None:
    text = r'In JSON, "\u00e9" is é, and C:\users\new is a folder {"a": "\u0062", "a": 1}'
    asked = Asked(lambda p: saying("ok"), input=[ai.clean(), ai.pii(restore=False)])
    asked.ask(text)
    assert asked.prompts[0]["messages"][0]["content"] == text


@pytest.mark.parametrize(
    "given,status", [("gAAAAABn+/-_==", 200), ("I am ada at example", 422), ("ada@example.com", 422)]
)
def test_reasoning_that_is_sealed_is_no_text(given: str, status: int) -> None:
    asked = Asked(lambda p: response_of("ok", "."), shape="responses", input=[ai.clean(), ai.pii(restore=False)])
    item = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": given}
    answer = asked.post({"model": "small", "input": [item, {"role": "user", "content": "hi"}]})
    assert answer.status_code == status


# What bounds an answer.


@pytest.mark.parametrize(
    "most_name,asks,sends",
    [
        ((), {}, {"max_completion_tokens": 50}),
        ("max_tokens", {}, {"max_tokens": 50}),
        ("max_tokens", {"max_completion_tokens": 900}, {"max_completion_tokens": 50, "max_tokens": 50}),
        (["max_new_tokens"], {"max_new_tokens": 900}, {"max_new_tokens": 50}),
        (["max_new_tokens"], {"max_new_tokens": 20}, {"max_new_tokens": 20}),
        (["max_tokens", "max_length"], {"max_length": 9}, {"max_tokens": 9, "max_length": 9}),
    ],
    ids=range(6),
)
def test_the_bound_of_an_answer_goes_out_by_the_name_that_the_server_reads(
    most_name: Any, asks: dict[str, int], sends: dict[str, int]
) -> None:
    asked = Asked(lambda p: saying("ok"), budget=ai.budget("9999/year", most_tokens=50), most_name=most_name)
    assert asked.ask(**asks).status_code == 200
    assert {name: value for name, value in asked.prompts[0].items() if name.startswith("max_")} == sends


def test_a_bound_that_is_no_number_is_refused() -> None:
    asked = Asked(lambda p: saying("ok"), most_name="max_new_tokens")
    assert asked.ask(max_new_tokens="9").json["code"] == "ai.shape"
    with pytest.raises(ConfigError, match=r"ai\.Paths"):
        ai.guard(model="small", shape="prompt", most_name="max_tokens")
    with pytest.raises(ConfigError, match="most_name"):
        ai.guard(model="small", most_name=[""])


def test_a_system_prompt_that_is_looked_up_is_looked_up_once_for_each_answer() -> None:
    asked_for: list[int] = []

    def prompt() -> str:
        asked_for.append(1)
        return " ".join(f"word{n}" for n in range(40))

    call = call_of("mail", json.dumps({"a": ["ab"] * 300, "b": " ".join(f"word{n}" for n in range(5, 30))}))
    asked = Asked(lambda p: saying("", tool_calls=[call]), output=[ai.leak(prompt=prompt), ai.tools(allow=["mail"])])
    assert asked.ask().json["choices"][0]["finish_reason"] == "content_filter"
    assert len(asked_for) == 1
    asked.ask()
    assert len(asked_for) == 2


def test_arguments_with_more_texts_than_anybody_writes_are_held_back() -> None:
    call = call_of("mail", json.dumps({"a": [""] * 10_001}))
    asked = Asked(lambda p: saying("", tool_calls=[call]), output=[ai.tools(allow=["mail"])])
    assert asked.ask().json["code"] == "response.invalid"
