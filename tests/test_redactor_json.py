"""Nested values: by value, by name, by path; deep, bounded, and never changed."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from flask_rampart import ConfigError, Redactor
from flask_rampart.redaction import Custom, Hash, Keep, Mask, Operator, Redact, Replace

MAIL = "ada@example.com"
CARD = 4111111111111111
MARK = "[REDACTED:EMAIL_ADDRESS]"
REDACTOR = Redactor()


def deep(levels: int, value: Any = "hunter2secret") -> Any:
    for at in range(levels):
        value = [value] if at % 2 else {"a": value}
    return value


def test_all_that_is_text_is_redacted_at_any_depth_names_too() -> None:
    # Scrubbers that stop at the first level: sentry-python#7620, #4230; structlog#152.
    value = {"a": [{"b": ({"c": MAIL},)}], MAIL: {"password": "x"}, "raw": f"to {MAIL}".encode()}
    assert REDACTOR.redact(value) == {
        "a": [{"b": ({"c": MARK},)}],
        MARK: {"password": "[REDACTED:PASSWORD]"},
        "raw": f"to {MARK}".encode(),
    }
    assert MARK in json.dumps(REDACTOR.redact(deep(60, MAIL)))


@pytest.mark.parametrize("value", [CARD, float(CARD), Decimal(CARD), [CARD], {CARD: 1}, {"n": {"m": CARD}}], ids=str)
def test_a_number_that_is_a_secret_is_one(value: Any) -> None:
    # OTel's redaction looks at texts alone: opentelemetry-collector-contrib#37591.
    assert "4111" not in str(REDACTOR.redact(value))
    assert "CREDIT_CARD" in str(REDACTOR.redact(value))


def test_other_numbers_stay_numbers() -> None:
    value = [0, -1, 1.5, 10**30, float("inf"), float("nan"), True, None, Decimal("1.10"), 4111111111111112]
    made = REDACTOR.redact(value)
    assert [type(item) for item in made] == [type(item) for item in value]
    assert made[:5] == value[:5] and made[6:] == value[6:]


def test_a_number_of_more_digits_than_python_writes_is_not_shown() -> None:
    assert REDACTOR.redact([10**5000]) == ["[REDACTED:DEPTH]"]


@pytest.mark.parametrize("value", ["x", 7, 1.5, True, b"x", ["x", 1], {"a": {"b": "x"}}, ("x",)], ids=str)
def test_what_has_a_secret_name_is_hidden_of_whatever_type(value: Any) -> None:
    assert REDACTOR.redact({"api_key": value}) == {"api_key": "[REDACTED:API_KEY]"}
    masked = Redactor(operators={"DEFAULT": Mask()}).redact({"api_key": value})
    assert "x" not in str(masked["api_key"]) and "7" not in str(masked["api_key"])
    assert REDACTOR.redact({"api_key": None}) == {"api_key": None}


def test_what_follows_an_option_with_a_secret_name_is_hidden() -> None:
    value = {"argv": ["app", "--password", "hunter2", "--user", "ann", "--token", "--verbose", "x"]}
    assert REDACTOR.redact(value) == {
        "argv": ["app", "--password", "[REDACTED:PASSWORD]", "--user", "ann", "--token", "--verbose", "x"]
    }
    assert REDACTOR.redact(("app", b"--db-password", b"hunter2")) == ("app", b"--db-password", "[REDACTED:PASSWORD]")
    assert REDACTOR.redact(["app", "--pin", 1234, 5]) == ["app", "--pin", "[REDACTED:PIN]", 5]
    same = ["app", "--no-password", "db", "--max-tokens", "12", "password", "x", "--password", None]
    assert REDACTOR.redact(same) == same


def test_pairs_of_name_and_value_are_read_as_such() -> None:
    value = {
        "headers": [["Authorization", "Bearer abc"], ("Cookie", "a=b"), ["Accept", "text/html"]],
        "form": [{"name": "password", "value": "hunter2secret"}, {"name": "city", "value": "Paris"}],
        "vars": [{"Key": "api_key", "Value": 12}],
    }
    made = REDACTOR.redact(value)
    assert made == {
        "headers": [
            ["Authorization", "[REDACTED:AUTHORIZATION]"],
            ("Cookie", "[REDACTED:COOKIE]"),
            ["Accept", "text/html"],
        ],
        "form": [{"name": "password", "value": "[REDACTED:PASSWORD]"}, {"name": "city", "value": "Paris"}],
        "vars": [{"Key": "api_key", "Value": "[REDACTED:API_KEY]"}],
    }


def test_a_list_of_names_and_a_schema_of_a_secret_stay() -> None:
    schema = {
        "required": ["password", "email"],
        "properties": {
            "email": {"type": "string"},
            "password": {"type": "string", "minLength": 8, "writeOnly": True},
            "token": {"$ref": "#/components/schemas/Token"},
            "pin": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Pin"},
        },
    }
    assert REDACTOR.redact(schema) == schema
    errors = {"loc": ("password", "email"), "scopes": ["session", "profile"], "enum": ["pin", "otp"]}
    assert REDACTOR.redact(errors) == errors


def test_what_only_resembles_a_schema_or_a_list_of_names_is_hidden() -> None:
    mark = "[REDACTED:PASSWORD]"
    for value in ({"type": "hunter2"}, {"value": "x", "type": "string"}, {"format": "hunter2"}, {"title": "x"}, {}, []):
        assert REDACTOR.redact({"password": value}) == {"password": mark}, value
    for names in (["password", "Hunter"], ["password", "hunter2"], ["password", ["x"]]):
        assert REDACTOR.redact({"required": names}) == {"required": ["password", mark]}, names
    assert REDACTOR.redact({"headers": ["password", "hunter"]}) == {"headers": ["password", mark]}
    told = {"type": "string", "default": "hunter2", "examples": ["hunter3", "x"], "enum": [MAIL]}
    said = {"type": "string", "default": mark, "examples": [mark, mark], "enum": [mark]}
    run = REDACTOR.run({"password": told})
    assert run.value == {"password": said}
    assert [found.pointer for found in run.findings][:1] == ["/password/default"]
    inside: dict[str, object] = {"type": "object"}
    inside["properties"] = {"password": inside}
    assert "[REDACTED:" in str(REDACTOR.redact({"password": inside}))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"anyOf": [{"type": "string", "example": "hunter2"}, True]}, {"anyOf": [{"type": "string", "example": 0}, True]}),
        ({"anyOf": ["hunter2", {"type": "hunter2"}, {"title": "x"}]}, {"anyOf": [0, 0, 0]}),
        ({"type": "string", "enum": ["hunter", "x"]}, {"type": "string", "enum": [0, 0]}),
        ({"type": "string", "enum": "hunter2"}, {"type": "string", "enum": 0}),
        ({"type": "array", "items": {"type": "string", "default": "x"}}, {"type": "array", "items": {"type": "string", "default": 0}}),
        ({"type": "array", "items": "hunter2"}, {"type": "array", "items": 0}),
        ({"type": "array", "prefixItems": [{"type": "string", "const": "x"}]}, {"type": "array", "prefixItems": [{"type": "string", "const": 0}]}),
        ({"type": "object", "additionalProperties": {"enum": ["x"]}}, {"type": "object", "additionalProperties": 0}),
        ({"type": "object", "properties": "hunter2"}, {"type": "object", "properties": 0}),
        (
            {"type": "object", "properties": {"a": {"type": "string", "examples": ["x"]}, "b": "hunter2"}},
            {"type": "object", "properties": {"a": {"type": "string", "examples": [0]}, "b": 0}},
        ),
        ({"type": "string", "not": {"minLength": 8}, "allOf": [{}]}, {"type": "string", "not": {"minLength": 8}, "allOf": [{}]}),
    ],
)  # fmt: skip
def test_values_are_hidden_in_all_parts_of_a_schema_of_a_secret(told: object, said: object) -> None:
    def marked(item: object) -> object:
        if isinstance(item, dict):
            return {key: marked(one) for key, one in item.items()}
        if isinstance(item, list):
            return [marked(one) for one in item]
        return "[REDACTED:PASSWORD]" if type(item) is int and item == 0 else item

    assert REDACTOR.redact({"password": told}) == {"password": marked(said)}


def test_a_schema_that_holds_itself_often_is_walked_as_far_as_there_are_nodes() -> None:
    shared: dict[str, object] = {"type": "string", "example": "hunter2"}
    for _ in range(30):
        shared = {"type": "object", "properties": {"a": shared, "b": shared}}
    assert "hunter2" not in str(REDACTOR.redact_json({"password": shared}, max_nodes=500))
    deep: dict[str, object] = {"type": "string", "example": "hunter2"}
    for _ in range(300):
        deep = {"type": "array", "items": deep}
    assert "hunter2" not in str(REDACTOR.redact({"password": deep}))


@pytest.mark.parametrize(
    ("path", "hit"),
    [
        ("/user/nick", ["ada"]),
        ("$.user.nick", ["ada"]),
        ("$['user'][\"nick\"]", ["ada"]),
        ("/users/*/nick", ["bob", "eve"]),
        ("$.users[*].nick", ["bob", "eve"]),
        ("$.users[1].nick", ["eve"]),
        ("/users/1/nick", ["eve"]),
        ("/*/nick", ["ada"]),
        ("$.*.nick", ["ada"]),
        ("/a~1b/x~0y", ["odd"]),
        ("$['a/b']['x~y']", ["odd"]),
        ("/user", ["ada"]),
        ("", ["ada", "bob", "eve", "odd"]),
        ("$", ["ada", "bob", "eve", "odd"]),
        ("/user/Nick", []),
        ("/nick", []),
        ("/users/-1/nick", []),
    ],
)
def test_a_path_names_its_place_and_no_other(path: str, hit: list[str]) -> None:
    value = {"user": {"nick": "ada"}, "users": [{"nick": "bob"}, {"nick": "eve"}], "a/b": {"x~y": "odd"}}
    made = json.dumps(REDACTOR.redact_json(value, paths={path: Replace("-")}))
    assert [name for name in ("ada", "bob", "eve", "odd") if name not in made] == hit


@pytest.mark.parametrize(
    ("paths", "keys", "says"),
    [
        ({"user.nick": "redact"}, None, '"/user.nick" or "$.user.nick"'),
        ({"/a~b": "redact"}, None, "~0"),
        ({"$..nick": "redact"}, None, "a JSONPath is made of"),
        ({"$.a[?(@.b)]": "redact"}, None, "a JSONPath is made of"),
        ({"$.a[01]": "redact"}, None, "a JSONPath is made of"),
        ({"/" + "a/" * 70: "redact"}, None, "64 steps"),
        ({7: "redact"}, None, "a path is a text"),
        ({"/a": "hide"}, None, "no operator 'hide'"),
        (["/a"], None, "paths= is a dict"),
        (None, {"": "redact"}, "a letter or a digit"),
        (None, {"api_key": "redact", "API-Key": "keep"}, "there twice"),
        (None, {7: "redact"}, "a letter or a digit"),
    ],
)
def test_a_path_or_key_that_cannot_be_read_is_refused(paths: Any, keys: Any, says: str) -> None:
    with pytest.raises(ConfigError) as told:
        REDACTOR.redact_json({}, paths=paths, keys=keys)
    assert says in str(told.value)


@pytest.mark.parametrize("name", ["nick", "Nick", "NICK", "n-i_ck"])
def test_a_key_holds_at_any_depth_in_any_spelling(name: str) -> None:
    made = REDACTOR.redact_json([{"a": {name: "ada"}}], keys={"nick": Mask()})
    assert made == [{"a": {name: "***"}}]


def test_what_is_said_to_hide_wins_over_what_is_said_to_keep() -> None:
    # OTel's allowed keys let through what its blocked values name: opentelemetry-collector-contrib#43826.
    value = {"user": {"mail": MAIL, "nick": "ada", "pin": 7, "more": {"card": CARD}}}

    def by(**said: Any) -> Any:
        return REDACTOR.redact_json(value, **said)["user"]

    assert by(paths={"/user": Keep()}) == value["user"]
    assert by(paths={"/user": Keep(), "/user/mail": Redact()})["mail"] == ""
    assert by(paths={"/user/*": Keep(), "/user/mail": Redact()})["mail"] == ""
    assert by(paths={"/user": Keep()}, keys={"nick": Redact()})["nick"] == ""
    assert by(paths={"/user/mail": Redact()}, keys={"mail": Keep()})["mail"] == ""
    assert by(paths={"/user": Redact(), "/user/nick": Keep()}) == ""
    # What is kept is kept, and nothing beside it.
    assert by(paths={"/user/mail": Keep()}) == {
        "mail": MAIL,
        "nick": "ada",
        "pin": "[REDACTED:PIN]",
        "more": {"card": "[REDACTED:CREDIT_CARD]"},
    }
    assert by(keys={"pin": Keep()})["pin"] == 7


def test_an_entity_that_is_kept_keeps_nothing_else_that_is_in_it() -> None:
    redactor = Redactor(operators={"PASSWORD": Keep()})
    assert redactor.redact({"password": ["x", MAIL]}) == {"password": ["x", MARK]}


def test_a_container_is_hidden_whole_or_leaf_by_leaf() -> None:
    value = {"a": {"b": ["abcd", 12, None, True], "c": {"d": b"xyz"}}}
    assert REDACTOR.redact_json(value, paths={"/a": Replace()}) == {"a": "[REDACTED:A]"}
    assert REDACTOR.redact_json(value, paths={"/a": Mask()}) == {
        "a": {"b": ["****", "**", None, "****"], "c": {"d": "***"}}
    }


def test_nothing_that_was_given_is_changed() -> None:
    value = {"a": [MAIL, {"password": "x", MAIL: [CARD]}], "b": {"c": (MAIL,)}, "d": {1, 2}}
    before = copy.deepcopy(value)
    for said in ({}, {"paths": {"/a/*": Mask()}}, {"keys": {"c": Hash(b"k" * 32)}}):
        REDACTOR.redact_json(value, **said)  # type: ignore[arg-type]
    assert value == before


def test_two_names_that_become_one_lose_no_member() -> None:
    made = REDACTOR.redact({MAIL: 1, "bob@example.com": 2, MARK: 3})
    assert sorted(made.values()) == [1, 2, 3]
    assert all(name.startswith(MARK) for name in made)


def test_what_holds_itself_ends() -> None:
    value: dict[str, Any] = {"mail": MAIL, "list": []}
    value["self"] = value
    value["list"].append(value["list"])
    for said in ({}, {"paths": {"/x/y": Mask()}}, {"paths": {"": Mask()}}):
        made = REDACTOR.redact_json(value, **said)
        assert MAIL not in str(made)
        assert "[REDACTED:CYCLE]" in str(made)


def test_what_is_in_many_places_is_walked_once() -> None:
    # "A billion laughs": 2 ** 50 texts when written down.
    calls: list[str] = []

    def note(value: str) -> str:
        calls.append(value)
        return "-"

    value: Any = [MAIL]
    for _ in range(50):
        value = [value, value]
    made = Redactor(operators={"DEFAULT": Custom(note)}).redact(value)
    assert calls == [MAIL]
    assert made[0] is made[1]


def test_a_shared_value_is_treated_by_the_path_that_leads_to_it() -> None:
    shared = {"nick": "ada"}
    made = REDACTOR.redact_json({"a": shared, "b": shared}, paths={"/b/nick": Redact()})
    assert made == {"a": {"nick": "ada"}, "b": {"nick": ""}}


def test_what_is_beyond_the_budget_is_replaced_and_not_passed() -> None:
    assert "hunter2secret" not in str(REDACTOR.redact(deep(70)))
    assert "hunter2secret" not in str(REDACTOR.redact_json(deep(5), max_depth=4))
    assert REDACTOR.redact_json({"a": {"b": 1}}, max_depth=1) == {"a": "[REDACTED:DEPTH]"}
    wide = [["x"] for _ in range(100)] + [["hunter2secret"]]
    assert "hunter2secret" not in str(REDACTOR.redact_json(wide, max_nodes=100))
    assert "hunter2secret" not in str(REDACTOR.redact_json({"a": wide}, max_nodes=100, keys={"a": Mask()}))
    assert len(REDACTOR.redact_json({str(at): at for at in range(10**5)}, max_nodes=10)) <= 11
    for number in (0, -1, True, 1.5, 201):
        with pytest.raises(ConfigError):
            REDACTOR.redact_json({}, max_depth=number)  # type: ignore[arg-type]


def test_depth_beyond_pythons_own_is_no_crash() -> None:
    assert "hunter2secret" not in str(REDACTOR.redact(deep(sys.getrecursionlimit() * 3)))
    assert "hunter2secret" not in str(REDACTOR.redact_json(deep(900), max_depth=200))


def test_kinds_of_containers_stay_what_they_are() -> None:
    Login = namedtuple("Login", "user password")
    assert REDACTOR.redact(Login("ada", "x")) == Login("ada", "[REDACTED:PASSWORD]")
    made = REDACTOR.redact([OrderedDict(a=MAIL), defaultdict(list, a=[MAIL]), (MAIL,), {MAIL}])
    assert made == [OrderedDict(a=MARK), {"a": [MARK]}, (MARK,), [MARK]]
    assert isinstance(made[0], OrderedDict) and made[1]["missing"] == []


def test_a_dict_that_brings_members_back_is_not_trusted() -> None:
    class Stubborn(dict):  # type: ignore[type-arg]
        def clear(self) -> None:
            pass

    assert REDACTOR.redact(Stubborn({MAIL: MAIL})) == {MARK: MARK}
    assert type(REDACTOR.redact(Stubborn({MAIL: MAIL}))) is dict


@dataclass
class Account:
    owner: str
    password: str = field(repr=False)


class Shy:
    def __repr__(self) -> str:
        raise ValueError("hunter2secret")


def test_an_object_whose_text_has_a_secret_becomes_that_text_redacted() -> None:
    now = datetime(2026, 11, 29)
    shy = Shy()
    made = REDACTOR.redact([now, ValueError(f"no {MAIL}"), Account("ada", "hunter2secret"), shy])
    assert made[0] is now and made[3] is shy
    assert MAIL not in str(made[1]) and MARK in made[1]
    assert "hunter2secret" not in str(made[2]) and "PASSWORD" in made[2]


def test_findings_say_where_and_never_what() -> None:
    result = REDACTOR.run({"a": [f"to {MAIL}"], MAIL: {"x/y": CARD}, "pin": 1234})
    told = [(found.entity, found.pointer, found.start, found.end) for found in result.findings]
    assert told == [
        ("EMAIL_ADDRESS", "/a/0", 3, 18),
        ("EMAIL_ADDRESS", "", 0, 15),
        ("CREDIT_CARD", f"/{MARK}/x~1y", 0, 16),
        ("PIN", "/pin", 0, 0),
    ]
    assert MAIL not in repr(result.findings) and str(CARD) not in repr(result.findings)


@pytest.mark.parametrize(
    "operator", [Replace("-"), Redact(), Mask(), Hash(b"k" * 32), Custom(len)], ids=lambda o: o.name
)
def test_every_operator_hides_every_kind_of_leaf(operator: Operator) -> None:
    value = {"a": ["hunter2secret", 47110815, b"hunter2secret", {"b": 47110815.5}]}
    made = str(REDACTOR.redact_json(value, paths={"/a": operator}))
    assert "hunter2" not in made and "4711" not in made


@dataclass
class Node:
    label: str
    next: Any = None
    other: Any = None


class Credential(Enum):
    PASSWORD = 1
    COLOUR = 2


class Checked(namedtuple("Checked", ("mail", "age"))):
    def __new__(cls, mail: str, age: int) -> Checked:
        if "@" not in mail:
            raise ValueError(mail)
        return super().__new__(cls, mail, age)

    @classmethod
    def _make(cls, iterable: Any) -> Checked:
        return cls(*iterable)


def test_objects_that_hold_themselves_are_cut_there() -> None:
    node = Node(MAIL)
    node.next = [node]
    made = REDACTOR.redact({"node": node})
    assert MARK in made["node"] and "[REDACTED:CYCLE]" in made["node"]
    assert MAIL not in made["node"]


def test_a_long_chain_of_objects_is_cut_and_shared_ones_are_walked_once() -> None:
    chain = Node(MAIL)
    for _ in range(5_000):
        chain = Node("clean", chain)
    assert "[REDACTED:DEPTH]" in REDACTOR.redact([chain])[0]

    class Counting(str):
        asked = 0

        def __repr__(self) -> str:
            Counting.asked += 1
            return super().__repr__()

    shared: Any = [Node(Counting("clean"))] * 40
    assert REDACTOR.redact([shared, shared[0]]) == [shared, shared[0]]
    assert Counting.asked == 2  # for its repr, and for its str


def test_what_objects_hold_counts_as_members() -> None:
    wide = Node("clean", list(range(200)))
    made = REDACTOR.redact_json([wide, MAIL], max_nodes=100)
    assert "[REDACTED:DEPTH]" in made[0]
    assert made[1] == "[REDACTED:DEPTH]"


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-Infinity", "1E+1000000", "-1E+999999", "1E-1000000"])
def test_decimals_that_are_no_number_or_a_huge_one_stay(text: str) -> None:
    value = Decimal(text)
    assert REDACTOR.redact([value])[0] is value
    assert REDACTOR.redact([Decimal("4111111111111111.0")]) == ["[REDACTED:CREDIT_CARD]"]


def test_names_that_are_bytes_or_members_of_an_enumeration_are_names() -> None:
    hidden = "[REDACTED:PASSWORD]"
    assert REDACTOR.redact({b"password": b"hunter2"}) == {b"password": hidden}
    assert REDACTOR.redact([(b"x-api-key", b"abc")]) == [(b"x-api-key", "[REDACTED:API_KEY]")]
    made = REDACTOR.redact({Credential.PASSWORD: "a", Credential.COLOUR: "b"})
    assert list(made.values()) == [hidden, "b"]
    assert REDACTOR.redact({b"name": b"password", b"value": b"a"}) == {b"name": b"password", b"value": hidden}
    assert REDACTOR.redact({b"\xff" * 300: b"a", 7: "b"}) == {b"\xff" * 300: b"a", 7: "b"}


def test_a_named_tuple_that_takes_no_marks_becomes_a_tuple() -> None:
    made = REDACTOR.redact([Checked(MAIL, 36)])[0]
    assert type(made) is tuple and made == (MARK, 36)
    assert type(REDACTOR.redact([Checked("@", 36)])[0]) is Checked


def test_what_is_allowed_is_left_alone_also_where_its_name_says_that_it_is_secret() -> None:
    # As in a text: `password=changeme` stays if that is allowed.
    redactor = Redactor(allow=["changeme", re.compile("test-[a-z ]+"), "1234"], deny={"bluebird": "CODENAME"})
    value = {
        "password": "changeme",
        "db": {"password": "test-db", "pin": 1234, "token": b"changeme"},
        "headers": [["Authorization", "test-x"], {"name": "api_key", "value": "changeme"}],
        "secret": "test-the bluebird x",
    }
    result = redactor.run(value)
    assert result.value == {**value, "secret": "test-the [REDACTED:CODENAME] x"}
    assert [found.rule for found in result.findings] == ["deny"]
    hidden = {"password": "changeme2", "pin": 12345, "token": ["changeme"], "secret": {"a": "changeme"}}
    assert all(str(made).startswith("[REDACTED:") for made in redactor.redact(hidden).values())
    # A path or key that was named hides whatever is there.
    assert redactor.redact_json({"password": "changeme"}, keys={"password": "redact"}) == {"password": ""}
    assert Redactor().redact({"password": "changeme"}) == {"password": "[REDACTED:PASSWORD]"}
