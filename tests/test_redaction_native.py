"""Redaction at the border to Python: texts of any kind, offsets, hostile sizes, threads."""

import doctest
import json
import pathlib
import random
import re
import threading
import time

import pytest

from flask_rampart import _native

REDACTOR = _native.Redactor()
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"


def test_a_clean_text_comes_back_as_the_same_object():
    for text in ("", "GET /health 200", "naïve café → 😀", "lone \ud800 surrogate", "x" * 300_000):
        assert REDACTOR.redact(text) is text
    data = b"\xff\x00 nothing here"
    assert REDACTOR.redact_bytes(data) is data


def test_values_of_secret_names_are_replaced_and_names_stay():
    assert REDACTOR.redact("password=hunter2 from 192.0.2.1") == "password=[REDACTED:PASSWORD] from 192.0.2.1"
    assert REDACTOR.redact(repr({"api_key": "a", "n": 1})) == repr({"api_key": "[REDACTED:API_KEY]", "n": 1})
    assert REDACTOR.redact(repr({"secret": "a'b"})) == """{'secret': "[REDACTED:SECRET]"}"""
    assert REDACTOR.redact(f"got {JWT}.") == "got [REDACTED:JWT]."


def test_json_that_was_dumped_into_json_stays_readable():
    inner = json.dumps({"pin": 1234, "card": "4111 1111 1111 1111", "note": "ann@example.org\n"})
    outer = json.loads(REDACTOR.redact(json.dumps({"body": inner, "token": ["a", "b"], "ok": True})))
    assert outer["token"] == "[REDACTED:TOKEN]"
    assert json.loads(outer["body"]) == {
        "pin": "[REDACTED:PIN]",
        "card": "[REDACTED:CREDIT_CARD]",
        "note": "[REDACTED:EMAIL_ADDRESS]\n",
    }


@pytest.mark.parametrize("surrogate", ["\ud800", "\udfff", "\udc80\udcff"])
def test_lone_surrogates_are_ordinary_characters_and_stay(surrogate):
    text = f"{surrogate} password=a{surrogate}b {surrogate}"
    assert REDACTOR.redact(text) == f"{surrogate} password=[REDACTED:PASSWORD] {surrogate}"
    assert REDACTOR.scan(text) == [("PASSWORD", len(surrogate) + 10, 2 * len(surrogate) + 12, "named")]
    for place in (f"{surrogate}{JWT}", f"{JWT}{surrogate}", f"{surrogate}ann@example.org{surrogate}"):
        assert "REDACTED" in REDACTOR.redact(place)


def test_no_text_makes_redaction_raise():
    assert REDACTOR.redact("\\x\ud800ann@b.co") == "\\[REDACTED:EMAIL_ADDRESS]"
    dice = random.Random(1)
    pieces = ["\\", "\\x", "\\u", "\\u00", "\ud800", "\udcff", "\ud83d", "\ude00", "é", "😀", "ann@b.co", "@", "%40", "=", ":", '"', "'",
              "password", "token", "cookie", "[", "{", "(", ">", "\x1b[", "\n", " ", "://a:b@c.de", "4111111111111111", "%", "eyJ"]  # fmt: skip
    for _ in range(20_000):
        mixed = "".join(dice.choice(pieces) for _ in range(dice.randrange(1, 9)))
        noise = dice.randbytes(dice.randrange(1, 24)).decode("utf-8", "surrogateescape")
        for text in (mixed, noise, mixed + noise, noise + mixed):
            assert "ann@b.co" not in REDACTOR.redact(text)
            for entity, start, end, _ in REDACTOR.scan(text):
                assert entity in REDACTOR.entities and 0 <= start < end <= len(text)


def test_offsets_count_code_points():
    text = "😀é→ password='hünter2' 😀 4111111111111111 end"
    found = REDACTOR.scan(text)
    assert [(entity, text[start:end], rule) for entity, start, end, rule in found] == [
        ("PASSWORD", "hünter2", "named"),
        ("CREDIT_CARD", "4111111111111111", "payment_card"),
    ]
    assert REDACTOR.scan("nothing") == []
    assert {entity for entity, _, _, _ in found} <= set(REDACTOR.entities)
    assert list(REDACTOR.entities) == sorted(set(REDACTOR.entities))


def test_bytes_need_not_be_utf8():
    assert REDACTOR.redact_bytes(b"\xff token=a\xfeb \x00") == b"\xff token=[REDACTED:TOKEN] \x00"


def test_names_are_compared_by_their_words():
    redactor = _native.Redactor(names=["license_key", "contraseña"])
    for name in ("password", "X-Api-Key", "clientSecret", "CUSTOMER-LICENSE.KEY", "Contraseña", "user[password]"):
        assert redactor.is_secret_name(name), name
    for name in ("", "max_tokens", "author", "license", "mapping", "\ud800", "]"):
        assert not redactor.is_secret_name(name), name
    assert redactor.redact("licenseKey: abc") == "licenseKey: [REDACTED:SECRET]"


@pytest.mark.parametrize("names", [[""], ["pw"], ["a b c"], ["x" * 65], ["12345"], ["name"] * 1001])
def test_silly_names_are_refused_at_once(names):
    with pytest.raises(ValueError):
        _native.Redactor(names=names)


def test_one_text_in_place_of_names_is_refused():
    with pytest.raises(TypeError):
        _native.Redactor(names="password")


HOSTILE = [
    "eyJ", ".eyJ", "-eyJaaaaaaaaaa", "eyJaaaaaaaaaaa.", "a@", "@a", "a%40", "4", "4 ", "4111 ", "41111111-", "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----", "Bearer ", "Bearer aaaaaaaa ", "Basic ", "Basic aaaaaaaa", "Authorization: a ",
    "Cookie: '", "password=", 'password="', "password=[", "password={'", "password=\\", "token=a,", "token=null,", "://",
    "://a:", "://a:b/", "://a:b@", "('cookie',", "<token>", "a:token>[REDACTED:", "[REDACTED:", "%3D", "token%3D%22",
    "AKIA", "AIza", "ghp_", "github_pat_", "glpat-", "xoxb-", "hooks.slack.com/", "sk_live_", "rk_live_", "SK0", "SG.",
    "npm_", "pypi-AgE", "sk-", "sk-ant-", "hf_", "r8_", "gsk_", "dop_v1_", "AGE-SECRET-KEY-1", "ya29.", "\\", '"', "\ud800@",
    "\x1b[1m", "token\x1b[1m=", "token=\x1b[1m", '<token a="">', "<token >", ">", "token[0]=", "token=[\n", "token=[1\n\n", "token=a(['",
    "token='\\\\'", 'token=["\\\\"', "token%3D%5B", "[0]", "('token',[", "Cookie: [", '"cookie": [',
]  # fmt: skip


# A key that begins in a value which is closed: its end was looked for through the whole text, for each of them.
HOSTILE += [
    value.format(begin)
    for value in ("password=[{}] ", "password={{{}}} ", "password=({}) ", '{{"password": {}, ', "password=%22{}%22 ")
    for begin in ("PuTTY-User-Key-File-2: ", "-----BEGIN PRIVATE KEY-----")
]


# CWE-1333: one megabyte of what each rule starts with. Quadratic work would take hours.
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_megabyte_is_redacted_quickly(piece):
    text = piece * (1_000_000 // len(piece))
    start = time.thread_time()
    REDACTOR.redact(text)
    assert time.thread_time() - start < 5


def test_redacting_twice_is_redacting_once():
    for piece in HOSTILE:
        text = f"{piece}password=x {piece}ann@example.org{piece}{JWT} {piece}4111111111111111{piece}"
        once = REDACTOR.redact(text)
        assert REDACTOR.redact(once) is once


def test_one_redactor_serves_many_threads():
    text = f"login of ann@example.org with password=hunter2 and {JWT} " * 5000
    expected = REDACTOR.redact(text)
    results = []
    threads = [threading.Thread(target=lambda: results.append(REDACTOR.redact(text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert "hunter2" not in expected


# ---------------------------------------------------------------------------------------------- access lines

LINE = _native.AccessLine(REDACTOR, _native.Clock.manual(1_795_460_400.25))


def test_an_access_line_is_one_line_of_json_without_secrets():
    line = LINE.render(
        "01J", "192.0.2.7", "POST", "/predict", "/predict?token=abc&x=1", 200, 1234, 17, "ann@example.org", ["a.b"]
    )
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "time": "2026-11-23T19:00:00.250000Z",
        "request_id": "01J",
        "client": "192.0.2.7",
        "method": "POST",
        "route": "/predict",
        "target": "/predict?token=[REDACTED:TOKEN]&x=1",
        "status": 200,
        "us": 1234,
        "bytes": 17,
        "principal": "[REDACTED:EMAIL_ADDRESS]",
        "codes": ["a.b"],
        "complete": True,
    }


@pytest.mark.parametrize(
    "text", ["", "\n", "\r\n\x85\u2028\u2029", '"', "\\", "\ud800", "\x00", "é😀", "%", "?" * 9, "x" * 100_000]
)
@pytest.mark.parametrize("number", [0, -1, 2**63, -(2**63) - 1, pytest.param(10**5000, id="huge"), True])
def test_an_access_line_is_rendered_whatever_it_is_given(text, number):
    line = LINE.render(text, text, text, text, text, number, number, number, text, [text] * 40, complete=False)
    assert line.count(b"\n") == 1 and len(line) < 60_000
    shown = json.loads(line)
    assert shown["complete"] is False
    assert shown["status"] == max(-(2**63), min(2**63 - 1, number))
    assert len(shown["codes"]) == 32


def test_an_access_line_without_known_parts_says_null():
    shown = json.loads(LINE.render("01J", None, "GET", None, "/", 404, 1, None, None, ()))
    assert [shown[key] for key in ("client", "route", "bytes", "principal")] == [None] * 4


BADGE = {"name": "badge", "entity": "BADGE", "pattern": "BDG-[0-9]{6}"}


def test_entities_allow_deny_and_detectors_are_chosen():
    redactor = _native.Redactor(
        entities=["BADGE", "EMAIL_ADDRESS"],
        allow=["help@example.org", re.compile(r"[a-z]+@test\.example")],
        deny={"blåbær": "CODENAME"},
        detectors=[{**BADGE, "samples": ["BDG-123456"], "counter_samples": ["BDG-12"]}],
    )
    text = "é BDG-654321 password=hunter2 ann@example.org bob@test.example help@example.org blåbær"
    assert redactor.redact(text) == (
        "é [REDACTED:BADGE] password=hunter2 [REDACTED:EMAIL_ADDRESS] bob@test.example help@example.org [REDACTED:CODENAME]"
    )
    assert [(text[start:end], entity, rule) for entity, start, end, rule in redactor.scan(text)] == [
        ("BDG-654321", "BADGE", "badge"),
        ("ann@example.org", "EMAIL_ADDRESS", "email"),
        ("blåbær", "CODENAME", "deny"),
    ]
    assert redactor.entities == ("BADGE", "CODENAME", "EMAIL_ADDRESS")


def test_a_detector_may_ask_for_a_word_near_by():
    near = {**BADGE, "context": ["Employee"]}
    redactor = _native.Redactor(detectors=[near])
    assert redactor.redact("employee BDG-654321") == "employee [REDACTED:BADGE]"
    assert redactor.redact("BDG-654321 employee") == "BDG-654321 employee"
    assert redactor.redact("employee" + " " * 49 + "BDG-654321").endswith("BDG-654321")


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"entities": []}, ValueError, "nothing would be found"),
        ({"entities": ["NOTHING"]}, ValueError, "no entity"),
        ({"entities": "BADGE"}, TypeError, "not one text"),
        ({"allow": "a"}, TypeError, "not one text"),
        ({"allow": [1]}, TypeError, "neither"),
        ({"allow": [re.compile("a", re.IGNORECASE)]}, TypeError, "flags"),
        ({"allow": [re.compile(".+")]}, ValueError, "most kinds"),
        ({"deny": ["word"]}, TypeError, "mapping"),
        ({"deny": {"password": "X"}}, ValueError, "secret"),
        ({"detectors": [1]}, TypeError, "mappings"),
        ({"detectors": [{"nme": "a"}]}, ValueError, "counter_samples"),
        ({"detectors": [{"name": "a", "entity": "A"}]}, ValueError, "no pattern"),
        ({"detectors": [{**BADGE, "pattern": "[0-9]{8}"}]}, ValueError, "literals"),
        ({"detectors": [{**BADGE, "pattern": "(a+)+$"}]}, ValueError, "anchor"),
        ({"detectors": [{**BADGE, "samples": ["x"]}]}, ValueError, "sample 1"),
        ({"detectors": [{**BADGE, "before": -1}]}, OverflowError, "negative"),
    ],
    ids=range(16),
)
def test_what_cannot_be_chosen_is_refused_with_the_reason(options, error, reason):
    with pytest.raises(error, match=reason):
        _native.Redactor(**options)


def test_a_denied_word_is_told_by_its_number_since_it_may_be_secret():
    with pytest.raises(ValueError) as refused:
        _native.Redactor(deny={"fine word": "A", " bluebird": "B"})
    assert "word 2" in str(refused.value) and "bluebird" not in str(refused.value)


def test_the_page_runs():
    page = pathlib.Path(__file__).parent.parent / "docs" / "redaction-kinds.md"
    failed, ran = doctest.testfile(str(page), module_relative=False)
    assert ran > 4 and failed == 0
