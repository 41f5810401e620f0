"""Each row of the tables of docs/migrate/talisman.md: what theirs does, and what ours does."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import flask_talisman
import pytest
from flask import Flask, Response, after_this_request, request_finished, session

import flask_rampart.compat.talisman as face
from flask_rampart import ConfigError

PAGE = Path(__file__).parent.parent / "docs" / "migrate" / "talisman.md"
THEIRS, OURS = flask_talisman, face
DEFAULT = "default-src 'self'; object-src 'none'"
ROWS: set[str] = set()
F = Callable[..., None]


def row(*cells: str) -> Callable[[F], F]:
    """The rows, by their first cell, that a test is about."""
    ROWS.update(cells)
    return lambda test: test


def app_of(module: ModuleType, config: dict[str, Any] | None = None, **options: Any) -> tuple[Flask, Any]:
    app = Flask("faces")
    app.config.update(config or {})
    extension = module.Talisman(app, **options)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST", "HEAD", "OPTIONS"])
    return app, extension


def ask(app: Flask, method: str = "GET", base: str = "http://localhost", **given: Any) -> tuple[int, str | None]:
    answer = app.test_client().open("/", method=method, base_url=base, **given)
    return answer.status_code, answer.location


def sent(app: Flask, name: str) -> str | None:
    return app.test_client().get("/", base_url="https://localhost").headers.get(name)


def csp(module: ModuleType, policy: Any, **options: Any) -> str | None:
    return sent(app_of(module, content_security_policy=policy, **options)[0], "Content-Security-Policy")


# With a setting that says otherwise.


@row("`X-Forwarded-Proto: https`")
def test_what_a_request_says_of_its_scheme_is_believed_of_proxies_alone() -> None:
    said = {"X-Forwarded-Proto": "https"}
    assert ask(app_of(THEIRS)[0], headers=said)[0] == 200
    assert ask(app_of(OURS)[0], headers=said)[0] == 302
    trusting, _ = app_of(OURS, {"RAMPART_TRUSTED_PROXIES": ["127.0.0.0/8"]})
    answer = trusting.test_client().get("/", headers=said)
    assert answer.status_code == 200 and "Strict-Transport-Security" in answer.headers
    assert ask(trusting, headers=said, environ_base={"REMOTE_ADDR": "192.0.2.1"})[0] == 302
    assert ask(trusting, headers=said, environ_base={"REMOTE_ADDR": ""})[0] == 302
    by_socket, _ = app_of(OURS, {"RAMPART_TRUSTED_PROXIES": ["unix"]})
    assert ask(by_socket, headers=said, environ_base={"REMOTE_ADDR": ""})[0] == 200
    assert ask(by_socket, headers=said)[0] == 302


@row("plain HTTP, for a host that nobody named")
def test_nobody_is_sent_on_to_a_host_that_nobody_named() -> None:
    evil = "http://evil.example"
    assert ask(app_of(THEIRS)[0], base=evil) == (302, "https://evil.example/")
    assert ask(app_of(OURS)[0], base=evil) == (403, None)
    for name in ("RAMPART_TRUSTED_HOSTS", "TRUSTED_HOSTS"):
        named, _ = app_of(OURS, {name: ["www.example.com"]})
        assert ask(named, base="http://www.example.com") == (302, "https://www.example.com/")
        assert ask(named, base=evil)[0] in (400, 403)
    canonical, _ = app_of(OURS, {"RAMPART_CANONICAL_HOST": "www.example.com"})
    assert ask(canonical, base=evil) == (302, "https://www.example.com/")
    for local in ("http://localhost:5000", "http://127.0.0.1", "http://[::1]"):
        assert ask(app_of(OURS)[0], base=local) == ask(app_of(THEIRS)[0], base=local)


@row("plain HTTP, and neither GET nor HEAD")
def test_what_has_a_body_is_not_sent_on() -> None:
    assert ask(app_of(THEIRS)[0], "POST")[0] == 302
    app, extension = app_of(OURS)
    answer = app.test_client().post("/")
    assert answer.status_code == 403 and answer.get_json()["code"] == "https.required"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert ask(app, "HEAD")[0] == 302
    app, extension = app_of(OURS)
    app.view_functions["index"] = extension(force_https=False)(lambda: "hello")
    assert ask(app, "POST")[0] == 200


def test_the_log_names_once_what_says_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of(OURS)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            ask(app)
    (record,) = (found for found in caplog.records if "talisman" in found.getMessage())
    for name in ("RAMPART_TRUSTED_PROXIES", "RAMPART_TRUSTED_HOSTS", "RAMPART_CANONICAL_HOST", "force_https=False"):
        assert name in record.getMessage()


def test_the_log_says_nothing_of_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    app, _ = app_of(OURS, {"RAMPART_TRUSTED_PROXIES": ["10.0.0.1"], "RAMPART_TRUSTED_HOSTS": ["localhost"]})
    ask(app)
    assert "RAMPART_TRUSTED" not in caplog.text


# Without one.


def set_by(app: Flask, how: str, own: dict[str, str]) -> Any:
    """The fields of an answer, of which the view or a function after it sets some."""

    def set_own(response: Response) -> Response:
        response.headers.update(own)
        return response

    def view() -> Response:
        if how == "after_this_request":
            after_this_request(set_own)
            return Response()
        return set_own(Response()) if how == "the view" else Response()

    app.view_functions["index"] = view
    if how == "after_request":
        app.after_request(set_own)
    return app.test_client().get("/", base_url="https://localhost").headers


@row("a field that the view set, or an `after_request` function")
@pytest.mark.parametrize("how", ["the view", "after_this_request", "after_request"])
def test_no_view_sends_a_weaker_field(how: str) -> None:
    weaker = {
        "Strict-Transport-Security": "max-age=0",
        "X-Frame-Options": "ALLOWALL",
        "Referrer-Policy": "unsafe-url",
        "Permissions-Policy": "browsing-topics=*",
        "x-content-type-options": "sniff",
    }
    said = [set_by(app_of(module)[0], how, weaker) for module in (THEIRS, OURS)]
    for name in weaker:
        assert said[0].getlist(name) == said[1].getlist(name) != [weaker[name]]
    stricter = {
        "strict-transport-security": "max-age=63072000; includeSubDomains; preload",
        "X-FRAME-OPTIONS": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    for module, kept in ((THEIRS, False), (OURS, True)):
        found = set_by(app_of(module)[0], how, stricter)
        assert all((found.getlist(name) == [value]) is kept for name, value in stricter.items())
    shorter = {"Strict-Transport-Security": "max-age=63072000"}  # without includeSubDomains
    assert set_by(app_of(OURS)[0], how, shorter)["Strict-Transport-Security"].endswith("includeSubDomains")
    for own in ("default-src *", "default-src 'none'"):
        for module, more in ((THEIRS, []), (OURS, [own])):
            found = set_by(app_of(module)[0], how, {"content-security-policy": own})
            assert sorted(found.getlist("Content-Security-Policy")) == sorted([*more, DEFAULT])


def test_a_cache_that_was_wrapped_round_the_app_before_keeps_the_fields() -> None:
    for module in (THEIRS, OURS):
        app = Flask("faces")
        kept: list[list[str]] = []
        inner = app.wsgi_app

        def cache(environ: Any, start_response: Any, inner: Any = inner, kept: list[list[str]] = kept) -> Any:
            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                kept.append([name for name, _ in headers])
                return start_response(status, headers)

            return inner(environ, start)

        app.wsgi_app = cache  # type: ignore[method-assign]
        module.Talisman(app)
        app.add_url_rule("/", "index", lambda: "hello")
        assert sent(app, "X-Frame-Options") == "SAMEORIGIN"
        assert "Content-Security-Policy" in kept[0] and kept[0].count("X-Frame-Options") == 1


def test_options_that_a_view_is_given_by_hand_hold() -> None:
    for module in (THEIRS, OURS):
        app, _ = app_of(module)
        app.view_functions["index"].talisman_view_options = {"frame_options": "DENY"}  # type: ignore[attr-defined]
        assert sent(app, "X-Frame-Options") == "DENY"


@row("a dict of `view.talisman_view_options` that is changed after the view's first request")
def test_a_view_is_given_another_dict() -> None:
    for module, counts in ((THEIRS, True), (OURS, False)):
        app, _ = app_of(module)
        view: Any = app.view_functions["index"]
        view.talisman_view_options = {"frame_options": "DENY"}
        sent(app, "X-Frame-Options")
        view.talisman_view_options["frame_options"] = "SAMEORIGIN"
        assert (sent(app, "X-Frame-Options") == "SAMEORIGIN") is counts
        view.talisman_view_options = {"frame_options": "SAMEORIGIN"}
        assert sent(app, "X-Frame-Options") == "SAMEORIGIN"


@row("`view.talisman_view_options` that is written by hand after the app's first request, where no view had any")
def test_options_by_hand_come_too_late_after_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of apps of other tests.
    monkeypatch.setattr(OURS.Talisman, "_some_view_differs", False)
    monkeypatch.setattr(request_finished, "receivers", {})
    for module, counts in ((THEIRS, True), (OURS, False)):
        app, _ = app_of(module)
        sent(app, "X-Frame-Options")
        app.view_functions["index"].talisman_view_options = {"frame_options": "DENY"}  # type: ignore[attr-defined]
        assert (sent(app, "X-Frame-Options") == "DENY") is counts


@row("`get_wsgi_headers` of a `Response` class that is not the app's `response_class`")
def test_a_response_of_another_class_does_not_find_the_fields_that_leave_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of apps of other tests.
    monkeypatch.setattr(OURS.Talisman, "_some_view_differs", False)
    monkeypatch.setattr(request_finished, "receivers", {})
    for module, finds in ((THEIRS, [True, True]), (OURS, [True, False])):
        found: list[bool] = []

        class Looking(Response):
            def get_wsgi_headers(self, environ: Any, found: list[bool] = found) -> Any:
                found.append("X-Frame-Options" in self.headers)
                return super().get_wsgi_headers(environ)

        app, _ = app_of(module)
        app.view_functions["index"] = lambda looking=Looking: looking("x")
        for _ in finds:
            assert sent(app, "X-Frame-Options") == "SAMEORIGIN"
        assert found == finds


def test_the_cookie_is_secure_from_the_assignment_on() -> None:
    for module in (THEIRS, OURS):
        app, extension = app_of(module, {"SECRET_KEY": "x"}, session_cookie_secure=False)
        app.view_functions["index"] = lambda: str(session.update(a=1))
        assert "Secure" not in (sent(app, "Set-Cookie") or "")
        extension.session_cookie_secure = True
        assert "Secure" in (sent(app, "Set-Cookie") or "")


def test_a_policy_that_is_assigned_and_cannot_be_meant_leaves_the_one_before() -> None:
    app, extension = app_of(OURS)
    for _ in range(2):
        with pytest.raises(ConfigError, match="single quotes"):
            extension.content_security_policy = {"default-src": "self"}
        assert sent(app, "Content-Security-Policy") == DEFAULT
    extension.content_security_policy = {"default-src": "'none'"}
    assert sent(app, "Content-Security-Policy") == "default-src 'none'"
    another = Flask("another")
    extension.init_app(another, frame_options="DENY")  # all at once, and not judged half way
    another.add_url_rule("/", "index", lambda: "hello")
    assert sent(another, "X-Frame-Options") == "DENY"


@row("`content_security_policy_nonce_in` that names a feature of `feature_policy`")
def test_no_feature_has_a_nonce() -> None:
    given = {"feature_policy": {"camera": "'self'"}, "content_security_policy_nonce_in": ["camera"]}
    assert "nonce-" in (sent(app_of(THEIRS, **given)[0], "Feature-Policy") or "")
    assert sent(app_of(OURS, **given)[0], "Feature-Policy") == "camera 'self'"


@row("two `Talisman`s in one app that say different policies")
def test_the_policies_of_two_talismans_hold() -> None:
    for module, more in ((THEIRS, []), (OURS, ["default-src 'none'"])):
        app, _ = app_of(module, frame_options="DENY")
        module.Talisman(app, content_security_policy={"default-src": "'none'"})
        headers = app.test_client().get("/", base_url="https://localhost").headers
        assert sorted(headers.getlist("Content-Security-Policy")) == sorted([*more, DEFAULT])
        assert headers.getlist("X-Frame-Options") == ["DENY"]


@row(
    "`self`, `none` and other keywords without quotes",
    "`;` in the value of a directive",
    "a directive that browsers do not know or have left",
    "`'none'` beside other sources, a fixed nonce, a hash of the wrong length, `'strict-dynamic'` alone",
    "a directive that takes no value, with one",
    'a directive without sources (`"script-src": []`), or with a `,` in a source',
)
@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"default-src": "self"}, "single quotes"),
        ({"default-src": ["none"]}, "single quotes"),
        ({"script-src": "unsafe-inline"}, "single quotes"),
        ({"default-src": "'self'; script-src *"}, "another directive"),
        ({"scrip-src": "'self'"}, "script-src"),
        ({"plugin-types": "application/pdf"}, "object-src"),
        ({"default-src": "'none' https:"}, "'none'"),
        ({"script-src": "'nonce-MTIzNDU2Nzg5MDEyMzQ1Ng=='"}, "nonce"),
        ({"script-src": "'sha256-YWJj'"}, "digest"),
        ({"script-src": "'strict-dynamic'"}, "strict-dynamic"),
        ({"default-src": "'self'", "upgrade-insecure-requests": "on"}, "no value"),
        ({"default-src": "'self'", "script-src": []}, "needs a value"),
        ({"script-src": "https://a.example, https://b.example"}, "another policy"),
    ],
)
def test_a_policy_that_browsers_read_otherwise_stops_the_start_up(policy: dict[str, Any], why: str) -> None:
    assert csp(THEIRS, policy)
    with pytest.raises(ConfigError, match=why):
        app_of(OURS, content_security_policy=policy)
    _, extension = app_of(OURS)
    with pytest.raises(ConfigError, match=why):
        extension(content_security_policy=policy)
    reports = {"content_security_policy_report_only": True, "content_security_policy_report_uri": "/csp"}
    with pytest.raises(ConfigError):
        app_of(OURS, content_security_policy=policy, **reports)


@row("a line break, or what is not ASCII, in a field")
@pytest.mark.parametrize("value", ["DENY\r\nSet-Cookie: a=b", "D\u00c9NY"])
def test_a_value_that_no_field_can_have_stops_the_start_up(value: str) -> None:
    for name in ("frame_options", "referrer_policy", "permissions_policy", "feature_policy", "document_policy"):
        given = {"camera": value} if name == "feature_policy" else value
        with pytest.raises(ConfigError, match="plain text"):
            app_of(OURS, **{name: given})
    if "\n" in value:
        app, _ = app_of(THEIRS, frame_options=value)
        assert app.test_client().get("/", base_url="https://localhost").status_code == 500


@row("`strict_transport_security_max_age` that is no whole number")
@pytest.mark.parametrize("age", [1.5, -1, None, "soon"])
def test_an_age_that_is_no_number_stops_the_start_up(age: Any) -> None:
    assert sent(app_of(THEIRS, strict_transport_security_max_age=age)[0], "Strict-Transport-Security")
    with pytest.raises(ConfigError, match="whole seconds"):
        app_of(OURS, strict_transport_security_max_age=age)


@row("`@talisman(...)` with an option that no view has")
def test_a_view_is_not_given_what_no_view_has() -> None:
    app_of(THEIRS)[1](referrer_policy="no-referrer")
    with pytest.raises(ConfigError, match="no effect on one view"):
        app_of(OURS)[1](referrer_policy="no-referrer")


# Otherwise.


@row("a policy as text that ends in `;`")
def test_a_policy_that_ends_in_a_semicolon_is_the_same_without() -> None:
    assert csp(THEIRS, "default-src 'self';") == "default-src 'self';  "
    assert csp(OURS, "default-src 'self';") == "default-src 'self'"


@row("`referrer_policy=None`")
def test_no_referrer_policy_is_none() -> None:
    assert sent(app_of(THEIRS, referrer_policy=None)[0], "Referrer-Policy") == "None"
    assert sent(app_of(OURS, referrer_policy=None)[0], "Referrer-Policy") is None


@row("a dict that is changed after `Talisman(app)`")
def test_a_dict_is_assigned_anew() -> None:
    for module, counts in ((THEIRS, True), (OURS, False)):
        app, extension = app_of(module)
        sent(app, "Content-Security-Policy")
        extension.permissions_policy["camera"] = "()"
        assert module.DEFAULT_PERMISSIONS_POLICY == {"browsing-topics": "()"}
        assert (sent(app, "Permissions-Policy") == "browsing-topics=(), camera=()") is counts
        extension.permissions_policy = {"camera": "()"}
        assert sent(app, "Permissions-Policy") == "camera=()"


@row("`report-uri` as a part of some other value of the policy")
def test_reports_are_asked_for_unless_there_is_that_directive() -> None:
    policy = {"default-src": "https://example.com/report-uri"}
    assert csp(THEIRS, policy, content_security_policy_report_uri="/csp") == f"default-src {policy['default-src']}"
    found = csp(OURS, policy, content_security_policy_report_uri="/csp")
    assert found == f"default-src {policy['default-src']}; report-uri /csp"
    own = {"default-src": "'self'", "report-uri": "/own"}
    for module in (THEIRS, OURS):
        assert csp(module, own, content_security_policy_report_uri="/csp") == "default-src 'self'; report-uri /own"


@row("a set of sources")
def test_sources_of_a_set_are_sorted() -> None:
    sources = {"https://b.example", "https://a.example"}
    assert csp(OURS, {"default-src": sources}) == "default-src https://a.example https://b.example"
    assert csp(THEIRS, {"default-src": sources}) == f"default-src {' '.join(sources)}"


def test_every_row_has_a_test() -> None:
    tables = re.findall(r"^\| (?!\|)(.+?) \|", PAGE.read_text(), re.M)
    assert {cell for cell in tables if cell.strip("-| ")} == ROWS
