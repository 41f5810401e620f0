"""Clear-Site-Data: asks the browser to forget what it keeps of this site (W3C Clear Site Data), at a logout say."""

from __future__ import annotations

from .errors import ConfigError
from .guards import current_exchange

KINDS = ("cache", "clientHints", "cookies", "executionContexts", "prefetchCache", "prerenderCache", "storage", "*")
USUAL = ("cache", "cookies", "storage")
"""What OWASP has a logout clear."""
LOGOUT = ("cache", "storage")
"""What is of this origin alone: ``"cookies"`` would sign the user out of every app of the registrable domain."""
_NAME = "Clear-Site-Data"


def clear_site_data(*kinds: str) -> None:
    """Has the answer to the current request tell the browser to forget what it keeps of this site.

    :param kinds: of ``"cache"``, ``"cookies"``, ``"storage"``, ``"executionContexts"`` and so on, or ``"*"`` for all;
        not given: the first three. ``"cookies"`` are those of the whole registrable domain, with all its subdomains.
    :raises ConfigError: for what no browser knows.
    :raises RuntimeError: outside a request, or in an app without ``Rampart(app)``.

    Browsers heed it over HTTPS alone. Called again, it adds to what was said. A view that sets the header itself has
    the last word.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"clear_site_data({kind!r}): browsers know {', '.join(KINDS)}.")
    exchange = current_exchange()
    told = [value for name, value in exchange.sends if name == _NAME]
    before = tuple(part.strip().strip('"') for value in told for part in value.split(","))
    value = ", ".join(f'"{kind}"' for kind in dict.fromkeys((*before, *(kinds or USUAL))))
    exchange.sends = (*(field for field in exchange.sends if field[0] != _NAME), (_NAME, value))
