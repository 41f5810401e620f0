"""Where the face of Flask-Talisman has nothing to do around a request, it is not called; and where it has, it is.

Each app here has answered by HTTPS before, alone or with others: what is left out then must not stay left out.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, Response, render_template_string, request, request_finished

from flask_rampart.compat.talisman import Talisman

HTTPS = "https://localhost"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own: views with options, and who hears of ends, are those of other tests' apps."""
    monkeypatch.setattr(Talisman, "_some_view_differs", False)
    monkeypatch.setattr(request_finished, "receivers", {})


@pytest.fixture
def app() -> Flask:
    app = Flask("leaving")
    app.extensions["face"] = Talisman(app)
    app.add_url_rule("/", "index", lambda: "hello", methods=["GET", "POST"])
    return app


def get(app: Flask, path: str = "/", base: str = HTTPS) -> Any:
    return app.test_client().get(path, base_url=base)


def seasoned(app: Flask) -> Flask:
    for _ in range(2):
        assert get(app).headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    return app


def test_plain_http_is_sent_on_whatever_came_before(app: Flask) -> None:
    seasoned(app)
    assert get(app, base="http://localhost").status_code == 302
    assert app.test_client().post("/", base_url="http://localhost").status_code == 403
    assert get(app).status_code == 200


def test_plain_http_is_sent_on_while_others_come_by_https(app: Flask) -> None:
    seasoned(app)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: get(app, base="http://localhost" if n % 3 else HTTPS), range(300)))
    assert [answer.status_code for answer in answers] == [302 if n % 3 else 200 for n in range(300)]
    assert {tuple(answer.headers.getlist("X-Frame-Options")) for answer in answers} == {("SAMEORIGIN",)}


def test_a_request_by_plain_http_within_one_by_https_is_sent_on(app: Flask) -> None:
    @app.get("/outer")
    def outer() -> dict[str, Any]:
        return {"inner": get(app, base="http://localhost").status_code, "scheme": request.scheme}

    seasoned(app)
    assert get(app, "/outer").json == {"inner": 302, "scheme": "https"}


def test_what_never_passes_the_server_meets_the_whole_face(app: Flask) -> None:
    seasoned(app)
    with app.test_request_context("/", base_url="http://localhost"):
        refused = app.preprocess_request()
        assert refused is not None and refused.status_code == 302
    with app.test_request_context("/", base_url=HTTPS):
        assert app.process_response(Response("")).headers["X-Frame-Options"] == "SAMEORIGIN"


def test_other_functions_around_a_request_are_called_in_their_order() -> None:
    app = Flask("others")
    told: list[str] = []
    app.before_request(lambda: told.append("first"))
    Talisman(app)
    app.before_request(lambda: told.append("second"))

    @app.after_request
    def last(response: Response) -> Response:
        told.append("last")
        return response

    app.get("/")(lambda: "x")
    for _ in range(3):
        told.clear()
        assert get(app).headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
        assert told == ["first", "second", "last"]
    app.before_request_funcs[None].append(lambda: told.append("late"))
    told.clear()
    get(app)
    assert told == ["first", "second", "late", "last"]


def test_a_view_with_options_of_its_own_has_them_after_others_that_have_none(app: Flask) -> None:
    seasoned(app)
    own = app.extensions["face"](frame_options="DENY", content_security_policy_nonce_in=["default-src"])
    app.view_functions["index"] = own(lambda: render_template_string("{{ csp_nonce() }}"))
    answer = get(app)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert len(answer.text) > 20 and f"'nonce-{answer.text}'" in answer.headers["Content-Security-Policy"]


def test_what_is_assigned_later_holds_from_then_on(app: Flask) -> None:
    seasoned(app)
    app.extensions["face"].frame_options = "DENY"
    assert get(app).headers["X-Frame-Options"] == get(app).headers["X-Frame-Options"] == "DENY"


def test_the_fields_of_https_are_not_sent_by_plain_http() -> None:
    app = Flask("plain")
    Talisman(app, force_https=False)
    app.get("/")(lambda: "x")
    for base, has in ((HTTPS, True), ("http://localhost", False), (HTTPS, True), ("http://localhost", False)):
        assert ("Strict-Transport-Security" in get(app, base=base).headers) is has


def test_an_answer_that_fails_has_the_fields(app: Flask) -> None:
    app.get("/fails")(lambda: 1 / 0)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    seasoned(app)
    answer = get(app, "/fails")
    assert (answer.status_code, answer.headers.getlist("X-Frame-Options")) == (500, ["SAMEORIGIN"])


def test_a_field_of_the_views_own_is_sent_once() -> None:
    app = Flask("own")
    Talisman(app)
    app.get("/")(lambda: ("x", {"x-frame-options": "DENY", "Content-Security-Policy": "default-src 'none'"}))
    for _ in range(3):
        headers = get(app).headers
        assert headers.getlist("X-Frame-Options") == ["DENY"]
        assert headers.getlist("Content-Security-Policy") == [
            "default-src 'none'",
            "default-src 'self'; object-src 'none'",
        ]


def test_options_that_a_view_was_given_by_hand_hold_for_every_request(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.view_functions["index"].talisman_view_options = {"frame_options": "DENY"}  # type: ignore[attr-defined]
    assert [get(app).headers["X-Frame-Options"] for _ in range(3)] == ["DENY"] * 3


def test_a_nonce_that_no_directive_of_the_policy_names_is_drawn_for_every_request() -> None:
    app = Flask("nonce")
    Talisman(app, content_security_policy="default-src 'self'", content_security_policy_nonce_in=["script-src"])
    app.get("/")(lambda: request.csp_nonce)  # type: ignore[attr-defined]
    assert len({get(app).text for _ in range(3)}) == 3


@pytest.mark.parametrize("nonce_in", [[], ["default-src"]])
def test_an_answer_that_a_view_has_its_app_make_has_all_that_it_has_elsewhere(nonce_in: list[str]) -> None:
    app = Flask("batch")
    Talisman(app, content_security_policy_nonce_in=nonce_in)
    app.get("/")(lambda: "x")

    @app.get("/batch")
    def batch() -> list[Any]:
        told = []
        for base in ("http://localhost", HTTPS):
            with app.test_request_context("/", base_url=base):
                part = app.full_dispatch_request()
                told.append([part.status_code, part.headers.getlist("X-Frame-Options")])
                told.append("Content-Security-Policy" in part.headers)
        return told

    for _ in range(3):
        answer = get(app, "/batch")
        assert answer.json == [[302, ["SAMEORIGIN"]], True, [200, ["SAMEORIGIN"]], True]
        assert answer.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]


@pytest.mark.parametrize("nonce_in", [[], ["default-src"]])
def test_an_answer_that_begins_when_it_is_read_has_the_fields(nonce_in: list[str]) -> None:

    class Late(Response):
        def __call__(self, environ: Any, start_response: Any) -> Any:
            inner = super().__call__
            return (chunk for _ in range(1) for chunk in inner(environ, start_response))

    app = Flask("late")
    Talisman(app, content_security_policy_nonce_in=nonce_in)
    app.get("/")(lambda: Late("x"))
    assert [get(app).headers.getlist("X-Frame-Options") for _ in range(3)] == [["SAMEORIGIN"]] * 3
