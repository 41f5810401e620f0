"""The token of a page: bound to browser and login, signed, of limited life, another each time."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, render_template_string, request, session, stream_template_string, stream_with_context
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie

from flask_rampart import Clock, ConfigError, Identity, Rampart, Upload, csrf, csrf_token, require, validate

from .conftest import NOW, bearer

App = Callable[..., Flask]
KEY = "k" * 32
TLS = {"base_url": "https://shop.test"}


@pytest.fixture
def make(clock: Clock) -> App:
    def make(**config: Any) -> Flask:
        app = Flask("shop")
        app.config.update(RAMPART_ACCESS_LOG="off", SECRET_KEY=KEY, RAMPART_CSRF="token")
        app.config.update(config)
        rampart = Rampart(app, clock=clock)

        @app.get("/form")
        def form() -> str:
            return render_template_string("{{ csrf_token() }}")

        @app.post("/send")
        def send() -> Any:
            return {"form": dict(request.form), "values": sorted(request.values)}

        @app.get("/become/<name>")
        def become(name: str) -> str:
            session["_user_id"] = name  # as Flask-Login does
            return "ok"

        @rampart.scheme("account")
        def account() -> Any:
            name = request.cookies.get("account")
            return Identity(name) if name else None

        @app.get("/account")
        @require("account")
        def account_form() -> str:
            return csrf_token()

        @app.post("/account")
        @require("account")
        def account_send() -> str:
            return "ok"

        return app

    return make


def page(client: FlaskClient, path: str = "/form", **more: Any) -> str:
    answer = client.get(path, **more)
    assert answer.status_code == 200
    return answer.text


def send(client: FlaskClient, token: str | None, path: str = "/send", **more: Any) -> Any:
    """The status, or the code of the problem."""
    headers = {**more.pop("headers", {}), **({} if token is None else {"X-CSRF-Token": token})}
    answer = client.post(path, headers=headers, **more)
    return answer.get_json()["code"] if answer.status_code == 403 else answer.status_code


def test_a_token_of_this_page_is_taken_and_nothing_else(make: App) -> None:
    client = make().test_client()
    assert send(client, None) == "csrf.invalid"
    token = page(client)
    assert send(client, token) == 200
    assert send(client, token) == 200  # two forms of one page
    for wrong in ("", " ", "x", token + "x", token[:-1], token[1:], token.upper(), f"{token},{token}", f"{token}, x"):
        assert send(client, wrong) == "csrf.invalid", wrong
    for wrong in ("\xe9" * 5, "." * 5, ".." + token, "x" * 10_000, token.replace(".", "")):
        answer = client.post("/send", environ_overrides={"HTTP_X_CSRF_TOKEN": wrong})
        assert answer.get_json()["code"] == "csrf.invalid", wrong
    # What no field can have in it is refused before anybody reads it; a form can have it.
    answer = client.post("/send", environ_overrides={"HTTP_X_CSRF_TOKEN": "\x00"})
    assert answer.get_json()["code"] == "request.malformed"
    for wrong in ("\x00", f"{token}\x00", f"\x00{token}", f"{token}\n", "\u00e9" * 5, "x" * 10_000):
        data = {"csrf_token": wrong}
        assert send(client, None, data=data) == "csrf.invalid", repr(wrong)
    assert send(client, None) == "csrf.invalid"


def test_every_part_of_a_token_counts(make: App) -> None:
    client = make().test_client()
    token = page(client)
    for at in range(len(token)):
        # The last character of base64 has bits that say nothing: A and B may be one, A and w never.
        other = "w" if token[at] in "ABCDEFGHIJKLMNOP" else "A"
        assert send(client, token[:at] + other + token[at + 1 :]) == "csrf.invalid", at


def test_a_token_is_also_taken_from_a_form_which_the_view_gets_without_it(make: App) -> None:
    client = make().test_client()
    token = page(client)
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post("/send", data={"csrf_token": token, "amount": "5"}, content_type=kind)
        assert answer.get_json() == {"form": {"amount": "5"}, "values": ["amount"]}
    assert send(client, None, data={"csrf_token": "wrong"}) == "csrf.invalid"
    assert send(client, None, data={"csrf_token": [token, token]}) == "csrf.invalid"
    # The header is looked at first, and alone.
    assert send(client, "wrong", data={"csrf_token": token}) == "csrf.invalid"
    # Not from the address, which is in logs and Referer, nor from what is no form.
    assert send(client, None, path=f"/send?csrf_token={token}") == "csrf.invalid"
    assert send(client, None, json={"csrf_token": token}) == "csrf.invalid"
    assert send(client, None, data=f"csrf_token={token}", content_type="text/plain") == "csrf.invalid"


def test_a_header_leaves_the_body_to_a_view_that_reads_it_itself(make: App) -> None:
    app = make()
    app.post("/raw")(lambda: request.stream.read())
    client = app.test_client()
    kind = {"content_type": "application/x-www-form-urlencoded", "headers": {"X-CSRF-Token": page(client)}}
    assert client.post("/raw", data="csrf_token=x&a=1", **kind).data == b"csrf_token=x&a=1"


def test_a_checked_form_need_not_name_the_field(make: App) -> None:
    app = make()

    @app.post("/checked")
    @validate(form={"type": "object", "properties": {"amount": {"type": "string", "maxLength": 9}}})
    def checked() -> Any:
        return {"form": list(request.form)}

    client = app.test_client()
    token = page(client)
    assert client.post("/checked", data={"csrf_token": token, "amount": "5"}).get_json() == {"form": ["amount"]}
    assert client.post("/checked", data={"csrf_token": token, "other": "5"}).status_code == 422
    # A script that sends the whole form of a page, field and all, and the header as well.
    header = {"X-CSRF-Token": token}
    answer = client.post("/checked", data={"csrf_token": "x", "amount": "5"}, headers=header)
    assert answer.get_json() == {"form": ["amount"]}


def test_a_form_with_a_file_keeps_it(make: App) -> None:
    app = make()

    @app.post("/upload")
    @validate(files={"note": Upload(types=["text/plain"])})
    def upload() -> Any:
        return {"names": list(request.files)}

    client = app.test_client()
    token = page(client)
    data = {"csrf_token": token, "note": (io.BytesIO(b"hello"), "note.txt")}
    assert client.post("/upload", data=data).get_json() == {"names": ["note"]}


def test_the_form_is_read_within_its_bounds(make: App) -> None:
    client = make(RAMPART_FORM_MAX_FIELDS=3).test_client()
    body = "&".join(f"a{n}=1" for n in range(10))
    answer = client.post("/send", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.get_json()["code"] == "body.too_large"


def test_a_token_ends_with_its_lifetime(make: App, clock: Clock) -> None:
    client = make(RAMPART_CSRF_TOKEN_LIFETIME=600).test_client()
    token = page(client)
    clock.advance(600)
    assert send(client, token) == 200
    clock.advance(1)
    assert send(client, token) == "csrf.invalid"
    # The next page's is of the same browser, and good.
    assert send(client, page(client)) == 200


def test_hosts_whose_clocks_differ_a_little_take_each_others_tokens(make: App) -> None:
    # itsdangerous refuses an age below zero.
    app = make()
    client = app.test_client()
    token = page(client)
    for seconds, expected in ((-30, 200), (-90, "csrf.invalid")):
        other = Flask("shop")
        other.config.update(RAMPART_ACCESS_LOG="off", SECRET_KEY=KEY, RAMPART_CSRF="token")
        Rampart(other, clock=Clock.manual(NOW + seconds))
        other.post("/send")(lambda: "ok")
        cookie = client.get_cookie("rampart_csrf")
        assert cookie is not None
        elsewhere = other.test_client(use_cookies=False)
        assert send(elsewhere, token, headers={"Cookie": f"rampart_csrf={cookie.value}"}) == expected


def test_each_token_is_another_and_no_part_of_it_repeats(make: App) -> None:
    # BREACH, CVE-2013-3587: what stands in each answer can be guessed byte by byte from its compressed size.
    client = make().test_client()
    tokens = [page(client) for _ in range(20)]
    for part in (0, 2):
        assert len({token.split(".")[part] for token in tokens}) == 20
    assert all(send(client, token) == 200 for token in tokens)


def test_the_cookie_is_for_this_host_https_and_no_script(make: App) -> None:
    app = make()
    answer = app.test_client().get("/form", **TLS)
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert next(iter(parse_cookie(cookie))) == "__Host-rampart_csrf"
    for word in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert word in cookie
    assert "Domain" not in cookie
    assert "Cookie" in answer.headers["Vary"]
    assert "no-store" in answer.headers["Cache-Control"]
    # Over plain HTTP the prefix would keep browsers from storing it.
    assert app.test_client().get("/form").headers["Set-Cookie"].startswith("rampart_csrf=")


def test_the_cookie_is_set_once(make: App) -> None:
    client = make().test_client()
    first = page(client)
    answer = client.get("/form")
    assert "Set-Cookie" not in answer.headers
    assert send(client, first) == 200
    assert send(client, answer.text) == 200


def test_one_page_may_have_several_forms(make: App) -> None:
    app = make()
    app.get("/two")(lambda: render_template_string("{{ csrf_token() }} {{ csrf_token() }}"))
    client = app.test_client()
    answer = client.get("/two")
    assert len(answer.headers.getlist("Set-Cookie")) == 1
    one, two = answer.text.split()
    assert one != two
    assert send(client, one) == send(client, two) == 200


def test_a_planted_cookie_with_its_own_token_is_not_taken_for_somebody_logged_in(make: App) -> None:
    # Cookie tossing: a neighbour under the same domain sets its own cookie, and knows the token for it.
    app = make()
    attacker, victim = app.test_client(), app.test_client()
    token = page(attacker)
    planted = attacker.get_cookie("rampart_csrf")
    assert planted is not None
    victim.get("/become/ada")
    victim.set_cookie("rampart_csrf", planted.value)
    assert send(victim, token) == "csrf.invalid"
    # Also if the attacker has a login of his own.
    attacker.get("/become/eve")
    assert send(victim, page(attacker)) == "csrf.invalid"
    assert send(victim, page(victim)) == 200


def test_over_https_a_cookie_without_the_prefix_is_nobody_s(make: App) -> None:
    # Only a cookie with the prefix cannot have been set by a neighbour, or over plain HTTP.
    app = make()
    client = app.test_client()
    token = page(client)
    cookie = client.get_cookie("rampart_csrf")
    assert cookie is not None
    headers = {"Cookie": f"rampart_csrf={cookie.value}"}
    bare = app.test_client(use_cookies=False)
    assert send(bare, token, headers=headers) == 200
    assert send(bare, token, headers=headers, **TLS) == "csrf.invalid"
    assert send(bare, token, headers={"Cookie": f"__Host-rampart_csrf={cookie.value}"}, **TLS) == 200


@pytest.mark.parametrize("planted", ["", "x", "a" * 21, "a" * 23, "a" * 21 + ".", "a" * 21 + "\xe9", "a" * 4000])
def test_a_cookie_that_is_not_ours_is_none(make: App, planted: str) -> None:
    app = make()
    token = page(app.test_client())
    bare = app.test_client(use_cookies=False)
    environ = {"HTTP_COOKIE": f"rampart_csrf={planted}", "HTTP_X_CSRF_TOKEN": token}
    assert bare.post("/send", environ_overrides=environ).get_json()["code"] == "csrf.invalid"
    # And a page replaces it.
    assert "Set-Cookie" in bare.get("/form", headers={"Cookie": "rampart_csrf=x"}).headers


def test_a_neighbour_s_cookie_that_is_no_text_does_not_hide_ours(make: App) -> None:
    app = make()
    client = app.test_client()
    token = page(client)
    cookie = client.get_cookie("rampart_csrf")
    assert cookie is not None
    environ = {"HTTP_COOKIE": f"a=\xe9; rampart_csrf={cookie.value}", "HTTP_X_CSRF_TOKEN": token}
    assert app.test_client(use_cookies=False).post("/send", environ_overrides=environ).status_code == 200


def test_two_cookies_of_the_name_are_none(make: App) -> None:
    app = make()
    client = app.test_client()
    token = page(client)
    cookie = client.get_cookie("rampart_csrf")
    assert cookie is not None
    bare = app.test_client(use_cookies=False)
    for pair in (f"{cookie.value}; rampart_csrf={'a' * 22}", f"{'a' * 22}; rampart_csrf={cookie.value}"):
        assert send(bare, token, headers={"Cookie": f"rampart_csrf={pair}"}) == "csrf.invalid"


def test_a_login_ends_the_tokens_of_before(make: App) -> None:
    client = make().test_client()
    before = page(client)
    client.get("/become/ada")
    assert send(client, before) == "csrf.invalid"
    as_ada = page(client)
    assert send(client, as_ada) == 200
    client.get("/become/eve")
    assert send(client, as_ada) == "csrf.invalid"


def test_a_token_is_bound_to_whom_require_found(make: App) -> None:
    client = make().test_client()
    client.set_cookie("account", "ada")
    token = page(client, "/account")
    assert send(client, token, "/account") == 200
    client.set_cookie("account", "eve")
    assert send(client, token, "/account") == "csrf.invalid"
    # A page that does not ask who is there gives a token for nobody, unless the session says who it is.
    assert send(client, page(client), "/account") == "csrf.invalid"
    client.get("/become/eve")
    assert send(client, page(client), "/account") == 200


def test_another_site_s_page_is_refused_even_with_a_token(make: App) -> None:
    app = make(RAMPART_CSRF_TRUSTED_ORIGINS=["https://partner.example"])
    client = app.test_client()
    token = page(client)
    assert send(client, token, headers={"Sec-Fetch-Site": "same-origin"}) == 200
    assert send(client, token, headers={"Sec-Fetch-Site": "cross-site"}) == "csrf.origin"
    assert send(client, token, headers={"Origin": "null"}) == "csrf.origin"
    trusted = {"Sec-Fetch-Site": "cross-site", "Origin": "https://partner.example"}
    assert send(client, token, headers=trusted) == 200
    # Whom to trust is one thing, whether there is a token another.
    assert send(client, None, headers=trusted) == "csrf.invalid"
    assert send(client, None, headers={"Sec-Fetch-Site": "same-origin"}) == "csrf.invalid"


def test_flask_wtf_s_strict_check_of_referer_is_not_needed(make: App) -> None:
    # WTF_CSRF_SSL_STRICT refuses every form of a site that sends Referrer-Policy: no-referrer, as secure headers do.
    client = make().test_client()
    token = page(client, **TLS)
    assert send(client, token, **TLS) == 200


def test_login_csrf_is_refused_without_any_cookie(make: App) -> None:
    assert send(make().test_client(use_cookies=False), None) == "csrf.invalid"


def test_callers_with_a_token_in_a_header_need_none(make_app: App, token: Callable[..., str]) -> None:
    # flask-wtf#111, #361; flask-jwt#97: tokens for pages must not be asked of programs.
    app = make_app(RAMPART_CSRF="token", SECRET_KEY=KEY, RAMPART_JWT_LOCATIONS=["header", "cookie"])
    app.post("/me")(require()(lambda: "ok"))
    client = app.test_client(use_cookies=False)
    assert send(client, None, "/me", headers=bearer(token())) == 200
    cookie = {"Cookie": f"__Host-access_token={token(csrf='c' * 22)}"}
    assert send(client, "c" * 22, "/me", headers=cookie) == 200
    assert send(client, "d" * 22, "/me", headers=cookie) == "csrf.invalid"


def test_one_view_may_want_a_token_and_another_none(make: App) -> None:
    app = make(RAMPART_CSRF="fetch-metadata")
    app.add_url_rule("/careful", "careful", csrf("token")(lambda: "ok"), methods=["POST"])
    client = app.test_client()
    assert send(client, None) == 200
    assert send(client, None, "/careful") == "csrf.invalid"
    assert send(client, page(client), "/careful") == 200


@pytest.mark.parametrize("testing", [True, False])
def test_it_is_not_off_under_testing(make: App, testing: bool) -> None:
    # Flask-SeaSurf is.
    assert send(make(TESTING=testing).test_client(), None) == "csrf.invalid"


def test_a_key_that_was_replaced_verifies_and_signs_no_more(make: App) -> None:
    # CVE-2025-47278: Flask 3.1.0 signed with the oldest fallback.
    old, new = make(), make(SECRET_KEY="n" * 32, SECRET_KEY_FALLBACKS=[KEY])
    client = old.test_client()
    token = page(client)
    cookie = client.get_cookie("rampart_csrf")
    assert cookie is not None
    headers = {"Cookie": f"rampart_csrf={cookie.value}"}
    assert send(new.test_client(use_cookies=False), token, headers=headers) == 200
    assert send(make(SECRET_KEY="n" * 32).test_client(use_cookies=False), token, headers=headers) == "csrf.invalid"
    newer = new.test_client(use_cookies=False).get("/form", headers=headers).text
    assert send(old.test_client(use_cookies=False), newer, headers=headers) == "csrf.invalid"


def test_a_session_is_not_a_token_and_a_token_no_session(make: App) -> None:
    # One key, two uses: each has a key of its own derived from it.
    client = make().test_client()
    client.get("/become/ada")
    kept = client.get_cookie("session")
    assert kept is not None
    assert send(client, kept.value) == "csrf.invalid"
    token = page(client)
    client.set_cookie("session", token)
    assert send(client, token) == "csrf.invalid"  # nobody is logged in now


def test_without_a_secret_key_nothing_starts_that_needs_one(make: App) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY"):
        make(SECRET_KEY=None).extensions["rampart"].seal()
    app = make(SECRET_KEY=None, RAMPART_CSRF="fetch-metadata")
    app.extensions["rampart"].seal()
    with app.test_request_context(), pytest.raises(ConfigError, match="SECRET_KEY"):
        csrf_token()


def test_another_extension_s_function_in_templates_is_noticed(clock: Clock) -> None:
    for order in (False, True):
        app = Flask("both")
        app.config.update(RAMPART_ACCESS_LOG="off", SECRET_KEY=KEY, RAMPART_CSRF="token")
        if order:
            app.jinja_env.globals["csrf_token"] = lambda: "wtf"
        Rampart(app, clock=clock)
        app.post("/send")(lambda: "ok")
        if not order:
            app.jinja_env.globals["csrf_token"] = lambda: "wtf"
        with pytest.raises(ConfigError, match="Flask-WTF"):
            app.extensions["rampart"].seal()
    # Where no view wants ours, theirs stays.
    app = Flask("theirs")
    app.config.update(RAMPART_ACCESS_LOG="off")
    app.jinja_env.globals["csrf_token"] = lambda: "wtf"
    Rampart(app, clock=clock)
    with app.app_context():
        assert render_template_string("{{ csrf_token() }}") == "wtf"


def test_the_function_is_outside_a_request_an_error() -> None:
    with pytest.raises(RuntimeError):
        csrf_token()


def test_a_refusal_says_nothing_of_what_was_sent(make: App) -> None:
    client = make().test_client()
    token = page(client)
    answer = client.post("/send", headers={"X-CSRF-Token": token + "secret"})
    assert "secret" not in answer.text
    assert token not in answer.text
    assert json.loads(answer.text)["code"] == "csrf.invalid"


def test_a_stream_that_has_begun_gets_no_token_that_would_be_refused(make: App) -> None:
    app = make()

    @app.get("/late")
    def late() -> Any:
        def stream() -> Iterator[str]:
            yield "<form>"
            yield csrf_token()

        return stream_with_context(stream())

    @app.get("/template")
    def template() -> Any:
        return stream_template_string("{{ csrf_token() }}")

    @app.get("/early")
    def early() -> Any:
        csrf_token()
        return stream_template_string("{{ csrf_token() }}")

    client = app.test_client()
    for path in ("/late", "/template"):
        # Also where the browser has the cookie: it would work for who has been here before, and for nobody else.
        for _ in range(2):
            with pytest.raises(RuntimeError, match="before the stream begins"):
                client.get(path, buffered=True)
            page(client)
    fresh = app.test_client()
    token = page(fresh, "/early")
    assert fresh.post("/send", headers={"X-CSRF-Token": token}).status_code == 200
