"""How much of a made-up corpus is found, and how little in vain: floors under what ``benches/accuracy.py`` measures.

The texts are made from a seed by public formats (``benches/corpus``), not by what is found. One text in ten has the number's word behind it
or at the head of its column, where a word does not count (``docs/identifiers.md``): so no floor is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import stdnum.luhn

from benches.corpus import ALL, SECRETS, Text, texts
from benches.corpus.counting import SECRET, Count, count
from flask_rampart._native import Redactor

ROOT = Path(__file__).parent.parent
PERSONAL = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD", *(row[0] for row in Redactor.identifiers())})
# For texts of one country.
NATIONAL = {"US_PHONE_NUMBER", "UK_PHONE_NUMBER", "FR_PHONE_NUMBER"}
# Told from neither numbers of goods nor of people by more than one digit.
LEAST_PRECISE = {"CREDIT_CARD": 0.7}


@pytest.fixture(scope="module")
def corpus() -> list[Text]:
    return list(texts(each=4, decoys=300, seed=7))


@pytest.fixture(scope="module")
def counted(corpus: list[Text]) -> Mapping[str, Count]:
    redactor = Redactor(entities=sorted({*Redactor().entities, *PERSONAL} - NATIONAL))
    found = [[(entity, start, end) for entity, start, end, _ in redactor.scan(text.text)] for text in corpus]
    return count(corpus, found, personal=PERSONAL)


@pytest.mark.parametrize("entity", sorted({kind.entity for kind in ALL}))
def test_of_each_entity_most_is_found_and_little_in_vain(entity: str, counted: Mapping[str, Count]) -> None:
    found = counted[entity]
    assert found.recall >= (0.95 if entity in SECRETS else 0.5), found
    assert found.precision >= LEAST_PRECISE.get(entity, 0.95), found


def test_of_all_together_nearly_everything_is_found(counted: Mapping[str, Count]) -> None:
    people = [counted[kind.entity] for kind in ALL if kind.entity not in SECRETS]
    hits, misses, false = (sum(getattr(one, name) for one in people) for name in ("hits", "misses", "false"))
    assert hits / (hits + misses) >= 0.9
    assert hits / (hits + false) >= 0.98
    assert counted[SECRET].recall >= 0.98
    assert counted[SECRET].precision >= 0.9


def test_what_is_found_is_hidden_to_its_last_character(corpus: list[Text], counted: Mapping[str, Count]) -> None:
    # Of a webhook, a connection string or a bot the secret part alone is hidden; a password may end where a query's value does.
    parts = {"SLACK_WEBHOOK", "DISCORD_WEBHOOK", "AZURE_KEY", "TELEGRAM_TOKEN", "password by name"}
    for kind in ALL:
        found = counted[kind.entity]
        if kind.entity not in parts:
            assert found.covered == found.hits, (kind.entity, found)


def test_the_same_seed_makes_the_same_texts_and_another_makes_others(corpus: list[Text]) -> None:
    kinds = ALL[:6]
    again = list(texts(kinds=kinds, each=4, decoys=0, seed=7))
    # Faker counts the days from today in what stands round a value, and in nothing else.
    assert [(text.entity, text.text[text.start : text.end]) for text in again] == [
        (text.entity, text.text[text.start : text.end]) for text in corpus[: len(again)]
    ]
    others = {text.text[text.start : text.end] for text in texts(kinds=kinds, each=4, decoys=0, seed=8)}
    assert not others & {text.text[text.start : text.end] for text in again}


def test_every_text_has_its_value_at_its_place(corpus: list[Text]) -> None:
    for text in corpus:
        value = text.text[text.start : text.end]
        assert bool(value) == bool(text.entity)
        if text.entity == "CREDIT_CARD":
            assert stdnum.luhn.is_valid(re.sub(r"\D", "", value))
        if text.kind == "json" and text.entity != "basic credentials":
            json.loads(text.text)


def test_everything_that_the_page_of_identifiers_lists_is_counted() -> None:
    # Of a name for two countries' numbers one is enough: the Slovak number is the Czech one.
    listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "identifiers.md").read_text(), re.M))
    assert listed - {kind.entity for kind in ALL} == {*NATIONAL, "SK_BIRTH_NUMBER"}
