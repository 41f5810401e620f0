"""The report of a run: it says what was done, and is a page that can harm nobody."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flask_rampart.anonymize.files import Job
from flask_rampart.anonymize.files.page import page
from flask_rampart.anonymize.formats import Options

from .fronts import chromium

PLAN = """
default = "redact"
quasi_identifiers = ["born"]
sensitive = ["ill"]
[columns]
"<script>alert(1)</script>" = "drop"
ill = "keep"
[columns.born]
do = "date"
to = "decade"
"""
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def told(tmp_path: Path) -> tuple[dict[str, Any], str]:
    records = [
        {"born": f"19{30 + number}-01-01", "ill": "ab"[number % 2], "note": "a@example.org", HOSTILE: 1, "<b>x": 2}
        for number in range(60)
    ]
    data = "\n".join(map(json.dumps, [*records, {"born": "soon<img src=x>", HOSTILE: "x"}, []]))
    (tmp_path / "<i>in.jsonl").write_text(data)
    job = Job(str(tmp_path / "<i>in.jsonl"), str(tmp_path / "out.jsonl"), PLAN, options=Options(skip=True))
    job.report = str(tmp_path / "r")
    job.run()
    return json.loads((tmp_path / "r.json").read_text()), (tmp_path / "r.html").read_text()


def test_the_report_says_what_was_done_and_found(told: tuple[dict[str, Any], str]) -> None:
    report, _ = told
    assert report["records"] == {
        "read": 62,
        "written": 60,
        "refused": {"date": 1, "json": 1},
        "first_refused": [
            {"where": "line 61", "code": "date", "column": "born"},
            {"where": "line 62", "code": "json", "column": ""},
        ],
    }
    columns = {column["path"]: column for column in report["columns"]}
    assert columns["born"]["refused"] == {"date": 1}
    assert (columns["note"]["rule"], columns["note"]["changed"]) == ("default: redact", 60)
    assert columns[HOSTILE]["dropped"] == 60
    assert report["found"] == {"EMAIL_ADDRESS": 60}
    before, after = report["privacy"]["before"], report["privacy"]["after"]
    assert (before["rows"], before["k"], after["rows"], after["k"]) == (61, 1, 60, 10)
    assert before["rows_below"]["2"] == 61 and after["rows_below"] == {"2": 0, "3": 0, "5": 0, "10": 0, "20": 60}
    assert [of["rows"] for of in after["sizes"]] == [0, 0, 0, 0, 60, 0, 0, 0]
    assert after["sensitive"]["ill"]["distinct"] == 2


USUAL = """
default = "keep"
quasi_identifiers = ["born", "zip"]
sensitive = ["ill", "name"]
[columns]
zip = "drop"
name = "drop"
[columns.born]
do = "date"
to = "decade"
"""


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_quasi_identifier_that_is_dropped_leaves_the_rest_to_measure_by(tmp_path: Path, kind: str) -> None:
    rows = [
        {"born": f"19{30 + number}-01-01", "zip": str(number), "ill": "ab"[number % 2], "name": str(number)}
        for number in range(20)
    ]
    frame = pd.DataFrame(rows)
    source = tmp_path / f"in.{kind}"
    {
        "jsonl": lambda: frame.to_json(source, orient="records", lines=True),
        "csv": lambda: frame.to_csv(source, index=False),
        "parquet": lambda: frame.to_parquet(source),
    }[kind]()
    job = Job(str(source), str(tmp_path / f"out.{kind}"), USUAL, report=str(tmp_path / "r"), options=Options(piece=300))
    job.run()
    privacy = json.loads((tmp_path / "r.json").read_text())["privacy"]
    before, after = privacy["before"], privacy["after"]
    assert (before["k"], before["classes"], before["dropped"]) == (1, 20, [])
    assert (after["k"], after["classes"], after["dropped"]) == (10, 2, ["zip", "name"])
    assert set(before["sensitive"]) == {"ill", "name"} and set(after["sensitive"]) == {"ill"}
    html = (tmp_path / "r.html").read_text()
    assert "No row has <code>zip</code>, <code>name</code> after: it was measured by the rest." in html
    # A path that there never was is mistyped, and says nothing of either.
    job = replace(job, plan=USUAL.replace('"born", "zip"]', '"born", "zip", "plz"]'), force=True)
    job.run()
    privacy = json.loads((tmp_path / "r.json").read_text())["privacy"]
    assert all("plz" in privacy[side]["not_measured"] for side in ("before", "after"))


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_runs_nothing_and_loads_nothing(told: tuple[dict[str, Any], str]) -> None:
    _, html = told
    seen = Seen()
    seen.feed(html)
    assert not seen.tags & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "b",
        "i",
        "image",
        "use",
    }
    assert not {name for name in seen.attributes if name.startswith("on")} | (
        seen.attributes & {"src", "href", "style"}
    )
    assert HOSTILE not in html and "&lt;script&gt;alert(1)" in html
    assert "url(" not in html and "@import" not in html
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    hashed = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{hashed}'" in html


def test_names_cannot_leave_their_place_on_the_page() -> None:
    hostile = "\"'><svg onload=alert(1)>\u202e\r\n\x00"
    side = {"rows": 3, "k": 1, "classes": 2, "rows_below": {"2": 1}, "sizes": [{"from": 1, "to": None, "rows": 3}]}
    side["dropped"] = [hostile]
    side["sensitive"] = {hostile: {"values": 1, "distinct": 1, "entropy": 1.0, "closeness": 0.5}}
    counts = dict.fromkeys(("values", "nulls", "kept", "changed", "dropped", "suppressed"), 1)
    report = {
        "input": hostile,
        "output": hostile,
        "format": hostile,
        "plan_sha256": hostile,
        "records": {
            "read": 1,
            "written": 0,
            "refused": {hostile: 1},
            "first_refused": [{"where": hostile, "code": hostile, "column": hostile}],
        },
        "columns": [{"path": hostile, "rule": hostile, **counts, "refused": {hostile: 1}, "found": {hostile: 1}}],
        "found": {hostile: 1},
        "unmet": [hostile],
        "privacy": {"quasi_identifiers": [hostile], "before": side, "after": {"not_measured": hostile}},
    }
    html = page(report)
    seen = Seen()
    seen.feed(html)
    assert "onload" not in seen.attributes
    assert "<svg onload" not in html and "\u202e" not in html and "\x00" not in html


@pytest.mark.servers
def test_a_browser_shows_the_page_in_light_and_dark_wide_and_narrow(
    told: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    with chromium() as browser:
        for width, scheme in ((1280, "light"), (360, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            shown = context.new_page()
            said: list[str] = []
            shown.on("console", lambda message, said=said: said.append(message.text))
            shown.on("request", lambda request, said=said: request.url.endswith("r.html") or said.append(request.url))
            shown.goto((tmp_path / "r.html").as_uri())
            # Its own policy blocks nothing of it, and it asks for nothing.
            assert said == []
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            dark = shown.evaluate(
                "getComputedStyle(document.documentElement).colorScheme + matchMedia('(prefers-color-scheme: dark)').matches"
            )
            assert dark == f"light dark{str(scheme == 'dark').lower()}"
            assert shown.locator("svg rect").count() > 0
            assert shown.locator("td", has_text=HOSTILE).count() > 0
