"""The dashboard in a real browser, while somebody attacks the app: it fills, updates, unbans, and is looked at."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .fronts import chromium, keep
from .serving import Served, serving
from .test_reports_served import written

pytestmark = pytest.mark.servers

VIEWS = """
from flask import make_response
from flask_rampart import public, require, validate
from flask_rampart.dashboard import Dashboard
app.config.update(
    RAMPART_JWT_KEYS=[{"kid": "a", "alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}],
    RAMPART_JWT_LOCATIONS=["header", "cookie"], RAMPART_JWT_COOKIE_SECURE=False,
    RAMPART_REPORTS="/reports", RAMPART_AUDIT_LOG="audit", RAMPART_JSON_MAX_DEPTH=8,
    RAMPART_TRUSTED_PROXIES=["127.0.0.0/8"], RAMPART_STORE="sqlite:///" + str(pathlib.Path(__file__).parent / "r.db"),
)
app.debug = True  # cookies without TLS
rampart = Rampart(app)

@app.get("/orders/<int:number>")
@require(scopes="orders.read")
def order(number):
    return str(number)

@app.post("/predict")
@limit("6/minute", ban="15 minutes after 3 in 1 minute")
@validate(body={"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 99}}})
def predict():
    return "ok"

@app.get("/naked")
def naked():
    return "nobody asks"

@app.get("/broken")
@public
def broken():
    raise RuntimeError("as it must")

@app.post("/login")
@public
def login():
    name = request.args["name"]
    answer = make_response("in")
    rampart.tokens.set_cookies(answer, rampart.tokens.issue(name, roles=["admin"] if name == "ada" else []))
    return answer

app.register_blueprint(Dashboard(require(roles="admin"), streams=2))
"""


def attack(server: Served) -> None:
    """Ordinary traffic, stuffing, probing and a flood."""
    for number in range(24):
        server.get("/orders/1", X_Forwarded_For=f"198.51.100.{number % 5}", Authorization="Bearer not.a.token")
        for of in ("admin", "content"):
            server.get(f"/wp-{of}/{number}", X_Forwarded_For="203.0.113.9")
        server.get("/ready", X_Forwarded_For="192.0.2.10")
        server.get("/orders/1", X_Forwarded_For="2001:db8:85a3:8d3:1319:8a2e:370:7348")
        server.ask("POST", "/predict", "{}", X_Forwarded_For=f"192.0.2.{number % 3}", Content_Type="application/json")
    for _ in range(12):
        server.ask("POST", "/predict", '{"text": "x"}', X_Forwarded_For="203.0.113.66", Content_Type="application/json")
    for _ in range(3):
        server.get("/broken", X_Forwarded_For="192.0.2.10")
    report = {"document-uri": f"http://127.0.0.1:{server.port}/naked", "effective-directive": "script-src-elem"}
    body = json.dumps({"csp-report": {**report, "blocked-uri": "https://cdn.example/x.js", "disposition": "enforce"}})
    server.ask("POST", "/reports", body, X_Forwarded_For="192.0.2.10", Content_Type="application/csp-report")
    command = [sys.executable, "-m", "flask", "--app", "served", "rampart", "audit", "verify"]
    subprocess.run(command, cwd=server.folder, check=True, capture_output=True)
    server.wait(lambda: written(f"sqlite:///{server.folder}/r.db"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("board")
    with serving(folder, VIEWS, "--workers", "2", "--threads", "4") as server:
        yield server


def context(browser: Any, server: Served, **options: Any) -> Any:
    made = browser.new_context(base_url=f"http://127.0.0.1:{server.port}", **options)
    assert made.request.post("/login?name=ada").ok
    return made


WIDER = """() => [...document.querySelectorAll("section")]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText)"""
SIDEWAYS = """() => [...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.getAttribute("aria-label"))"""
BROKEN = """() => [...document.querySelectorAll("#recent td[data-head=Address] code")]
    .filter((one) => new Set([...one.getClientRects()].map((part) => part.top)).size > 1).map((one) => one.innerText)"""
WIDTHS = {"phone": 390, "tablet": 820, "wide": 1600}


def test_the_dashboard_fills_under_attack_at_every_width_in_light_and_dark(server: Served) -> None:
    attack(server)
    with chromium() as browser:
        for scheme in ("light", "dark"):
            for name, width in WIDTHS.items():
                seen = context(browser, server, color_scheme=scheme, viewport={"width": width, "height": 900})
                page = seen.new_page()
                wrong: list[str] = []
                page.on("console", lambda told, wrong=wrong: wrong.append(told.text) if told.type == "error" else None)
                page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
                page.goto("/rampart/")
                page.wait_for_selector("#why table")
                page.wait_for_selector("#coverage table")
                assert "203.0.113.66" in page.inner_text("#bans")
                assert "token.invalid" in page.inner_text("#why") and "limit.exceeded" in page.inner_text("#why")
                assert "/naked" in page.inner_text("#coverage") and "open" in page.inner_text("#coverage")
                assert page.locator("#rates svg path").count() == 4
                detected = page.locator("#findings tbody tr").count()
                assert page.locator("#timeline svg circle").count() == detected >= 1
                assert "path_scanning" in page.inner_text("#findings")
                assert "203.0.113.9" in page.inner_text("#findings")
                assert "as it was written" in page.inner_text("#audit")
                assert "all written by the workers" in page.inner_text("#audit")
                assert "script-src" in page.inner_text("#reports") and "cdn.example" in page.inner_text("#reports")
                # Nothing is wider than the page: what is, scrolls in its own box.
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, scheme)
                assert page.evaluate(WIDER) == [], (name, scheme)
                # Nor is a table wider than its box, or an address on two lines.
                assert page.evaluate(SIDEWAYS) == [] and page.evaluate(BROKEN) == [], (name, scheme)
                assert "2001:db8:85a3:8d3:1319:8a2e:370:7348" in page.inner_text("#recent"), (name, scheme)
                keep(page, f"dashboard-{name}-{scheme}")
                if name == "phone":
                    # As narrow as pages must be read without scrolling sideways: WCAG 2.2, 1.4.10.
                    page.set_viewport_size({"width": 320, "height": 900})
                    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), scheme
                    assert page.evaluate(WIDER) == page.evaluate(SIDEWAYS) == [], scheme
                assert wrong == [], (name, scheme)
                seen.close()


def test_it_goes_on_by_itself_and_pauses(server: Served) -> None:
    with chromium() as browser:
        seen = context(browser, server)
        page = seen.new_page()
        page.goto("/rampart/")
        page.wait_for_selector("#routes table")
        thread = threading.Thread(target=lambda: [server.get("/probe-of-the-test") for _ in range(5)])
        before = page.inner_text(".tile:nth-child(3) b")
        thread.start()
        page.wait_for_function(
            "(before) => document.querySelector('.tile:nth-child(3) b').innerText !== before", arg=before
        )
        thread.join()
        assert page.inner_text("#state").startswith("Live")
        note = {"time": time.time() - 3 * 86400 - 60, "records": 7, "faults": 0}
        (server.folder / "instance" / "audit.verified").write_text(json.dumps(note))
        page.wait_for_function("() => document.querySelector('#audit').innerText.includes('not verified for 3 days')")
        assert "7 records, as they were written, on" in page.inner_text("#audit")
        page.click("#pause")
        assert page.inner_text("#state").startswith("Paused")
        assert page.get_attribute("#pause", "aria-pressed") == "true"
        seen.close()


def test_a_server_that_answers_slowly_is_not_asked_again_meanwhile(server: Served) -> None:
    with chromium() as browser:
        seen = context(browser, server)
        page = seen.new_page()
        page.clock.install()
        page.route("**/events*", lambda route: route.fulfill(status=204))  # so the page asks by itself
        page.goto("/rampart/")
        page.wait_for_selector("#why table, #why .empty")
        held: list[Any] = []
        page.route("**/data*", lambda route: held.append(route))

        def asked() -> list[Any]:
            return [one for one in held if "whole=1" not in one.request.url]

        for _ in range(100):
            page.clock.run_for(2000)
            if asked():
                break
        page.clock.run_for(20_000)
        page.evaluate("0")  # what was sent until now has been told of
        assert len(asked()) == 1 and len(held) <= 2  # the whole is asked for apart, every 30 s
        with page.expect_response("**/data*"):
            asked()[0].continue_()
        for _ in range(100):
            page.clock.run_for(500)
            if len(asked()) == 2:
                break
        assert len(asked()) == 2
        seen.close()


def streamed(page: Any, begin: Callable[[], object]) -> None:
    """Does what begins a stream, until one is had: the server learns late that another page's is over."""
    for _ in range(40):
        with page.expect_response(lambda one: "/events" in one.url) as answer:
            begin()
        if answer.value.status == 200:
            return
        page.wait_for_timeout(500)
        begin = partial(page.goto, "/rampart/")
    pytest.fail("no stream was to be had")


def test_a_page_that_nobody_looks_at_holds_no_stream(server: Served) -> None:
    with chromium() as browser:
        seen = context(browser, server)
        page = seen.new_page()
        streamed(page, partial(page.goto, "/rampart/"))
        # A browser's headless pages are never hidden by themselves.
        hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); "
        hide += "document.dispatchEvent(new Event('visibilitychange')); }"
        with page.expect_event("requestfailed", lambda one: "/events" in one.url):
            page.click("#pause")
        streamed(page, partial(page.click, "#pause"))
        with page.expect_event("requestfailed", lambda one: "/events" in one.url):
            page.evaluate(hide, True)
        with page.expect_request(lambda one: "/events" in one.url):
            page.evaluate(hide, False)
        seen.close()


def test_an_unban_that_did_nothing_is_told_so_with_the_apps_own_proof(server: Served) -> None:
    for _ in range(12):
        server.ask("POST", "/predict", '{"text": "x"}', X_Forwarded_For="203.0.113.88", Content_Type="application/json")
    with chromium() as browser:
        seen = context(browser, server)
        url = f"http://127.0.0.1:{server.port}"
        # Of another app at the same host; it comes first.
        seen.add_cookies([{"name": "a_csrf_token", "value": "of-another", "url": url}])
        page = seen.new_page()
        sent: list[str] = []

        def unbanned_elsewhere(route: Any) -> None:
            sent.append(route.request.headers["x-csrf-token"])
            route.fulfill(status=200, content_type="application/json", body='{"was": false}')

        page.route("**/unban", unbanned_elsewhere)
        page.goto("/rampart/")
        button = page.locator("[aria-label='Unban 203.0.113.88']")
        button.wait_for()
        button.click()
        page.wait_for_function("() => document.querySelector('#told').innerText.includes('was not banned')")
        own = next(one["value"] for one in seen.cookies() if one["name"] == "csrf_token")
        assert sent == [own]
        seen.close()


def test_a_ban_is_ended_by_keyboard_and_the_page_says_so(server: Served) -> None:
    for _ in range(12):
        server.ask("POST", "/predict", '{"text": "x"}', X_Forwarded_For="203.0.113.77", Content_Type="application/json")
    with chromium() as browser:
        seen = context(browser, server)
        page = seen.new_page()
        page.goto("/rampart/")
        button = page.locator("[aria-label='Unban 203.0.113.77']")
        button.wait_for()
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('#told').innerText.includes('banned no more')")
        page.wait_for_function("() => !document.querySelector('#bans').innerText.includes('203.0.113.77')")
        seen.close()
    answered = server.ask(
        "POST", "/predict", '{"text": "x"}', X_Forwarded_For="203.0.113.77", Content_Type="application/json"
    )
    assert "limit.banned" not in answered[2]


def test_the_theme_is_chosen_and_kept_and_the_keyboard_reaches_all(server: Served) -> None:
    with chromium() as browser:
        seen = context(browser, server, color_scheme="light")
        page = seen.new_page()
        page.goto("/rampart/")
        page.wait_for_selector("#why table")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.click("#theme")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light != dark and page.inner_text("#theme") == "Light"
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert {"span", "pause", "theme", "SUMMARY"} <= reached
        seen.close()


def test_its_colours_can_be_told_apart_and_its_parts_have_names(server: Served) -> None:
    # WCAG 2.2, 1.4.3: 4.5 to 1 for text. 1.3.1 and 4.1.2: headings, tables with captions, plots with words.
    with chromium() as browser:
        for scheme in ("light", "dark"):
            seen = context(browser, server, color_scheme=scheme)
            page = seen.new_page()
            page.goto("/rampart/")
            page.wait_for_selector("#coverage table")
            colours = page.evaluate(
                "(() => { const style = getComputedStyle(document.documentElement);"
                "return Object.fromEntries(['back','card','text','soft','req','ref','err','ok'].map("
                "(name) => [name, style.getPropertyValue('--' + name).trim()])); })()"
            )
            for name in ("text", "soft", "ref", "err", "ok", "req"):
                for under in ("back", "card"):
                    assert contrast(colours[name], colours[under]) >= 4.5, (scheme, name, under)
            assert page.locator("main, header").count() == 2 and page.locator("h1").count() == 1
            assert page.locator("table:not(#rates-table)").count() == page.locator("table caption").count()
            assert page.locator("#rates svg[role=img]").get_attribute("aria-label")
            assert page.locator("section:not([aria-label]):not([aria-labelledby])").count() == 0
            seen.close()


def contrast(one: str, other: str) -> float:
    lights = sorted((luminance(one), luminance(other)), reverse=True)
    return (lights[0] + 0.05) / (lights[1] + 0.05)


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(part, 16) / 255 for part in re.findall("..", digits)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_sync_workers_are_asked_and_never_held(tmp_path: Path) -> None:
    with serving(tmp_path, VIEWS, "--workers", "1") as server, chromium() as browser:
        seen = context(browser, server)
        page = seen.new_page()
        asked: list[str] = []
        page.on("response", lambda answer: asked.append(f"{answer.url.rpartition('/')[2]} {answer.status}"))
        page.goto("/rampart/")
        page.wait_for_selector("#coverage table")
        page.wait_for_timeout(5000)
        seen.close()
        assert any(one.startswith("events") and one.endswith("204") for one in asked)
        assert sum(one.startswith("data") for one in asked) >= 2
        assert server.get("/ready")[0] == 200
