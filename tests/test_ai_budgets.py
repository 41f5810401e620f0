"""AI budgets: what may be spent is never exceeded, however many ask at once and however their answers end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from flask_rampart import ai, require

from .asking import Asked, asking, chunk, pieces, saying


def size(text: str) -> int:
    """Tokens, for these tests: a prompt is 10, whatever is in it, and an answer one for each character."""
    return 10 if text.startswith("{") else len(text)


def left(answer: Any) -> int:
    return int(answer.headers["RateLimit"].split(";")[1].removeprefix("r="))


def using(completion: int, prompt: int = 10) -> Any:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**saying("ok"), "usage": usage}


def test_an_answer_has_a_bound_before_it_is_asked_for() -> None:
    model = ai.models({"small": ai.model(most_tokens=300)})
    asked = Asked(lambda p: using(1), model=model, budget=ai.budget("10000/year", most_tokens=500), tokens=size)
    asked.ask()
    asked.ask(max_tokens=900)
    asked.ask(max_tokens=50)
    asked.ask(max_tokens=50, max_completion_tokens=9000)
    bounds = [(p.get("max_tokens"), p.get("max_completion_tokens")) for p in asked.prompts]
    assert bounds == [(None, 300), (300, None), (50, None), (50, 50)]


def test_the_worst_case_is_reserved_and_what_was_used_is_settled() -> None:
    budget = ai.budget("1000/year", most_tokens=100)
    during: list[int] = []
    asked = Asked(lambda p: using(20), budget=budget, tokens=size)
    assert left(asked.ask()) == 1000 - 110  # told before it is settled
    during.append(left(asked.ask(n=3)))
    assert during == [1000 - 30 - 310]
    assert left(asked.ask()) == 1000 - 60 - 110


def test_who_asks_for_more_than_there_can_be_is_refused_for_good() -> None:
    asked = Asked(lambda p: using(1), budget=ai.budget("100/minute", most_tokens=200), tokens=size)
    answer = asked.ask()
    assert (answer.status_code, answer.json["code"]) == (400, "limit.too_costly")
    assert asked.ask(max_tokens=50).status_code == 200


@pytest.mark.parametrize("store", ["memory", "shm"])
def test_calls_at_once_never_spend_more_than_there_is(store: str, tmp_path: Path) -> None:
    # BerriAI/litellm#34732, #40095, #26672, #23714; envoyproxy/ai-gateway#2394: checked before, counted after.
    spent: list[int] = []
    gate = threading.Barrier(8, timeout=10)

    def view(prompt: dict[str, Any]) -> Any:
        spent.append(110)
        return using(100)

    (tmp_path / "counters").mkdir(mode=0o700)
    config = {"RAMPART_LIMIT_STORE": "memory://" if store == "memory" else f"shm://{tmp_path}/counters"}
    asked = Asked(view, budget=ai.budget("1000/year", most_tokens=100), tokens=size, config=config)
    asked.ask(max_tokens=1)  # the app is sealed
    spent.clear()

    def ask(_: int) -> int:
        gate.wait()
        return int(asked.ask().status_code)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(32)))
    assert sum(spent) <= 1000 - 11
    assert codes.count(200) == len(spent) == 8 and set(codes) == {200, 429}


def test_the_client_is_told_when_to_come_back() -> None:
    asked = Asked(lambda p: using(50), budget=ai.budget("120/minute", most_tokens=50), tokens=size, errors="openai")
    assert [asked.ask().status_code for _ in range(3)] == [200, 200, 429]
    refused = asked.ask()
    assert int(refused.headers["Retry-After"]) > 0 and refused.json["error"]["code"] == "limit.exceeded"


def test_each_model_and_each_caller_has_its_own() -> None:
    asked = Asked(
        lambda p: using(90),
        model=["small", "large"],
        budget=ai.budget("100/year", most_tokens=90),
        tokens=size,
    )
    post = asked.post
    assert post(asking()).status_code == 200 and post(asking()).status_code == 429
    assert post(asking() | {"model": "large"}).status_code == 200
    assert post(asking(), who="grace").status_code == 200
    shared = Asked(
        lambda p: using(90),
        model=["small", "large"],
        budget=ai.budget("100/year", most_tokens=90, per="all"),
        tokens=size,
    )
    assert shared.post(asking()).status_code == 200
    assert shared.post(asking() | {"model": "large"}).status_code == 429


def test_a_second_budget_that_refuses_gives_the_first_back() -> None:
    budgets = [ai.budget("1000/year", most_tokens=90, scope="a"), ai.budget("100/year", most_tokens=90, scope="b")]
    asked = Asked(lambda p: using(90), budget=budgets, tokens=size)

    @asked.app.post("/a")
    @require()
    @ai.guard(model="small", budget=budgets[0], tokens=size)
    def first() -> Any:
        return using(0, 0)

    assert asked.ask().status_code == 200
    for _ in range(20):
        assert asked.ask().status_code == 429
    assert asked.told[-1]["rule"] == "limit.exceeded"
    # Twenty refusals would have taken all of the first.
    assert left(asked.app.test_client().post("/a", json=asking(), headers={"X-Who": "ada"})) == 1000 - 100 - 100


def spent_by(asked: Asked) -> int:
    """What the last call cost, by the next one's remainder."""
    probe = asked.ask(max_tokens=1)
    return 1000 - left(probe) - 11


def test_a_client_that_leaves_pays_for_what_was_written() -> None:
    asked = Asked(
        lambda p: ai.stream(pieces("x" * 60, 5)) if p.get("stream") else using(0, 0),
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    body = asking(stream=True)
    answer = asked.app.test_client().post("/", json=body, headers={"X-Who": "ada"}, buffered=False)
    read = iter(answer.response)
    next(read), next(read)
    answer.close()
    assert spent_by(asked) == 10 + 10
    assert asked.told[0]["decision"] == "aborted" and asked.told[0]["counted"] == "here"


def test_counts_of_the_beginning_are_not_those_of_the_end() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        if not prompt.get("stream"):
            return using(0, 0)
        early = {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 0}}
        return ai.stream([early, *pieces("x" * 60, 5)])

    asked = Asked(view, budget=ai.budget("1000/year", most_tokens=100), tokens=size)
    body = asking(stream=True)
    answer = asked.app.test_client().post("/", json=body, headers={"X-Who": "ada"}, buffered=False)
    read = iter(answer.response)
    next(read), next(read)
    answer.close()
    assert spent_by(asked) == 8 + 10


def counting(prompt: int, completion: int, *choices: Any) -> dict[str, Any]:
    return {"choices": list(choices), "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


@pytest.mark.parametrize(
    ("events", "spent"),
    [
        ([counting(5, 1), chunk({"content": "12345678901234567890"}), chunk({}, "stop")], 25),
        ([chunk({"content": "1234567890"}), chunk({}, "stop"), counting(5, 3)], 8),
        (
            [
                chunk({"content": "1234567890"}) | {"usage": {"prompt_tokens": 5, "completion_tokens": 3}},
                chunk({}, "stop"),
            ],
            8,
        ),
        ([chunk({"content": "1"}), counting(5, 30), chunk({}, "stop"), counting(0, 1)], 35),
    ],
    ids=["at the beginning", "at the end", "with the text", "a smaller one after it"],
)
def test_a_count_is_of_what_came_before_it(events: list[Any], spent: int) -> None:
    asked = Asked(
        lambda p: ai.stream(events) if p.get("stream") else using(0, 0),
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    asked.ask(stream=True).get_data()
    assert spent_by(asked) == spent


def test_a_stream_that_nobody_begins_to_read_is_settled_too() -> None:
    closed: list[bool] = []

    class Source:
        def __iter__(self) -> Iterator[Any]:
            return iter(())

        def close(self) -> None:
            closed.append(True)

    asked = Asked(
        lambda p: ai.stream(Source()) if p.get("stream") else using(0, 0),
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    environ = EnvironBuilder("/", method="POST", json=asking(stream=True), headers={"X-Who": "ada"}).get_environ()
    answer: Any = asked.app.wsgi_app(environ, lambda status, headers, error=None: lambda data: None)
    answer.close()
    assert closed == [True] and asked.told[0]["decision"] == "aborted"


def test_of_what_nobody_counted_the_worst_case_stays_and_a_view_may_say_better() -> None:
    def view(prompt: dict[str, Any]) -> Any:
        if prompt.get("seed") == 1:
            raise ConnectionError
        if prompt.get("seed") == 2:
            ai.call.used(7, 3)
            raise ConnectionError
        return using(0, 1)

    asked = Asked(view, budget=ai.budget("1000/year", most_tokens=100), tokens=size)
    assert asked.ask(seed=1).status_code == 500
    assert spent_by(asked) == 110
    assert asked.ask(seed=2).status_code == 500
    assert spent_by(asked) == 121


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 0},
        {"prompt_tokens": "0", "completion_tokens": "0"},
        {"prompt_tokens": 1 << 60, "completion_tokens": 0},
        {},
    ],
    ids=range(5),
)
def test_counts_that_are_none_are_not_believed(usage: Any) -> None:
    asked = Asked(
        lambda p: {**saying("12345"), "usage": usage} if p.get("seed") else using(0, 0),
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    asked.ask(seed=1)
    assert spent_by(asked) == 15


def test_without_a_tokenizer_one_token_is_reserved_for_each_byte() -> None:
    asked = Asked(lambda p: using(1), budget=ai.budget("10000/year", most_tokens=100))
    remains = left(asked.ask("é" * 1000))
    assert 10000 - 100 - 2000 - 200 < remains < 10000 - 100 - 2000


def test_money_is_a_budget_too() -> None:
    prices = {"small": ai.price(input=2.5, output=10)}
    asked = Asked(lambda p: using(20), budget=ai.budget("2000/year", most_tokens=100, prices=prices), tokens=size)
    assert left(asked.ask()) == 2000 - 25 - 1000
    assert left(asked.ask()) == 2000 - (25 + 200) - 1025


def test_what_is_refused_costs_nothing() -> None:
    asked = Asked(
        lambda p: using(0, 0),
        input=[ai.max_chars(10)],
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    for _ in range(20):
        assert asked.ask("x" * 11).status_code == 413
    assert left(asked.ask(max_tokens=1)) == 1000 - 11


def test_a_count_of_the_apps_own_that_is_none_refuses() -> None:
    asked = Asked(lambda p: using(1), budget=ai.budget("1000/year"), tokens=lambda text: -1)
    assert asked.ask().json["code"] == "guard.failed" and asked.prompts == []


def test_a_stream_is_settled_once_at_its_end() -> None:
    last = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 30}}
    asked = Asked(
        lambda p: ai.stream([chunk({"content": "hi"}), chunk({}, "stop"), last]) if p.get("stream") else using(0, 0),
        budget=ai.budget("1000/year", most_tokens=100),
        tokens=size,
    )
    asked.ask(stream=True).get_data()
    assert spent_by(asked) == 39
    assert len(asked.told) == 2
