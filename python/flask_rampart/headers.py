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


def header_policy(settings: Settings, reports: str | None = None) -> HeaderPolicy:
    """The app's policy.

    :param reports: where browsers report to: a path, or an https URL.
    :raises ConfigError: if ``RAMPART_CSP`` or ``RAMPART_CSP_REPORT_ONLY`` is not a policy that a browser would keep.
    """
    try:
        policy = HeaderPolicy(settings.profile, csp=settings.csp, reports=reports)
    except ValueError as error:
        raise ConfigError(f"RAMPART_CSP: {error}") from None
    if settings.csp_report_only is None:
        return policy
    try:
        return HeaderPolicy(
            settings.profile, csp=settings.csp, csp_report_only=settings.csp_report_only, reports=reports
        )
    except ValueError as error:
        raise ConfigError(f"RAMPART_CSP_REPORT_ONLY: {error}") from None


def csp_nonce() -> str:
    """The nonce of this request's Content-Security-Policy: 128 random bits, the same in all of one answer.

    Write it as ``<script nonce="{{ csp_nonce() }}">``.

    :raises RuntimeError: outside a request, or in an app without ``Rampart(app)``.
    """
    exchange = current_exchange()
    if exchange.nonce is None:
        exchange.nonce = new_nonce()
    return exchange.nonce
