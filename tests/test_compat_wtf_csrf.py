"""What Flask-WTF documents of its CSRF protection, written anew, on it and on our face of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import flask_wtf
import flask_wtf.csrf
import pytest
import wtforms
from flask import Blueprint, Flask, Request, g, render_template_string, request, session
from flask.views import MethodView
from werkzeug.datastructures import MultiDict

import flask_rampart.compat.wtf_csrf as face
from flask_rampart import Clock

from .facing import CSRF_FACES, MIDNIGHT, csrf_app, sent

MISSING = (400, "The CSRF token is missing.")
HTTPS = {"base_url": "https://localhost"}


@pytest.fixture(params=CSRF_FACES)
def csrf(request: pytest.FixtureRequest) -> ModuleType:
    """The extension that a test runs with."""
    return CSRF_FACES[request.param]


def test_every_public_name_is_there_with_its_arguments_and_defaults() -> None:
    theirs: Any = flask_wtf.csrf
    for name in theirs.__all__:
        if name != "CSRFProtect":
            told = [
                [(p.name, p.default) for p in inspect.signature(getattr(module, name)).parameters.values()]
                for module in (theirs, face)
            ]
            assert told[0] == told[1], name
    for name in ("init_app", "protect", "exempt", "_get_csrf_token", "_is_exempt", "_error_response"):
        told = [
            [(p.name, p.default) for p in inspect.signature(getattr(module.CSRFProtect, name)).parameters.values()]
            for module in (theirs, face)
        ]
        assert told[0] == told[1], name
    assert issubclass(face.CSRFError, theirs.CSRFError.__base__)
    assert face.CSRFError.description == theirs.CSRFError.description and face.CSRFError.code == 400
    assert face.ValidationError is wtforms.ValidationError
    assert not hasattr(theirs, "CsrfProtect") and not hasattr(face, "CsrfProtect")


def test_settings_are_left_in_the_app_as_theirs_are() -> None:
    found = []
    for module in CSRF_FACES.values():
        app, protect = csrf_app(module, WTF_CSRF_METHODS=["POST"])
        found.append({key: value for key, value in app.config.items() if key.startswith("WTF_")})
        assert app.extensions["csrf"] is protect
    assert found[0] == found[1]


def test_a_form_is_taken_with_the_token_of_its_page(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)
    app.add_url_rule(
        "/page", "page", lambda: render_template_string('<input name="csrf_token" value="{{ csrf_token() }}">')
    )
    client = app.test_client()
    assert sent(client) == MISSING
    token = client.get("/page").text.split('value="')[1].split('"')[0]
    assert sent(client, data={"csrf_token": token}) == (200, "hello")
    assert sent(client, data={"csrf_token": ""}) == MISSING
    assert sent(client, data={"csrf_token": "no"}) == (400, "The CSRF token is invalid.")
    assert sent(client, data={"f1-csrf_token": token}) == (200, "hello")
    assert sent(app.test_client(), data={"csrf_token": token}) == (400, "The CSRF session token is missing.")


def test_scripts_send_it_in_a_header(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)
    client = app.test_client()
    token = client.get("/token").text
    for header in ("X-CSRFToken", "X-CSRF-Token"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert sent(client, method=method, json={}, headers={header: token}) == (200, "hello")
    assert sent(client, json={}, headers={"X-Other": token}) == MISSING


def test_a_page_has_a_meta_tag_for_scripts(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)
    text = "{{ csrf_meta_tag() }}{{ csrf_meta_tag(name='a\"') }}{{ csrf_token() }}"
    app.add_url_rule("/page", "page", lambda: render_template_string(text))
    tag, named, token = app.test_client().get("/page").text.replace(">", ">\n").split("\n")
    assert tag == f'<meta name="csrf-token" content="{token}">'
    assert named == f'<meta name="a&#34;" content="{token}">'


def test_the_token_is_one_for_a_request_and_the_session_keeps_what_it_signs(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf, WTF_CSRF_FIELD_NAME="its_token")
    with app.test_request_context():
        token = csrf.generate_csrf()
        assert csrf.generate_csrf() == token == g.its_token
        assert len(session["its_token"]) == 40
        csrf.validate_csrf(token)
        assert csrf.generate_csrf(token_key="other") == g.other != token
        csrf.validate_csrf(g.other, token_key="other")
        with pytest.raises(wtforms.ValidationError, match="do not match"):
            csrf.validate_csrf(g.other)


@pytest.mark.parametrize("given", [{"secret_key": "a"}, {"secret_key": b"a"}, {"secret_key": ["old", "a"]}])
def test_a_token_may_have_a_key_of_its_own(csrf: ModuleType, given: dict[str, Any]) -> None:
    app, _ = csrf_app(csrf)
    with app.test_request_context():
        token = csrf.generate_csrf(**given)
        csrf.validate_csrf(token, secret_key="a")
        with pytest.raises(wtforms.ValidationError, match="invalid"):
            csrf.validate_csrf(token)


def test_without_a_key_or_a_name_there_is_no_token(csrf: ModuleType) -> None:
    for config in ({"SECRET_KEY": None}, {"WTF_CSRF_SECRET_KEY": None}, {"WTF_CSRF_FIELD_NAME": None}):
        app, _ = csrf_app(csrf, **config)
        with app.test_request_context():
            for call in (csrf.generate_csrf, lambda: csrf.validate_csrf("x")):
                with pytest.raises(RuntimeError, match="is required to use CSRF"):
                    call()


def test_a_token_is_over_after_its_time(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)
    with app.test_request_context():
        token = csrf.generate_csrf()
        with pytest.raises(wtforms.ValidationError, match="The CSRF token has expired"):
            csrf.validate_csrf(token, time_limit=-1)
        app.config["WTF_CSRF_TIME_LIMIT"] = -1
        with pytest.raises(wtforms.ValidationError, match="The CSRF token has expired"):
            csrf.validate_csrf(token)
        app.config["WTF_CSRF_TIME_LIMIT"] = None
        csrf.validate_csrf(token)


def named() -> str:
    return "named"


def test_views_and_blueprints_are_exempt(csrf: ModuleType) -> None:
    app, protect = csrf_app(csrf)

    @app.post("/hook")
    @protect.exempt
    def hook() -> str:
        return "hook"

    @protect.exempt
    @app.post("/above")
    def above() -> str:
        return "above"

    class Thing(MethodView):
        decorators = [protect.exempt]  # noqa: RUF012

        def post(self) -> str:
            return "thing"

    app.add_url_rule("/thing", view_func=Thing.as_view("thing"))
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    blueprint.add_url_rule("/", "index", lambda: "api", methods=["POST"])
    assert protect.exempt(blueprint) is blueprint
    app.register_blueprint(blueprint)
    app.add_url_rule("/named", "named", named, methods=["POST"])
    protect.exempt(f"{__name__}.named")
    client = app.test_client()
    for path in ("/hook", "/above", "/thing", "/api/", "/named"):
        assert client.post(path).status_code == 200
    assert sent(client) == MISSING


def test_a_wrapper_of_another_name_is_not_exempt_with_its_neighbour(csrf: ModuleType) -> None:
    app, protect = csrf_app(csrf)

    def logged(view: Callable[[], str]) -> Callable[[], str]:
        @functools.wraps(view)
        def called() -> str:
            return view()

        return called

    def core() -> str:
        return "core"

    def inner() -> str:
        return "inner"

    for name, view in (("public", core), ("admin", core), ("outer", inner)):
        made = logged(view)
        made.__name__ = name
        app.add_url_rule(f"/{name}", view_func=made, methods=["POST"])
    app.add_url_rule("/core", view_func=core, methods=["POST"])
    protect.exempt(app.view_functions["public"])
    protect.exempt(inner)
    client = app.test_client()
    assert [client.post(path).status_code for path in ("/public", "/admin", "/core", "/outer")] == [200, 400, 400, 400]


def test_methods_of_an_object_are_exempt(csrf: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    app, protect = csrf_app(csrf)

    class Hooks:
        @protect.exempt
        def one(self) -> str:
            return "one"

        def two(self) -> str:
            return "two"

        def three(self) -> str:
            return "three"

    hooks = Hooks()
    protect.exempt(hooks.two)
    for view in (hooks.one, hooks.two, hooks.three):
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["POST"])
    client = app.test_client()
    assert [client.post(path).status_code for path in ("/one", "/two", "/three")] == [200, 200, 400]
    assert "only shares the name" not in caplog.text


def test_the_names_that_are_exempt_can_be_read_and_changed(csrf: ModuleType) -> None:
    app, protect = csrf_app(csrf)
    app.add_url_rule("/named", view_func=named, methods=["POST"])
    blueprint = Blueprint("api", __name__)
    blueprint.add_url_rule("/api", "index", lambda: "api", methods=["POST"])
    app.register_blueprint(blueprint)
    client, name = app.test_client(), f"{__name__}.named"

    def status() -> int:
        return client.post("/named").status_code

    protect.exempt(named)
    assert name in protect._exempt_views and status() == 200
    protect._exempt_views.discard(name)
    assert status() == 400
    protect._exempt_views |= {name}
    assert status() == 200
    protect._exempt_views = set()
    assert status() == 400
    protect._exempt_views = {name}
    assert status() == 200
    protect._exempt_views.clear()
    protect.exempt(name)
    assert protect._exempt_views == {name} and status() == 200
    protect._exempt_views, protect._exempt_blueprints = set(), {blueprint}
    assert client.post("/api").status_code == 200
    protect._exempt_blueprints = set()
    assert client.post("/api").status_code == 400


def test_nothing_is_asked_but_where_the_app_asks(csrf: ModuleType) -> None:
    app, protect = csrf_app(csrf, WTF_CSRF_CHECK_DEFAULT=False)

    @app.before_request
    def ask() -> None:
        if request.args:
            protect.protect(apply_exemptions="exempt" in request.args)

    protect.exempt(app.view_functions["index"])
    client = app.test_client()
    assert sent(client) == (200, "hello")
    assert sent(client, "/?all=1") == MISSING
    assert sent(client, "/?exempt=1") == (200, "hello")


@pytest.mark.parametrize("config", [{"WTF_CSRF_ENABLED": False}, {"WTF_CSRF_METHODS": ["PUT"]}])
def test_protection_is_turned_off(csrf: ModuleType, config: dict[str, Any]) -> None:
    app, _ = csrf_app(csrf, TESTING=True, **config)
    assert sent(app.test_client()) == (200, "hello")
    app, _ = csrf_app(csrf, TESTING=True)
    app.config.update(config)
    assert sent(app.test_client()) == (200, "hello")


def test_what_no_view_answers_is_not_asked(csrf: ModuleType) -> None:
    client = csrf_app(csrf)[0].test_client()
    assert sent(client, "/nowhere")[0] == 404
    assert sent(client, "/token")[0] == 405


def test_over_https_the_referrer_is_asked_for(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)
    client = app.test_client()
    headers = {"X-CSRFToken": client.get("/token", **HTTPS).text}
    assert sent(client, headers=headers, **HTTPS) == (400, "The referrer header is missing.")
    for referrer in (
        "http://localhost/",
        "https://other/",
        "https://localhost:81/",
        "https://sub.localhost/",
        "about:",
    ):
        refused = sent(client, headers={**headers, "Referer": referrer}, **HTTPS)
        assert refused == (400, "The referrer does not match the host.")
    assert sent(client, headers={**headers, "Referer": "https://localhost/page?a=b"}, **HTTPS) == (200, "hello")
    app.config["WTF_CSRF_SSL_STRICT"] = False
    assert sent(client, headers=headers, **HTTPS) == (200, "hello")


def test_an_app_words_its_own_refusal(csrf: ModuleType) -> None:
    app, _ = csrf_app(csrf)

    @app.errorhandler(csrf.CSRFError)
    def refused(error: Any) -> tuple[str, int]:
        return f"sorry: {error.description}", 419

    assert sent(app.test_client()) == (419, "sorry: The CSRF token is missing.")


def test_a_class_of_the_apps_own_words_it_too(csrf: ModuleType) -> None:
    class Own(csrf.CSRFProtect):  # type: ignore[misc, name-defined]
        def _error_response(self, reason: str) -> Any:
            raise csrf.CSRFError(f"own: {reason}")

        def _get_csrf_token(self) -> str | None:
            return request.args.get("token") or super()._get_csrf_token()

    app = Flask("own")
    app.secret_key = "s"
    Own().init_app(app)
    app.add_url_rule("/", "index", csrf.generate_csrf, methods=["GET", "POST"])
    client = app.test_client()
    token = client.get("/").text
    assert sent(client) == (400, "own: The CSRF token is missing.")
    assert sent(client, f"/?token={token}")[0] == 200


def test_a_class_of_requests_may_read_a_form_where_others_see_none(csrf: ModuleType) -> None:
    class Own(Request):
        @property
        def form(self) -> Any:
            return MultiDict(self.get_json())

    app, _ = csrf_app(csrf)
    app.request_class = Own
    client = app.test_client()
    assert sent(client, json={"csrf_token": client.get("/token").text}) == (200, "hello")


class Name(flask_wtf.FlaskForm):
    name = wtforms.StringField()


class OurName(flask_wtf.FlaskForm):
    class Meta(flask_wtf.FlaskForm.Meta):
        csrf_class = face.FlaskFormCSRF

    name = wtforms.StringField()


@pytest.mark.parametrize("form_class", [Name, OurName])
@pytest.mark.parametrize("protected", [True, False])
def test_forms_work_unchanged(csrf: ModuleType, form_class: Any, protected: bool) -> None:
    app, protect = csrf_app(csrf)

    def view() -> str:
        form = form_class()
        if form.validate_on_submit():
            return f"hello {form.name.data}, {sorted(form.data)}"
        return str(form.errors) if form.is_submitted() else str(form.hidden_tag())

    app.add_url_rule("/form", "form", view if protected else protect.exempt(view), methods=["GET", "POST"])
    client = app.test_client()
    page = client.get("/form").text
    token = page.split('value="')[1].split('"')[0]
    assert page == f'<input id="csrf_token" name="csrf_token" type="hidden" value="{token}">'
    answer = client.post("/form", data={"name": "Ada", "csrf_token": token})
    assert answer.text == "hello Ada, ['csrf_token', 'name']"
    by_header = client.post("/form", data={"name": "Ada"}, headers={"X-CSRFToken": token}).text
    # What CSRFProtect has checked, a form does not ask for again.
    assert by_header == (answer.text if protected else "{'csrf_token': ['The CSRF token is missing.']}")
    refused = client.post("/form", data={"name": "Ada", "csrf_token": "no"})
    if protected:
        assert refused.status_code == 400
    else:
        # flask-wtf#361: a form asks by itself where a view is exempt.
        assert refused.text == "{'csrf_token': ['The CSRF token is invalid.']}"
    app.config["WTF_CSRF_ENABLED"] = False
    assert client.post("/form", data={"name": "Ada"}).text == "hello Ada, ['name']"


def test_a_form_may_have_a_key_and_a_field_of_its_own() -> None:
    found = []
    for csrf_class in (flask_wtf.csrf._FlaskFormCSRF, face._FlaskFormCSRF):

        class Form(wtforms.Form):
            class Meta(wtforms.meta.DefaultMeta):
                csrf = True
                csrf_secret = "own"
                csrf_field_name = "proof"
                csrf_time_limit = 60

        Form.Meta.csrf_class = csrf_class  # type: ignore[attr-defined]
        app = Flask("form")
        app.secret_key = "s"
        with app.test_request_context():
            token = Form()._fields["proof"].current_token
            face.validate_csrf(token, secret_key="own", token_key="proof")
            forms = [Form(MultiDict({"proof": given})) for given in (token, "", "no")]
            found.append([(form.validate(), form.errors) for form in forms])
            assert [valid for valid, _ in found[-1]] == [True, False, False]
    assert found[0] == found[1]


@pytest.mark.parametrize("there_and_back", [("theirs", "ours"), ("ours", "theirs")])
def test_tokens_and_sessions_that_are_out_stay_valid(there_and_back: tuple[str, str]) -> None:
    before, after = (csrf_app(CSRF_FACES[name])[0].test_client() for name in there_and_back)
    token = before.get("/token").text
    cookie = before.get_cookie("session")
    assert cookie is not None
    after.set_cookie("session", cookie.value)
    assert sent(after, data={"csrf_token": token}) == (200, "hello")
    # And what is added to that session is known before.
    assert sent(before, data={"csrf_token": after.get("/token").text}) == (200, "hello")
    assert after.get_cookie("session").value == cookie.value  # type: ignore[union-attr]


def test_a_token_is_theirs_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itsdangerous.timed.time", SimpleNamespace(time=lambda: MIDNIGHT))
    tokens = []
    for module in CSRF_FACES.values():
        with csrf_app(module, Clock.manual(MIDNIGHT))[0].test_request_context():
            session["csrf_token"] = "0123456789abcdef0123456789abcdef01234567"
            tokens.append(module.generate_csrf())
    assert tokens[0] == tokens[1]
