"""How policies are written into fields: as Flask-Talisman writes them, after what is wrong with them was told.

A Content-Security-Policy is read by ``src/headers`` as that of ``RAMPART_CSP`` is: a keyword without its quotes, a
value with another directive in it, a directive that no browser knows and a policy that forbids or allows what it does
not seem to are errors here, and in a browser they are silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ...errors import ConfigError
from ...headers import HeaderPolicy

CSP = "Content-Security-Policy"
REPORT_ONLY = "Content-Security-Policy-Report-Only"


class Text(NamedTuple):
    """A field's value, cut where the nonce of a request stands."""

    pieces: tuple[str, ...]

    def with_nonce(self, nonce: str | None) -> str:
        return (f" 'nonce-{nonce}'" if nonce else "").join(self.pieces)

    @property
    def asks(self) -> bool:
        """Whether there is a place for a nonce."""
        return len(self.pieces) > 1

    def beside(self, other: Text) -> Text:
        """Both policies in one field: a browser holds a page to each of them (CSP level 3, section 4.1)."""
        *head, last = self.pieces
        first, *rest = other.pieces
        return Text((*head, f"{last}, {first}", *rest))


def directives_of(policy: Any) -> dict[str, str]:
    """A policy that separates its directives by ``;``, as a dict or as text.

    >>> directives_of("default-src 'self'; img-src *")
    {'default-src': "'self'", 'img-src': '*'}
    """
    if isinstance(policy, str):
        found = {}
        for part in filter(None, map(str.strip, policy.split(";"))):
            name, _, content = part.partition(" ")
            found[name] = content
        return found
    return {str(name): _content(name, content) for name, content in _items(policy).items()}


def csp_of(policy: Any, nonce_in: Iterable[str], report_uri: str | None, *, report_only: bool = False) -> Text:
    """A Content-Security-Policy.

    :param nonce_in: the directives that name the nonce.
    :raises ConfigError: for what a browser would not take as it is written.
    """
    directives = directives_of(policy)
    wanted = frozenset(nonce_in)
    reports = {"report-uri": report_uri} if report_uri and "report-uri" not in directives else {}
    _check(directives | reports, wanted, report_only=report_only)
    pieces = [""]
    for name, content in directives.items():
        pieces[-1] += f"{'; ' if len(pieces) > 1 or pieces[-1] else ''}{name} {content}"
        if name in wanted:
            pieces.append("")
    if reports:
        pieces[-1] += f"; report-uri {report_uri}"
    return Text(tuple(pieces))


def feature_policy(policy: Any) -> str:
    """The predecessor of ``Permissions-Policy``, which browsers have left."""
    return checked("Feature-Policy", "; ".join(f"{name} {content}" for name, content in directives_of(policy).items()))


def structured(field: str, policy: Any) -> str:
    """A policy that is a dictionary of RFC 8941, as a dict or as text."""
    if isinstance(policy, str):
        return checked(field, policy)
    return checked(field, ", ".join(f"{name}={content}" for name, content in _items(policy).items()))


def checked(field: str, value: Any) -> str:
    """*value* as a field may have it.

    :raises ConfigError: for one that would end the field, or that no field can have.
    """
    text = str(value)
    if not text.isprintable() or not text.isascii():
        raise ConfigError(f"Talisman: {field} would be {text!r}. A field is plain text on one line.")
    return text


def _content(name: Any, content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple, set, frozenset)) and all(isinstance(source, str) for source in content):
        # Of a set the order would be another in each process.
        return " ".join(sorted(content) if isinstance(content, (set, frozenset)) else content)
    raise ConfigError(f"Talisman: {name} is a text or a list of texts, not {type(content).__name__}.")


def _items(policy: Any) -> Mapping[str, Any]:
    if isinstance(policy, Mapping):
        return policy
    raise ConfigError(f"Talisman: a policy is a text or a dict, not {type(policy).__name__}.")


def _check(directives: dict[str, str], wanted: frozenset[str], *, report_only: bool) -> None:
    read: dict[str, Any] = {}
    for name, content in directives.items():
        checked(name, content)
        sources = content.split()
        if name in wanted:
            sources.append("'nonce'")
        read[name] = sources or True
    try:
        if report_only:
            HeaderPolicy("html", csp_report_only=read)
        else:
            HeaderPolicy("html", csp=read)
    except ValueError as error:
        raise ConfigError(f"Talisman: content_security_policy: {error}") from None
