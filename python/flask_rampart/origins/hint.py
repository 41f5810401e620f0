"""Tells a developer, at start-up, of pages that may read as somebody who is logged in (CORS) and may not write (CSRF).

Both settings are right by themselves, and together they are seldom meant: the page's first POST is refused with
``csrf.origin``, after a preflight that was granted. So it is said once, before that happens. Nothing is decided here.

It is about views that change something, under a CORS policy with credentials, where CSRF protection is not off. An
origin that is named in full is missed where it is not trusted; a wildcard or a pattern, where no trusted origin is
among those that it means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..guards import methods_of
from .cors import application_policy, policy_of

if TYPE_CHECKING:
    from flask import Flask

    from ..guards import AppState
    from .csrf import CsrfPolicy
    from .policy import Policy


def tell_readers(app: Flask, state: AppState, protection: CsrfPolicy) -> None:
    """Warns of origins that may read as whoever is logged in, and whose writing is refused."""
    missed = list(dict.fromkeys(_missed(state, protection)))
    if not missed:
        return
    more = f" and {len(missed) - _MOST} more" if len(missed) > _MOST else ""
    app.logger.warning(
        "Pages of %s%s may read answers as whoever is logged in (CORS with credentials), and what they change with a "
        "cookie is refused with csrf.origin. If they are meant to write, name each in full in "
        "RAMPART_CSRF_TRUSTED_ORIGINS; a request with a token in Authorization needs neither that nor credentials.",
        ", ".join(missed[:_MOST]),
        more,
    )


def _missed(state: AppState, protection: CsrfPolicy) -> Iterator[str]:
    app, default = state.app, application_policy(state.settings)
    for rule in app.url_map.iter_rules():
        endpoint = rule.endpoint
        if endpoint not in app.view_functions:
            continue  # a rule for url_for alone (build_only)
        for method in methods_of(rule):
            policy = policy_of(state, default, endpoint, method)
            if policy is not None and policy.credentials:
                mode, trusted = protection.of_view(state, endpoint, method)
                if mode != "off":
                    yield from _untrusted(policy, trusted)


def _untrusted(policy: Policy, trusted: frozenset[str]) -> Iterator[str]:
    yield from (origin for origin in policy.named if origin not in trusted)
    if not any(policy.fields(origin) for origin in trusted.difference(policy.named)):
        yield from policy.unnamed


_MOST = 5
"""Origins that the warning names."""
