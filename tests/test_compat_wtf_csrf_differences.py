"""Each row of the tables of docs/migrate/wtf-csrf.md: what theirs does, and what ours does."""

from __future__ import annotations

import functools
import gc
import logging
import re
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import flask_wtf
import flask_wtf.csrf
import pytest
from flask import Blueprint, Flask, g, session
from flask.testing import FlaskClient
from flask.views import MethodView
from flask_restful import Api, Resource
from werkzeug.datastructures import MultiDict

import flask_rampart.compat.wtf_csrf as face
from flask_rampart import Clock, ConfigError, compat
from flask_rampart.compat.wtf_csrf.exempt import MOST
from flask_rampart.compat.wtf_csrf.face import face_of

from .facing import CSRF_FACES, MIDNIGHT, SECRET, csrf_app, sent

PAGE = Path(__file__).parent.parent / "docs" / "migrate" / "wtf-csrf.md"
THEIRS, OURS = flask_wtf.csrf, face
BOTH = (THEIRS, OURS)
ROWS: set[str] = set()
F = Callable[..., None]
HTTPS = "https://localhost"
REFERRED = {"Referer": f"{HTTPS}/page"}
FOREIGN = (400, "The request is from a page of another site.")
MISMATCH = (400, "The referrer does not match the host.")
TAKEN = (200, "hello")


def row(*cells: str) -> Callable[[F], F]:
    """The rows, by their first cell, that a test is about."""
    ROWS.update(cells)
    return lambda test: test


def with_token(app: Flask, base: str = "http://localhost") -> tuple[FlaskClient, dict[str, str]]:
    client = app.test_client()
    return client, {"X-CSRFToken": client.get("/token", base_url=base).text}


def post(module: ModuleType, headers: dict[str, str], base: str = HTTPS, **config: Any) -> tuple[int, str]:
    """The answer to a request with a token and these."""
    client, proof = with_token(csrf_app(module, **config)[0], base)
    return sent(client, base_url=base, headers={**proof, **headers})


# With what says otherwise.

OTHERS = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://neighbour.localhost"},
    {"Sec-Fetch-Site": "same-origin, none"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://localhost:81"},
]


@row(
    "a request that its browser says is from another site's page, by `Sec-Fetch-Site` or `Origin`, and that has neither a "
    "token in `Authorization` nor `X-API-Key`"
)
@pytest.mark.parametrize("headers", OTHERS)
def test_a_token_does_not_make_a_page_ours(headers: dict[str, str]) -> None:
    # flask-wtf#455: OWASP has Origin asked before Referer.
    assert post(THEIRS, {**REFERRED, **headers}) == TAKEN
    assert post(OURS, {**REFERRED, **headers}) == FOREIGN
    assert post(OURS, {**REFERRED, **headers}, RAMPART_CSRF="off") == TAKEN
    if "," not in headers.get("Sec-Fetch-Site", ""):
        trusted = [headers["Origin"]]
        assert post(OURS, {**REFERRED, **headers}, RAMPART_CSRF_TRUSTED_ORIGINS=trusted) == TAKEN
    app, protect = csrf_app(OURS)
    protect.exempt(app.view_functions["index"])
    assert sent(app.test_client(), headers=headers) == TAKEN


def test_what_is_ours_or_unsaid_is_asked_for_a_token_alone() -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": HTTPS},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x"},
        {"Sec-Fetch-Site": "cross-site", "X-API-Key": "x"},
    ):
        assert post(OURS, {**REFERRED, **headers}) == TAKEN
        assert sent(csrf_app(OURS)[0].test_client(), headers=headers) == (400, "The CSRF token is missing.")
    # By plain HTTP behind a proxy that ends TLS and is not known.
    assert post(OURS, {"Origin": HTTPS}, "http://localhost") == TAKEN


def test_a_planted_session_is_refused_with_its_own_token() -> None:
    # A neighbour's page sets a cookie for the whole domain: the attacker's session, to which it has a token.
    for module, taken in ((THEIRS, TAKEN), (OURS, FOREIGN)):
        app, _ = csrf_app(module)
        attacker, proof = with_token(app)
        victim = app.test_client()
        victim.set_cookie("session", attacker.get_cookie("session").value)  # type: ignore[union-attr]
        headers = {"Sec-Fetch-Site": "same-site", "Origin": "http://blog.localhost"}
        assert sent(victim, headers=headers, data={"csrf_token": proof["X-CSRFToken"]}) == taken


def test_the_body_of_what_another_site_sends_is_not_read() -> None:
    class Unread:
        def read(self, *size: int) -> bytes:
            raise AssertionError("was read")

    client = csrf_app(OURS)[0].test_client()
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": "9", "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    answer = client.post("/", environ_overrides=environ, headers={"Sec-Fetch-Site": "cross-site"})
    assert FOREIGN[1] in answer.text


def test_a_form_of_ours_asks_the_browser_too() -> None:
    class Form(flask_wtf.FlaskForm):
        class Meta(flask_wtf.FlaskForm.Meta):
            csrf_class = OURS.FlaskFormCSRF

    app = Flask("form")
    app.secret_key = SECRET
    for headers, errors in (({}, None), (OTHERS[0], {"csrf_token": [FOREIGN[1]]})):
        with app.test_request_context(method="POST", headers=headers):
            token = OURS.generate_csrf()
            form = Form(formdata=MultiDict({"csrf_token": token}))
            assert form.validate() is (errors is None) and form.errors == (errors or {})


@row("a `RAMPART_*` setting that could not be meant")
def test_an_origin_that_cannot_be_trusted_stops_the_start_up_or_the_first_request() -> None:
    for name, value in (
        ("RAMPART_CSRF_TRUSTED_ORIGINS", ["https://*.example"]),
        ("RAMPART_CSRF_TRUSTED_ORIGINS", ["null"]),
        ("RAMPART_CSRF", "sometimes"),
    ):
        csrf_app(THEIRS, **{name: value})
        with pytest.raises(ConfigError, match=name):
            csrf_app(OURS, **{name: value})
    app, _ = csrf_app(OURS, RAMPART_CSRF_TRUSTED_ORIGINS=["http://app.example"], PROPAGATE_EXCEPTIONS=True)
    for _ in range(2):  # by then it is known whether this is production
        with pytest.raises(ConfigError, match="RAMPART_CSRF_TRUSTED_ORIGINS"):
            app.test_client().post("/")
    app, _ = csrf_app(OURS, RAMPART_CSRF_TRUSTED_ORIGINS=["http://app.example"], TESTING=True)
    assert app.test_client().get("/").status_code == 200


def decorated(view: Callable[[], str]) -> Callable[[], str]:
    def wrapper() -> str:
        return view()

    return wrapper


class Hooks:
    def post(self) -> str:
        return "hook"


@row(
    "two views of one name in one module: lambdas, functions of one factory, what a decorator without `functools.wraps` "
    "made, methods of two objects"
)
def test_a_view_is_not_exempt_because_another_has_its_name(caplog: pytest.LogCaptureFixture) -> None:
    for module, others in ((THEIRS, 200), (OURS, 400)):
        app, protect = csrf_app(module)
        for name, made in (("lambda", lambda: lambda: "x"), ("wrapper", lambda: decorated(lambda: "x"))):
            one, two = made(), made()
            for at, view in enumerate((one, two)):
                app.add_url_rule(f"/{name}{at}", f"{name}{at}", view, methods=["POST"])
            protect.exempt(one)
        client = app.test_client()
        for path in ("/lambda", "/wrapper"):
            assert [client.post(f"{path}{at}").status_code for at in range(2)] == [200, others]
        methods, of_methods = csrf_app(module)
        for at in range(2):
            methods.add_url_rule(f"/{at}", f"at{at}", Hooks().post, methods=["POST"])
        of_methods.exempt(methods.view_functions["at0"])
        assert [methods.test_client().post(f"/{at}").status_code for at in range(2)] == [200, others]
    assert f"{__name__}.wrapper only shares the name of a view that is exempt" in caplog.text
    protect.exempt(f"{__name__}.wrapper")
    assert client.post("/wrapper1").status_code == 200


@row("a decorator above `csrf.exempt` that copies `__name__` and not `__wrapped__`")
def test_a_view_behind_what_only_has_its_name_is_not_exempt() -> None:
    def named(view: Callable[[], str]) -> Callable[[], str]:
        wrapper = decorated(view)
        wrapper.__name__ = view.__name__
        return wrapper

    def hook() -> str:
        return "hook"

    for module, status in ((THEIRS, 200), (OURS, 400)):
        app, protect = csrf_app(module)
        app.add_url_rule("/below", "below", named(protect.exempt(hook)), methods=["POST"])
        assert app.test_client().post("/below").status_code == status
    for by_name in (False, True):
        app, protect = csrf_app(OURS)
        app.add_url_rule("/below", "below", named(hook), methods=["POST"])
        protect.exempt(f"{__name__}.hook" if by_name else app.view_functions["below"])
        assert app.test_client().post("/below").status_code == 200


def test_a_view_is_exempt_by_whatever_way_it_was_named() -> None:
    class Thing(MethodView):
        def post(self) -> str:
            return "thing"

    def wrapped(view: Callable[[], str]) -> Callable[[], str]:
        return functools.wraps(view)(decorated(view))

    for module in BOTH:
        app, protect = csrf_app(module)

        @protect.exempt
        def below() -> str:
            return "x"

        def above() -> str:
            return "x"

        # flask-wtf#294: below another decorator; and above one that the route does not know.
        app.add_url_rule("/below", "below", wrapped(below), methods=["POST"])
        app.add_url_rule("/above", "above", above, methods=["POST"])
        protect.exempt(wrapped(above))
        app.add_url_rule("/class", view_func=Thing.as_view("thing"))
        protect.exempt(Thing.as_view("thing"))
        app.add_url_rule("/other", view_func=Thing.as_view("other"))
        protect._exempt_views.add(f"{__name__}.other")  # as apps with Dash in them do
        client = app.test_client()
        for path in ("/below", "/above", "/class", "/other"):
            assert client.post(path).status_code == 200, (module, path)
        assert client.post("/").status_code == 400


def test_what_is_exempt_in_each_request_is_kept_once_and_not_alive() -> None:
    made: list[weakref.ref[Any]] = []

    class Thing(Resource):
        def __init__(self) -> None:
            made.append(weakref.ref(self))

        def post(self) -> str:
            return "thing"

    app, protect = csrf_app(OURS)
    Thing.method_decorators = [protect.exempt]
    Api(app, decorators=[protect.exempt]).add_resource(Thing, "/thing")
    partial = functools.partial(lambda: "x")

    @app.before_request
    def dynamically() -> None:
        protect.exempt(app.view_functions["page"])
        protect.exempt(lambda: "of this request")
        protect.exempt(partial)

    app.add_url_rule("/page", "page", lambda: "page", methods=["POST"])
    client = app.test_client()
    held: set[tuple[int, ...]] = set()
    for _ in range(3):
        assert [client.post(path).status_code for path in ("/thing", "/page")] == [200, 200]
        gc.collect()
        kept = protect._exempt
        held.add((*(len(each.views) + len(each.classes) for each in kept._given.values()), len(kept._nameless)))
    assert len(made) == 3 and not any(thing() for thing in made)
    assert len(held) == 1, held


def test_of_what_nothing_refers_to_weakly_no_more_is_kept_than_a_set_would() -> None:
    class Slotted:
        __slots__ = ()

        def post(self) -> str:
            return "hook"

    app, protect = csrf_app(OURS)
    first = Slotted().post
    protect.exempt(first)
    for _ in range(MOST + 10):
        protect.exempt(Slotted().post)
    last = protect.exempt(Slotted().post)
    for name, view in (("first", first), ("last", last)):
        app.add_url_rule(f"/{name}", name, view, methods=["POST"])
    client = app.test_client()
    assert [client.post(path).status_code for path in ("/first", "/last")] == [200, 400]
    (given,) = protect._exempt._given.values()
    assert len(given.views) == MOST


# Settings that could not be meant.


def refused_setting(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        csrf_app(OURS, **{name: value})
    app, _ = csrf_app(OURS, PROPAGATE_EXCEPTIONS=True)
    app.config[name] = value
    with pytest.raises(ConfigError, match=name):
        app.test_client().post("/")


@row("`WTF_CSRF_METHODS` as a text, in lower case or with spaces")
@pytest.mark.parametrize("value", ["POST", ["post"], ["POST "], None, [1], [""]])
def test_methods_that_no_request_has(value: Any) -> None:
    if value in ("POST", ["post"], ["POST "]):
        assert sent(csrf_app(THEIRS, WTF_CSRF_METHODS=value)[0].test_client()) == TAKEN
    refused_setting("WTF_CSRF_METHODS", value)


@row("`WTF_CSRF_HEADERS` as a text")
def test_headers_that_no_request_has() -> None:
    assert post(THEIRS, {}, "http://localhost", WTF_CSRF_HEADERS="X-CSRFToken")[0] == 400
    refused_setting("WTF_CSRF_HEADERS", "X-CSRFToken")


@row("`WTF_CSRF_METHODS` or `WTF_CSRF_HEADERS` as a dict")
def test_lists_are_no_dicts() -> None:
    for name, value in (("WTF_CSRF_METHODS", {"POST": 1}), ("WTF_CSRF_HEADERS", {"X-CSRFToken": 1})):
        assert post(THEIRS, {}, "http://localhost", **{name: value}) == TAKEN
        assert sent(csrf_app(THEIRS, **{name: value})[0].test_client())[0] == 400
        refused_setting(name, value)


@row("a switch that is neither True nor False")
@pytest.mark.parametrize("name", ["WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT", "WTF_CSRF_SSL_STRICT"])
def test_switches_are_true_or_false(name: str) -> None:
    if name != "WTF_CSRF_SSL_STRICT":
        assert sent(csrf_app(THEIRS, **{name: ""})[0].test_client()) == TAKEN
        assert sent(csrf_app(THEIRS, **{name: "False"})[0].test_client())[0] == 400
    for value in ("", "False", None):
        refused_setting(name, value)


@row("`WTF_CSRF_TIME_LIMIT` that is no number")
def test_a_time_limit_is_a_number() -> None:
    assert post(THEIRS, {}, "http://localhost", WTF_CSRF_TIME_LIMIT="3600")[0] == 500
    assert post(THEIRS, {}, "http://localhost", WTF_CSRF_TIME_LIMIT=float("nan")) == TAKEN
    for value in ("3600", True, float("nan")):
        refused_setting("WTF_CSRF_TIME_LIMIT", value)


@row("an empty `WTF_CSRF_SECRET_KEY`, or a list with an empty one, or of none", "an empty `WTF_CSRF_FIELD_NAME`")
def test_what_is_empty_protects_nothing() -> None:
    assert post(THEIRS, {}, "http://localhost", WTF_CSRF_SECRET_KEY="") == TAKEN
    app, _ = csrf_app(THEIRS, WTF_CSRF_FIELD_NAME="")
    client, proof = with_token(app)
    assert sent(client, data={"name": "Ada"}, headers=proof) == (400, "The CSRF token is invalid.")
    for value in ([""], ["a", ""], [b""]):
        assert post(THEIRS, {}, "http://localhost", WTF_CSRF_SECRET_KEY=value) == TAKEN
    assert sent(csrf_app(THEIRS, WTF_CSRF_SECRET_KEY=[])[0].test_client(), "/token", "GET")[0] == 500
    for value in ("", b"", [], (), [""], ["a", ""], [b""], [None]):
        refused_setting("WTF_CSRF_SECRET_KEY", value)
    assert post(OURS, {}, "http://localhost", WTF_CSRF_SECRET_KEY=["older", SECRET]) == TAKEN
    refused_setting("WTF_CSRF_FIELD_NAME", "")


@row("an empty `WTF_CSRF_META_NAME`")
def test_an_element_has_a_name() -> None:
    app, _ = csrf_app(THEIRS, WTF_CSRF_META_NAME="")
    with app.test_request_context():
        assert 'name=""' in THEIRS.csrf_meta_tag()
    refused_setting("WTF_CSRF_META_NAME", "")


@row("`WTF_CSRF_ENABLED = False` or an empty `WTF_CSRF_METHODS` in production")
def test_production_without_protection_is_told() -> None:
    told = [logged(module, WTF_CSRF_ENABLED=False) for module in BOTH]
    assert told == [[], ["WTF_CSRF_ENABLED is False: no request is asked for a CSRF token."]]
    assert logged(OURS, WTF_CSRF_ENABLED=False, TESTING=True) == []
    told = [logged(module, WTF_CSRF_METHODS=[]) for module in BOTH]
    assert told == [[], ["WTF_CSRF_METHODS is empty: no request is asked for a CSRF token."]]
    assert logged(OURS, WTF_CSRF_METHODS=[], TESTING=True) == []


def logged(module: ModuleType, **config: Any) -> list[str]:
    """What the app's log is told by two requests."""
    app, _ = csrf_app(module, **config)
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    app.logger.addHandler(handler)
    try:
        for _ in range(2):
            app.test_client().get("/")
    finally:
        app.logger.removeHandler(handler)
    return found


def test_the_log_says_once_where_we_are_stricter() -> None:
    (message,) = logged(OURS)
    assert "RAMPART_CSRF_TRUSTED_ORIGINS" in message and "docs/migrate/wtf-csrf.md" in message
    assert logged(OURS, RAMPART_CSRF="off") == []


@row("`_error_response` of a subclass that returns")
def test_a_refusal_that_only_returns_is_one() -> None:
    for module, status in ((THEIRS, 200), (OURS, 400)):
        kind: Any = type("Own", (module.CSRFProtect,), {"_error_response": lambda self, reason: None})
        app = Flask("own")
        app.secret_key = SECRET
        kind(app)
        app.add_url_rule("/", "index", lambda: str(g.get("csrf_valid")), methods=["POST"])
        assert app.test_client().post("/").status_code == status


# Otherwise.


@row("a `Referer` that cannot be read, such as `https://localhost:x/`")
@pytest.mark.parametrize("referrer", ["https://localhost:x/", "https://localhost:99999/", "https://[::1/"])
def test_a_referrer_that_cannot_be_read_is_another(referrer: str) -> None:
    assert post(THEIRS, {"Referer": referrer})[0] == 500
    assert post(OURS, {"Referer": referrer}) == MISMATCH


@row("`same_origin` of what cannot be read")
def test_what_cannot_be_read_is_of_no_origin() -> None:
    with pytest.raises(ValueError, match="Port"):
        THEIRS.same_origin("https://a:x", "https://a")
    assert not OURS.same_origin("https://a:x", "https://a")


@row("a session whose token is no text")
def test_a_session_whose_token_is_no_text_gets_another() -> None:
    for module, wanted in ((THEIRS, 500), (OURS, 400)):
        app, _ = csrf_app(module)
        client, headers = with_token(app)
        with client.session_transaction() as kept:
            kept["csrf_token"] = 5
        assert sent(client, headers=headers)[0] == wanted
        again = {"X-CSRFToken": client.get("/token").text}
        assert sent(client, headers=again)[0] == (200 if module is OURS else 500)


@row("a form's token that is no text, from JSON, with `csrf_class = FlaskFormCSRF`")
@pytest.mark.parametrize("token", [5, 0.5, [1], "\ud800"])
def test_a_token_from_json_may_be_anything(token: Any) -> None:
    for csrf_class in (THEIRS._FlaskFormCSRF, OURS.FlaskFormCSRF):

        class Form(flask_wtf.FlaskForm):
            pass

        Form.Meta = type("Meta", (flask_wtf.FlaskForm.Meta,), {"csrf_class": csrf_class})  # type: ignore[misc]
        app = Flask("form")
        app.secret_key = SECRET
        with app.test_request_context(method="POST", json={"csrf_token": token}):
            OURS.generate_csrf()
            if csrf_class is OURS.FlaskFormCSRF:
                form = Form()
                assert not form.validate() and form.errors == {"csrf_token": ["The CSRF token is invalid."]}
            else:
                with pytest.raises((TypeError, ValueError, AttributeError)):
                    Form().validate()


@row(
    "no `Referer` over HTTPS, where the browser says that the page is one's own, and the request has neither a token in "
    "`Authorization` nor `X-API-Key`"
)
def test_no_referrer_is_needed_where_the_browser_says_more() -> None:
    # flask-wtf#288, #364; flask-security#829: Referrer-Policy: no-referrer, as secure headers have it.
    missing = (400, "The referrer header is missing.")
    for headers in ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Sec-Fetch-Site": "none"}, {"Origin": HTTPS}):
        assert post(THEIRS, headers) == missing
        assert post(OURS, headers) == TAKEN
        assert post(OURS, headers, RAMPART_CSRF="off") == missing
        assert post(OURS, {**headers, "Referer": "https://evil.example/"}) == MISMATCH
    by_key = {"Sec-Fetch-Site": "same-origin", "X-API-Key": "x"}
    for headers in ({}, {"Origin": "null"}, {"Authorization": "Bearer x"}, by_key):
        assert post(OURS, headers) == missing


@row("a `Referer` of an origin in `RAMPART_CSRF_TRUSTED_ORIGINS`")
def test_pages_of_another_origin_that_is_trusted_may_post() -> None:
    # flask-wtf#285: WTF_CSRF_SSL_STRICT with subdomains.
    headers = {"Origin": "https://app.example", "Referer": "https://app.example/page", "Sec-Fetch-Site": "cross-site"}
    trusted = {"RAMPART_CSRF_TRUSTED_ORIGINS": ["https://app.example"]}
    assert post(THEIRS, headers, **trusted) == MISMATCH
    assert post(OURS, headers, **trusted) == TAKEN
    assert post(OURS, {**headers, "Referer": "https://app.example.evil/"}, **trusted) == MISMATCH
    assert post(OURS, {"Origin": "https://app.example"}, **trusted) == TAKEN


@row("a token signed with a key in `SECRET_KEY_FALLBACKS`")
def test_tokens_outlive_a_change_of_the_key() -> None:
    for module, wanted in ((THEIRS, (400, "The CSRF token is invalid.")), (OURS, TAKEN)):
        app, _ = csrf_app(module)
        client, headers = with_token(app)
        app.config.update(SECRET_KEY="another " * 8, SECRET_KEY_FALLBACKS=[SECRET])
        assert sent(client, headers=headers) == wanted
    # The new key signs (CVE-2025-47278), and what has a key of its own has no others.
    with app.test_request_context():
        token = OURS.generate_csrf()
        app.config["SECRET_KEY_FALLBACKS"] = []
        OURS.validate_csrf(token)
    app.config.update(SECRET_KEY_FALLBACKS=[SECRET], WTF_CSRF_SECRET_KEY="own")
    with app.test_request_context():
        token = OURS.generate_csrf(secret_key=SECRET)
        with pytest.raises(OURS.ValidationError):
            OURS.validate_csrf(token)


@row("a token of a host whose clock is ahead, by up to a minute")
def test_clocks_of_hosts_may_differ_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Clock.manual(MIDNIGHT)
    for ahead, module, wanted in ((1, THEIRS, "expired"), (60, OURS, None), (61, OURS, "expired")):
        there = Clock.manual(MIDNIGHT + ahead)
        app, _ = csrf_app(module, here)
        with app.test_request_context():
            session["csrf_token"] = "a"
            monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=there.now))
            token = THEIRS.generate_csrf()
            monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=here.now))
            if wanted is None:
                module.validate_csrf(token)
            else:
                with pytest.raises(OURS.ValidationError, match=wanted):
                    module.validate_csrf(token)


@row("a view without a name, such as a `functools.partial`")
def test_a_view_need_not_have_a_name() -> None:
    for module, wanted in ((THEIRS, 500), (OURS, 200)):
        app, protect = csrf_app(module)
        view = functools.partial(lambda word: word, "hello")
        app.add_url_rule("/partial", "partial", view, methods=["GET", "POST"])
        client, headers = with_token(app)
        assert sent(client, "/partial", headers=headers)[0] == wanted
        assert sent(client, "/partial", "GET")[0] == wanted
        if module is THEIRS:
            with pytest.raises(AttributeError):
                protect.exempt(view)
        else:
            assert sent(client, "/partial")[0] == 400
            assert protect.exempt(view) is view
            assert sent(client, "/partial") == TAKEN


@row("the logger that is told why")
def test_the_log_is_told_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for module, name in ((THEIRS, "flask_wtf.csrf"), (OURS, "flask_rampart.compat.wtf_csrf")):
        assert module.logger.name == name
        sent(csrf_app(module)[0].test_client())
        assert (name, logging.INFO, "The CSRF token is missing.") in caplog.record_tuples


# Neither in a table, nor to be forgotten.


def test_a_blueprint_within_one_that_is_exempt_is_not_exempt() -> None:
    # flask-wtf#697, #486.
    for module in BOTH:
        app, protect = csrf_app(module)
        outer, inner = (
            Blueprint("outer", "outer", url_prefix="/outer"),
            Blueprint("inner", "inner", url_prefix="/inner"),
        )
        for blueprint in (outer, inner):
            blueprint.add_url_rule("/", "index", lambda: "x", methods=["POST"])
        outer.register_blueprint(inner)
        app.register_blueprint(outer)
        protect.exempt(outer)
        client = app.test_client()
        assert [client.post(path).status_code for path in ("/outer/", "/outer/inner/")] == [200, 400]
        protect.exempt(inner)
        assert client.post("/outer/inner/").status_code == 200


def test_no_token_makes_a_500() -> None:
    app, _ = csrf_app(OURS)
    client, _ = with_token(app)
    with app.test_request_context():
        serializer = face_of(app).serializer(SECRET)
        signed = [serializer.dumps(value) for value in (5, None, {"a": 1}, "\u00e9", [])]
    for token in (*signed, ".", "..", "a.b.c", ".e30.AAAA.x", "\u00e9", "\x00", "x." * 4000, ".".join(["x" * 900] * 3)):
        answer = sent(client, data={"csrf_token": token})
        assert answer[0] == 400 and answer[1].startswith("The CSRF token"), token


def test_neither_flask_wtf_nor_wtforms_need_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "wtf_csrf", face)  # to be put back, as all this is
    for name in list(sys.modules):
        if name.startswith("flask_rampart.compat.wtf_csrf"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("flask_wtf", "wtforms"):
        monkeypatch.setitem(sys.modules, name, None)
    bare = import_module("flask_rampart.compat.wtf_csrf")
    assert bare is not face and issubclass(bare.ValidationError, ValueError)
    app, _ = csrf_app(bare)
    client, headers = with_token(app)
    assert sent(client) == (400, "The CSRF token is missing.")
    assert sent(client, headers=headers) == TAKEN
    with app.test_request_context(), pytest.raises(bare.ValidationError, match="missing"):
        bare.validate_csrf("")


def test_every_row_has_a_test() -> None:
    assert CSRF_FACES == {"theirs": THEIRS, "ours": OURS}
    tables = re.findall(r"^\| (?!\|)(.+?) \|", PAGE.read_text(), re.M)
    assert {cell for cell in tables if cell.strip("-| ")} == ROWS


def test_the_page_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, PAGE.name, "exec"), names)
    client = names["app"].test_client()
    token = client.get("/transfer").text.split('value="')[1].split('"')[0]
    assert client.post("/transfer").text == "The CSRF token is missing."
    assert client.post("/transfer", data={"csrf_token": token}).status_code == 200
    assert client.post("/hooks/payment").text == "thanks"
