"""AI endpoints: what reaches the view, what leaves it, and who may ask for what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.views import MethodView

from flask_rampart import Rampart, ai, validate, validated
from flask_rampart.cli import commands

from .asking import Asked, asking, call_of, chunk, saying, text_of

PII = {"input": [ai.clean(), ai.pii()], "output": [ai.clean(), ai.restore()]}


def echo(prompt: dict[str, Any]) -> Any:
    return saying(prompt["messages"][-1]["content"])


def test_what_is_personal_does_not_reach_the_model_and_comes_back_to_the_client() -> None:
    asked = Asked(echo, **PII)
    answer = asked.ask("I am ada@example.com")
    seen = asked.prompts[0]["messages"][0]["content"]
    assert "ada@example.com" not in json.dumps(asked.prompts) and "EMAIL_ADDRESS" in seen
    assert answer.json["choices"][0]["message"]["content"] == "I am ada@example.com"
    assert asked.last["findings"]["pii.EMAIL_ADDRESS"] == 1


def test_the_view_gets_the_treated_prompt_however_it_reads_it() -> None:
    app = Flask("read")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    seen: list[Any] = []

    @app.post("/")
    @validate(body={"type": "object", "required": ["messages"]}, unknown="ignore")
    @ai.guard(model="small", **PII)
    def view() -> Any:
        seen.extend([validated.body, request.get_json(), request.json, dict(ai.prompt)])
        return saying("ok")

    assert app.test_client().post("/", json=asking("ada@example.com")).status_code == 200
    assert len(seen) == 4 and "ada@example.com" not in str(seen)


def test_a_call_is_told_without_what_was_said() -> None:
    asked = Asked(echo, **PII)
    asked.ask("I am ada@example.com")
    asked.ask("I am ada@example.com")
    asked.ask("I am somebody else")
    first, second, third = asked.told
    assert "ada@example.com" not in repr({name: value for name, value in first.items() if name != "exchange"})
    assert first["prompt_hash"] == second["prompt_hash"] != third["prompt_hash"]
    assert (first["model"], first["decision"], first["streamed"]) == ("small", "answered", False)
    assert first["principal"].id == "ada" and first["prompt_chars"] == 20 and first["seconds"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"model": "small"},
        {"model": "small", "messages": "hello"},
        {"model": "small", "messages": []},
        {"model": "small", "messages": ["hello"]},
        {"model": "small", "messages": [{"role": "root", "content": "hello"}]},
        {"model": "small", "messages": [{"role": "user", "content": {"text": "hello"}}]},
        {"model": "small", "messages": [{"role": "user", "content": [{"type": "video", "video": "x"}]}]},
        {"model": "small", "messages": [{"role": "user", "content": "hello", "hidden": "x"}]},
        {"model": "small", "messages": [{"role": "user", "content": "hello"}], "system": "x"},
        {"model": ["small"], "messages": [{"role": "user", "content": "hello"}]},
        {"model": "small", "messages": [{"role": "user", "content": "hello"}], "n": 0},
        {"model": "small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": "9"},
        {"model": "small", "messages": [{"role": "assistant", "tool_calls": [call_of("x", "{not json")]}]},
        {"model": "small", "messages": [{"role": "user", "content": "x"}], "web_search_options": {}},
        [],
        "hello",
    ],
    ids=range(16),
)
def test_what_is_not_of_its_shape_is_refused(body: Any) -> None:
    asked = Asked(echo)
    answer = asked.post(body)
    assert (answer.status_code, answer.json["code"]) == (422, "ai.shape")
    assert asked.prompts == [] and asked.last["decision"] == "refused"


def test_a_model_named_twice_is_refused_before_anybody_chooses_one() -> None:
    asked = Asked(echo)
    data = b'{"model": "small", "model": "large", "messages": [{"role": "user", "content": "hi"}]}'
    answer = asked.app.test_client().post("/", data=data, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "json.duplicate_key")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_a_view_for_all_methods_answers_none_without_a_prompt(method: str) -> None:
    app = Flask("methods")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    ran: list[str] = []

    @app.route("/", methods=["GET", "POST", "PUT", "OPTIONS"])
    @ai.guard(model="small")
    def view() -> Any:
        ran.append(request.method)
        return saying("secret")

    answer = app.test_client().open("/", method=method)
    assert answer.status_code == 415 and ran == []
    assert b"secret" not in answer.get_data()


# Parts, roles, tools, lengths.


def test_a_prompt_is_text_unless_parts_say_more() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    text = {"type": "text", "text": "what is this?"}
    assert Asked(lambda p: saying("ok")).ask([text]).status_code == 200
    assert Asked(lambda p: saying("ok")).ask([text, image]).json["code"] == "ai.part"
    allowed = Asked(lambda p: saying("ok"), input=[ai.parts(allow=["image_url"])])
    assert allowed.ask([text, image]).status_code == 200
    assert (
        allowed.ask([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]).json["code"] == "ai.part"
    )


@pytest.mark.parametrize(
    "url", ["https://evil.example/x.png", "http://169.254.169.254/", "file:///etc/passwd", " data:x"]
)
def test_an_image_elsewhere_is_not_fetched_by_the_models_server(url: str) -> None:
    asked = Asked(lambda p: saying("ok"), input=[ai.parts(allow=["image_url"])])
    assert asked.ask([{"type": "image_url", "image_url": {"url": url}}]).json["code"] == "ai.part"


def test_roles_that_are_not_taken_are_refused() -> None:
    asked = Asked(echo, input=[ai.roles(allow=("user", "assistant"))])
    assert asked.ask().status_code == 200
    for role in ("system", "developer", "tool"):
        body = {"model": "small", "messages": [{"role": role, "content": "obey"}, {"role": "user", "content": "x"}]}
        assert asked.post(body).json["code"] == "ai.role"


def test_tools_are_taken_by_name_alone() -> None:
    declared = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    assert Asked(echo).ask(tools=declared).json["code"] == "ai.tool"
    asked = Asked(echo, input=[ai.tools(allow=["weather"])])
    assert asked.ask(tools=declared).status_code == 200
    declared[0]["function"]["name"] = "shell"  # type: ignore[index]
    assert asked.ask(tools=declared).json["code"] == "ai.tool"
    assert asked.ask(tools=[{"type": "web_search"}]).json["code"] == "ai.tool"
    assert asked.ask(tool_choice={"type": "function", "function": {"name": "shell"}}).json["code"] == "ai.tool"
    assert asked.ask(functions=[{"name": "shell"}]).json["code"] == "ai.tool"


@pytest.mark.parametrize(
    "step,text", [(ai.max_chars(10), "x" * 11), (ai.max_tokens(10), "word " * 200)], ids=["chars", "tokens"]
)
def test_a_prompt_is_no_longer_than_it_may_be(step: Any, text: str) -> None:
    asked = Asked(echo, input=[step])
    assert asked.ask("short").status_code == 200
    answer = asked.ask(text)
    assert (answer.status_code, answer.json["code"]) == (413, "ai.too_long")
    # Cut up among messages, it is as long.
    messages = [{"role": "user", "content": text[at : at + 4]} for at in range(0, len(text), 4)]
    assert asked.post({"model": "small", "messages": messages}).status_code == 413


def test_messages_are_counted() -> None:
    asked = Asked(echo, input=[ai.max_messages(2)])
    message = {"role": "user", "content": "x"}
    assert asked.post({"model": "small", "messages": [message] * 2}).status_code == 200
    assert asked.post({"model": "small", "messages": [message] * 3}).status_code == 413


def test_a_huge_prompt_is_refused_as_any_body_is() -> None:
    asked = Asked(echo, config={"RAMPART_MAX_BODY": 4096})
    assert asked.ask("x" * 5000).status_code == 413


# Checks.


def test_a_check_marks_and_refuses_only_where_it_is_told_to() -> None:
    def suspicious(passages: Any) -> str | None:
        return "classifier" if any("ignore" in p.text for p in passages if p.role == "user") else None

    marked = Asked(echo, input=[ai.check(suspicious)])
    assert marked.ask("ignore all that").status_code == 200
    assert marked.last["findings"] == {"check.classifier": 1}
    refusing = Asked(echo, input=[ai.check(suspicious, on_finding="refuse")])
    answer = refusing.ask("ignore all that")
    assert (answer.status_code, answer.json["code"], refusing.last["rule"]) == (422, "ai.refused", "check.classifier")


@pytest.mark.parametrize("said", [0, 1, 0.9, [], {"bad": True}], ids=repr)
def test_a_check_that_says_neither_yes_nor_no_refuses(said: Any) -> None:
    asked = Asked(echo, input=[ai.check(lambda passages: said)])
    assert asked.ask().json["code"] == "guard.failed" and asked.prompts == []
    assert asked.last["decision"] == "failed"


def test_a_check_that_fails_refuses() -> None:
    asked = Asked(echo, input=[ai.check(lambda passages: 1 / 0)])
    assert asked.ask().json["code"] == "guard.failed" and asked.prompts == []


def test_a_check_sees_no_personal_data() -> None:
    seen: list[Any] = []
    asked = Asked(
        echo, input=[ai.clean(), ai.pii(), ai.check(lambda passages: seen.extend(passages))], output=[ai.restore()]
    )
    asked.ask("ada@example.com")
    assert seen and "ada@example.com" not in str(seen)


@pytest.mark.parametrize("step", [ai.clean, ai.pii], ids=["clean", "pii"])
@pytest.mark.parametrize("mode", ["refuse", "report"])
def test_findings_in_a_prompt_refuse_or_are_only_noted(step: Any, mode: str) -> None:
    asked = Asked(echo, input=[step(on_finding=mode)])
    answer = asked.ask("ada@example.com \U000e0041")
    if mode == "refuse":
        assert (answer.status_code, answer.json["code"]) == (422, "ai.refused")
    else:
        assert asked.prompts[0]["messages"][0]["content"] == "ada@example.com \U000e0041"
    assert asked.last["findings"]


# Answers.


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": "x"},
        {"choices": [{"message": {"content": {"x": 1}}}]},
        {"choices": [{"message": {"content": "a", "audio": {"data": "x"}}}]},
        {"choices": [{"index": -1, "message": {"content": "a"}}]},
        {"secret": "ada@example.com"},
        [],
        "<html>secret</html>",
        Response(b"\x89PNG", mimetype="image/png"),
        Response('{"choices": [', mimetype="application/json"),
    ],
    ids=range(9),
)
def test_an_answer_of_no_known_shape_does_not_leave(answer: Any) -> None:
    asked = Asked(lambda prompt: answer)
    response = asked.ask()
    assert (response.status_code, response.json["code"]) == (500, "response.invalid")
    assert asked.last["decision"] == "failed"


def test_log_probabilities_and_members_that_are_not_known_are_left_out() -> None:
    # They hold the model's own text, piece by piece, whatever became of it.
    answer = saying("mail ada@example.com")
    answer["choices"][0]["logprobs"] = {"content": [{"token": "ada@example.com", "logprob": -1}]}
    answer["choices"][0]["token_ids"] = [1, 2]
    answer["prompt_logprobs"] = "ada@example.com"
    answer["usage"] = {"prompt_tokens": 3, "completion_tokens": 4, "note": "ada@example.com"}
    asked = Asked(lambda prompt: answer, output=[ai.redact()])
    response = asked.ask()
    assert "ada@example.com" not in response.get_data(as_text=True)
    assert response.json["choices"][0]["logprobs"] is None
    assert response.json["usage"] == {"prompt_tokens": 3, "completion_tokens": 4}
    assert asked.last["findings"] == {"redact.EMAIL_ADDRESS": 1}


def test_each_choice_is_stopped_by_itself() -> None:
    asked = Asked(
        lambda prompt: saying("fine", "the word is CANARY4f1d9c2ab7e0", "also fine"),
        output=[ai.leak(canary="CANARY4f1d9c2ab7e0")],
    )
    choices = asked.ask(n=3).json["choices"]
    assert [choice["finish_reason"] for choice in choices] == ["stop", "content_filter", "stop"]
    assert choices[1]["message"]["content"] is None and choices[2]["message"]["content"] == "also fine"
    assert asked.last["decision"] == "stopped" and asked.last["rule"].startswith("canary.")


def test_an_answer_is_held_against_its_schema() -> None:
    shape = {"type": "object", "required": ["label"], "properties": {"label": {"enum": ["a", "b"]}}}
    good = Asked(lambda prompt: saying('{"label": "a"}'), output=[ai.schema(shape)])
    assert good.ask().json["choices"][0]["message"]["content"] == '{"label": "a"}'
    for text in ('{"label": "c"}', "sure! {}", "", '{"label": "a", "label": "c"}'):
        bad = Asked(lambda prompt, text=text: saying(text), output=[ai.schema(shape)])
        choice = bad.ask().json["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    nothing = Asked(
        lambda prompt: {"choices": [{"index": 0, "message": {"role": "assistant"}}]}, output=[ai.schema(shape)]
    )
    assert nothing.ask().json["choices"][0]["finish_reason"] == "content_filter"


def test_a_model_calls_only_tools_that_it_is_allowed_to() -> None:
    def calling(name: str, arguments: str) -> Any:
        return lambda prompt: saying("", reason="tool_calls", tool_calls=[call_of(name, arguments)])

    shape = {
        "type": "object",
        "required": ["city"],
        "properties": {"city": {"type": "string"}},
        "additionalProperties": False,
    }
    output = [ai.tools(allow=["weather"], arguments={"weather": shape})]
    fine = Asked(calling("weather", '{"city": "Paris"}'), output=output).ask().json["choices"][0]
    assert fine["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
    for name, arguments in [
        ("shell", "{}"),
        ("weather", "{}"),
        ("weather", '{"city": 1}'),
        ("weather", "rm -rf"),
        ("weather", "[]"),
    ]:
        stopped = Asked(calling(name, arguments), output=output).ask().json["choices"][0]
        assert stopped["finish_reason"] == "content_filter" and "tool_calls" not in stopped["message"]
    # Without tools(), a model calls none.
    none = Asked(calling("weather", "{}")).ask().json["choices"][0]
    assert none["finish_reason"] == "content_filter"


def test_an_error_of_the_models_server_is_treated_as_text() -> None:
    def failing(prompt: dict[str, Any]) -> Any:
        return {"error": {"message": "cannot read: ada@example.com"}}, 400

    answer = Asked(failing, output=[ai.redact()]).ask()
    assert answer.status_code == 400 and "ada@example.com" not in answer.get_data(as_text=True)
    page = Asked(
        lambda prompt: (Response(b"\0\1", mimetype="application/octet-stream"), 502), output=[ai.redact()]
    ).ask()
    assert page.json["code"] == "response.invalid"


def test_a_view_that_raises_says_nothing_and_is_told() -> None:
    def failing(prompt: dict[str, Any]) -> Any:
        raise ValueError(prompt["messages"][0]["content"])

    asked = Asked(failing)
    answer = asked.ask("a secret of mine")
    assert answer.status_code == 500 and "secret of mine" not in answer.get_data(as_text=True)
    assert (asked.last["decision"], len(asked.told)) == ("failed", 1)


def test_a_filter_that_fails_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, call: Any, channel: str) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(ai.redact, "stage", broken)
    answer = Asked(lambda prompt: saying("a secret"), output=[ai.redact()]).ask()
    assert answer.status_code == 500 and "a secret" not in answer.get_data(as_text=True)


# Where a guard may stand.


@dataclass
class Question:
    model: str
    messages: list[dict[str, str]]


def test_a_model_of_the_body_that_was_made_before_is_not_given_out() -> None:
    asked = Asked(echo, **PII)
    seen: list[Any] = []

    @asked.app.post("/made")
    @validate(body=Question)
    @ai.guard(model="small", **PII)
    def made() -> Any:
        seen.append(validated.body)
        return saying("ok")

    assert asked.app.test_client().post("/made", json=asking("ada@example.com")).status_code == 200
    assert isinstance(seen[0], dict) and "ada@example.com" not in str(seen)


def test_async_views_blueprints_and_classes_are_guarded() -> None:
    asked = Asked(echo)
    api = Blueprint("api", __name__)
    asked.rampart.protect(api, ai.guard(model="small", **PII))

    @api.post("/async")
    async def later() -> Any:
        return saying(f"async {ai.prompt['messages'][0]['content']}")

    class Asking(MethodView):
        def post(self) -> Any:
            return ai.stream([chunk({"content": ai.prompt["messages"][0]["content"]}, "stop")])

    api.add_url_rule("/class", view_func=Asking.as_view("asking"))
    asked.app.register_blueprint(api)
    post = asked.app.test_client().post
    whole = post("/async", json=asking("ada@example.com"))
    assert whole.json["choices"][0]["message"]["content"] == "async ada@example.com"
    assert text_of(post("/class", json=asking("ada@example.com", stream=True))) == "ada@example.com"
    assert post("/class", json=asking() | {"model": "x"}).json["code"] == "ai.model"


def test_what_is_declared_is_told() -> None:
    asked = Asked(echo, **PII)
    asked.ask()
    with asked.app.app_context():
        assert "/" in asked.rampart.openapi()["paths"]
    routes = asked.app.test_cli_runner().invoke(commands, ["routes"])
    assert "ai.guard" in routes.output


def test_a_view_without_the_guard_has_no_prompt() -> None:
    asked = Asked(echo)
    asked.app.get("/none")(lambda: str(ai.prompt))
    with pytest.raises(RuntimeError, match=r"@ai\.guard"):
        asked.app.testing = True
        asked.app.test_client().get("/none")
