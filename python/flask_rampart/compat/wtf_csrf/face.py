"""What the face keeps for one app: its rules, what signs its tokens, whose pages it trusts, and what time it is.

What the log is told, it is told once: where we are stricter than Flask-WTF, with what restores theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from ..._native import Clock
from ...declarations import epoch
from ...errors import Denied
from ...exchange import EXTENSION
from ...guards import current_exchange
from ...origins import CsrfPolicy, Page, is_by_token, page_of, refuse_plain, trusted_origins
from ...origins.csrf import SAFE
from ..standing import Standing
from .config import OWN_KEY, Rules, kept, named, picked

_FACE = "rampart-wtf-csrf"
SALT = "wtf-csrf-token"
"""Of Flask-WTF's tokens, whose are valid here, and ours there."""
_MOST = 64
"""Most serializers that are kept: forms may have secrets of their own."""

Origins = tuple[bool, frozenset[str]]
"""Whether the browser is asked, and whose pages are trusted beside one's own."""


class Face(Standing):
    """One app's."""

    def __init__(self, app: Flask, clock: Clock | None = None) -> None:
        super().__init__(app, clock)
        #: The settings that were read, and what they came to. One object, so that no thread sees half of a change.
        self._read: tuple[tuple[Any, ...], Rules] | None = None
        self._serializers: dict[tuple[Any, ...], URLSafeTimedSerializer] = {}
        self._of_app: Origins | None = None
        self._of_views: dict[tuple[str, str], Origins] = {}
        self._epoch = -1

    def rules(self) -> Rules:
        """What the settings come to by now."""
        values = picked(self.app.config)
        read = self._read
        if read is not None and values == read[0]:
            return read[1]
        values = kept(values)
        rules = Rules(named(values))
        self._read = (values, rules)
        return rules

    def secret(self, given: Any = None) -> Any:
        """What signs where nobody gave another.

        :raises RuntimeError: if there is none.
        """
        found = self.app.config.get(OWN_KEY, self.app.secret_key) if given is None else given
        if found is None:
            raise RuntimeError("A secret key is required to use CSRF.")
        return found

    def serializer(self, secret: Any) -> URLSafeTimedSerializer:
        """What writes and reads tokens, byte for byte as Flask-WTF does."""
        keys: tuple[Any, ...]
        if isinstance(secret, (str, bytes)):
            # The last one signs, all verify (CVE-2025-47278 is of another order).
            older = self.app.config.get("SECRET_KEY_FALLBACKS") or () if secret == self.app.secret_key else ()
            keys = (*older, secret)
        else:
            keys = tuple(secret)
        found = self._serializers.get(keys)
        if found is None:
            found = URLSafeTimedSerializer(keys, salt=SALT, signer=_signer(lambda: self.clock.now()))
            if len(self._serializers) < _MOST:
                self._serializers[keys] = found
        return found

    def page(self, request: Request) -> Page:
        """Whose page sent the request, as far as that is asked."""
        asks, trusted = self.origins(request)
        environ = request.environ
        # What no page of another site can send without our leave is no other page's.
        return "unsaid" if not asks or is_by_token(environ) else page_of(environ, trusted)

    def origins(self, request: Request) -> Origins:
        """By ``RAMPART_CSRF`` and ``RAMPART_CSRF_TRUSTED_ORIGINS``, and by what a view says beside ``Rampart(app)``."""
        if request.method in SAFE:
            return False, frozenset()
        state = self.app.extensions.get(EXTENSION)
        endpoint = request.endpoint
        if state is None or endpoint not in self.app.view_functions:
            return self._of_app or self._read_origins()
        if self._epoch != epoch():
            self._of_views, self._epoch = {}, epoch()
        key = (endpoint, request.method)
        found = self._of_views.get(key)
        if found is None:
            policy: CsrfPolicy = state.services[CsrfPolicy]
            mode, trusted = policy.of_view(state, endpoint, request.method)
            found = (mode != "off", trusted)
            if request.method in self.rules().methods:
                self._of_views[key] = found
        return found

    def _read_origins(self) -> Origins:
        trusted = trusted_origins(self.settings)
        if not (self.app.debug or self.app.testing):
            refuse_plain(trusted)
        self._of_app = (self.settings.csrf != "off", trusted)
        return self._of_app

    def note(self, denied: Denied) -> Denied:
        """Tells the app's ``Rampart``, if it has one, of a refusal: its logs, audit and signals know of each."""
        return current_exchange().refuse(denied) if EXTENSION in self.app.extensions else denied

    def tell(self, namesakes: Iterable[str]) -> None:
        """Where we are stricter, and by what we are not.

        :raises ConfigError: for an origin that cannot be trusted.
        """
        app = self.app
        rules = self.rules()
        if not rules.enabled or not rules.methods:
            if not (app.debug or app.testing):
                why = "WTF_CSRF_METHODS is empty" if rules.enabled else "WTF_CSRF_ENABLED is False"
                app.logger.warning("%s: no request is asked for a CSRF token.", why)
            return
        stricter = []
        if self._read_origins()[0]:
            stricter.append(
                "what a browser says is from another site's page is refused in spite of a token "
                "(RAMPART_CSRF_TRUSTED_ORIGINS, or RAMPART_CSRF = 'off')"
            )
        names = sorted(namesakes)
        if names:
            stricter.append(
                f"{', '.join(names[:_FEW])}{' and others' if len(names) > _FEW else ''} only shares the name of a view "
                'that is exempt, and is not exempt itself (csrf.exempt("module.name"))'
            )
        if stricter:
            app.logger.warning(
                "flask_rampart.compat.wtf_csrf: stricter than Flask-WTF, each with what says otherwise: %s; see "
                "docs/migrate/wtf-csrf.md.",
                "; ".join(stricter),
            )


def install(app: Flask, clock: Clock | None) -> Face:
    """Begins anew with what *app* is told by now."""
    face = Face(app, clock)
    app.extensions[_FACE] = face
    return face


def face_of(app: Flask) -> Face:
    """That of *app*, which need not have a ``CSRFProtect``: forms and functions work without."""
    found: Face | None = app.extensions.get(_FACE)
    return found or install(app, None)


def _signer(now: Callable[[], float]) -> type[TimestampSigner]:
    class Signer(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(now())

    return Signer


_FEW = 5
