"""Hashes of inline scripts and styles, for a Content-Security-Policy without nonces (CSP Level 3, section 6.7.3.4).

What is hashed is the text between the tags, to the last space, as a browser reads it: line ends are line feeds. An
element whose text a template makes (``{{ ... }}``) is another in each answer: it has no hash, and needs a nonce.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Literal, NamedTuple

from ..errors import ConfigError

_ALGORITHMS = ("sha256", "sha384", "sha512")
# Elements of other types are data, which a policy does not stop (HTML section 4.12.1).
_RUN = {"", "module", "importmap", "speculationrules"}


def csp_hash(text: str | bytes, algorithm: Literal["sha256", "sha384", "sha512"] = "sha256") -> str:
    """The source that lets one inline script or style run, with its quotes, for ``script-src`` or ``style-src``.

    :param text: all that stands between the tags, spaces and line ends included. Of a text, line ends are read as a
        browser reads them; bytes are taken as they are.
    :raises ConfigError: for another algorithm.

    >>> csp_hash("alert('Hello, world.');")
    "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    """
    if algorithm not in _ALGORITHMS:
        raise ConfigError(f"csp_hash(): {algorithm!r} is none of {', '.join(_ALGORITHMS)} (CSP section 2.3.1).")
    data = text if isinstance(text, bytes) else text.replace("\r\n", "\n").replace("\r", "\n").encode()
    digest = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    return f"'{algorithm}-{digest}'"


class Inline(NamedTuple):
    """Something in a page that a policy would stop."""

    line: int
    directive: str
    """``"script-src"`` or ``"style-src"``."""
    text: str | None
    """None where it has no hash: it is an attribute, such as ``onclick``, or a template makes it."""
    why: str = ""


def inline_of(page: str) -> Iterator[Inline]:
    """The inline scripts and styles of a page or template, without those that have a nonce."""
    parser = _Parser()
    parser.feed(page.replace("\r\n", "\n").replace("\r", "\n"))
    parser.close()
    yield from parser.found


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[Inline] = []
        self._open: tuple[int, str] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        given = dict(attrs)
        for name in given:
            if name.startswith("on") and name.isalpha():
                self.found.append(Inline(line, "script-src", None, f"{name} is an attribute: use addEventListener"))
            elif name == "style":
                self.found.append(Inline(line, "style-src", None, "style is an attribute: use a class"))
        if "nonce" in given:
            return
        if tag == "style":
            self._open = (line, "style-src")
        elif tag == "script" and "src" not in given and _runs(given.get("type")):
            self._open = (line, "script-src")

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._open is None or tag not in ("script", "style"):
            return
        (line, directive), text = self._open, "".join(self._text)
        self._open, self._text = None, []
        if any(mark in text for mark in ("{{", "{%", "{#")):
            self.found.append(Inline(line, directive, None, "a template makes its text: give it a nonce"))
        elif text:
            self.found.append(Inline(line, directive, text))


def _runs(kind: str | None) -> bool:
    essence = (kind or "").split(";")[0].strip().lower()
    return essence in _RUN or essence.endswith(("javascript", "ecmascript"))
