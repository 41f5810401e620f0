"""Plans over records and columns, as somebody who wants to get a value past one; and what they count."""

from __future__ import annotations

import copy
import doctest
import json
import pickle
import random
import re
import threading
from collections import Counter
from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import ConfigError
from flask_rampart.anonymize import AnonymizeRefused, Measure, Met, Plan, Pseudonymizer, measure

KEY = bytes(range(32))
TOML = """
default = "refuse"
quasi_identifiers = ["born", "home.zip"]
sensitive = ["illness"]

[columns]
note = "drop"
illness = "keep"

[columns.id]
do = "pseudonym"
scope = "id"

[columns.born]
do = "date"
to = "decade"
on_error = "suppress"

[columns."home.zip"]
do = "postcode"
keep = 3
country = "us"

[columns."cards[*].number"]
do = "ff1"
scope = "card"
separators = "-"

[columns."cards[*].holder"]
do = "token"
scope = "holder"

[columns.'"user.email"']
do = "pseudonym"
scope = "mail"
form = "email"
"""


def made(columns: dict[str, Any], **rest: Any) -> Plan:
    given = {name: rest.pop(name) for name in ("custom", "redact") if name in rest}
    return Plan({"columns": columns, **rest}, key=KEY, **given)


def refused(call: Any, *args: Any) -> tuple[str, str]:
    with pytest.raises(AnonymizeRefused) as caught:
        call(*args)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return caught.value.args  # type: ignore[return-value]


def test_a_record_is_treated_at_every_depth_and_left_as_it_was() -> None:
    plan = Plan.parse(TOML, key=KEY)
    record = {
        "id": 7,
        "note": "likes tea",
        "born": "1984-05-09",
        "home": {"zip": "90210"},
        "illness": {"code": "J10", "since": [2024]},
        "cards": [{"number": "4111-1111", "holder": "Ann"}, {"number": "5500-0000", "holder": None}],
        "user.email": "ann@example.org",
    }
    before = copy.deepcopy(record)
    result = plan.apply(record)
    assert record == before
    assert list(result) == ["id", "born", "home", "illness", "cards", "user.email"]
    assert result["id"] == Pseudonymizer(KEY, scope="id")(7)
    assert result["born"] == "1980s" and result["home"] == {"zip": "902"}
    assert result["illness"] is record["illness"]
    for clear, sealed in zip(before["cards"], result["cards"], strict=True):  # type: ignore[call-overload]
        assert plan.reverse("cards[*].number", sealed["number"]) == clear["number"] != sealed["number"]
    assert plan.reverse("cards[*].holder", result["cards"][0]["holder"]) == "Ann"
    assert result["cards"][1]["holder"] is None
    assert result["user.email"].endswith("@example.invalid")


def test_a_plan_in_a_file_and_as_a_dict_is_the_same(tmp_path: Path) -> None:
    file, key = tmp_path / "plan.toml", tmp_path / "key"
    file.write_text(TOML)
    key.write_text(KEY.hex())
    record = {"id": "x", "born": "1984-05-09"}
    loaded = Plan.load(file, key_file=key)
    assert loaded.apply(record) == Plan.parse(TOML, key=lambda: KEY.hex()).apply(record)
    assert loaded.quasi_identifiers == ("born", "home.zip") and loaded.sensitive == ("illness",)
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            Plan.load(wrong)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        Plan.load(file)


# Getting past a plan


def test_a_column_that_no_rule_names_is_refused_by_default() -> None:
    plan = made({"a": "keep"})
    assert refused(plan.apply, {"a": 1, "phone": "+1 202 555 0100"}) == ("column", "phone")
    assert refused(plan.apply, {"A": 1}) == ("column", "A")
    assert refused(plan.apply, {"a ": 1}) == ("column", "a ")
    assert refused(made({"a.b": "keep"}).apply, {"a": {"b": 1, "c": 2}}) == ("column", "a.c")
    assert refused(plan.apply_column, "phone", ["x"]) == ("column", "phone")
    assert plan.apply({}) == {}


def test_defaults_drop_keep_or_redact() -> None:
    record = {"a": 1, "b": "ann@example.org", "c": {"d": "x"}}
    assert made({"a": "keep"}, default="drop").apply(record) == {"a": 1}
    assert made({"a": "drop"}, default="keep").apply(record) == {"b": "ann@example.org", "c": {"d": "x"}}
    assert made({"a": "keep"}, default="drop").apply_column("b", ["x"]) is None
    assert made({"a": "keep"}, default="drop").apply_column("b", []) is None
    assert made({"a": "keep"}, default="keep").apply_column("b", ["x", None]) == ["x", None]


def test_redaction_finds_secrets_at_any_depth_in_values_and_names() -> None:
    plan = made({"free": "redact"}, default="redact", redact=["badge_number"])
    mail, card = "ann@example.org", 4111111111111111
    record = {
        "free": [f"write to {mail}", {"deep": (mail, {mail: 1})}],
        "password": "hunter2",
        "badge_number": 7,
        "card": card,
        "cards": [float(card), str(card)],
        "plain": ["fine", 1, 1.5, None, True],
        "pin": None,
    }
    result = plan.apply(record)
    assert mail not in json.dumps(result) and str(card) not in json.dumps(result)
    assert result["cards"] == ["[REDACTED:CREDIT_CARD]"] * 2
    assert result["password"] == result["badge_number"] == "[REDACTED]"
    assert result["plain"] == record["plain"] and result["pin"] is None
    assert result["free"][0] == "write to [REDACTED:EMAIL_ADDRESS]"
    assert list(result["free"][1]["deep"][1]) == ["[REDACTED:EMAIL_ADDRESS]"]
    # What has parts that nobody looked at is not passed on.
    assert refused(plan.apply, {"x": b"ann@example.org"})[0] == "kind"
    assert refused(plan.apply, {"x": {"y": {"ann@example.org"}}})[0] == "kind"
    assert refused(plan.apply, {"x": "\ud800 ann@example.org"})[0] == "kind"


def test_a_column_of_a_secret_name_is_redacted_whatever_its_values_look_like() -> None:
    plan = made({"password": "redact", "tokens[*].id": "redact", "note": "redact"}, default="drop")
    for value in ("hunter2", 7, ["hunter2"], {"x": "hunter2"}, b"hunter2"):
        assert plan.apply({"password": value, "note": "fine"}) == {"password": "[REDACTED]", "note": "fine"}
    assert plan.apply({"password": None, "tokens": [{"id": "x1"}]}) == {
        "password": None,
        "tokens": [{"id": "[REDACTED]"}],
    }
    assert plan.apply_column("password", ["hunter2", None]) == ["[REDACTED]", None]


def test_nothing_below_a_secret_name_passes_because_a_rule_names_a_part_of_it() -> None:
    plan = made({"password.hint": "keep", "tokens[*].id": "keep", "home.zip": "keep"}, default="redact")
    record = {
        "password": {"hint": "h", "value": "hunter2", "old": ["hunter1"], "none": None},
        "tokens": [{"id": 1, "value": "hunter2", "more": {"x": b"y"}}],
        "home": {"zip": "1", "town": "Ulm"},
        "town": "Ulm",
    }
    assert plan.apply(record) == {
        "password": {"hint": "h", "value": "[REDACTED]", "old": "[REDACTED]", "none": None},
        "tokens": [{"id": 1, "value": "[REDACTED]", "more": "[REDACTED]"}],
        "home": {"zip": "1", "town": "Ulm"},
        "town": "Ulm",
    }
    for path in ("password.value", "password[*]", "password.a.b[*].c", "tokens[*].value", "user.password[*].x"):
        assert plan.apply_column(path, ["hunter2", None]) == ["[REDACTED]", None], path
    assert plan.apply_column("home.town", ["Ulm"]) == ["Ulm"]


def test_names_that_are_values_are_redacted_and_none_is_lost() -> None:
    one, two, three = ("ann@example.org", "bob@example.org", "eve@example.org")
    mail = "[REDACTED:EMAIL_ADDRESS]"
    plan = made({"a": "keep", "free": "redact"}, default="redact")
    table = {one: 1, two: 2, mail: 3, three: 4, f"{mail}#2": 5}
    expected = {f"{mail}#3": 1, f"{mail}#4": 2, mail: 3, f"{mail}#5": 4, f"{mail}#2": 5}
    assert plan.apply(table) == expected
    assert plan.apply({"free": table, "deep": [table]}) == {"free": expected, "deep": [expected]}
    # A name that a rule names is the plan's own, and stays.
    assert made({'"ann@example.org"': "keep"}, default="redact").apply({one: 1, two: 2}) == {one: 1, mail: 2}
    many = {f"u{number}@example.org": number for number in range(5000)}
    assert sorted(plan.apply(many).values()) == list(range(5000))


def test_the_rule_redact_has_its_own_word_on_what_it_cannot_read() -> None:
    values = [["ann", b"x", b"y"], b"z", "fine"]
    lenient = made({"x": {"do": "redact", "on_error": "suppress"}})
    assert [lenient.apply({"x": value})["x"] for value in values] == [["ann", None, None], None, "fine"]
    assert lenient.met() == [Met("x", "redact", 3, 0, 2)]
    assert lenient.apply_column("x", values) == [["ann", None, None], None, "fine"]
    assert lenient.met() == [Met("x", "redact", 6, 0, 4)]
    strict = made({"x": {"do": "redact", "on_error": "refuse"}}, on_error="suppress")
    assert refused(strict.apply, {"x": b"z"})[0] == "kind"
    assert refused(strict.apply, {"x": {"y": b"z"}})[0] == "kind"


RULES: dict[str, dict[str, Any]] = {
    "pseudonym": {"do": "pseudonym", "scope": "s", "form": "email"},
    "token": {"do": "token", "scope": "s"},
    "ff1": {"do": "ff1", "scope": "s"},
    "date": {"do": "date", "to": "year"},
    "age": {"do": "age", "reference": "2026-01-01"},
    "number": {"do": "number", "width": 10},
    "postcode": {"do": "postcode", "keep": 2},
    "ip": {"do": "ip"},
    "geo": {"do": "geo", "decimals": 1},
}


@pytest.mark.parametrize("rule", RULES, ids=list(RULES))
@pytest.mark.parametrize(
    "value",
    [["secret"], {"secret": 1}, ("secret",), b"secret", {"secret"}, "\udcff", object()],
    ids=["list", "dict", "tuple", "bytes", "set", "surrogate", "object"],
)
def test_no_value_is_passed_on_because_a_rule_cannot_read_it(rule: str, value: Any) -> None:
    assert refused(made({"x": RULES[rule]}).apply, {"x": value}) == ("kind", "x")
    lenient = made({"x": {**RULES[rule], "on_error": "suppress"}})
    assert lenient.apply({"x": value}) == {"x": None}
    assert lenient.apply_column("x", [value, None]) == [None, None]
    assert lenient.met() == [Met("x", rule, 3, 1, 2)]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "token"])
def test_no_text_is_passed_on_because_a_rule_cannot_read_it(rule: str) -> None:
    for text in ("", " ", "n/a", "secret", "1984-05-09\n ", "192.0.2.1\0"):
        code, column = refused(made({"x": RULES[rule]}).apply, {"x": text})
        assert column == "x" and code in {"mail", "alphabet", "length", "date", "number", "postcode", "ip"}
        assert made({"x": RULES[rule]}, on_error="suppress").apply({"x": text}) == {"x": None}


def test_a_list_where_a_table_was_planned_is_no_way_past() -> None:
    plan = made({"a.b": "drop", "l[*].x": "drop"})
    for record in (
        {"a": "text"},
        {"a": [{"b": 1}]},
        {"a": 7},
        {"l": {"x": 1}},
        {"l": ["text"]},
        {"l": [[{"x": 1}]]},
        {"l": "text"},
    ):
        assert refused(plan.apply, record)[0] == "kind"
    lenient = made({"a.b": "drop", "l[*].x": "drop"}, on_error="suppress")
    assert lenient.apply({"a": "text", "l": ["text", {"x": 1}]}) == {"a": None, "l": [None, {}]}
    assert lenient.apply({"a": None, "l": None}) == {"a": None, "l": None}


def test_rules_that_look_at_no_value_fit_any() -> None:
    plan = made({"n": "null", "d": "drop", "c": {"do": "constant", "value": "gone"}, "k": "keep"})
    for value in (None, 1, "x", [1], {"y": 1}, b"x", "\ud800"):
        assert plan.apply({"n": value, "d": value, "c": value}) == {"n": None, "c": "gone"}
        assert plan.apply({"k": value})["k"] is value


def test_names_that_are_no_text_are_refused() -> None:
    for name in (1, None, b"a", ("a",), "\ud800"):
        assert refused(made({"a": "keep"}, default="keep").apply, {name: 1})[0] == "kind"


def test_nothing_of_a_record_is_in_a_refusal() -> None:
    plan = made({"born": {"do": "date", "to": "year"}, "by": "redact"})
    with pytest.raises(AnonymizeRefused) as caught:
        plan.apply({"born": "ann@example.org"})
    assert "ann" not in repr(caught.value)
    # Tables by customer have values for names.
    for name in ("ann@example.org", "4111111111111111", "1984-05-09", "x" * 500, "a\nb"):
        code, column = refused(plan.apply, {name: 1})
        assert code == "column" and name not in column


def test_deep_records_are_refused_and_not_recursed_into() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    assert refused(made({"a": "redact"}).apply, {"a": deep})[0] == "depth"
    assert made({"a": "keep"}).apply({"a": deep})["a"] is deep
    loop: dict[str, Any] = {}
    loop["x"] = loop
    assert refused(made({"a": "keep"}, default="redact").apply, loop)[0] == "depth"
    while deep:
        deep = deep.pop("x")


def test_only_dicts_are_records() -> None:
    for record in ([], None, "a", [("a", 1)]):
        with pytest.raises(TypeError):
            made({"a": "keep"}).apply(record)  # type: ignore[arg-type]


# Functions of the program's own


def test_a_function_of_the_programs_has_the_last_word() -> None:
    plan = made({"x": {"do": "custom", "function": "short"}}, custom={"short": lambda value: value[:1]})
    assert plan.apply({"x": "abc"}) == {"x": "a"} and plan.apply({"x": None}) == {"x": None}
    assert plan.apply_column("x", ["abc", None]) == ["a", None]


def test_a_function_that_fails_says_nothing_of_the_value() -> None:
    def fail(value: str) -> str:
        raise ValueError(f"cannot read {value}")

    rule = {"do": "custom", "function": "fail"}
    assert refused(made({"x": rule}, custom={"fail": fail}).apply, {"x": "secret"}) == ("custom", "x")
    lenient = made({"x": rule}, custom={"fail": fail}, on_error="suppress")
    assert lenient.apply({"x": "secret"}) == {"x": None} and lenient.met()[0].suppressed == 1

    def stop(value: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made({"x": rule}, custom={"fail": stop}, on_error="suppress").apply({"x": 1})


def test_a_function_that_changes_the_record_meanwhile_breaks_nothing() -> None:
    record: dict[str, Any] = {"x": 1}

    def grow(value: int) -> int:
        for number in range(1000):
            record[f"more{number}"] = number
        return value

    assert made({"x": {"do": "custom", "function": "grow"}}, custom={"grow": grow}).apply(record) == {"x": 1}
    column: list[int] = [1, 2]

    def clear(value: int) -> int:
        column.clear()
        return value

    assert made({"x": {"do": "custom", "function": "f"}}, custom={"f": clear}).apply_column("x", column) == [1, 2]


# What a plan may say


@pytest.mark.parametrize(
    "plan, cure",
    [
        ({"defualt": "keep"}, "Did you mean default"),
        ({"default": "kepe"}, 'Did you mean "keep"'),
        ({"columns": {"a": "pseudonim"}}, 'Did you mean "pseudonym"'),
        ({"columns": {"a": {"do": "pseudonym", "scope": "s", "scop": 1}}}, "Did you mean scope"),
        ({"columns": {"user": {"email": {"do": "drop"}}}}, "stands in quotes"),
        ({"columns": {"a": {"do": "custom", "function": "f"}}}, "There are none"),
        ({"columns": {"a": "drop", "a.b": "drop"}}, "another rule"),
        ({"columns": {"a": "drop", '"a"': "drop"}}, "another rule"),
        ({"columns": {"": "drop"}}, "not a path"),
        ({"columns": {1: "drop"}}, "tables, lists, texts"),
        ({"columns": {"a": object()}}, "tables, lists, texts"),
        ({"quasi_identifiers": ["zip"]}, "no rule names"),
        ({"quasi_identifiers": "zip", "default": "keep"}, "list of texts"),
    ],
    ids=range(13),
)
def test_a_slip_stops_the_plan_and_is_told_the_cure(plan: dict[str, Any], cure: str) -> None:
    with pytest.raises(ConfigError, match=cure):
        Plan(plan, key=KEY)


def test_a_plan_has_no_key_in_it_and_needs_one_beside_it() -> None:
    for rule in ("pseudonym", "token", "ff1"):
        with pytest.raises(ConfigError, match="needs a key"):
            Plan({"columns": {"a": {"do": rule, "scope": "s"}}})
        for name in ("key", "key_file", "secret"):
            with pytest.raises(ConfigError, match=f'"{name}" is not known'):
                Plan({"columns": {"a": {"do": rule, "scope": "s", name: KEY.hex()}}}, key=KEY)
    assert Plan({"columns": {"a": "drop"}}).apply({"a": 1}) == {}


def test_a_plan_is_never_pickled() -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(made({"a": "keep"}))
    assert KEY.hex() not in repr(vars(made({"a": "keep"})))


def test_a_rule_that_met_nothing_is_told() -> None:
    # A mistyped path under `default = "keep"`: the column passes by, and this is how it is seen.
    plan = made({"emial": "drop", "id": "keep"}, default="keep")
    assert plan.apply({"email": "ann@example.org", "id": 1})
    assert [met.path for met in plan.met() if not met.values] == ["emial"]


def test_what_cannot_be_undone_is_not() -> None:
    plan = made({"a": "keep", "t": {"do": "token", "scope": "s"}})
    for path in ("a", "nobody"):
        with pytest.raises(ConfigError, match="no rule that can be undone"):
            plan.reverse(path, "x")
    assert refused(plan.reverse, "t", "forged") == ("token", "t")


# Columns


def test_a_column_is_as_its_records() -> None:
    plan = made({name: {**rule, "on_error": "suppress"} for name, rule in RULES.items()}, default="keep")
    dice = random.Random(17)
    pool = [
        None,
        "",
        "ann@example.org",
        "1984-05-09",
        "123456",
        "10115",
        "192.0.2.1",
        "48.8,2.3",
        7,
        1.5,
        True,
        "ü",
        ["x"],
        2**70,
    ]
    values = [dice.choice(pool) for _ in range(3000)]
    for name in [*RULES, "other"]:
        assert plan.apply_column(name, values) == [plan.apply({name: value})[name] for value in values]
    assert made({"a": "drop"}).apply_column("a", values) is None
    assert made({"a[*].b": "null"}).apply_column("a[*].b", [1, 2]) == [None, None]
    with pytest.raises(ConfigError, match="whole records"):
        made({"a.b": "drop"}).apply_column("a", [{"b": 1}])
    with pytest.raises(ConfigError, match="not a path"):
        plan.apply_column("", [])
    with pytest.raises(TypeError):
        plan.apply_column("ip", 7)  # type: ignore[arg-type]


def test_a_path_into_a_column_that_is_treated_whole_is_no_way_past() -> None:
    for default in ("keep", "redact", "drop", "refuse"):
        plan = made({"user": "drop", "mail": {"do": "pseudonym", "scope": "s"}, "l[*]": "null"}, default=default)
        for path in ("user.email", "user[*]", "user.a[*].b", "mail[*]", "l[*].x"):
            with pytest.raises(ConfigError, match="a rule treats"):
                plan.apply_column(path, ["ann@example.org"])


def test_a_column_is_a_list_and_dropped_without_values_too() -> None:
    plan = made({"a": "drop", "b": "keep"})
    assert plan.apply_column("a", []) is None and plan.apply_column("b", []) == []
    assert plan.apply_column("b", (1, 2)) == [1, 2]
    for wrong in ("abc", b"abc", {"abc": 1}):
        with pytest.raises(TypeError):
            plan.apply_column("b", wrong)  # type: ignore[arg-type]


def test_one_plan_serves_many_threads_and_counts_them_all() -> None:
    plan = made({"x": {"do": "ff1", "scope": "s"}, "y": {"do": "token", "scope": "s"}})
    values = [f"{number:06}" for number in range(1500)]
    expected, results = plan.apply_column("x", values), []

    def work() -> None:
        results.append((plan.apply_column("x", values), [plan.apply({"y": value})["y"] for value in values[:50]]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [column for column, _ in results] == [expected] * 4
    assert len({tuple(tokens) for _, tokens in results}) == 1
    assert [met.values for met in plan.met()] == [7500, 200]


# Measures


def table(rows: int, seed: int) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {
            "age": dice.choice(["20-29", "30-39", "40-49", None]),
            "home": {"zip": dice.choice(["101", "102", 103, 103.5])},
            "illness": dice.choice(["flu", "flu", "flu", "cold", None, 7]),
            "pay": dice.randrange(3),
        }
        for _ in range(rows)
    ]


def by_hand(rows: list[dict[str, Any]], sensitive: str) -> tuple[Counter[Any], int, float, float]:
    """Sizes of classes, l, entropy l and t, straight from their definitions."""
    classes: dict[Any, list[Any]] = {}
    for row in rows:
        classes.setdefault((row["age"], row["home"]["zip"]), []).append(row[sensitive])
    overall = Counter(row[sensitive] for row in rows)
    distinct, entropies, distances = [], [], []
    for values in classes.values():
        counts = Counter(values)
        shares = [count / len(values) for count in counts.values()]
        distinct.append(len(counts))
        entropies.append(exp(-sum(share * log(share) for share in shares)))
        distances.append(sum(abs(counts[v] / len(values) - overall[v] / len(rows)) for v in overall) / 2)
    return Counter(len(values) for values in classes.values()), min(distinct), min(entropies), max(distances)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [1, 20, 200, 2000])
def test_k_l_and_t_are_those_of_their_definitions(rows: int, seed: int) -> None:
    data = table(rows, seed)
    found = measure(data, ["age", "home.zip"], ["illness", "pay"])
    for sensitive in ("illness", "pay"):
        sizes, distinct, entropy, closeness = by_hand(data, sensitive)
        assert found.sizes == tuple(sorted(sizes.items())) and found.k == min(sizes)
        assert found.rows == rows and found.classes == sum(sizes.values())
        of = found.sensitive[sensitive]
        assert of.values == len({row[sensitive] for row in data}) and of.distinct == distinct
        assert of.entropy == pytest.approx(entropy) and of.closeness == pytest.approx(closeness)
    for k in (1, 2, 5, 10**6):
        assert found.rows_below(k) == sum(size * n for size, n in found.sizes if size < k)


def test_pieces_measure_as_the_whole_and_find_small_classes() -> None:
    data = table(500, 1)
    whole, one, other = (Measure(["age", "home.zip"], ["pay"], key=bytes(range(16))) for _ in range(3))
    whole.add(data)
    one.add(data[:200])
    other.add(iter(data[200:]))
    one.merge(other)
    assert one.privacy().sizes == whole.privacy().sizes
    assert one.privacy().sensitive["pay"].closeness == pytest.approx(whole.privacy().sensitive["pay"].closeness)
    counted = Counter((row["age"], row["home"]["zip"]) for row in data)
    assert all(one.class_size(row) == counted[row["age"], row["home"]["zip"]] for row in data)
    assert one.class_size({"age": "90+"}) == 0
    with pytest.raises(ConfigError, match="another key"):
        one.merge(Measure(["age", "home.zip"], ["pay"]))


def test_a_plan_measures_its_own_columns_before_and_after() -> None:
    plan = made(
        {
            "born": {"do": "date", "to": "decade"},
            "zip": {"do": "postcode", "keep": 2},
            "illness": "keep",
            "name": "drop",
        },
        quasi_identifiers=["born", "zip"],
        sensitive=["illness"],
    )
    dice = random.Random(2)
    rows = [
        {
            "name": str(number),
            "born": f"19{dice.randrange(70, 90)}-0{dice.randrange(1, 10)}-11",
            "zip": f"10{dice.randrange(100, 140)}",
            "illness": dice.choice(["flu", "cold"]),
        }
        for number in range(300)
    ]
    before, after = plan.measure(rows), plan.measure(plan.apply(row) for row in rows)
    assert before.k == 1 and after.k > 20 and after.classes == 2
    assert (before.rows_below(5), after.rows_below(5)) == (300, 0)
    assert after.sensitive["illness"].distinct == 2
    with pytest.raises(ConfigError, match="at least one"):
        made({"a": "keep"}).measure([])


def test_a_table_with_too_many_classes_is_refused_and_not_estimated() -> None:
    counted = Measure(["id"], max_entries=100)
    with pytest.raises(OverflowError, match="max_entries"):
        counted.add({"id": number} for number in range(101))
    for void in (counted.privacy, lambda: counted.add([{"id": 1000}])):
        with pytest.raises(OverflowError):
            void()
    for wrong in (
        {"quasi_identifiers": []},
        {"quasi_identifiers": ["a[*]"]},
        {"quasi_identifiers": "ab"},
        {"max_entries": 0},
    ):
        with pytest.raises(ConfigError):
            Measure(**{"quasi_identifiers": ["a"], **wrong})  # type: ignore[arg-type]


def test_a_path_that_no_row_has_makes_no_table_look_safe() -> None:
    rows = [{"zip": str(number), "home": {"town": "x"}, "age": None} for number in range(3)]
    for quasi, sensitive in ((["zpi"], []), (["zip", "home.twon"], []), (["zip"], ["ilness"]), (["none.zip"], [])):
        with pytest.raises(ConfigError, match="no row has it"):
            measure(rows, quasi, sensitive)
    with pytest.raises(ConfigError, match='"zpi": no row has it'):
        made({"zip": "keep"}, default="keep", quasi_identifiers=["zpi"]).measure(rows)
    assert measure(rows, ["age"]).k == 3 and measure([*rows, {"new": 1}], ["new"]).k == 1
    assert measure([], ["zpi"]).k == 0
    # One piece may have none of a path, as long as another has.
    one, other = (Measure(["new"], key=bytes(16)) for _ in range(2))
    one.add(rows)
    other.add([{"new": 1}])
    one.merge(other)
    assert one.privacy().sizes == ((1, 1), (3, 1))
    # A text or a list where the path leads on is not nothing.
    for home in ("Ulm", ["Ulm"], 7):
        assert refused(measure, [{"home": home}], ["home.town"])[0] == "kind"
    assert measure([{"home": None}, {"home": {"town": 1}}, {}], ["home.town"]).sizes == ((1, 1), (2, 1))


def test_counts_by_other_columns_are_not_put_together() -> None:
    one = Measure(["zip", "age"], ["pay"], key=bytes(16))
    for quasi, sensitive in ((["zip", "born"], ["pay"]), (["age", "zip"], ["pay"]), (["zip", "age"], ["illness"])):
        with pytest.raises(ConfigError, match="other columns"):
            one.merge(Measure(quasi, sensitive, key=bytes(16)))


def test_what_a_plan_drops_tells_nobody_apart() -> None:
    plan = Plan(
        {
            "default": "keep",
            "quasi_identifiers": ["born", "zip"],
            "sensitive": ["ill", "pay"],
            "columns": {"zip": "drop", "pay": "drop"},
        }
    )
    rows = [{"born": "1980s", "zip": str(number), "ill": "flu", "pay": number} for number in range(4)]
    results = [plan.apply(row) for row in rows]
    with pytest.raises(ConfigError, match="no row has it"):
        plan.measure(results)
    with pytest.raises(ConfigError, match="no row has it"):
        plan.measure(results, dropped=["zip"])
    privacy = plan.measure(results, dropped=["zip", "pay"])
    assert (privacy.k, privacy.dropped, set(privacy.sensitive)) == (4, ("zip", "pay"), {"ill"})
    # What rows have is measured by, whatever was said.
    privacy = plan.measure(rows, dropped=["zip", "pay"])
    assert (privacy.k, privacy.dropped, set(privacy.sensitive)) == (1, (), {"ill", "pay"})
    assert measure([], ["born"], dropped=["born"]).dropped == ()
    for wrong in ("zip", ["plz"]):
        with pytest.raises(ConfigError, match="no path of these"):
            plan.measure(results, dropped=wrong)


def test_values_that_nobody_can_tell_apart_are_refused() -> None:
    # All lists as one value would make k look larger than it is.
    assert refused(measure, [{"a": ["x"]}], ["a"])[0] == "kind"
    assert measure([{}, {"a": None}, {"a": ""}], ["a"]).sizes == ((1, 1), (2, 1))
    with pytest.raises(TypeError):
        measure([["a"]], ["a"])  # type: ignore[list-item]


# The page


def test_the_page_runs_and_names_every_rule_and_code() -> None:
    page = Path(__file__).parent.parent / "docs" / "anonymize.md"
    failed, ran = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert failed == 0 and ran >= 7
    text = page.read_text()
    source = (page.parent.parent / "src" / "anonymize" / "value.rs").read_text()
    codes = re.findall(r'=> "(\w+)",', source)
    assert len(codes) > 10
    for word in [*RULES, *codes, "drop", "null", "constant", "keep", "redact", "custom"]:
        assert f"`{word}`" in text, word
