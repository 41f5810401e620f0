"""AI endpoints: who may ask for which model, in which words refusals come, and what cannot be declared."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, jsonify

from flask_rampart import Rampart, ai, require
from flask_rampart.errors import PROBLEMS, ConfigError

from .asking import Asked, asking, saying


def echo(prompt: dict[str, Any]) -> Any:
    return saying(prompt["messages"][-1]["content"])


# Models.


def test_who_may_ask_for_which_model() -> None:
    table = ai.models({"small": None, "large": "ai:large", "staff": require(any_scopes="staff admin")}, default="small")
    asked = Asked(echo, model=table)
    assert asked.post(asking()).status_code == 200
    assert asked.post({"messages": [{"role": "user", "content": "x"}]}).status_code == 200
    assert asked.post(asking() | {"model": "large"}, who="ada ai:large").status_code == 200
    assert asked.post(asking() | {"model": "staff"}, who="ada admin").status_code == 200
    refused = [asked.post(asking() | {"model": name}) for name in ("large", "staff", "nothing", "")]
    assert {answer.status_code for answer in refused} == {404}
    # What exists and is not for the caller is told as what does not exist.
    documents = [{k: v for k, v in answer.json.items() if k != "request_id"} for answer in refused]
    assert all(document == documents[0] for document in documents)
    assert {(asked.told[-1]["model"], asked.told[-1]["rule"])} == {("", "ai.model")}


def test_a_policy_decides_who_may_ask_for_a_model_and_one_that_fails_refuses() -> None:
    asked = Asked(echo, model=ai.models({"large": require(policy="ai.large")}))

    @asked.rampart.policy("ai.large")
    def large(principal: Any) -> bool:
        if principal.id == "broken":
            raise LookupError
        return bool(principal.id == "ada")

    body = asking() | {"model": "large"}
    assert asked.post(body, who="ada").status_code == 200
    assert asked.post(body, who="eve").json["code"] == "ai.model"
    assert asked.post(body, who="broken").json["code"] == "guard.failed"
    unknown = Asked(echo, model=ai.models({"large": require(policy="ai.lrge")}), config={"TESTING": True})
    with pytest.raises(ConfigError, match=r"ai\.lrge"):
        unknown.post(body)


def test_a_credential_may_be_good_for_some_models_only() -> None:
    asked = Asked(echo, model=ai.models({"small": None, "large": None}, claim="models"))
    assert asked.post(asking(), who="ada model:small").status_code == 200
    assert asked.post(asking() | {"model": "large"}, who="ada model:small").status_code == 404
    assert asked.post(asking() | {"model": "large"}, who="ada").status_code == 200


def test_an_alias_hides_what_the_models_server_calls_the_model() -> None:
    asked = Asked(echo, model=ai.models({"small": ai.model("vendor-9b-2026")}))
    answer = asked.ask()
    assert asked.prompts[0]["model"] == "vendor-9b-2026"
    assert answer.json["model"] == "small" and "vendor" not in answer.get_data(as_text=True)
    assert (asked.last["model"], asked.last["upstream"]) == ("small", "vendor-9b-2026")


def test_a_caller_sees_the_models_that_it_may_ask_for() -> None:
    table = ai.models({"small": None, "large": "ai:large"})
    asked = Asked(echo, model=table)

    @asked.app.get("/models")
    @require()
    def listed() -> Any:
        return jsonify(table.visible())

    get = asked.app.test_client().get
    assert get("/models", headers={"X-Who": "ada"}).json == ["small"]
    assert get("/models", headers={"X-Who": "ada ai:large"}).json == ["small", "large"]


def test_models_that_ask_for_scopes_need_somebody_who_says_who_it_is() -> None:
    app = Flask("nobody")
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", TESTING=True)
    Rampart(app)

    @app.post("/")
    @ai.guard(model=ai.models({"large": "ai:large"}))
    def view() -> Any:
        return saying("ok")

    with pytest.raises(ConfigError, match="@require"):
        app.test_client().post("/", json=asking())


# Refusals in OpenAI's words.


def test_refusals_have_the_shape_that_openais_clients_read() -> None:
    table = ai.models({"small": None, "large": "ai:large"})
    asked = Asked(echo, model=table, errors="openai")
    answer = asked.post(asking() | {"model": "large"})
    assert answer.status_code == 404
    assert answer.json["error"] == {
        "message": PROBLEMS["ai.model"].detail,
        "type": "not_found_error",
        "param": "model",
        "code": "ai.model",
    }
    nobody = asked.app.test_client().post("/", json=asking())
    assert (nobody.status_code, nobody.json["error"]["code"]) == (401, "auth.missing")
    assert nobody.headers["WWW-Authenticate"]
    broken = asked.app.test_client().post("/", data=b"{", content_type="application/json", headers={"X-Who": "ada"})
    assert (broken.status_code, broken.json["error"]["code"]) == (400, "json.malformed")


# What cannot be meant.


@pytest.mark.parametrize(
    "declared,said",
    [
        ({"input": [ai.pii(restore=False), ai.clean()]}, "cut an address in two"),
        ({"input": [ai.check(len), ai.pii(restore=False)]}, "handed to the check"),
        ({"input": [ai.pii()], "output": [ai.links(), ai.restore()]}, "put back into links"),
        ({"input": [ai.pii()], "output": [ai.restore(), ai.redact()]}, "redacted at once"),
        ({"input": [ai.pii()], "output": [ai.restore(), ai.leak(canary="CANARY4f1d9c2ab7e0")]}, "taken for a leak"),
        ({"output": [ai.schema({}), ai.redact()]}, "after it was held against"),
        ({"output": [ai.redact(), ai.clean()]}, "would hide from it"),
        ({"input": [ai.pii()]}, "ai.restore"),
        ({"input": [ai.pii()], "output": []}, "ai.restore"),
        ({"output": [ai.restore()]}, "nothing to put back"),
        ({"input": [ai.links()]}, "about the output"),
        ({"output": [ai.pii()]}, "about the input"),
        ({"input": [ai.clean(), ai.clean()]}, "twice"),
        ({"input": [ai.clean]}, "parentheses"),
        ({"input": ["clean"]}, "no step"),
        ({"shape": "chats"}, "Did you mean chat"),
        ({"shape": ai.Paths(), "members": ["x"]}, "ai.Paths"),
        ({"members": "top_k"}, "list of names"),
        ({"errors": "open-ai"}, "openai"),
        ({"model": None}, "any"),
        ({"budget": "100/minute"}, "ai.budget"),
    ],
    ids=range(21),
)
def test_what_would_not_hold_is_refused_at_import(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ai.guard(**{"model": "small", **declared})


@pytest.mark.parametrize(
    "make",
    [
        lambda: ai.clean(on_finding="drop"),
        lambda: ai.check(len, on_finding="replace"),
        lambda: ai.max_tokens(0),
        lambda: ai.max_messages(True),
        lambda: ai.roles(allow=()),
        lambda: ai.roles(allow=("users",)),
        lambda: ai.parts(allow=("images",)),
        lambda: ai.parts(allow=("image_url",), urls="http"),
        lambda: ai.tools(allow=["a"], arguments={"b": {}}),
        lambda: ai.schema("schema.json"),
        lambda: ai.schema({"type": "strange"}),
        lambda: ai.leak(),
        lambda: ai.models({}),
        lambda: ai.models({"a": require("jwt", scopes="x")}),
        lambda: ai.models({"a": require()}),
        lambda: ai.models({"a": None}, default="b"),
        lambda: ai.budget("100 concurrent"),
        lambda: ai.budget("often"),
        lambda: ai.budget("100/minute", per="user"),
        lambda: ai.price(input=-1, output=0),
        lambda: ai.Paths(prompt="prompt"),
        lambda: ai.guard(model=["a", "b"], budget=ai.budget("9/day", prices={"a": ai.price(input=1, output=1)})),
    ],
    ids=range(22),
)
def test_what_cannot_be_meant_is_refused_at_import(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_two_guards_on_one_view_are_refused() -> None:
    asked = Asked(echo, config={"TESTING": True})

    @asked.app.post("/twice")
    @ai.guard(model="small")
    @ai.guard(model="small")
    def twice() -> Any:
        return saying("ok")

    with pytest.raises(ConfigError, match="twice"):
        asked.ask()
