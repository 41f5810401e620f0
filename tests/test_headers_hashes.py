"""Hashes of inline scripts and styles, and ``flask rampart csp-hash``."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, csp_hash, headers
from flask_rampart.cli import commands
from flask_rampart.headers.hashes import inline_of

App = Callable[..., Flask]
HELLO = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"  # CSP Level 3, section 8.3


def run(app: Flask, *words: str, **more: Any) -> Any:
    return app.test_cli_runner().invoke(commands, ["csp-hash", *words], **more)


def test_the_specifications_example_has_its_hash() -> None:
    assert csp_hash("alert('Hello, world.');") == HELLO
    for name in ("sha384", "sha512"):
        digest = base64.b64encode(hashlib.new(name, b"a").digest()).decode()
        assert csp_hash("a", name) == f"'{name}-{digest}'"  # type: ignore[arg-type]
        headers(csp={"script-src": csp_hash("a", name)})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="md5"):
        csp_hash("a", "md5")  # type: ignore[arg-type]


def test_line_ends_are_those_that_a_browser_reads() -> None:
    assert csp_hash("a\r\nb\rc") == csp_hash("a\nb\nc") != csp_hash(b"a\r\nb\rc")


def test_what_runs_in_a_page_is_found_and_what_is_data_is_not() -> None:
    page = """<!doctype html>
<style>p { color: red }</style>
<script>a < b && "</p>"</script>
<script src="/a.js"></script>
<script type="application/json">{"a": 1}</script>
<script type="text/javascript; charset=utf-8">one()</script>
<script type=module>two()</script>
<script nonce="{{ csp_nonce() }}">three()</script>
<script>four({{ value }})</script>
<!-- <script>five()</script> -->
<p style="color: red" onclick="six()">&amp;</p>
<script></script>
"""
    found = [(inline.line, inline.directive, inline.text) for inline in inline_of(page)]
    assert found == [
        (2, "style-src", "p { color: red }"),
        (3, "script-src", 'a < b && "</p>"'),
        (6, "script-src", "one()"),
        (7, "script-src", "two()"),
        (9, "script-src", None),
        (11, "style-src", None),
        (11, "script-src", None),
    ]


def test_the_command_prints_sources_that_the_policy_takes(make_app: App, tmp_path: Path) -> None:
    script, page = tmp_path / "a.js", tmp_path / "a.html"
    script.write_bytes(b"alert('Hello, world.');")
    page.write_text("<p>\r\n<script>alert('Hello, world.');</script>\n<style>p {}</style>")
    app = make_app()
    assert run(app, str(script)).output == f"{HELLO}\n"
    assert run(app, "-", input="alert('Hello, world.');").output == f"{HELLO}\n"
    done = run(app, str(page))
    assert done.exit_code == 0
    first, second = done.output.splitlines()
    assert first == f"script-src {HELLO}  {page}:2"
    assert second.startswith("style-src 'sha256-")
    headers(csp=dict(line.split()[:2] for line in (first, second)))


def test_the_command_looks_through_all_templates_and_says_what_has_no_hash(make_app: App, tmp_path: Path) -> None:
    app = make_app()
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "fine.html").write_text("<script>alert('Hello, world.');</script>")
    (templates / "made.html").write_text("<script>f({{ x }})</script>")
    (templates / "mail.txt").write_text("<script>not a page</script>")
    app.jinja_loader.searchpath[:] = [str(templates)]  # type: ignore[union-attr]
    done = run(app, "--templates")
    assert f"script-src {HELLO}  fine.html:1" in done.output
    assert "made.html:1: script-src: no hash: a template makes its text: give it a nonce" in done.output + done.stderr
    assert "mail.txt" not in done.output
    # For a pipeline: not all of it can be had by hashes.
    assert done.exit_code == 1


def test_the_command_says_what_it_needs(make_app: App, tmp_path: Path) -> None:
    app = make_app()
    assert "Name a file" in run(app).output
    assert run(app, str(tmp_path / "absent.js")).exit_code == 2
    (tmp_path / "latin.html").write_bytes(b"<script>\xe9</script>")
    assert "is not UTF-8" in run(app, str(tmp_path / "latin.html")).output
