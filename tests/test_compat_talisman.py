"""What Flask-Talisman documents, written anew, on it and on our face of it; and what is the face's alone."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import flask_talisman
import pytest
from flask import Flask, Response, render_template_string, request, request_finished, session

import flask_rampart.compat.talisman as face

FACES = {"theirs": flask_talisman, "ours": face}
HTTPS = "https://localhost"


@pytest.fixture(params=FACES)
def talisman(request: pytest.FixtureRequest) -> ModuleType:
    """The extension that a test runs with."""
    return FACES[request.param]


def app_of(module: ModuleType, **options: Any) -> tuple[Flask, Any]:
    app = Flask("faces")
    app.secret_key = "s" * 32
    extension = module.Talisman(app, **options)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST"])
    return app, extension


def get(app: Flask, path: str = "/", base: str = HTTPS, **given: Any) -> Any:
    return app.test_client().get(path, base_url=base, **given)


def test_every_public_name_is_there() -> None:
    for name in flask_talisman.__all__:
        if name != "Talisman":
            assert getattr(face, name) == getattr(flask_talisman, name)
    for name in ("ONE_YEAR_IN_SECS", "DEFAULT_REFERRER_POLICY", "DEFAULT_SESSION_COOKIE_SAMESITE"):
        assert getattr(face.talisman, name) == getattr(flask_talisman.talisman, name)


def test_arguments_and_defaults_are_theirs() -> None:
    import inspect

    def told(module: ModuleType) -> list[tuple[str, Any]]:
        return [(name, p.default) for name, p in inspect.signature(module.Talisman.init_app).parameters.items()]

    assert told(face) == told(flask_talisman)


def test_the_defaults_are_sent_with_every_answer(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)
    for path in ("/", "/nowhere"):
        assert (
            dict(get(app, path).headers).items()
            >= {
                "X-Frame-Options": "SAMEORIGIN",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'self'; object-src 'none'",
                "Strict-Transport-Security": "max-age=31556926; includeSubDomains",
                "Referrer-Policy": "strict-origin-when-cross-origin",
                "Permissions-Policy": "browsing-topics=()",
            }.items()
        )
    assert "X-XSS-Protection" not in get(app).headers


def test_plain_http_is_sent_on_and_pinned_by_https_alone(talisman: ModuleType) -> None:
    app, extension = app_of(talisman)
    answer = get(app, "/?a=%20b", base="http://localhost")
    assert (answer.status_code, answer.location) == (302, "https://localhost/?a=%20b")
    assert "Strict-Transport-Security" not in answer.headers
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    extension.force_https_permanent = True
    assert get(app, base="http://localhost").status_code == 301
    extension.force_https = False
    assert get(app, base="http://localhost").status_code == 200


def test_nobody_is_sent_on_under_debug(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)
    app.debug = True
    assert get(app, base="http://localhost").status_code == 200


def test_options_of_the_pin(talisman: ModuleType) -> None:
    app, extension = app_of(
        talisman,
        strict_transport_security_max_age=60,
        strict_transport_security_include_subdomains=False,
        strict_transport_security_preload=True,
    )
    assert get(app).headers["Strict-Transport-Security"] == "max-age=60; preload"
    extension.strict_transport_security = False
    assert "Strict-Transport-Security" not in get(app).headers


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        ({"default-src": "'self'", "img-src": "*"}, "default-src 'self'; img-src *"),
        ({"default-src": ["'self'", "*.example.com"]}, "default-src 'self' *.example.com"),
        ("default-src 'self'; img-src data:", "default-src 'self'; img-src data:"),
        (flask_talisman.GOOGLE_CSP_POLICY, None),
        ({"default-src": "'self'", "upgrade-insecure-requests": ""}, "default-src 'self'; upgrade-insecure-requests "),
        (None, None),
        ("", None),
    ],
)
def test_a_content_security_policy_is_written_from_a_dict_a_list_or_a_text(policy: Any, sent: str | None) -> None:
    found = [
        get(app_of(module, content_security_policy=policy)[0]).headers.get("Content-Security-Policy")
        for module in FACES.values()
    ]
    assert found[0] == found[1]
    assert sent is None or found[0] == sent


def test_reports_go_to_the_uri_and_may_be_all_that_is_done(talisman: ModuleType) -> None:
    app, extension = app_of(talisman, content_security_policy_report_uri="/csp")
    assert get(app).headers["Content-Security-Policy"].endswith("object-src 'none'; report-uri /csp")
    extension.content_security_policy_report_only = True
    answer = get(app)
    assert "Content-Security-Policy" not in answer.headers
    assert answer.headers["Content-Security-Policy-Report-Only"].endswith("report-uri /csp")
    with pytest.raises(ValueError, match="report_uri"):
        app_of(talisman, content_security_policy_report_only=True)


def test_scripts_are_allowed_by_the_nonce_that_the_template_writes(talisman: ModuleType) -> None:
    app, _ = app_of(
        talisman,
        content_security_policy={"default-src": "'self'", "script-src": "'self'", "style-src": "'self'"},
        content_security_policy_nonce_in=["script-src", "style-src"],
    )
    app.add_url_rule("/page", "page", lambda: render_template_string("{{ csp_nonce() }} {{ csp_nonce() }}"))
    answers = [get(app, "/page") for _ in range(2)]
    nonces = set()
    for answer in answers:
        nonce, again = answer.text.split()
        assert len(nonce) == talisman.NONCE_LENGTH and nonce == again
        nonces.add(nonce)
        assert answer.headers["Content-Security-Policy"] == (
            f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'"
        )
    assert len(nonces) == 2


def test_a_view_sees_the_nonce_of_its_request(talisman: ModuleType) -> None:
    app, _ = app_of(talisman, content_security_policy_nonce_in=["default-src"])
    app.add_url_rule("/page", "page", lambda: request.csp_nonce)  # type: ignore[attr-defined]
    answer = get(app, "/page")
    assert f"'nonce-{answer.text}'" in answer.headers["Content-Security-Policy"]


def test_without_a_nonce_a_template_gets_nothing(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)
    app.add_url_rule("/page", "page", lambda: render_template_string("[{{ csp_nonce() }}]"))
    assert get(app, "/page").text == "[]"


def test_a_view_has_options_of_its_own(talisman: ModuleType) -> None:
    app, extension = app_of(talisman)

    @app.get("/embedded")
    @extension(
        frame_options=talisman.ALLOW_FROM,
        frame_options_allow_from="https://partner.example",
        force_https=False,
        content_security_policy={"default-src": "https:"},
        content_security_policy_nonce_in=["default-src"],
        permissions_policy={"camera": "()"},
        document_policy="oversized-images=2.0",
        feature_policy={"geolocation": "'none'"},
    )
    def embedded() -> str:
        return "embedded"

    answer = get(app, "/embedded", base="http://localhost")
    assert answer.status_code == 200
    assert answer.headers["X-Frame-Options"] == "ALLOW-FROM https://partner.example"
    assert re.fullmatch("default-src https: 'nonce-[^']{32}'", answer.headers["Content-Security-Policy"])
    assert answer.headers["Permissions-Policy"] == "camera=()"
    assert answer.headers["Document-Policy"] == "oversized-images=2.0"
    assert answer.headers["Feature-Policy"] == "geolocation 'none'"
    assert get(app).headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "nonce" not in get(app).headers["Content-Security-Policy"]


def test_a_view_sends_no_policy_where_it_says_none(talisman: ModuleType) -> None:
    app, extension = app_of(talisman)
    none = extension(content_security_policy=None, frame_options=None, permissions_policy={})
    app.add_url_rule("/none", "none", none(lambda: "none"))
    sent = {name for name, _ in get(app, "/none").headers}
    assert sent.isdisjoint({"Content-Security-Policy", "X-Frame-Options", "Permissions-Policy"})


def test_the_fields_that_browsers_have_left_are_sent_where_they_are_asked_for(talisman: ModuleType) -> None:
    app, _ = app_of(talisman, x_xss_protection=True, force_file_save=True, x_content_type_options=False)
    headers = get(app).headers
    assert headers["X-XSS-Protection"] == "1; mode=block"
    assert headers["X-Download-Options"] == "noopen"
    assert "X-Content-Type-Options" not in headers


def test_the_session_is_kept_in_a_cookie_that_is_secure(talisman: ModuleType) -> None:
    def login() -> str:
        session["user"] = "ada"
        return ""

    def cookie(**options: Any) -> str:
        app, _ = app_of(talisman, **options)
        app.add_url_rule("/login", "login", login)
        return str(get(app, "/login").headers["Set-Cookie"])

    assert cookie().endswith("Secure; HttpOnly; Path=/; SameSite=Lax")
    assert cookie(session_cookie_samesite="Strict").endswith("SameSite=Strict")
    assert "Secure" not in cookie(session_cookie_secure=False)


def test_an_extension_may_be_given_its_app_later(talisman: ModuleType) -> None:
    app = Flask("later")
    extension = talisman.Talisman()
    extension.init_app(app, frame_options=talisman.DENY)
    assert get(app).headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("when", ["before", "after", "signal"])
def test_what_looks_at_the_answer_sees_the_fields_where_it_saw_them(talisman: ModuleType, when: str) -> None:
    app = Flask("looking")
    seen: list[bool] = []

    def look(response: Response) -> Response:
        seen.append("X-Frame-Options" in response.headers)
        return response

    def hear(app: Flask, response: Response) -> None:
        look(response)

    if when == "before":
        app.after_request(look)
    talisman.Talisman(app)
    if when == "after":
        app.after_request(look)
    if when == "signal":
        with request_finished.connected_to(hear, app):
            answer = get(app)
    else:
        answer = get(app)
    assert answer.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert seen == [when != "after"]


def test_what_a_view_assigns_holds_for_its_own_answer(talisman: ModuleType) -> None:
    app, extension = app_of(talisman)

    @app.get("/framed")
    def framed() -> str:
        extension.frame_options = "DENY"
        return "x"

    get(app)
    assert get(app, "/framed").headers.getlist("X-Frame-Options") == ["DENY"]


def test_who_begins_to_listen_while_a_view_runs_sees_the_fields_once(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)
    seen: list[list[str]] = []

    def hear(sender: Flask, response: Response, **given: Any) -> None:
        seen.append(response.headers.getlist("X-Frame-Options"))

    @app.get("/listening")
    def listening() -> str:
        request_finished.connect(hear, app)
        return "x"

    get(app)
    try:
        answer = get(app, "/listening")
    finally:
        request_finished.disconnect(hear)  # of one app it would stay in the list, and hide what comes next
    assert seen == [["SAMEORIGIN"]] == [answer.headers.getlist("X-Frame-Options")]


def test_an_answer_that_never_leaves_has_the_fields_too(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)
    with app.test_request_context("/", base_url=HTTPS):
        app.preprocess_request()
        assert app.process_response(Response("")).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_an_app_that_calls_itself_sends_the_fields_once_with_each_answer(talisman: ModuleType) -> None:
    app, _ = app_of(talisman)

    @app.get("/outer")
    def outer() -> str:
        environ = {**request.environ, "PATH_INFO": "/"} if request.args else request.environ
        environ["PATH_INFO"] = "/"
        inner = Response.from_app(app, environ)
        return str(inner.headers.getlist("X-Frame-Options"))

    for path in ("/outer", "/outer?copied=1"):
        answer = get(app, path)
        assert answer.text == "['SAMEORIGIN']"
        assert answer.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
