"""Reads the origins that are trusted, and knows a request's own, so that at run time text is compared with text.

Whose page made a browser send a request is told here, of what the browser says; what follows from it is not.

An origin is a scheme, a host and a port that is left out where it is the scheme's own (RFC 6454 section 6.2). A
browser writes each in exactly one way: ``src/origins/origin.rs`` gives that way, as it does for CORS. What names more
than an origin is refused: a path, a query, a user, a wildcard, or the word ``null``, which any page can have for its
origin (a sandboxed frame, a redirect).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from .._native import Origins, parse_origin
from .._native import page_of as native_page_of
from ..errors import ConfigError
from ..readers import nearest, shown


def read_origin(where: str, text: object) -> str:
    """The origin that *text* names, as a browser writes it.

    :param where: what the error names, such as a setting.
    :raises ConfigError: if it is none.

    A scheme of its own, such as ``capacitor://localhost`` or ``chrome-extension://...``, is taken as it is written.

    >>> read_origin("ORIGINS", "https://App.Example.com:443")
    'https://app.example.com'
    """
    if not isinstance(text, str):
        raise ConfigError(f"{where}: an origin is a text such as 'https://app.example.com', not {shown(text)}.")
    if "*" in text:
        raise ConfigError(f"{where}: {shown(text)} has a wildcard: each origin is named in full.")
    if "@" in text:
        raise ConfigError(f"{where}: {shown(text)} has a user or a password, which no origin has. Leave them out.")
    origin = parse_origin(text)
    if origin is None:
        try:
            Origins([text], [])
        except ValueError as error:
            end = "" if str(error).endswith("?") else "."
            raise ConfigError(f"{where}: {error}{end}") from None
        raise ConfigError(f"{where}: {shown(text)} is no origin such as 'https://app.example.com'.")
    scheme = origin.partition("://")[0]
    # Browsers have no pages of it any more, so it is a slip of the pen.
    meant = " Did you mean https?" if scheme == "ftp" else nearest(scheme, _WEB)
    if scheme not in _WEB and meant:
        raise ConfigError(f"{where}: {shown(text)} has the scheme {scheme!r}.{meant}")
    return origin


Page = Literal["own", "trusted", "other", "hidden", "unsaid"]


def page_of(environ: dict[str, Any], trusted: Collection[str] = ()) -> Page:
    """Whose page made the browser send a request, by ``Sec-Fetch-Site`` and ``Origin``, which no page can write.

    :param environ: of the request (PEP 3333).
    :param trusted: origins whose pages are taken for one's own, as :func:`read_origin` gives them.

    ``"own"``: one of the request's own origin, or none: the user typed the address. ``"trusted"``. ``"other"``: one of
    another site, or of another origin of this one. ``"hidden"``: ``Origin: null`` alone, as a form sends it by plain
    HTTP under ``no-referrer``, and everybody's page in a sandbox. ``"unsaid"``: neither field, as programs send it.

    It is decided in ``src/origins/page.rs``, as for the monitor.

    >>> page_of({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "https://evil.example"})
    'other'
    """
    return native_page_of(environ, trusted)


TOLD = frozenset((None, "same-site", "cross-site"))
"""What ``Sec-Fetch-Site`` says of a page that is another's, if it is there, in words that are known."""
_WEB = ("http", "https")
