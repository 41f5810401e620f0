"""Records as they are written: the core's way through bytes agrees with ``Plan.apply``, and refuses what readers disagree on."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from flask_rampart._native import AnonymizeLines, AnonymizeTable, csv_cut
from flask_rampart.anonymize import AnonymizeRefused, Plan

KEY = bytes(range(32))
RULES: dict[str, Any] = {
    "id": {"do": "pseudonym", "scope": "id"},
    "born": {"do": "date", "to": "year", "on_error": "suppress"},
    "home.zip": {"do": "postcode", "keep": 2, "on_error": "suppress"},
    "orders[*].card": {"do": "token", "scope": "card"},
    "tags[*]": "keep",
    "pay": {"do": "number", "round": 100, "on_error": "suppress"},
    "gone": "drop",
    "free": "redact",
    "fixed": {"do": "constant", "value": "x"},
}
SCALARS = [
    None,
    True,
    0,
    -7,
    2**70,
    1.5,
    "",
    "1984-05-09",
    "90210",
    "mail ann@example.org now",
    'quote " and \\ and \u00e9 and \u2028',
    4111111111111111,
]
NAMES = [
    *(path.split(".")[0].split("[")[0] for path in RULES),
    "other",
    "password",
    "bob@example.org",
    "zip",
    "card",
    "n",
]


def lines(plan: Plan, **options: Any) -> AnonymizeLines:
    return AnonymizeLines(plan._native, **options)


def value(rng: random.Random, depth: int) -> Any:
    kind = rng.random()
    if depth and kind < 0.2:
        return {name: value(rng, depth - 1) for name in rng.sample(NAMES, rng.randrange(4))}
    if depth and kind < 0.4:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice(SCALARS)


def applied(plan: Plan, record: dict[str, Any]) -> dict[str, Any] | str:
    """What becomes of a record, or the code by which it is refused."""
    try:
        return plan.apply(record)
    except AnonymizeRefused as error:
        return error.args[0]


@pytest.mark.parametrize("default", ["keep", "drop", "redact", "refuse"])
def test_a_line_becomes_what_its_record_becomes(default: str) -> None:
    rng = random.Random(default)
    plans = [
        Plan({"default": default, "on_error": on_error, "columns": RULES}, key=KEY)
        for on_error in ("suppress", "refuse")
    ]
    passed = 0
    for number in range(150):
        plan = rng.choice(plans)
        shape = (
            ["id", "born", "home", "orders", "tags", "pay", "gone", "free", "fixed"] if default == "refuse" else NAMES
        )
        record = {name: value(rng, 2) for name in rng.sample(shape, rng.randrange(len(shape)))}
        text = json.dumps(record, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1))).replace(
            "\n", " "
        )
        out, (read, written, _), refusals, refused, _, _ = lines(plan, skip=True).treat(text.encode() + b"\n")
        expected = applied(plan, json.loads(text))
        if isinstance(expected, str):
            assert (out, written) == (b"", 0), (number, text)
            assert refusals[0][1] == expected, (number, text)
            assert refused == {expected: 1}
            continue
        assert json.loads(out) == expected, (number, text)
        assert list(json.loads(out)) == list(expected)
        assert (read, written) == (1, 1)
        passed += 1
    assert passed > 20


def test_what_is_kept_is_written_as_it_was() -> None:
    text = (
        b'{ "b" : 1.000 , "a":1E5,"c": -0 ,"d":12345678901234567890123,"e":"\\u00e9\\/" ,"f":[ 1 , {"x":0.10} ] }\r\n'
    )
    out = lines(Plan({"default": "keep"})).treat(text)[0]
    assert out == b'{"b":1.000,"a":1E5,"c":-0,"d":12345678901234567890123,"e":"\\u00e9\\/","f":[ 1 , {"x":0.10} ]}\n'


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[1]", "json"),
        (b"null", "json"),
        (b'"text"', "json"),
        (b'{"a":1} {"b":2}', "json"),
        (b'{"a":1,}', "json"),
        (b"{'a':1}", "json"),
        (b'{"a":01}', "json"),
        (b'{"a":1.}', "json"),
        (b'{"a":+1}', "json"),
        (b'{"a":NaN}', "json"),
        (b'{"a":"\x00"}', "json"),
        (b'{"a":"\\x41"}', "json"),
        (b'{"a":"\\ud800"}', "json"),
        (b'{"a":"open}', "json"),
        (b'{"a":1', "json"),
        (b"\x00", "json"),
        (b"\xef\xbb\xbf{}", "json"),
        (b'{"a":"\xff"}', "utf8"),
        (b'{"a":"\xed\xa0\x80"}', "utf8"),
        (b'{"a":1,"a":2}', "duplicate"),
        (b'{"a":1,"\\u0061":2}', "duplicate"),
        (b'{"o":{"a":1,"b":[{"c":1,"c":1}]}}', "duplicate"),
        (b"{" + b",".join(b'"%d":0' % at for at in [*range(40), 7]) + b"}", "duplicate"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "depth"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "depth"),
        (b'{"a":"' + b"x" * 2000 + b'"}', "long"),
    ],
    ids=lambda given: given[:12].hex() if isinstance(given, bytes) else given,
)
@pytest.mark.parametrize("default", ["keep", "drop"])
def test_a_line_that_readers_could_take_otherwise_is_never_passed_on(line: bytes, code: str, default: str) -> None:
    # Parsers disagree on these: "An Exploration of JSON Interoperability Vulnerabilities" (Bishop Fox, 2021).
    longest = 1000 if code == "long" else 1 << 20
    told = lines(Plan({"default": default}), skip=True, longest=longest).treat(b'{"k":1}\n' + line + b'\n{"k":2}')
    assert told[2] == [(1, code, "", None)]
    assert told[0].count(b"\n") == 2
    assert told[1] == (3, 2, 3)


def test_the_first_refused_line_is_the_last_that_is_read() -> None:
    told = lines(Plan({"columns": {"a": "keep"}})).treat(b'{"a":1}\n\n{"b":1}\n{"a":2}\n')
    assert told[1:3] == ((2, 1, 3), [(2, "column", "b", None)])


def test_counts_are_of_the_records_that_were_passed_on() -> None:
    plan = Plan({"default": "redact", "columns": {"born": {"do": "date", "to": "year"}, "id": "keep"}})
    data = b'{"id":1,"born":"1984-05-09","note":"to a@example.org"}\n{"id":2,"born":"soon","note":"x"}\n{"id":null}\n'
    _, _, _, refused, columns, _ = lines(plan, skip=True).treat(data)
    assert refused == {"date": 1}
    assert columns == {
        "born": ("date", (0, 0, 1, 0, 0), {"date": 1}, {}),
        "id": ("keep", (1, 1, 0, 0, 0), {}, {}),
        "note": ("default: redact", (0, 0, 1, 0, 0), {}, {"EMAIL_ADDRESS": 1}),
    }
    assert [(of.path, of.values, of.nulls) for of in plan.met()] == [("born", 1, 0), ("id", 2, 1)]


def test_names_that_are_values_are_not_told() -> None:
    plan = Plan({"default": "keep"})
    columns = lines(plan).treat(b'{"ann@example.org":{"x":1},"4111111111111111":2}\n')[4]
    assert list(columns) == ["(a name that is not shown)"]
    flood = (
        b"{"
        + b",".join(b'"n%s":1' % bytes([97 + at // 676, 97 + at // 26 % 26, 97 + at % 26]) for at in range(3000))
        + b"}"
    )
    columns = lines(plan).treat(flood)[4]
    assert len(columns) == 1001
    assert sum(counts[1][1] for counts in columns.values()) == 3000


@pytest.mark.parametrize("default", ["keep", "redact"])
def test_what_is_measured_is_what_measures_of_records_say(default: str) -> None:
    rng = random.Random(7)
    said: dict[str, Any] = {"quasi_identifiers": ["born", "home.zip"], "sensitive": ["ill"]}
    plan = Plan({"default": default, **said, "columns": {"born": {"do": "date", "to": "decade"}}}, key=KEY)
    rows = [
        {
            "born": f"19{rng.randrange(30, 99)}-01-01",
            "home": rng.choice(({"zip": rng.randrange(3)}, None, {"zip": None}, {})),
            "ill": rng.choice(("flu", "cold", 1, 1.0)),
        }
        for _ in range(300)
    ]
    native = lines(plan)
    data = "\n".join(map(json.dumps, rows)).encode()
    out = native.treat(data)[0]
    again = lines(plan)
    again.measure(data, 0)
    again.measure(out, 1)
    before, after = plan.measure(rows), plan.measure(map(plan.apply, rows))
    for measured in (native.measured(), again.measured()):
        assert measured is not None
        for side, expected in zip(measured, (before, after), strict=True):
            of = expected.sensitive["ill"]
            assert side == (
                300,
                expected.classes,
                list(expected.sizes),
                [(of.values, of.distinct, of.entropy, of.closeness)],
                [],
            )


def test_a_measure_that_cannot_be_had_does_not_stop_the_treating() -> None:
    said = {"default": "keep", "quasi_identifiers": ["a"], "sensitive": ["s"]}
    for data, options, why in (
        (b'{"a":1,"s":1}\n{"a":2,"s":1}\n', {"max_entries": 2}, "more classes"),
        (b'{"a":[1],"s":1}\n', {}, "list or a table"),
        (b'{"b":1,"s":1}\n', {}, 'no row has "a"'),
    ):
        native = lines(Plan(said), **options)
        assert native.treat(data)[0] == data
        measured = native.measured()
        assert measured is not None
        assert all(isinstance(side, str) and why in side for side in measured)


def table(plan: Plan, names: list[str], **options: Any) -> AnonymizeTable:
    return AnonymizeTable(plan._native, names, **{"delimiter": b",", "quote": b'"', **options})


def test_a_field_becomes_what_a_text_becomes_and_an_empty_one_is_nothing() -> None:
    rules = {name: rule for name, rule in RULES.items() if name in ("id", "born", "pay", "gone", "free")}
    plan = Plan({"default": "redact", "columns": rules}, key=KEY)
    names = ["id", "born", "pay", "gone", "free", "other", "password"]
    native = table(plan, names)
    assert native.head() == b"id,born,pay,free,other,password\n"
    rows = [
        ["7", "1984-05-09", "149", "x", "to a@example.org", "b@example.org", "s3cret"],
        ["", "soon", "", "", "", "x", ""],
    ]
    out = native.treat("\n".join(",".join(row) for row in rows).encode(), True)[0].decode()
    for row, line in zip(rows, out.splitlines(), strict=True):
        expected = plan.apply({name: text or None for name, text in zip(names, row, strict=True)})
        assert line.split(",") == ["" if made is None else str(made) for made in expected.values()]


def test_a_quoted_field_may_have_line_ends_and_is_not_cut_in_two() -> None:
    data = b'a,"1\n2",c\r\n"x ""q"", y",b,"\r\n"\n\nlast,1,2'
    ends = {csv_cut(data[:at], delimiter=b",", quote=b'"') for at in range(len(data) + 1)}
    assert ends == {0, 11, 31}
    native = table(Plan({"default": "keep"}), ["p", "q", "r"])
    assert native.treat(data, True)[0] == b'a,"1\n2",c\n"x ""q"", y",b,"\r\n"\nlast,1,2\n'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"1\n", [(0, "fields", "")]),
        (b"1,2\n1,2,3\n", [(1, "fields", "")]),
        (b'\r\n1,2\r\n"a\r\nb",2\r\n1,\xff\r\n', [(4, "utf8", "")]),
        (b'1,2\n3,"open\n4,5\n', [(1, "quote", "")]),
        (b"1," + b"x" * 2000 + b"\n", [(0, "long", "")]),
    ],
    ids=["short", "wide", "utf8", "quote", "long"],
)
def test_a_record_that_is_none_of_the_table_is_refused_with_its_line(data: bytes, told: list[Any]) -> None:
    done = table(Plan({"default": "keep"}), ["a", "b"], skip=True, longest=1000).treat(data, True)
    assert [refusal[:3] for refusal in done[2]] == told
    # Where records end is not known behind an open quote: there is no going on.
    assert done[5] is (told[0][1] == "quote")


def test_a_formula_is_left_as_it_is_unless_it_is_to_be_made_safe() -> None:
    # OWASP "CSV Injection"; the plan's own constants as well.
    plan = Plan({"default": "keep", "columns": {"c": {"do": "constant", "value": "=1"}}})
    row = b"=cmd|' /C calc'!A0,-5,x\n"
    assert table(plan, ["a", "b", "c"]).treat(row, True)[0] == b"=cmd|' /C calc'!A0,-5,=1\n"
    safe = table(plan, ["=a", "b", "c"], safe=True)
    assert safe.head() == b'"\'=a","b","c"\n'
    assert safe.treat(row, True)[0] == b'"\'=cmd|\' /C calc\'!A0","-5","\'=1"\n'


def test_a_table_whose_columns_are_not_clear_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        table(Plan({"default": "keep"}), ["a", "b", "a"])
    with pytest.raises(ValueError, match=r'no rule names the column "b"'):
        table(Plan({"columns": {"a": "keep"}}), ["a", "b"]).head()
    with pytest.raises(ValueError, match="nothing is left"):
        table(Plan({"default": "drop"}), ["a", "b"]).head()
    with pytest.raises(ValueError, match="functions of Python"):
        lines(Plan({"columns": {"a": {"do": "custom", "function": "f"}}}, custom={"f": str}))
