"""A real Chromium reports what it blocked, in both of its ways, and the collector groups it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, request
from playwright.sync_api import Page
from werkzeug.serving import make_server

from flask_rampart import ReportGroup, csp_nonce, public
from flask_rampart.reports import Reports

from .fronts import chromium
from .outgoing import certified

App = Callable[..., Flask]
pytestmark = pytest.mark.servers

_PATIENCE = 60.0
_PAGE = """<!doctype html><title>page</title>
<script>document.title = "injected"</script>
<img src="https://cdn.example.com/tracker.png?user=ada">
<script nonce="{nonce}">try {{ eval("1") }} catch (e) {{}} document.body.append("ran")</script>"""


@contextmanager
def page_of_chromium() -> Iterator[Page]:
    """A page of a fresh Chromium that looks up no name and reports at once."""
    rules = ["MAP localhost 127.0.0.1", "MAP www.example.com 127.0.0.1", "MAP * ~NOTFOUND"]
    with chromium(rules, "--short-reporting-delay", "--ignore-certificate-errors") as browser:
        yield browser.new_context(ignore_https_errors=True).new_page()


@contextmanager
def served(app: Flask, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The app at an address of this host."""
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def app(make_app: App) -> Flask:
    app = make_app(
        RAMPART_REPORTS="/reports",
        RAMPART_DEFAULT="deny",
        RAMPART_CSP={"default-src": "'none'", "script-src": "'nonce'", "base-uri": "'none'"},
        RAMPART_CSP_REPORT_ONLY={"require-trusted-types-for": "'script'"},
        RAMPART_PROFILE="html",
    )
    app.testing = True

    @app.get("/users/<int:number>")
    @public
    def user(number: int) -> str:
        return _PAGE.format(nonce=csp_nonce())

    return app


def reported(
    app: Flask, enough: Callable[[dict[tuple[str, str, str], ReportGroup]], bool]
) -> dict[tuple[str, str, str], ReportGroup]:
    """The groups by directive, what was blocked and disposition, once there are enough."""
    reports: Reports = app.extensions["rampart"].services[Reports]
    end = time.monotonic() + _PATIENCE
    while True:
        found = {(group.directive, group.blocked, group.disposition): group for group in reports.list()}
        if enough(found):
            return found
        assert time.monotonic() < end, found
        threading.Event().wait(0.1)


EXPECTED = {
    ("script-src-elem", "inline", "enforce"),
    ("img-src", "https://cdn.example.com", "enforce"),
    ("script-src", "eval", "enforce"),
}


@pytest.mark.parametrize("tls", [False, True], ids=["report-uri over http", "the Reporting API over https"])
def test_what_chromium_blocks_is_reported_and_grouped(app: Flask, tls: bool, tmp_path: Path) -> None:
    context = certified(tmp_path, "localhost")[1] if tls else None
    taken: list[str] = []
    app.before_request(lambda: taken.append(_kind()))
    with served(app, context) as origin, page_of_chromium() as page:
        page.goto(f"{origin}/users/7?session=hunter2")
        assert page.title() == "page"
        assert page.locator("body").inner_text().endswith("ran")
        found = reported(app, lambda found: set(found) >= EXPECTED)
    kind = "application/reports+json" if tls else "application/csp-report"
    assert set(taken) - {""} == {kind}
    for key in EXPECTED:
        group = found[key]
        assert (group.type, group.page, group.count) == ("csp-violation", "/users/{number}", 1)
        told = repr(group).replace(group.id, "")  # which is hexadecimal, and may have her name in it
        assert "hunter2" not in told and "ada" not in told
    only = [key for key in found if key[2] == "report"]
    assert only and all(key[0] == "require-trusted-types-for" for key in only)
    reports: Reports = app.extensions["rampart"].services[Reports]
    assert "foreign" not in reports.apart()


def test_pages_of_another_host_that_is_named_report_across_origins(make_app: App, tmp_path: Path) -> None:
    context = certified(tmp_path, "localhost", "www.example.com")[1]
    collector = make_app(
        RAMPART_REPORTS="/reports",
        RAMPART_REPORTS_HOSTS=["www.example.com"],
        # What pages may read is another matter: the browser asks the collector itself.
        RAMPART_CORS_ORIGINS=["https://app.example.com"],
    )
    collector.testing = True
    asked: list[tuple[str, str]] = []
    collector.before_request(lambda: asked.append((request.method, request.headers.get("Origin", ""))))
    with served(collector, context) as there:
        pages = make_app(RAMPART_REPORTS=f"{there}/reports", RAMPART_PROFILE="html")
        pages.testing = True
        pages.get("/")(lambda: "<!doctype html><img src='https://cdn.example.com/a.png'>")
        with served(pages, context) as here, page_of_chromium() as page:
            origin = here.replace("localhost", "www.example.com")
            page.goto(f"{origin}/")
            found = reported(collector, lambda found: ("img-src", "https://cdn.example.com", "enforce") in found)
    assert found["img-src", "https://cdn.example.com", "enforce"].page == "(no route)"
    assert set(asked) >= {("OPTIONS", origin), ("POST", origin)}


def _kind() -> str:
    return request.mimetype if request.path == "/reports" else ""
