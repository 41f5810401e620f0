"""``headers(...)``: what a view, a blueprint or an app sends instead of the app's policy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, g, request
from flask.views import MethodView

from flask_rampart import ConfigError, Rampart, csp_nonce, headers, limit, public, require
from flask_rampart.cli import commands

App = Callable[..., Flask]
API_CSP = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SAME = "SAMEORIGIN"


def frame(app: Flask, path: str = "/", **more: Any) -> str | None:
    return app.test_client().open(path, **more).headers.get("X-Frame-Options")


def policy(app: Flask, path: str = "/", **more: Any) -> str:
    found = app.test_client().open(path, **more).headers.getlist("Content-Security-Policy")
    assert len(found) == 1
    return found[0]


def rampart_of(app: Flask) -> Rampart:
    rampart = Rampart()
    rampart.init_app(app)
    return rampart


def test_a_view_has_its_own_headers_and_its_neighbour_the_apps(make_app: App) -> None:
    # wntrblm/flask-talisman#19, GoogleCloudPlatform/flask-talisman#40 and #45: a policy for part of an app.
    app = make_app()

    @app.get("/")
    @headers(csp={"default-src": "'none'", "img-src": "'self'"}, x_frame_options=SAME, referrer_policy=None)
    def own() -> str:
        return "own"

    app.get("/other")(lambda: "other")
    answer = app.test_client().get("/")
    assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'none'; img-src 'self'"]
    assert answer.headers.getlist("X-Frame-Options") == [SAME]
    assert "Referrer-Policy" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    other = app.test_client().get("/other").headers
    assert (other["X-Frame-Options"], other["Referrer-Policy"]) == ("DENY", "no-referrer")
    assert other["Content-Security-Policy"] == API_CSP


def test_it_is_found_above_the_route_on_async_views_and_on_view_classes(make_app: App) -> None:
    app = make_app()

    @headers(x_frame_options=SAME)
    @app.get("/above")
    def above() -> str:
        return ""

    @app.get("/async")
    @headers(x_frame_options=SAME)
    async def later() -> str:
        return ""

    @headers(x_frame_options=SAME)
    class Things(MethodView):
        def get(self) -> str:
            return ""

        @headers(x_frame_options=None)
        def post(self) -> str:
            return ""

    @headers(referrer_policy="origin")
    class More(Things):
        pass

    app.add_url_rule("/class", view_func=Things.as_view("class"))
    app.add_url_rule("/derived", view_func=More.as_view("derived"))
    for path in ("/above", "/async", "/class", "/derived"):
        assert frame(app, path) == SAME, path
    assert frame(app, "/class", method="HEAD") == SAME
    assert frame(app, "/class", method="POST") is None
    assert frame(app, "/class", method="OPTIONS") == SAME
    assert app.test_client().get("/derived").headers["Referrer-Policy"] == "origin"


def test_it_is_found_under_a_decorator_that_hides_it(make_app: App) -> None:
    app = make_app()

    def foreign(view: Any) -> Any:
        return lambda: view()

    @foreign
    @headers(x_frame_options=SAME)
    def view() -> str:
        return ""

    app.add_url_rule("/", "hidden", view)
    Rampart.protect(Rampart(), app, headers(x_frame_options=None, referrer_policy="origin"))
    answer = app.test_client().get("/").headers
    assert (answer["X-Frame-Options"], answer["Referrer-Policy"]) == (SAME, "origin")


def test_the_route_wins_over_the_blueprint_and_that_over_the_app_header_by_header(make_app: App) -> None:
    app = make_app(RAMPART_CSP={"default-src": "'self'"}, rampart=True)
    rampart = Rampart()
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)

    @inner.get("/own")
    @headers(x_frame_options="DENY")
    def own() -> str:
        return ""

    inner.get("/plain")(lambda: "")
    outer.register_blueprint(inner)
    rampart.protect(inner, headers(x_frame_options=SAME, referrer_policy="origin"))
    rampart.protect(outer, headers(referrer_policy="same-origin", cross_origin_resource_policy="same-site"))
    rampart.protect(
        app, headers(cross_origin_resource_policy="cross-origin", x_frame_options=None, x_dns_prefetch_control="on")
    )
    app.register_blueprint(outer)
    app.get("/elsewhere")(lambda: "")
    names = ("X-Frame-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy", "X-DNS-Prefetch-Control")
    told = {
        path: tuple(app.test_client().get(path).headers.get(name) for name in names)
        for path in ("/own", "/plain", "/elsewhere", "/absent")
    }
    assert told == {
        "/own": ("DENY", "origin", "same-site", "on"),
        "/plain": (SAME, "origin", "same-site", "on"),
        "/elsewhere": (None, "no-referrer", "cross-origin", "on"),
        "/absent": (None, "no-referrer", "cross-origin", "on"),
    }
    assert policy(app, "/own") == "default-src 'self'"


def test_one_declaration_in_two_places_counts_where_it_is_nearest(make_app: App) -> None:
    # A tuple of guards without duplicates would leave it at its farther place, and the looser one between would win.
    app = make_app()
    rampart = Rampart()
    strict, loose = headers(x_frame_options="DENY"), headers(x_frame_options=SAME)
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    inner.get("/inner")(lambda: "")
    outer.get("/outer")(lambda: "")
    outer.get("/view", endpoint="view")(strict(lambda: ""))
    outer.register_blueprint(inner)
    rampart.protect(app, strict)
    rampart.protect(outer, loose)
    rampart.protect(inner, strict)
    app.register_blueprint(outer)
    assert [frame(app, path) for path in ("/inner", "/outer", "/view")] == ["DENY", SAME, "DENY"]


def test_of_two_above_one_view_the_upper_one_wins(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(x_frame_options=SAME)(headers(x_frame_options="DENY", referrer_policy="origin")(lambda: "")))
    answer = app.test_client().get("/").headers
    assert (answer["X-Frame-Options"], answer["Referrer-Policy"]) == (SAME, "origin")


def test_errors_that_no_view_made_have_the_apps_headers(make_app: App) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False, RAMPART_MAX_BODY=10)

    @app.route("/", methods=["GET", "POST"])
    @headers(csp="default-src *", x_frame_options=None)
    def loose() -> str:
        return str(1 // int(request.args.get("by", "1")))

    client = app.test_client()
    assert "X-Frame-Options" not in client.get("/").headers
    for answer, status in (
        (client.get("/absent"), 404),
        (client.delete("/"), 405),
        (client.get("/?by=0"), 500),
        (client.post("/", data=b"x" * 11), 413),
    ):
        assert answer.status_code == status
        assert answer.headers.getlist("X-Frame-Options") == ["DENY"], status
        assert answer.headers.getlist("Content-Security-Policy") == [API_CSP], status


def test_a_refusal_on_a_route_is_sent_with_one_policy(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(x_frame_options=SAME)(require("jwt")(lambda: "")))
    app.get("/gone")(headers(x_frame_options=SAME)(lambda: abort(410)))
    answer = app.test_client().get("/")
    assert answer.status_code == 401
    assert answer.headers.getlist("X-Frame-Options") == [SAME]
    assert frame(app, "/gone") == SAME


def test_it_opens_nothing_and_refuses_nothing(make_app: App) -> None:
    app = make_app(RAMPART_DEFAULT="deny")
    app.get("/closed")(headers(x_frame_options=SAME)(lambda: ""))
    app.get("/open")(public(headers(x_frame_options=SAME)(lambda: "")))
    assert app.test_client().get("/closed").status_code == 403
    assert app.test_client().get("/open").status_code == 200


def test_a_profile_of_another_kind_takes_back_the_policies_that_were_written_for_the_first(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html", RAMPART_CSP={"default-src": "'self'", "script-src": "*"})
    rampart = Rampart()
    rampart.protect(app, headers(csp_report_only="default-src 'self'; report-uri /csp", referrer_policy="origin"))
    app.get("/data")(headers(profile="api")(lambda: {"a": 1}))
    app.get("/mixed")(headers(profile="mixed")(lambda: "<p>"))
    answer = app.test_client().get("/data").headers
    assert answer["Content-Security-Policy"] == API_CSP
    assert "Content-Security-Policy-Report-Only" not in answer
    assert answer["Referrer-Policy"] == "origin"
    assert policy(app, "/mixed") == "default-src 'self'; script-src *"


def test_a_page_among_data_has_the_nonce_of_its_template(make_app: App) -> None:
    app = make_app()
    app.get("/page")(headers(profile="html")(lambda: csp_nonce()))
    app.get("/data")(lambda: {"a": 1})
    client = app.test_client()
    page = client.get("/page")
    assert page.headers["Content-Security-Policy"].count(f"'nonce-{page.text}'") == 2
    assert client.get("/page").text != page.text
    assert client.get("/data").headers["Content-Security-Policy"] == API_CSP


def test_the_report_only_policy_stands_beside_the_enforced_one_with_the_same_nonce(make_app: App) -> None:
    app = make_app(RAMPART_PROFILE="html")
    strict = {
        "script-src": "'nonce' 'strict-dynamic'",
        "require-trusted-types-for": "'script'",
        "report-uri": "/csp",
    }
    app.get("/")(headers(csp="script-src 'nonce'", csp_report_only=strict)(lambda: csp_nonce()))
    answer = app.test_client().get("/")
    assert answer.headers["Content-Security-Policy"] == f"script-src 'nonce-{answer.text}'"
    only = answer.headers["Content-Security-Policy-Report-Only"]
    assert only == (
        f"script-src 'nonce-{answer.text}' 'strict-dynamic'; require-trusted-types-for 'script'; report-uri /csp"
    )


def test_permissions_are_opened_one_by_one(make_app: App) -> None:
    app = make_app()
    app.get("/")(headers(permissions={"camera": ["self", "https://a.example"], "usb": None})(lambda: ""))
    told = app.test_client().get("/").headers["Permissions-Policy"]
    assert 'camera=(self "https://a.example")' in told
    assert "microphone=()" in told
    assert "usb=" not in told


def test_upgrade_insecure_requests_is_sent_over_tls_alone(make_app: App) -> None:
    # helmetjs/helmet#429: over plain HTTP it takes the page's scripts away.
    app = make_app()
    app.get("/")(headers(csp={"default-src": "'self'", "upgrade-insecure-requests": True})(lambda: ""))
    assert policy(app) == "default-src 'self'"
    assert policy(app, base_url="https://localhost") == "default-src 'self'; upgrade-insecure-requests"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "says nothing"),
        ({"csp": {"default-src": "self"}}, "single quotes"),  # Flask-Talisman 1.1 sends it
        ({"csp": {"img-src": ["evil.test; script-src *"]}}, "another directive"),  # and this
        ({"csp": {"img-src": "evil.test\r\nSet-Cookie: a=1"}}, "csp|CSP"),
        ({"csp": ""}, "allows everything"),
        ({"csp_report_only": "default-sr 'self'"}, "Did you mean"),
        ({"csp": 5}, "neither a text"),
        ({"profile": "htlm"}, "Did you mean"),
        ({"x_frame_option": "DENY"}, "Did you mean"),
        ({"x_frame_options": "ALLOW-FROM https://a.example"}, "frame-ancestors"),
        ({"overrides": {"X-Frame-Options": "DENY"}, "x_frame_options": "DENY"}, "twice"),
        ({"overrides": ["X-Frame-Options"]}, "a dict"),
        ({"content_length": "5"}, "one response"),
        ({"vary": "Origin"}, "one response"),
        ({"set_cookie": "a=1"}, "one response"),
        ({"cross_origin_opener_policy": "same-orgin"}, "Did you mean"),
        ({"permissions": {"camara": "self"}}, "Did you mean"),
        ({"permissions": "camera 'none'"}, "allowlist"),
        ({"cache": "max-age"}, "whole seconds"),
        ({"cache": True}, "neither a text"),
        ({"cache": -1}, "neither a text"),
        ({"keep": "X-Powered-Bye"}, "Did you mean"),
        ({"overrides": {"X-A": "a\nb"}}, "one line"),
        ({"referrer_policy": str}, "plain function"),
    ],
    ids=str,
)
def test_what_a_browser_would_not_understand_is_refused_where_it_is_written(given: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        headers(**given)


def test_an_async_function_decides_no_value() -> None:
    async def later() -> str:
        return "DENY"

    with pytest.raises(ConfigError, match="plain function"):
        headers(x_frame_options=later)


def test_a_function_decides_for_each_request(make_app: App) -> None:
    app = make_app()
    asked = []

    def by_tenant() -> dict[str, Any]:
        asked.append(g.tenant)
        return {"default-src": "'none'", "img-src": f"https://{g.tenant}.example"}

    @app.get("/<tenant>")
    @headers(csp=by_tenant, x_frame_options=lambda: SAME if request.args else None)
    def view(tenant: str) -> str:
        g.tenant = tenant
        return ""

    assert policy(app, "/a") == "default-src 'none'; img-src https://a.example"
    assert policy(app, "/b") == "default-src 'none'; img-src https://b.example"
    assert asked == ["a", "b"]
    assert [frame(app, "/a?x"), frame(app, "/a")] == [SAME, "DENY"]


@pytest.mark.parametrize(
    "given",
    [
        "default-src self",
        "default-src *; script-src *\r\nSet-Cookie: a=1",
        {"img-src": "evil.test; script-src *"},
        {"img-src": 5.5},
        "",
        {},
        5,
        b"default-src 'self'",
        "default-src \udc80",
        ["default-src *"],
        ValueError("a bug"),
    ],
    ids=lambda given: ascii(given)[:40] if not hasattr(given, "__traceback__") else "raises",
)
def test_a_value_that_a_function_got_wrong_is_never_sent_and_never_a_500(
    make_app: App, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(RAMPART_CSP={"default-src": "*"})

    def wrong() -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    app.get("/")(headers(csp=wrong, x_frame_options=lambda: SAME, referrer_policy="origin")(lambda: "fine"))
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            answer = app.test_client().get("/")
            assert (answer.status_code, answer.text) == (200, "fine")
            # The profile's own: stricter than what the settings say.
            assert answer.headers.getlist("Content-Security-Policy") == [API_CSP]
            # What is beside it stays.
            assert (answer.headers["X-Frame-Options"], answer.headers["Referrer-Policy"]) == (SAME, "origin")
    assert any("Content-Security-Policy" in record.getMessage() for record in caplog.records)
    assert "evil.test" not in caplog.text


def test_where_a_function_gives_none_what_was_said_farther_away_holds(make_app: App) -> None:
    app = make_app(RAMPART_CSP={"default-src": "'self'"})
    blueprint = Blueprint("b", __name__)
    blueprint.get("/b")(
        headers(csp=lambda: None, x_frame_options=lambda: None, referrer_policy=lambda: None)(lambda: "")
    )
    Rampart().protect(blueprint, headers(x_frame_options=lambda: SAME, referrer_policy=None))
    app.register_blueprint(blueprint)
    answer = app.test_client().get("/b").headers
    assert answer["Content-Security-Policy"] == "default-src 'self'"
    assert answer["X-Frame-Options"] == SAME
    assert "Referrer-Policy" not in answer


def test_values_without_number_do_not_grow_the_memory(make_app: App) -> None:
    from flask_rampart.headers import declared

    app = make_app()
    app.get("/<int:n>", endpoint="n")(
        headers(csp=lambda: f"img-src https://t{request.view_args['n']}.example")(lambda n: "")
    )  # type: ignore[index]
    client = app.test_client()
    for n in range(declared._MOST_FOUND + 20):
        assert client.get(f"/{n}").headers["Content-Security-Policy"] == f"img-src https://t{n}.example"
    plan = app.extensions["rampart"].services[declared.RoutePolicies]
    (deciding,) = [made for made in plan._made.values() if isinstance(made, declared.Deciding)]
    assert len(deciding._found) <= declared._MOST_FOUND


def test_the_same_declarations_make_one_policy(make_app: App) -> None:
    app = make_app()
    for n in range(20):
        app.get(f"/{n}")(headers(csp={"img-src": "'self'"}, x_frame_options=SAME)(lambda: ""))
    app.test_client().get("/1")
    from flask_rampart.headers import RoutePolicies

    assert len(app.extensions["rampart"].services[RoutePolicies]._made) == 1


def test_no_function_is_asked_for_an_answer_without_a_route(make_app: App) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    Rampart().protect(app, headers(csp=lambda: 1 // 0, referrer_policy="origin"))
    app.get("/")(lambda: 1 // 0)
    for path in ("/absent", "/"):
        answer = app.test_client().get(path)
        assert (policy(app, path), answer.headers["Referrer-Policy"]) == (API_CSP, "origin")


def test_what_the_view_set_wins_over_what_is_declared(make_app: App) -> None:
    # Flask-Talisman 1.1 overwrites the stricter policy of a view.
    app = make_app()

    @app.get("/")
    @headers(csp="default-src *", x_frame_options=SAME)
    def own() -> tuple[str, dict[str, str]]:
        return "", {"content-security-policy": "default-src 'none'", "X-FRAME-OPTIONS": "DENY"}

    assert policy(app) == "default-src 'none'"
    assert app.test_client().get("/").headers.getlist("x-frame-options") == ["DENY"]


def test_a_kept_header_passes_where_it_is_kept(make_app: App) -> None:
    app = make_app()
    view = lambda: ("", {"SourceMap": "/a.map"})  # noqa: E731
    app.get("/kept")(headers(keep="SourceMap")(view))
    app.get("/other")(lambda: ("", {"SourceMap": "/a.map"}))
    assert app.test_client().get("/kept").headers["SourceMap"] == "/a.map"
    assert "SourceMap" not in app.test_client().get("/other").headers


def test_a_guard_that_refuses_before_it_leaves_the_apps_headers(make_app: App) -> None:
    app = make_app()
    app.get("/")(limit("1/hour")(headers(x_frame_options=SAME)(lambda: "")))
    client = app.test_client()
    assert client.get("/").headers.getlist("X-Frame-Options") == [SAME]
    refused = client.get("/")
    assert refused.status_code == 429
    assert len(refused.headers.getlist("X-Frame-Options")) == 1


def test_a_declaration_on_the_app_that_comes_after_an_answer_of_the_edge_is_refused(make_app: App) -> None:
    app = make_app(RAMPART_MAX_BODY=10, PROPAGATE_EXCEPTIONS=True)
    app.post("/")(lambda: "")
    assert app.test_client().post("/", data=b"x" * 11).status_code == 413
    Rampart().protect(app, headers(x_frame_options=SAME))
    with pytest.raises(ConfigError, match="too late"):
        app.test_client().post("/")


def test_it_is_listed_with_the_routes(make_app: App) -> None:
    app = make_app()
    app.get("/")(public(headers(csp="default-src 'self'", x_frame_options=SAME)(lambda: "")))
    Rampart().protect(app, headers(referrer_policy="origin"))
    told = app.test_cli_runner().invoke(commands, ["routes"]).output
    assert "headers(referrer_policy='origin')" in told
    assert "headers(csp=..., x_frame_options='SAMEORIGIN')" in told


def test_the_page_of_the_documents_runs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "headers.md").read_text()
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "rampart.protect(files" in block]
    space: dict[str, Any] = {"__name__": "documented"}
    exec(
        compile(block.replace("rampart = Rampart(app)", SETTINGS + "rampart = Rampart(app)"), "headers.md", "exec"),
        space,
    )
    client = space["app"].test_client()
    docs, style = client.get("/docs"), client.get("/style.css")
    nonce = re.search('nonce="([^"]+)"', docs.text)
    assert nonce and f"'nonce-{nonce[1]}'" in docs.headers["Content-Security-Policy"]
    assert docs.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "fullscreen=(self)" in docs.headers["Permissions-Policy"]
    assert style.headers["Cache-Control"] == "public, max-age=3600"
    assert client.get("/a").headers["Content-Security-Policy"] == "default-src 'none'; img-src https://a.example.com"


SETTINGS = 'app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")\n'
