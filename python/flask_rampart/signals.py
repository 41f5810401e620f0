"""Signals: what an app may listen to.

Each is a blinker signal, as Flask's own are. The sender is the Flask app. Receivers are called in the request's thread,
under the app context, before the answer leaves; an async one is waited for.

What a receiver does changes no decision: what it raises is logged, and the other receivers are called all the same.
What is refused to a receiver, such as a ``current_user`` that is gone, is neither noted at the request nor told.
Where nobody listens, nothing is made and nothing is sent.

No signal carries a credential. ``exchange`` is the request as the guards see it; its ``environ`` is the peer's, with
the credentials in it: do not write that to a log.

It decides nothing. Which signal comes when stands in ``docs/signals.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blinker import NamedSignal, Namespace
from flask import Flask, current_app, has_app_context

from .waiting import settle

if TYPE_CHECKING:
    from .errors import Denied
    from .exchange import Exchange

_signals = Namespace()

principal_authenticated = _signals.signal("principal-authenticated")
"""A credential was accepted: ``exchange``, ``principal``."""

authentication_failed = _signals.signal("authentication-failed")
"""A credential was there and was refused (401 but for ``auth.missing``, and ``auth.ambiguous``): ``exchange``,
``code``, ``reason``, ``principal``."""

access_denied = _signals.signal("access-denied")
"""Somebody may not do what they asked for (403): ``exchange``, ``code``, ``reason``, ``principal``."""

request_refused = _signals.signal("request-refused")
"""Any refusal, those of the two signals above too: ``exchange``, ``code``, ``reason``, ``principal``."""

limit_exceeded = _signals.signal("limit-exceeded")
"""A limit refused, or in report mode would have: ``exchange``, ``quota`` (its text), ``scope``, ``principal``,
``enforced``."""

banned = _signals.signal("banned")
"""Somebody was refused too often and is refused at once for a while: ``exchange``, ``principal``, ``scope``, ``by``
(``"address"``, ``"network"`` or ``"key"``), ``seconds``, ``level`` (the how manieth ban it is)."""

anomaly_detected = _signals.signal("anomaly-detected")
"""A rule of the monitor found too much of something: ``finding`` (a :class:`~flask_rampart.Finding`). Sent once for
each rule, subject and window, by one of the host's workers, after the answer; there is no ``exchange``."""

token_issued = _signals.signal("token-issued")
"""A token was made: ``subject``, ``token_id``, and ``exchange`` where a request was under way, else None."""

token_refreshed = _signals.signal("token-refreshed")
"""A refresh token was exchanged: ``subject``, ``token_id``, ``family``, ``exchange``."""

token_revoked = _signals.signal("token-revoked")
"""A token, a family or all tokens of a subject were taken back: ``subject``, ``token_id``, ``family``, ``exchange``."""

refresh_reused = _signals.signal("refresh-reused")
"""A refresh token came a second time, which is how a stolen one shows: ``subject``, ``token_id``, ``family``,
``exchange``."""

api_key_created = _signals.signal("api-key-created")
"""An API key was made: ``key`` (a ``KeyInfo``, nothing in it is secret), ``exchange``."""

api_key_rotated = _signals.signal("api-key-rotated")
"""An API key got a successor: ``key`` and ``successor`` (each a ``KeyInfo``), ``exchange``."""

api_key_revoked = _signals.signal("api-key-revoked")
"""An API key was taken back: ``key`` (a ``KeyInfo``), ``exchange``."""

response_invalid = _signals.signal("response-invalid")
"""An answer was not what ``validate(response=...)`` says: ``exchange``, ``endpoint``, ``status``, ``errors`` (pairs
of a JSON Pointer and a rule), ``enforced`` (whether the client got 500 instead)."""

browser_reported = _signals.signal("browser-reported")
"""A browser reported what none had reported before: ``group`` (a ``ReportGroup``; a stranger's word)."""

integrity_failed = _signals.signal("integrity-failed")
"""What the vault was to open was changed, moved, or is of no key that may open it: ``code``, ``place`` (the text of its
associated data, or the column)."""
ai_called = _signals.signal("ai-called")
"""A model was asked, or a request to ask it was refused: ``exchange``, ``endpoint``, ``model``, ``upstream``,
``principal``, ``streamed``, ``prompt_hash`` (under a key), ``prompt_chars``, ``completion_chars``, ``prompt_tokens``,
``completion_tokens``, ``counted`` (``"upstream"``, ``"here"`` or ``"reserved"``), ``tool_calls``, ``findings`` (counts
by rule), ``decision`` (``"answered"``, ``"stopped"``, ``"refused"``, ``"failed"`` or ``"aborted"``), ``rule``,
``seconds``. Never what was said."""


def emit(signal: NamedSignal, app: Flask, /, **facts: Any) -> None:
    """Sends *signal* from *app*. Raises nothing that a receiver raised.

    Ask ``signal.receivers`` first where the facts cost something.
    """
    if not signal.receivers:
        return
    exchange: Exchange | None = facts.get("exchange")
    already = exchange is not None and exchange.telling
    if exchange is not None:
        exchange.telling = True
    try:
        if has_app_context() and current_app._get_current_object() is app:  # type: ignore[attr-defined]
            _send(signal, app, facts)
        else:
            # The edge refuses before Flask is entered.
            with app.app_context():
                _send(signal, app, facts)
    except Exception:
        app.logger.exception("%s could not be sent to all of its receivers.", signal.name)
    finally:
        if exchange is not None:
            exchange.telling = already


def _send(signal: NamedSignal, app: Flask, facts: dict[str, Any]) -> None:
    if getattr(signal, "is_muted", False):
        return
    # One by one: blinker's own `send` stops at the first receiver that raises.
    for receiver in signal.receivers_for(app):
        try:
            settle(receiver, app, **facts)
        except Exception:
            app.logger.exception("A receiver of %s failed; what was decided stands.", signal.name)


def emit_refusal(exchange: Exchange, denied: Denied) -> None:
    """Sends what a refusal is to those who listen."""
    app = getattr(exchange.owner, "app", None)
    if app is None:
        return  # the edge around an app that is not Flask's
    code, status = denied.problem.code, denied.problem.status
    facts = {"exchange": exchange, "code": code, "reason": denied.reason, "principal": exchange.principal}
    if (status == 401 and code != "auth.missing") or code == "auth.ambiguous":
        emit(authentication_failed, app, **facts)
    elif status == 403:
        emit(access_denied, app, **facts)
    emit(request_refused, app, **facts)
