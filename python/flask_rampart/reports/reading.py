"""Reads what a browser reports, and keeps of it only what cannot harm whoever looks at it.

A report is a stranger's word: whoever can send a request can make one up. Rules, in order:

1. two shapes are known: ``{"csp-report": {...}}`` (CSP Level 2) and a list of ``{"type", "url", "body"}`` (Reporting
   API); of a list, the first :data:`MOST` reports are read; one of no type in :data:`TYPES` is counted and not kept;
2. what a browser's extension did is noise, and so is a document that has no address (``about:``);
3. a document of another host than the app's is ``foreign``: this app has not sent it, so the report is made up, or
   another site uses this collector; it is counted and not kept;
4. a page is the route that it has in the app, never its path, so that made-up paths are all one page, and what stands
   in a path (a token to reset a password) is not kept;
5. what was blocked is a keyword of the specifications, a scheme, or an origin that all readers of URLs agree about;
6. the sample has URLs without user, query and fragment and the beginning of a script, both redacted; every character
   outside printable ASCII, and those that mean something to HTML or a shell, are escaped.

So every text that leaves here is printable ASCII, without ``< > & ' "`` but for the quotes around a script's sample,
and begins with a letter, a slash, a parenthesis or a quote: no terminal obeys it (CWE-150), no log gets a line from it
(CWE-117), no page runs it (CWE-79), and no spreadsheet computes it (CWE-1236).

It counts nothing and keeps nothing.

Sources: Reporting API, W3C; Content Security Policy Level 3 section 5, W3C.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from ..weburl import NotReadable, read_url

MOST = 50
"""Reports of one request that are read."""
MOST_PAGES = 10
"""Documents that the reports of one request may be of; what is of a further one counts as unknown."""

TYPES = frozenset(
    {
        "coep",
        "coop",
        "crash",
        "csp-violation",
        "deprecation",
        "integrity-violation",
        "intervention",
        "permissions-policy-violation",
    }
)
"""The types of reports that are kept."""

Apart = Literal["extension", "foreign", "unknown"]
"""Why a report is counted and not kept."""


class Seen(NamedTuple):
    """One report, made harmless. Without the sample, it names its group."""

    type: str
    disposition: str
    """``"enforce"``: it was blocked; ``"report"``: it would have been."""
    directive: str
    """Of a Content-Security-Policy, the directive; of other types, what they name: a feature, a reason."""
    blocked: str
    """An origin, ``"self"``, a scheme such as ``"data:"``, or a keyword such as ``"inline"``; ``""`` for none."""
    page: str
    """The route of the document, such as ``"/users/{id}"``; ``"(no route)"`` if the app has none there."""
    source: str
    """Where the script is from that did it: an origin, ``"self"``, or ``""`` if that is not known."""
    sample: tuple[tuple[str, str | int], ...]


class Place(NamedTuple):
    """Where something is: a URL without user, query and fragment."""

    scheme: str
    authority: str
    path: str
    origin: tuple[str, str, int]
    """Scheme, host and port; ``'self'`` of a policy covers ws and wss too, which are http and https here."""


class Page(NamedTuple):
    """A document of the app's."""

    place: Place
    route: str


class Reader:
    """Reads the reports of one request.

    :param route_of: gives the rule of a path, or None.
    :param is_ours: whether a document of this authority (``"example.com:8443"``) is the app's.
    :param redact: takes secrets out of a text.
    """

    def __init__(
        self,
        route_of: Callable[[str], str | None],
        is_ours: Callable[[str], bool],
        redact: Callable[[str], str],
    ) -> None:
        self._route_of = route_of
        self._is_ours = is_ours
        self._redact = redact
        # The reports of a page are many, and what is to be known of the page is the dearest part of each.
        self._pages: dict[str, Page | Apart] = {}

    def read(self, document: Any) -> Iterator[Seen | Apart] | None:
        """What the reports of one body say; None if it holds none."""
        if isinstance(document, list):
            return (self._reported(item) for item in document[:MOST]) if document else None
        body = document.get("csp-report") if isinstance(document, dict) else None
        if not isinstance(body, dict):
            return None
        old = {new: body.get(name) for name, new in _OLD.items()}
        # Before CSP Level 2, browsers wrote the whole directive: its name comes first.
        directive = body.get("effective-directive") or _text(body.get("violated-directive")).partition(" ")[0]
        return iter([self._read("csp-violation", body.get("document-uri"), {**old, "effectiveDirective": directive})])

    def _reported(self, item: Any) -> Seen | Apart:
        if not isinstance(item, dict) or not isinstance(item.get("body"), dict):
            return "unknown"
        return self._read(_text(item.get("type")), item.get("url"), item["body"])

    def _read(self, kind: str, url: Any, body: Mapping[str, Any]) -> Seen | Apart:
        if kind not in TYPES:
            return "unknown"
        told = _text(body.get("documentURL")) or _text(url)
        blocked, source = _text(body.get("blockedURL")), _text(body.get("sourceFile"))
        if any(text.startswith(_EXTENSIONS) for text in (told, blocked, source)) or blocked in _EXTENSION_WORDS:
            return "extension"
        page = self._pages.get(told)
        if page is None:
            if len(self._pages) >= MOST_PAGES:
                return "unknown"
            page = self._pages[told] = self._page(told)
        if isinstance(page, str):
            return page
        place, origin = _located(blocked), _located(source)
        return Seen(
            kind,
            _disposition(body),
            _directive(kind, body),
            self._blocked(kind, blocked, place, page.place),
            page.route,
            _origin(origin, page.place) or "",
            tuple(self._sample(body, place, origin)),
        )

    def _page(self, url: str) -> Page | Apart:
        place = _located(url)
        if place is None or not self._is_ours(place.authority):
            return "foreign"
        rule = self._route_of(place.path)
        return Page(place, "(no route)" if rule is None else _plain(_VARIABLE.sub(r"{\1}", rule), 200))

    def _blocked(self, kind: str, blocked: str, place: Place | None, document: Place) -> str:
        if not blocked:
            # Browsers of CSP Level 1 and 2 say of inline code nothing at all.
            return "inline" if kind == "csp-violation" else ""
        if blocked in _KEYWORDS:
            return blocked
        scheme = blocked.partition(":")[0].lower()
        if scheme in _SCHEMES:
            return f"{scheme}:"
        return _origin(place, document) or "other"

    def _sample(
        self, body: Mapping[str, Any], blocked: Place | None, source: Place | None
    ) -> Iterator[tuple[str, str | int]]:
        for name, place in (("blocked", blocked), ("source", source)):
            if place is not None:
                yield name, self._url(place)
        for name in ("lineNumber", "columnNumber"):
            number = body.get(name)
            if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 10**9:
                yield name.removesuffix("Number"), number
        text = _text(body.get("sample"))
        if text:
            # Redacted before it is cut: half a secret has no shape any more.
            yield "script", f'"{_plain(self._redact(text[:_MOST_TEXT]), _MOST_SCRIPT)}"'

    def _url(self, place: Place) -> str:
        path = quote(self._redact(place.path[:_MOST_TEXT]), safe="/%:[]-._~!$*+,;=@")
        return f"{place.scheme}://{place.authority}{path}"[:_MOST_URL]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _disposition(body: Mapping[str, Any]) -> str:
    return (
        "report" if body.get("disposition") in ("report", "reporting") or body.get("reportOnly") is True else "enforce"
    )


def _directive(kind: str, body: Mapping[str, Any]) -> str:
    for name in _NAMES[kind]:
        found = _text(body.get(name))
        if found:
            if kind == "csp-violation":
                return found if found in DIRECTIVES else "other"
            return found if _WORD.fullmatch(found) else "other"
    return ""


def _located(url: str) -> Place | None:
    """Scheme, host, port and path of an http, https, ws or wss URL; None of any other."""
    found = _URL.match(url)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    try:
        place = read_url(f"{_TWINS.get(scheme, scheme)}://{found['authority'].rpartition('@')[2]}/")
    except NotReadable:
        return None
    return Place(scheme, place.authority, found["path"] or "/", place[:3])


def _origin(place: Place | None, document: Place) -> str | None:
    if place is None:
        return None
    if place.origin == document.origin:
        return "self"
    return f"{place.scheme}://{place.authority}"


def _plain(text: str, most: int) -> str:
    """*text* in printable ASCII, with the rest and what HTML gives a meaning as the escapes of a script's string."""
    if _HARMLESS.fullmatch(text):
        return text[:most]
    parts: list[str] = []
    left = most
    for sign in text[:most]:
        part = sign if " " <= sign <= "~" and sign not in _MEANING else _escaped(sign)
        left -= len(part)
        if left < 0:
            break
        parts.append(part)
    return "".join(parts)


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\u{{{code:x}}}"


_OLD = {
    "blocked-uri": "blockedURL",
    "source-file": "sourceFile",
    "script-sample": "sample",
    "disposition": "disposition",
    "line-number": "lineNumber",
    "column-number": "columnNumber",
}
"""The names of CSP Level 2, and those of the Reporting API."""

DIRECTIVES = frozenset(
    [
        "base-uri",
        "child-src",
        "connect-src",
        "default-src",
        "fenced-frame-src",
        "font-src",
        "form-action",
        "frame-ancestors",
        "frame-src",
        "img-src",
        "manifest-src",
        "media-src",
        "object-src",
        "require-trusted-types-for",
        "sandbox",
        "script-src",
        "script-src-attr",
        "script-src-elem",
        "style-src",
        "style-src-attr",
        "style-src-elem",
        "trusted-types",
        "worker-src",
    ]
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "coep": ("type",),
    "coop": ("type",),
    "crash": ("reason",),
    "csp-violation": ("effectiveDirective",),
    "deprecation": ("id",),
    "integrity-violation": ("destination",),
    "intervention": ("id",),
    "permissions-policy-violation": ("featureId", "policyId"),
}
_KEYWORDS = frozenset(("eval", "inline", "wasm-eval", "trusted-types-policy", "trusted-types-sink"))
_SCHEMES = frozenset(("blob", "data", "filesystem", "file"))
_EXTENSIONS = (
    "chrome-extension:",
    "moz-extension:",
    "safari-extension:",
    "safari-web-extension:",
    "ms-browser-extension:",
    "about:",
    "chrome:",
    "resource:",
    "user-script:",
)
_EXTENSION_WORDS = frozenset(
    ("about", "chrome-extension", "moz-extension", "safari-extension", "safari-web-extension", "user-script")
)
"""Some browsers say only the scheme of what was blocked (CSP Level 3 section 5.4)."""
_URL = re.compile(r"(?P<scheme>https?|wss?)://(?P<authority>[^/?#\\]*)(?P<path>/[^?#]*)?", re.IGNORECASE)
_TWINS = {"ws": "http", "wss": "https"}
_VARIABLE = re.compile(r"<(?:[^<>]*:)?([^<>:]+)>")
"""The variable part of a rule, whose converter is of no interest here."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9 _.-]{0,59}")
_MEANING = frozenset("<>&'\"`\\")
_HARMLESS = re.compile(r"[ !#-%(-;=?-\[\]-_a-~]*")
"""Printable ASCII without what has a meaning."""
_MOST_TEXT = 2048
_MOST_URL = 200
_MOST_SCRIPT = 80
