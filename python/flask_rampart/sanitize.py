"""Cleaning: what of a text that a peer wrote may go on, and where.

One function for each place where such a text ends up: plain text, a page, a file's name, a table, an address. Each
takes any text, is linear in it, and does nothing to what it already cleaned (``src/sanitize``). None of them needs an
app or a request.

They raise for misuse, never for what a peer wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Literal

from ._native import HtmlPolicy as HtmlPolicy
from ._native import clean_text as _clean_text
from ._native import csv_text as _csv_text
from ._native import is_safe_redirect as _is_safe_redirect
from ._native import safe_filename as _safe_filename
from .errors import ConfigError

__all__ = ["HtmlPolicy", "clean_html", "clean_text", "csv_cell", "safe_filename", "safe_redirect"]


def clean_text(text: str, *, form: Literal["NFC", "NFKC"] = "NFC", lines: bool = True, limit: int | None = None) -> str:
    """*text* in one spelling, without what is not seen.

    Removed are controls, escape sequences of terminals, bidi controls, zero-width characters, tag characters, lone
    surrogates and non-characters. ZWJ, ZWNJ and variation selectors stay where scripts and emoji need them; of marks on
    one letter the first 30 stay.

    :param form: ``"NFC"`` for what is kept and shown; ``"NFKC"``, which also makes full-width letters and ligatures
        plain, for what is compared and searched.
    :param lines: whether there may be lines and tabs. Line ends of all kinds become ``\\n``; otherwise a space.
    :param limit: at most so many code points; the rest is cut off. Without it there are at most 18 for each of
        *text* (U+FDFA in NFKC).
    :raises ConfigError: for another *form* or a negative *limit*.

    UAX #15, UAX #31, UTS #51; CVE-2021-42574.

    >>> clean_text("user\\u202enimda\\x1b[2J, ze\\u200bro \\U0001f44d\\U0001f3fd")
    'usernimda, zero 👍🏽'
    >>> clean_text("\\ufb01ne\\n\\uff21", form="NFKC", lines=False)
    'fine A'
    """
    _is_text(text, "text")
    if form not in ("NFC", "NFKC"):
        raise ConfigError(f'form is {form!r}: there are "NFC" and "NFKC"')
    if limit is not None and limit < 0:
        raise ConfigError(f"limit is {limit}: a number of code points, 0 or more")
    # No text is longer than that.
    return _clean_text(text, form=form, lines=lines, limit=None if limit is None else min(limit, sys.maxsize))


def clean_html(html: str, *, policy: Literal["none", "basic", "rich"] | HtmlPolicy = "basic") -> str:
    """*html* with the elements and attributes that *policy* lists, and nothing else: safe between tags.

    Links keep ``http``, ``https`` and ``mailto``, and get ``rel="noopener noreferrer nofollow"``. Elements are at most
    100 deep. For a template, wrap the result in :class:`markupsafe.Markup`.

    :param policy: ``"none"`` leaves text, escaped; ``"basic"`` what a comment needs; ``"rich"`` what an article needs,
        without images; :class:`HtmlPolicy` is one of your own, which cannot allow what is unsafe.
    :raises ConfigError: for another *policy*.

    OWASP "Cross Site Scripting Prevention"; parsed as by browsers (HTML §13.2).

    >>> clean_html('<b onclick=x>hi</b><script>y</script> <a href="javascript:z">there')
    '<b>hi</b> <a rel="noopener noreferrer nofollow">there</a>'
    """
    _is_text(html, "html")
    if not isinstance(policy, (str, HtmlPolicy)):
        raise TypeError(f"policy is a name or an HtmlPolicy, not {type(policy).__name__}")
    return (policy if isinstance(policy, HtmlPolicy) else _named(policy)).clean(html)


def safe_filename(name: str, *, fallback: str = "file", limit: int = 255) -> str:
    """The name under which a file may be kept that a peer calls *name*: one component, on every file system.

    It has no separator, stream, device, control or direction in it; no dot, dash, tilde or blank at its start; no dot
    or blank at its end. Letters of all scripts stay. It is not unique: other files may have it, also in other case.

    :param fallback: the name if nothing is left of *name*; itself a safe one.
    :param limit: at most so many bytes in UTF-8, 32 to 255; what is before the extension is cut.
    :raises ConfigError: for a *fallback* or *limit* that cannot be used.

    CWE-22, CWE-66, CWE-69; MITRE T1036.002; Microsoft, "Naming Files, Paths, and Namespaces"; ASVS 5.0 V5.3.

    >>> [safe_filename(name) for name in ("../../etc/passwd", "NUL.txt", "cv\\u202efdp.exe", "Привет.txt", "..")]
    ['passwd', '_NUL.txt', 'cvfdp.exe', 'Привет.txt', 'file']
    """
    _is_text(name, "name")
    _is_text(fallback, "fallback")
    if not 32 <= limit <= 255:
        raise ConfigError(f"limit is {limit}: names are 32 to 255 bytes long")
    try:
        return _safe_filename(name, fallback=fallback, limit=limit)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def csv_cell(value: object) -> str | int | float | Decimal | None:
    """*value* as a cell that no spreadsheet computes; give it to a :func:`csv.writer` with ``csv.QUOTE_ALL``.

    A text that begins a formula gets an apostrophe before it: ``=``, ``+``, ``-`` or ``@`` in any width, after blanks
    and quotation marks as well, a tab or a line end. What is merely a number stays, and so does the rest of a text, but
    for lone surrogates. Finite numbers, booleans and ``None`` are returned as they are; anything else as its text.

    OWASP "CSV Injection"; ASVS 5.0 V1.2.10; CWE-1236.

    >>> [csv_cell(value) for value in ("=1+1", "-1.5", -1.5, " @SUM(A1)", "a=b", None)]
    ["'=1+1", '-1.5', -1.5, "' @SUM(A1)", 'a=b', None]
    """
    # Exactly these: what a subclass writes of itself is its own affair.
    if value is None or type(value) in (bool, int) or (type(value) in (float, Decimal) and _is_finite(value)):
        return value  # type: ignore[return-value]
    return _csv_text(str(value))


def _is_finite(value: Any) -> bool:
    """An infinity, or what is no number, is written in letters, and a sign before them makes a formula of it."""
    return value.is_finite() if isinstance(value, Decimal) else isfinite(value)


def safe_redirect(target: str | None, *, hosts: Iterable[str] = (), fallback: str = "/") -> str:
    """*target*, if a browser sent there stays on this site or one of *hosts*; otherwise *fallback*.

    A path of this site begins with one ``/``. Refused are other hosts however they are written: ``//host``,
    ``/\\\\host``, tabs in between, users before ``@``, other schemes, escapes that a proxy may decode, letters beyond
    ASCII in a host.

    :param target: as the peer sent it; ``None`` is no target.
    :param hosts: names as browsers write them, with a port that is not the scheme's own: ``"www.example.com"``,
        ``"localhost:5000"``. Subdomains are others. ``http`` and ``https`` are both taken.
    :param fallback: where else to; itself a safe target.
    :raises ConfigError: for a host or *fallback* that cannot be used.

    WHATWG URL; CWE-601; CVE-2021-23401; CVE-2023-49438.

    >>> safe_redirect("/account?tab=2"), safe_redirect("//evil.example"), safe_redirect("/\\\\evil.example")
    ('/account?tab=2', '/', '/')
    >>> safe_redirect("https://www.example.com/x", hosts=["www.example.com"])
    'https://www.example.com/x'
    """
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        what = "one text" if isinstance(hosts, str) else type(hosts).__name__
        raise TypeError(f"hosts: a sequence of names, not {what}")
    if target is not None:
        _is_text(target, "target")
    _is_text(fallback, "fallback")
    known = tuple(hosts)
    for host in known:
        _is_text(host, "a host")
    _checked(fallback, known)
    return target if target is not None and _is_safe_redirect(target, hosts=known) else fallback


@lru_cache(maxsize=64)
def _checked(fallback: str, hosts: tuple[str, ...]) -> None:
    try:
        safe = _is_safe_redirect(fallback, hosts=hosts)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not safe:
        raise ConfigError(f"fallback {fallback!r} is neither a path of this site nor on one of the hosts")


@lru_cache(maxsize=8)
def _named(policy: str) -> HtmlPolicy:
    try:
        return HtmlPolicy.named(policy)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _is_text(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is a text, not {type(value).__name__}")
