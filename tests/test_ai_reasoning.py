"""Reasoning that nobody sees: who leaves at the first word has not had it for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flask_rampart import ConfigError, ai

from .asking import Asked, asking, chunk, saying
from .test_ai_budgets import left, size

WORST = 10 + 100


def counted(reasoning: int) -> dict[str, Any]:
    details = {"reasoning_tokens": reasoning}
    return {"prompt_tokens": 10, "completion_tokens": 4 + reasoning, "completion_tokens_details": details}


def words(*first: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from first
    for _ in range(20):
        yield chunk({"content": "word"})


def app(*first: dict[str, Any], shape: str = "chat", **model: Any) -> Asked:
    def answer(prompt: dict[str, Any]) -> Any:
        if not prompt.get("stream"):
            return {**saying("word"), "usage": counted(50)} if shape == "chat" else {"output": []}
        return ai.stream(words(*first) if shape == "chat" else iter(first))

    models = ai.models({"small": ai.model(most_tokens=100, **model)}, default="small")
    return Asked(answer, model=models, shape=shape, budget=ai.budget("1000/year"), tokens=size)


def aborted(asked: Asked, body: dict[str, Any], pieces: int = 2) -> None:
    """A stream whose client goes after so many pieces."""
    answer = asked.post({**body, "stream": True}, buffered=False)
    stream = iter(answer.response)
    for _ in range(pieces):
        next(stream)
    answer.close()
    assert asked.last["decision"] == "aborted"


def paid(asked: Asked, body: dict[str, Any], pieces: int = 2) -> int:
    """What such a stream costs."""
    aborted(asked, body, pieces)
    # What the next one finds, when its own worst case is reserved.
    return 1000 - WORST - left(asked.post({**body, "stream": True}))


def test_what_was_seen_is_paid_for_where_no_reasoning_is_hidden() -> None:
    assert paid(app(), asking()) == 10 + 8
    asked = app(reasons=False)
    assert paid(asked, asking(reasoning_effort="high")) == 10 + 8
    assert asked.told[0]["counted"] == "here"


@pytest.mark.parametrize(
    ("model", "more"),
    [({"reasons": True}, {}), ({}, {"reasoning_effort": "high"}), ({}, {"reasoning_effort": "minimal"})],
)
def test_a_model_that_reasons_unseen_costs_what_was_reserved(model: Any, more: Any) -> None:
    asked = app(**model)
    assert paid(asked, asking(**more)) == WORST
    assert asked.told[0]["counted"] == "reserved"


def test_no_reasoning_is_asked_for_by_none() -> None:
    assert paid(app(), asking(reasoning_effort="none")) == 10 + 8


def test_reasoning_that_is_shown_is_counted_as_it_comes() -> None:
    for name in ("reasoning_content", "reasoning"):
        asked = app(chunk({name: "think"}))
        assert paid(asked, asking(reasoning_effort="high"), pieces=3) == 10 + 5 + 8


def test_who_has_counted_such_tokens_once_is_known() -> None:
    asked = app()
    assert asked.post(asking()).status_code == 200
    aborted(asked, asking())
    assert asked.last["counted"] == "reserved"


def test_a_response_says_by_itself_that_it_reasons() -> None:
    where = {"item_id": "m", "output_index": 1, "content_index": 0}
    first = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "x"}},
        {"type": "response.output_text.delta", **where, "delta": "word word"},
        {"type": "response.output_text.delta", **where, "delta": "word"},
    ]
    asked = app(*first, shape="responses")
    assert paid(asked, {"model": "small", "input": "x"}) == WORST
    # Where its words are shown, they are counted.
    shown = {"type": "response.reasoning_text.delta", **where, "output_index": 0, "delta": "think"}
    asked = app(*first[:2], shown, *first[2:], shape="responses")
    assert paid(asked, {"model": "small", "input": "x"}) == 10 + 5 + 9


def test_a_server_that_counts_in_each_chunk_is_believed() -> None:
    asked = app({**chunk({"content": "word"}), "usage": counted(30)}, reasons=True)
    assert paid(asked, asking()) == 10 + 34


def test_whether_a_model_reasons_is_yes_no_or_unknown() -> None:
    with pytest.raises(ConfigError, match="reasons"):
        ai.model(reasons="yes")  # type: ignore[arg-type]


def test_what_was_reserved_is_told_as_such() -> None:
    def view(prompt: Any) -> Any:
        raise ZeroDivisionError

    asked = Asked(view, budget=ai.budget("1000/year", most_tokens=100), tokens=size)
    asked.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert asked.ask().status_code == 500
    assert (asked.last["decision"], asked.last["counted"]) == ("failed", "reserved")
    free = Asked(view)
    free.app.config["PROPAGATE_EXCEPTIONS"] = False
    free.ask()
    assert free.last["counted"] == "here"
