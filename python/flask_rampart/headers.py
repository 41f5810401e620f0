"""Headers: what every answer carries, and the nonce of its policy.

The policy becomes constants at start-up (``src/headers``); the edge adds it to every answer that leaves,
and where a view set a header, the view's stays.

A view asks for the nonce of its answer's Content-Security-Policy with ``csp_nonce()``, which Jinja
templates have as well. An answer that carries a nonce must not be cached for others.
"""

from __future__ import annotations

from ._native import HeaderPolicy, new_nonce
from .config import Settings
from .errors import ConfigError
from .guards import current_exchange


def header_policy(settings: Settings) -> HeaderPolicy:
    """The app's policy.

    :raises ConfigError: if ``RAMPART_CSP`` is not a policy that a browser would keep.
    """
    try:
        return HeaderPolicy(settings.profile, csp=settings.csp, overrides=_pin(settings))
    except ValueError as error:
        raise ConfigError(f"RAMPART_CSP: {error}") from None


def _pin(settings: Settings) -> dict[str, str | None]:
    """``Strict-Transport-Security`` where it is not the profile's: another, or none, or one that climbs, which the
    network's room sends."""
    if settings.hsts_since is not None:
        return {"Strict-Transport-Security": None}
    return {} if settings.hsts is None else {"Strict-Transport-Security": settings.hsts or None}


def csp_nonce() -> str:
    """The nonce of this request's Content-Security-Policy: 128 random bits, the same in all of one answer.

    Write it as ``<script nonce="{{ csp_nonce() }}">``.

    :raises RuntimeError: outside a request, or in an app without ``Rampart(app)``.
    """
    exchange = current_exchange()
    if exchange.nonce is None:
        exchange.nonce = new_nonce()
    return exchange.nonce
