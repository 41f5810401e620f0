"""Headers: what every answer carries, and the nonce of its policy.

The policy becomes constants at start-up (``src/headers``); the edge adds it to every answer that leaves,
and where a view set a header, the view's stays. A view, a blueprint or the whole app declares with
:class:`~flask_rampart.headers.declared.headers` what is another way there.

A view asks for the nonce of its answer's Content-Security-Policy with ``csp_nonce()``, which Jinja
templates have as well. An answer that carries a nonce must not be cached for others, and is not.
"""

from __future__ import annotations

from .._native import HeaderPolicy as HeaderPolicy
from .._native import new_nonce as new_nonce
from ..guards import current_exchange
from .closing import Closings as Closings
from .declared import RoutePolicies as RoutePolicies
from .declared import headers as headers
from .hashes import csp_hash as csp_hash
from .policies import header_policy as header_policy


def csp_nonce() -> str:
    """The nonce of this request's Content-Security-Policy: 128 random bits, the same in all of one answer.

    Write it as ``<script nonce="{{ csp_nonce() }}">``. The answer is then sent with ``Cache-Control: private,
    no-store`` if the view would have it shared: whoever else got the page would know the nonce.

    :raises RuntimeError: outside a request, or in an app without ``Rampart(app)``.
    """
    exchange = current_exchange()
    if exchange.nonce is None:
        exchange.nonce = new_nonce()
    return exchange.nonce
