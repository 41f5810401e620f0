"""Reports: what is made of what a browser says, and of what somebody says who is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.routing import BaseConverter, ValidationError

from flask_rampart import Clock, ReportGroup, signals
from flask_rampart.reports import MAX_BODY
from flask_rampart.reports.advice import advice
from flask_rampart.reports.reading import DIRECTIVES, TYPES, Reader, Seen

from .conftest import NOW
from .reporting import HOST, App, groups, old, report, reports_of, run, send
from .reporting import app as app

# What is collected.


def test_both_shapes_of_one_violation_are_one_group(app: Flask, clock: Clock) -> None:
    assert (old(app).status_code, old(app).data) == (204, b"")
    clock.advance(5)
    assert send(app, [report(), report()]).status_code == 204
    (group,) = groups(app)
    assert (group.type, group.directive, group.blocked) == ("csp-violation", "img-src", "https://cdn.example.com")
    assert (group.page, group.count, group.clients) == ("/", 4, 1)
    assert (group.first_seen, group.last_seen) == (NOW, NOW + 5)
    assert group.hint == "If you know https://cdn.example.com, add it to img-src; else find out what loads it."


def test_a_page_is_its_route_and_made_up_paths_are_one(app: Flask) -> None:
    for path in ("/users/1", "/users/22?tab=3", "/pay", "/list/", "/list", "/nowhere/1", "/nowhere/2", "/users/x"):
        old(app, document_uri=HOST + path)
    found = {group.page: group.count for group in groups(app)}
    assert found == {"/users/{number}": 2, "/pay": 1, "/list/": 2, "(no route)": 3}


@pytest.mark.parametrize("kind", sorted(TYPES - {"csp-violation"}))
def test_every_other_type_is_kept_with_what_it_names(app: Flask, kind: str) -> None:
    names = {"coep": "type", "coop": "type", "crash": "reason", "integrity-violation": "destination"}
    name = names.get(kind, "featureId" if kind.startswith("perm") else "id")
    send(app, [report(kind, f"{HOST}/users/7", **{name: "Some-Thing", "blockedURL": f"{HOST}/x.js?secret=1"})])
    (group,) = groups(app)
    assert (group.type, group.directive, group.page) == (kind, "Some-Thing", "/users/{number}")
    assert group.blocked == "self"
    assert group.hint == advice(kind, "Some-Thing", "self")
    assert "secret" not in repr(group)


@pytest.mark.parametrize(
    ("blocked", "shown"),
    [
        ("inline", "inline"),
        ("", "inline"),
        ("eval", "eval"),
        ("wasm-eval", "wasm-eval"),
        ("trusted-types-sink", "trusted-types-sink"),
        ("data", "data:"),
        ("data:text/html,<script>", "data:"),
        ("blob:http://localhost/1", "blob:"),
        (f"{HOST}/own.png", "self"),
        ("http://localhost:8080/x", "http://localhost:8080"),
        ("https://user:pass@CDN.example.com:443/x?y#z", "https://cdn.example.com"),
        ("wss://live.example.com/socket", "wss://live.example.com"),
        ("ws://localhost/socket", "self"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("https://evil.example\\@good.example/", "https://evil.example"),
        ("javascript:alert(1)", "other"),
        ("https://\x1b[31m.example/", "other"),
        ("https://0x7f.1/", "other"),
        ("x" * 5000, "other"),
    ],
    ids=lambda value: value[:24],
)
def test_what_was_blocked_is_a_keyword_a_scheme_or_an_origin(app: Flask, blocked: str, shown: str) -> None:
    assert old(app, blocked_uri=blocked).status_code == 204
    (group,) = groups(app)
    assert group.blocked == shown


def test_noise_and_lies_about_the_host_are_counted_apart(app: Flask) -> None:
    old(app, blocked_uri="chrome-extension://abcdef/inject.js")
    old(app, source_file="moz-extension://abcdef/content.js", blocked_uri="inline")
    old(app, source_file="safari-web-extension://abcdef/content.js", blocked_uri="inline")
    old(app, document_uri="about:blank")
    old(app, document_uri="about:srcdoc", blocked_uri="inline")
    old(app, document_uri="https://evil.example/")
    old(app, document_uri="http://localhost.evil.example/")
    old(app, document_uri="http://localhost@evil.example/")
    old(app, document_uri=7)
    send(app, [report("network-error"), report("made-up"), "x", {"type": "csp-violation"}, report("coop")])
    (group,) = groups(app)
    assert group.type == "coop"
    assert reports_of(app).apart() == {"extension": 5, "foreign": 4, "unknown": 4}


def test_pages_of_other_hosts_are_taken_where_the_setting_names_them(make_app: App) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_REPORTS_HOSTS=["www.example.com", "*.shop.example"])
    app.testing = True
    for host in ("www.example.com", "a.shop.example:8443", "shop.example", "evilshop.example"):
        old(app, document_uri=f"https://{host}/")
    (group,) = groups(app)
    assert (group.count, reports_of(app).apart()) == (2, {"foreign": 2})


def test_the_sample_is_of_the_first_report_and_redacted(app: Flask) -> None:
    old(
        app,
        blocked_uri="inline",
        source_file=f"{HOST}/static/a.js?token=hunter2#x",
        line_number=12,
        column_number=7,
        script_sample="login('ada@example.com')",
        referrer="https://other.example/?token=hunter2",
        original_policy="default-src hunter2",
    )
    old(app, blocked_uri="inline", source_file=f"{HOST}/static/b.js")
    (group,) = groups(app)
    assert dict(group.sample) == {
        "source": f"{HOST}/static/a.js",
        "line": 12,
        "column": 7,
        "script": '"login(\\u0027[REDACTED:EMAIL_ADDRESS]\\u0027)"',
    }
    assert (group.source, group.count) == ("self", 2)


def test_a_group_that_comes_no_more_is_dropped_after_its_days(make_app: App, clock: Clock) -> None:
    app = make_app(RAMPART_REPORTS="/reports", RAMPART_REPORTS_KEEP=2)
    app.testing = True
    old(app)
    clock.advance(2 * 86400)
    assert len(groups(app)) == 1
    clock.advance(1)
    assert groups(app) == []


def test_a_new_group_is_told_once(app: Flask) -> None:
    told: list[ReportGroup] = []

    def hear(sender: Flask, *, group: ReportGroup, **_: Any) -> None:
        told.append(group)

    with signals.browser_reported.connected_to(hear, sender=app):
        old(app)
        old(app)
        old(app, blocked_uri="eval")
    assert [group.blocked for group in told] == ["https://cdn.example.com", "eval"]


# Attacks.


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"", "application/reports+json", 400, "json.malformed"),
        (b"{", "application/csp-report", 400, "json.malformed"),
        (b"[]", "application/reports+json", 422, "body.invalid"),
        (b"{}", "application/csp-report", 422, "body.invalid"),
        (b'"x"', "application/reports+json", 422, "body.invalid"),
        (b'{"csp-report": []}', "application/csp-report", 422, "body.invalid"),
        (b'{"csp-report": {}, "csp-report": {}}', "application/csp-report", 400, "json.duplicate_key"),
        (b"[" * 1000, "application/reports+json", 400, "json.too_deep"),
        (b"[" + b"1" * 100 + b"]", "application/reports+json", 400, "json.number_too_long"),
        (b'["\\ud800"]', "application/reports+json", 400, "json.surrogate"),
        (b'["\xff"]', "application/reports+json", 400, "json.encoding"),
        (b"[NaN]", "application/reports+json", 400, "json.non_finite"),
        (b'["' + b"x" * MAX_BODY + b'"]', "application/reports+json", 413, "body.too_large"),
        (b"[]", "application/json", 415, "body.media_type"),
        (b"[]", "text/plain", 415, "body.media_type"),
    ],
    ids=lambda value: str(value)[:28],
)
def test_what_is_no_report_is_refused_with_a_code_and_no_echo(
    app: Flask, data: bytes, kind: str, status: int, code: str
) -> None:
    answer = send(app, data, kind)
    assert (answer.status_code, json.loads(answer.data)["code"]) == (status, code)
    assert set(json.loads(answer.data)) <= {"type", "title", "status", "detail", "code", "request_id"}
    assert groups(app) == []


NASTY = (
    "\x1b[2J\x1b]0;owned\x07",  # CWE-150: escape sequences in a terminal
    "\x9b31m",
    "a\r\nSet-Cookie: x=1",  # CWE-113, CWE-117
    "<script>alert(1)</script>",  # CWE-79
    "'\"><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",  # CWE-1236
    "+1",
    "@SUM(1)",
    "\u202egnp.exe",  # CVE-2021-42574
    "\ud83d\ude00",
    "\0",
    "{{ config }}",
)


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
def test_nothing_that_leaves_obeys_a_stranger(app: Flask, nasty: str) -> None:
    for name in ("blocked_uri", "source_file", "effective_directive", "script_sample", "document_uri", "disposition"):
        old(app, **{name: nasty})
        old(app, **{name: f"{HOST}/{nasty}"})
    for kind in TYPES:
        send(app, [report(kind, **dict.fromkeys(("id", "type", "reason", "featureId", "destination"), nasty))])
    found = groups(app)
    assert len(found) > 3
    for group in found:
        texts = [value for value in vars(group).values() if isinstance(value, str)]
        for text in [*texts, *(value for value in group.sample.values() if isinstance(value, str))]:
            assert text.isascii() and (text == "" or text.isprintable())
            assert not text.startswith(("=", "+", "-", "@", "\t"))
        chosen = [group.type, group.disposition, group.directive, group.blocked, group.source, group.page]
        chosen += [str(value).strip('"') for value in group.sample.values()]
        assert not set("".join(chosen)) & set("<>&'\"")
    for words in ((), ("--json",)):
        output = run(app, *words).output
        assert all(sign == "\n" or " " <= sign <= "~" for sign in output)


def test_wrong_types_in_every_member_are_no_error(app: Flask) -> None:
    wrong: list[Any] = [None, True, 7, 1.5, [], {}, [[]], {"a": []}]
    names = ("blockedURL", "sourceFile", "sample", "effectiveDirective", "disposition", "lineNumber", "documentURL")
    for value in wrong:
        for name in names:
            assert send(app, [report(**{name: value})], address="192.0.2.9").status_code in (204, 429)
        for name in ("type", "url", "body", "age"):
            assert send(app, [{**report(), name: value}], address="192.0.2.10").status_code in (204, 429)
    assert all(group.directive in {*DIRECTIVES, ""} for group in groups(app))


def test_a_report_does_little_work_of_the_apps_own_and_none_that_fails(make_app: App) -> None:
    # Converters that look into a database are common: a stranger's paths come to them.
    asked: list[str] = []

    class Known(BaseConverter):
        regex = "[^/]+"

        def to_python(self, value: str) -> str:
            asked.append(value)
            if value.startswith("broken"):
                raise RuntimeError("a database that is away")
            if value.startswith("none"):
                raise ValidationError
            return value

    app = make_app(RAMPART_REPORTS="/reports")
    app.testing = True
    app.url_map.converters["known"] = Known
    app.get("/a/<known:name>")(lambda name: "get")
    app.post("/b/<known:name>")(lambda name: "post")
    app.get("/c/<known:name>/")(lambda name: "slashed")
    for path, page, most in (
        ("/a/x", "/a/{name}", 1),
        ("/b/x", "/b/{name}", 2),
        ("/c/x", "/c/{name}/", 2),
        ("/a/none", "(no route)", 1),
        ("/a/broken", "(no route)", 1),
        ("//a/x", "(no route)", 3),
    ):
        asked.clear()
        assert old(app, document_uri=HOST + path).status_code == 204
        assert page in {group.page for group in groups(app)}, path
        assert len(asked) <= most, path
    asked.clear()
    send(app, [report("csp-violation", f"{HOST}/c/{at}") for at in range(50)])
    assert len(asked) <= 20


def test_of_one_request_fifty_reports_of_ten_pages_are_read(app: Flask) -> None:
    assert send(app, [report(blockedURL="eval") for _ in range(150)]).status_code == 204
    (group,) = groups(app)
    assert group.count == 50
    send(app, [report("csp-violation", f"{HOST}/users/{at}", blockedURL="eval") for at in range(20)])
    assert {group.page: group.count for group in groups(app)} == {"/": 50, "/users/{number}": 10}
    assert reports_of(app).apart() == {"unknown": 10}


def test_a_script_with_any_character_is_shown_in_harmless_ones() -> None:
    reader = Reader(lambda path: path, lambda authority: True, lambda text: text)
    for code in range(0x3000):
        sign = chr(code)
        (one,) = reader.read([report(blockedURL="inline", sample=f"a{sign}b")]) or ()
        assert isinstance(one, Seen)
        plain = sign.isascii() and sign.isprintable() and sign not in "<>&'\"`\\"
        assert dict(one.sample)["script"] == (f'"a{sign}b"' if plain else f'"a\\u{code:04x}b"')


_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(NASTY),
    st.builds("{}{}".format, st.sampled_from((f"{HOST}/", "https://", "data:", "ws://a:b@")), st.text(max_size=20)),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_NAMES = [
    "documentURL",
    "blockedURL",
    "sourceFile",
    "sample",
    "effectiveDirective",
    "disposition",
    "lineNumber",
    "columnNumber",
    "reportOnly",
    "type",
    "id",
    "reason",
    "featureId",
    "destination",
    "document-uri",
    "blocked-uri",
    "source-file",
    "script-sample",
    "violated-directive",
]
_BODIES = st.dictionaries(st.sampled_from(_NAMES), _VALUES)
_DOCUMENTS = st.one_of(
    _VALUES,
    st.builds(lambda body: {"csp-report": {"document-uri": f"{HOST}/", **body}}, _BODIES),
    st.lists(
        st.builds(
            lambda kind, body: {"type": kind, "url": f"{HOST}/", "body": body}, st.sampled_from(sorted(TYPES)), _BODIES
        )
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_DOCUMENTS)
def test_whatever_is_reported_is_read_as_harmless_text(document: Any) -> None:
    reader = Reader(lambda path: None, lambda authority: authority == "localhost", lambda text: text)
    for one in reader.read(document) or ():
        if isinstance(one, str):
            assert one in ("extension", "foreign", "unknown")
            continue
        for text in (*one[:6], *(str(value).strip('"') for _, value in one.sample)):
            assert all(" " <= sign <= "~" and sign not in "<>&'\"" for sign in text)
            assert len(text) <= 300
