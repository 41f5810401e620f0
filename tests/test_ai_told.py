"""What ``ai.called`` tells: the same facts of each call, however it ends, and never what was said."""

from __future__ import annotations

from typing import Any

import pytest

from flask_rampart import ai

from .asking import Asked, asking, chunk, pieces, saying

FACTS = {
    "completion_chars": int,
    "completion_tokens": int,
    "counted": str,
    "decision": str,
    "endpoint": str,
    "exchange": object,
    "findings": dict,
    "model": str,
    "principal": object,
    "prompt_chars": int,
    "prompt_hash": str,
    "prompt_tokens": int,
    "rule": str,
    "seconds": float,
    "streamed": bool,
    "tool_calls": int,
    "upstream": str,
}
CANARY = "CANARY7f3a91c2e8b04d65"
INPUT = [ai.roles(["user"]), ai.max_chars(100), ai.clean(), ai.pii(["EMAIL_ADDRESS"], on_finding="refuse")]


def raising() -> Any:
    yield chunk({"content": "half"})
    raise ConnectionError("the words of the server")


def abandoned(asked: Asked, body: dict[str, Any]) -> None:
    answer = asked.post({**body, "stream": True}, buffered=False)
    next(iter(answer.response))
    answer.close()


ENDS: list[tuple[str, str, Any, Any, dict[str, Any]]] = [
    ("answered", "", lambda p: saying("a secret answer"), None, {}),
    ("answered", "", lambda p: ai.stream(pieces("a secret answer")), None, {"stream": True}),
    ("stopped", "canary.plain", lambda p: saying(CANARY), None, {}),
    ("stopped", "canary.plain", lambda p: ai.stream(pieces(CANARY)), None, {"stream": True}),
    ("aborted", "", lambda p: ai.stream(pieces("a secret answer")), abandoned, {}),
    ("failed", "ConnectionError", lambda p: ai.stream(raising()), None, {"stream": True}),
    ("failed", "response.invalid", lambda p: ai.stream([{"no": "chunk"}]), None, {"stream": True}),
    ("failed", "response.invalid", lambda p: {"no": "answer"}, None, {}),
    ("failed", "503", lambda p: ({"error": "the words of the server"}, 503), None, {}),
    ("refused", "ai.shape", None, None, {"mystery": "x"}),
    ("refused", "ai.model", None, None, {"model": "other"}),
    ("refused", "ai.role", None, None, {"messages": [{"role": "system", "content": "x"}]}),
    ("refused", "ai.too_long", None, None, {"messages": [{"role": "user", "content": "a secret " * 20}]}),
    ("refused", "pii.EMAIL_ADDRESS", None, None, {"messages": [{"role": "user", "content": "ada@example.com"}]}),
    ("refused", "limit.too_costly", None, None, {"max_tokens": 4000, "n": 128}),
]


@pytest.mark.parametrize(("decision", "rule", "view", "how", "more"), ENDS)
def test_each_call_is_told_once_with_all_facts(decision: str, rule: str, view: Any, how: Any, more: Any) -> None:
    output = [ai.clean(), ai.leak(canary=CANARY)]
    budget = ai.budget("100000/minute", by="address")
    asked = Asked(view or (lambda p: saying("ok")), input=INPUT, output=output, budget=budget)
    body = {**asking("a secret question"), **more}
    if how is None:
        asked.post(body).get_data()
    else:
        how(asked, body)
    (facts,) = asked.told
    assert facts.keys() == FACTS.keys()
    assert all(isinstance(facts[name], kind) for name, kind in FACTS.items())
    assert (facts["decision"], facts["rule"]) == (decision, rule)
    assert len(facts["prompt_hash"]) == 32
    # Who asked for a model that is not is told no name of a stranger's.
    assert facts["model"] == ("" if rule in ("ai.shape", "ai.model") else "small")
    said = str({name: value for name, value in facts.items() if name != "exchange"})
    assert not any(words in said for words in ("secret", CANARY, "ada@", "words of the server", "mystery", "other"))


def test_who_asked_for_a_model_in_vain_is_told_with_its_name() -> None:
    models = ai.models({"small": None, "large": "ai:large"})
    asked = Asked(lambda p: saying("ok"), model=models)
    assert asked.post({**asking(), "model": "large"}).status_code == 404
    assert (asked.last["model"], asked.last["rule"], asked.last["principal"].id) == ("large", "ai.model", "ada")
