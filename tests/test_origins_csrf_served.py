"""CSRF behind a real server: heads as browsers write them, and a real browser that another page tells what to do."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .fronts import chromium
from .serving import Served, serving

pytestmark = pytest.mark.servers

VIEWS = """
    from flask import make_response, render_template_string
    from flask_rampart import csrf
    app.config["RAMPART_PROFILE"] = "html"
    Rampart(app)

    @app.get("/")
    def home():
        form = (
            "<form method=post action=/transfer id=f><button>go</button></form>"
            "<form method=post action=/careful id=g>"
            "<input type=hidden name=csrf_token value='{{ csrf_token() }}'></form>"
        )
        answer = make_response(render_template_string(form))
        answer.set_cookie("session_of", "ada", samesite="Lax")
        return answer

    @app.post("/transfer")
    def transfer():
        return f"done for {request.cookies.get('session_of')}"

    @app.after_request
    def note(response):
        if request.path == "/transfer":
            with open("transfers", "a") as kept:
                site, cookie = request.headers.get("Sec-Fetch-Site"), "session_of" in request.cookies
                print(site, cookie, response.status_code, file=kept)
        return response

    @app.post("/careful")
    @csrf("token")
    def careful():
        return "careful done"

    @app.post("/login")
    @csrf("strict")
    def login():
        return "in"
"""

CHROME = (
    "Connection: keep-alive",
    "Content-Length: 0",
    "Cache-Control: max-age=0",
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "Content-Type: application/x-www-form-urlencoded",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-US,en;q=0.9",
    "Cookie: session_of=ada",
)
FIREFOX = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Length: 0",
    "Cookie: session_of=ada",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Priority: u=0, i",
)
# Safari before 16.4 (2023) has no Sec-Fetch fields, and Origin on every POST.
SAFARI = (
    "Content-Type: application/x-www-form-urlencoded",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/15.6 Safari/605.1.15",
    "Content-Length: 0",
    "Cookie: session_of=ada",
)
CURL = ("User-Agent: curl/8.5.0", "Accept: */*", "Cookie: session_of=ada", "Content-Length: 0")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("csrf"), VIEWS, "-w", "2") as server:
        yield server


@pytest.mark.parametrize(
    ("browser", "fields", "expected"),
    [
        pytest.param(CHROME, ("Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"), 200, id="chrome-own"),
        pytest.param(CHROME, ("Origin: null", "Sec-Fetch-Site: same-origin"), 200, id="chrome-own-no-referrer"),
        pytest.param(CHROME, ("Origin: null", "Sec-Fetch-Site: cross-site"), 403, id="chrome-sandboxed"),
        pytest.param(CHROME, ("Origin: https://evil.test", "Sec-Fetch-Site: cross-site"), 403, id="chrome-evil"),
        pytest.param(CHROME, ("Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"), 403, id="chrome-neighbour"),
        pytest.param(CHROME, ("Sec-Fetch-Site: none",), 200, id="chrome-user"),
        pytest.param(
            FIREFOX, ("Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"), 200, id="firefox-own"
        ),
        pytest.param(FIREFOX, ("Origin: https://evil.test", "Sec-Fetch-Site: cross-site"), 403, id="firefox-evil"),
        pytest.param(SAFARI, ("Origin: http://127.0.0.1:{port}",), 200, id="safari-own"),
        pytest.param(SAFARI, ("Origin: https://evil.test",), 403, id="safari-evil"),
        pytest.param(SAFARI, ("Origin: null",), 403, id="safari-sandboxed"),
        pytest.param(CURL, (), 200, id="curl"),
        # Two lines of one field: gunicorn joins them.
        pytest.param(CHROME, ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), 403, id="two-words"),
        pytest.param(SAFARI, ("Origin: http://127.0.0.1:{port}", "Origin: https://evil.test"), 403, id="two-origins"),
        # A script may set this one; it must not stand for the browser's.
        pytest.param(SAFARI, ("Sec_Fetch_Site: same-origin", "Origin: https://evil.test"), 403, id="underscores"),
    ],
)
def test_a_form_as_browsers_send_it(
    served: Served, browser: tuple[str, ...], fields: tuple[str, ...], expected: int
) -> None:
    head = [f"Host: 127.0.0.1:{served.port}", *browser, *(field.format(port=served.port) for field in fields)]
    assert served.raw("POST /transfer HTTP/1.1", *head) == expected
    # Nobody is asked about what changes nothing.
    assert served.raw("GET / HTTP/1.1", *head) == 200


def test_a_login_form_is_kept_from_other_sites_though_there_is_no_cookie_yet(served: Served) -> None:
    head = (f"Host: 127.0.0.1:{served.port}", "Content-Length: 0")
    assert served.raw("POST /login HTTP/1.1", *head, "Sec-Fetch-Site: cross-site", "Origin: https://evil.test") == 403
    assert served.raw("POST /login HTTP/1.1", *head, "Sec-Fetch-Site: same-origin") == 200
    assert served.raw("POST /login HTTP/1.1", *head) == 403


def test_a_token_of_one_worker_is_taken_by_all(served: Served) -> None:
    connection = served.connect()
    connection.request("GET", "/")
    answer = connection.getresponse()
    cookie = re.search(r"rampart_csrf=[^;]+", str(answer.headers))
    token = re.search(r"value='([^']+)'", answer.read().decode())
    connection.close()
    assert cookie and token
    answers = {
        served.ask("POST", "/careful", Cookie=cookie[0], X_CSRF_Token=token[1], Content_Length="0")[0]
        for _ in range(20)
    }
    assert answers == {200}


@contextmanager
def another_site(page: str) -> Iterator[str]:
    """A server with one page; its port makes it another origin."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_real_browser_sends_our_own_form_and_is_refused_another_s(tmp_path: Path) -> None:
    attack = "<form method=post action='OURS/transfer' id=f></form>"
    with serving(tmp_path, VIEWS) as served, chromium() as browser:
        ours = f"http://127.0.0.1:{served.port}"
        # A neighbour: cookies do not know ports, so SameSite does not help.
        with another_site(attack.replace("OURS", ours)) as evil:
            page = browser.new_page()

            def submitted(address: str, form: str) -> str:
                page.goto(address)
                with page.expect_navigation():
                    page.evaluate(f"document.getElementById('{form}').submit()")
                return page.content()

            assert "done for ada" in submitted(ours, "f")
            assert "careful done" in submitted(ours, "g")
            assert "csrf.origin" in submitted(evil, "f")
            # By script, without asking for leave. It may not read the answer: what counts is what was done.
            page.goto(evil)
            page.evaluate(
                "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).catch(() => 0)",
                f"{ours}/transfer",
            )
            seen = (tmp_path / "transfers").read_text().splitlines()
            assert seen == ["same-origin True 200", "same-site True 403", "same-site True 403"]
