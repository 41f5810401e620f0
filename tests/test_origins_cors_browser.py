"""A real Chromium reads what a listed page may read, refusals too, and keeps everything from the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask_rampart import cors, limit, require

from .conftest import bearer
from .fronts import chromium

pytestmark = pytest.mark.servers

FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return [answer.status, answer.type, await answer.text(), answer.headers.get("Retry-After") !== null];
    } catch (error) {
        return ["failed"];
    }
}"""
EMBED = """url => new Promise(done => {
    const image = new Image();
    image.onload = () => done("shown");
    image.onerror = () => done("blocked");
    image.src = url;
})"""
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


@contextmanager
def served(app: Any, host: str = "127.0.0.1") -> Iterator[str]:
    """The app at an origin of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page_of(environ: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><title>page</title>"]


def api_of(make_app: Callable[..., Flask], listed: str) -> Flask:
    app = make_app(RAMPART_CORS_ORIGINS=[listed], RAMPART_CORS_CREDENTIALS=True)

    @app.put("/items/<int:item>")
    @require(scopes="write")
    def put(item: int) -> str:
        return "put"

    @app.get("/limited")
    @limit("1/hour")
    def limited() -> str:
        return "limited"

    @app.get("/open/")
    @cors(origins="*")
    def opened() -> str:
        return "open"

    @app.get("/pixel")
    def pixel() -> tuple[bytes, dict[str, str]]:
        return PIXEL, {"Content-Type": "image/gif"}

    @app.get("/embedded")
    def embedded() -> tuple[bytes, dict[str, str]]:
        return PIXEL, {"Content-Type": "image/gif", "Cross-Origin-Resource-Policy": "cross-origin"}

    return app


def test_a_browser_reads_what_a_listed_page_may_read_and_nothing_else(
    make_app: Callable[..., Flask], token: Callable[..., str]
) -> None:
    with (
        served(page_of, "localhost") as listed,
        served(page_of) as stranger,
        served(api_of(make_app, listed)) as api,
        chromium(["MAP localhost 127.0.0.1", "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"]) as browser,
    ):
        page = browser.new_page()

        def fetch(path: str, **options: Any) -> list[Any]:
            found: list[Any] = page.evaluate(FETCH, [api + path, options])
            return found

        write = {"Content-Type": "application/json", **bearer(token(scope="write"))}
        page.goto(listed)
        assert fetch("/items/1", method="PUT", headers=write, body="{}")[:3] == [200, "cors", "put"]
        assert fetch("/items/1", method="PUT", headers=write, credentials="include")[:3] == [200, "cors", "put"]
        refused = fetch("/items/1", method="PUT", headers={"Content-Type": "application/json"})
        assert (refused[0], "auth.missing" in refused[2]) == (401, True)
        assert fetch("/nowhere", method="DELETE")[0] == 404
        assert fetch("/limited", method="DELETE")[0] == 405
        assert fetch("/limited")[:3] == [200, "cors", "limited"]
        assert fetch("/limited")[::3] == [429, True]
        assert fetch("/open", headers={"Authorization": "x"})[:3] == [200, "cors", "open"]
        assert fetch("/items/1", method="PUT", headers={"X-Other": "x"}) == ["failed"]
        # What asks for no leave is another header's (docs/cors.md).
        assert page.evaluate(EMBED, f"{api}/pixel") == "blocked"
        assert page.evaluate(EMBED, f"{api}/embedded") == "shown"

        page.goto(stranger)
        assert fetch("/items/1", method="PUT", headers=write) == ["failed"]
        assert fetch("/limited") == ["failed"]
        assert fetch("/nowhere", method="DELETE") == ["failed"]
        assert fetch("/open/")[:3] == [200, "cors", "open"]
        assert fetch("/open/", credentials="include") == ["failed"]

        page.goto("data:text/html,<title>null</title>")
        assert fetch("/limited") == ["failed"]
