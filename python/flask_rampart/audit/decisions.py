"""Records of what Rampart itself decides and does.

1. Every refusal, wherever it is made: at the edge, by a guard, in a view by what is ours. One record for each, before
   the answer leaves. It is a refusal whether it can be recorded or not; what cannot is counted and told.
2. Whom a limit refuses or a ban, would fill the disk by going on: of these refusals, two in a second for each client
   and worker are written, and 50 of all clients together; the rest are counted, and the next record says how many there
   were (``unrecorded``). A client is what the limiter takes for one: of IPv6 a network (``RAMPART_IPV6_PREFIX``), since
   who has one has 2^64 addresses. So a log grows without bound only where nothing is limited.
3. Tokens, logins, API keys, bans, calls of models, and what the vault found to be changed, by our signals, after the
   fact: what has been done is not undone where it cannot be recorded. Of a call there is what was decided and how
   much it was, and never what was said.

It does not record what other extensions or the app's own ``abort()`` refuse.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import signals
from .._native import client_key
from .events import REFUSALS, SIGNALS
from .facts import WINDOW, Facts, json_fields

if TYPE_CHECKING:
    from flask import Flask

    from ..errors import Denied
    from ..exchange import Exchange
    from .log import Audit

_COUNTED = frozenset(("limit.banned", "limit.exceeded", "limit.too_costly"))
_AT_ONCE = 2
_AT_ONCE_OF_ALL = 50
_MOST = 4096


class Decisions:
    """Writes an app's refusals and deeds to its log."""

    def __init__(self, audit: Audit, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._monotonic = monotonic
        #: The second, and how many were written in it.
        self._all = (0, 0)
        #: Of whom there was no room to remember.
        self._beyond = 0
        #: By code and client: the second, how many came in it, and how many of them were not written.
        self._met: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._pid = os.getpid()

    def install(self, app: Flask) -> None:
        """Listens to what the app does. Receivers are held weakly, and live as long as the app."""
        self._audit.at_close = self.tell_rest
        for name in SIGNALS:
            attribute = name.replace("-", "_")
            getattr(signals, attribute).connect(getattr(self, f"on_{attribute}"), sender=app)

    def refused(self, exchange: Exchange, denied: Denied) -> None:
        """Records a refusal. Raises nothing."""
        code = denied.problem.code
        unrecorded: int | None = 0
        if code in _COUNTED:
            unrecorded = self._unrecorded(code, exchange.environ.get("REMOTE_ADDR") or "")
            if unrecorded is None:
                return
        plain: dict[str, Any] = {"decision": "refused", "code": code, "status": denied.problem.status}
        if unrecorded:
            plain["unrecorded"] = unrecorded
        told = {"reason": denied.reason[:WINDOW]} if denied.reason else None
        self._audit.write(REFUSALS.get(code, "authz_fail"), Facts(plain, told), exchange=exchange)

    def _unrecorded(self, code: str, address: str) -> int | None:
        """How many of the same were not written before this one; None if this one is not either."""
        if os.getpid() != self._pid:
            # What the parent has counted, it says itself.
            self._pid, self._met, self._all, self._beyond = os.getpid(), {}, (0, 0), 0
        met, second = self._met, int(self._monotonic())
        key = (code, client_key(address, self._audit.ipv6_prefix))
        # Threads may lose a count to one another, never a record: each writes at most one more.
        began, count, left = met.get(key, (second, 0, 0))
        if began != second:
            count = 0
        if count >= _AT_ONCE:
            met[key] = (second, count + 1, left + 1)
            return None
        written = self._all[1] if self._all[0] == second else 0
        if written >= _AT_ONCE_OF_ALL:
            if key in met:
                met[key] = (second, count, left + 1)
            else:
                self._beyond += 1
            return None
        self._all = (second, written + 1)
        if len(met) >= _MOST and key not in met:
            self._forget(second)
        met[key] = (second, count + 1, 0)
        beyond, self._beyond = self._beyond, 0
        return left + beyond

    def tell_rest(self) -> None:
        """Says in one record what was counted and not yet said."""
        self._drop({})

    def _forget(self, second: int) -> None:
        """Makes room."""
        kept = {key: seen for key, seen in list(self._met.items()) if seen[0] >= second - 1}
        self._drop(kept if len(kept) < _MOST else {})

    def _drop(self, kept: dict[tuple[str, str], tuple[int, int, int]]) -> None:
        lost = self._beyond + sum(seen[2] for key, seen in list(self._met.items()) if key not in kept)
        self._met, self._beyond = kept, 0
        if lost:
            self._audit.write("excess_rate_limit_exceeded", Facts({"decision": "refused", "unrecorded": lost}))

    def on_token_issued(self, app: Flask, *, family: str | None = None, **about: Any) -> None:
        self._did("session_created" if family else "authn_token_created", about, family=family)

    def on_token_refreshed(self, app: Flask, **about: Any) -> None:
        self._did(SIGNALS["token-refreshed"], about)

    def on_token_revoked(self, app: Flask, *, family: str | None = None, **about: Any) -> None:
        self._did("session_expired" if family else "authn_token_revoked", about, family=family)

    def on_refresh_reused(self, app: Flask, **about: Any) -> None:
        self._did(SIGNALS["refresh-reused"], about)

    def on_api_key_created(self, app: Flask, *, key: Any, exchange: Exchange | None = None, **_: Any) -> None:
        self._key(SIGNALS["api-key-created"], "created", key, exchange)

    def on_api_key_rotated(
        self, app: Flask, *, key: Any, successor: Any, exchange: Exchange | None = None, **_: Any
    ) -> None:
        self._key(SIGNALS["api-key-rotated"], "rotated", key, exchange, successor=successor.id)

    def on_api_key_revoked(self, app: Flask, *, key: Any, exchange: Exchange | None = None, **_: Any) -> None:
        self._key(SIGNALS["api-key-revoked"], "revoked", key, exchange)

    def on_banned(
        self, app: Flask, *, exchange: Exchange, scope: Any, by: str, seconds: float, level: int, **_: Any
    ) -> None:
        plain = {"action": "banned", "by": by, "seconds": seconds, "level": level}
        self._audit.write(SIGNALS["banned"], Facts(plain, {"scope": str(scope)}), exchange=exchange)

    def on_integrity_failed(self, app: Flask, *, code: str, place: str, **_: Any) -> None:
        facts = Facts({"code": code}, {"place": place})
        self._audit.write(SIGNALS["integrity-failed"], facts, exchange=self._audit.here())

    def on_ai_called(self, app: Flask, *, exchange: Exchange, decision: str, **about: Any) -> None:
        plain: dict[str, Any] = {"decision": decision}
        plain.update((name, about[name]) for name in _OF_A_CALL if about.get(name) not in (None, ""))
        plain["duration_us"] = round(about.get("seconds", 0.0) * 1e6)
        told: dict[str, Any] = {name: str(about[name])[:WINDOW] for name in ("model", "upstream") if about.get(name)}
        if about.get("findings"):
            told["findings"] = json_fields(about["findings"])
        self._audit.write(SIGNALS["ai-called"], Facts(plain, told), exchange=exchange)

    def _did(self, event: str, about: dict[str, Any], **more: Any) -> None:
        exchange: Exchange | None = about.pop("exchange", None)
        named = {name: value for name, value in {**about, **more}.items() if value is not None}
        # Whom and which token it is about: who asked for it, and by which, is said beside it.
        plain = {name: str(named[ours])[:256] for ours, name in _OF_A_TOKEN if ours in named}
        self._audit.write(event, Facts(plain), exchange=exchange)

    def _key(self, event: str, action: str, key: Any, exchange: Exchange | None, **more: str) -> None:
        plain = {"action": action, "key_id": key.id, **more}
        if key.owner:
            plain["subject"] = key.owner
        self._audit.write(event, Facts(plain, {"key_name": key.name}), exchange=exchange)


_OF_A_TOKEN = (("subject", "subject"), ("family", "family"), ("token_id", "of_token"))
_OF_A_CALL = (
    *("endpoint", "rule", "streamed", "prompt_hash", "prompt_chars", "completion_chars", "prompt_tokens"),
    *("completion_tokens", "counted", "tool_calls"),
)
