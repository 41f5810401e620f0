"""What the face keeps for one app: its rules, its keys, and what time it is.

What the log is told, it is told once: where we are stricter than Flask-JWT-Extended, with the setting that restores
theirs.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from ..._native import Clock
from ...errors import ConfigError, Denied
from ...exchange import EXTENSION
from ...guards import current_exchange
from ...tokens import Key, VerifiedToken, Verifier
from ..standing import SYSTEM, Standing, at_first_request
from .config import DEFAULTS, Rules, decode_key, kept, named, picked
from .keys import bytes_of, key_of, verifiers_of

if TYPE_CHECKING:
    from ...exchange import Principal
    from .jwt_manager import JWTManager

NAME = "flask-jwt-extended"
"""Where an app keeps its manager, in ``app.extensions``. Other extensions look for it there."""

KIND = "compat:jwt_extended"
"""The kind of the face's principals. No scheme of an app can have this name."""

_FACE = "rampart-jwt-extended"
_MOST = 64
"""Most things that the log is told."""

_MOST_KEYS = 512
"""Most keys that are remembered of those that an app's loaders give; those that were used last."""


class Admitted:
    """Whom the face let in, as a principal of a kind of its own: its tokens are judged by other keys and rules than
    those of ``require``, which takes nobody for known whom it did not ask for itself."""

    __slots__ = ("_token",)

    kind = KIND

    def __init__(self, token: VerifiedToken) -> None:
        self._token = token

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # a copy that is being made has nothing yet to ask
        return getattr(self._token, name)


class Face(Standing):
    """One app's."""

    def __init__(self, manager: JWTManager, app: Flask, clock: Clock | None) -> None:
        super().__init__(app, clock)
        self.manager = manager
        self._unset = {key for key in DEFAULTS if key not in app.config}
        for key, value in DEFAULTS.items():
            app.config.setdefault(key, list(value) if key == "JWT_CSRF_METHODS" else value)
        #: The settings that were read, and what they came to. One object, so that no thread sees half of a change.
        self._read: tuple[tuple[Any, ...], Rules] | None = None
        #: Whether a Rampart may still come, and bring the clock by which tokens are judged.
        self._awaits_clock = False
        self._told: set[str] = set()

    @property
    def words_problems(self) -> bool:
        """Whether refusals are problems (RFC 9457) instead of Flask-JWT-Extended's bodies."""
        return self.settings.error_format == "problem"

    def rules(self) -> Rules:
        """What the settings come to by now."""
        values = picked(self.app.config)
        read = self._read
        if read is not None and values == read[0] and not (self._awaits_clock and EXTENSION in self.app.extensions):
            return read[1]
        self._awaits_clock = self.clock is SYSTEM
        values = kept(values)
        rules = Rules(named(values))
        self._tell_of(rules)
        self._read = (values, rules)
        return rules

    def tell(self) -> None:
        """Where we are stricter, by what the settings come to by now."""
        # What is wrong with them is raised where a token is asked for, as it always was.
        with contextlib.suppress(ConfigError):
            self.rules()

    def verifiers(self, rules: Rules) -> tuple[Verifier, ...]:
        """What tokens are judged by where no loader gives a key."""
        found = rules.verifiers
        if found is None:
            material = bytes_of(decode_key(rules.keys))
            found = verifiers_of(material, rules, self.clock, self._takes_weak(rules), self._tell, given=True)
            rules.verifiers = found
        return found

    def verifiers_by(self, material: Any, rules: Rules) -> tuple[Verifier, ...]:
        """What tokens are judged by that are signed with a key of a loader's."""
        secret = bytes_of(material)
        found = rules.verifiers_of_loaders.get(secret)
        if found is not None:
            _use(rules.verifiers_of_loaders, secret)
        else:
            found = verifiers_of(secret, rules, self.clock, self._takes_weak(rules), self._tell, given=False)
            _keep(rules.verifiers_of_loaders, secret, found)
        return found

    def signer(self, material: Any, rules: Rules, algorithm: str, kid: str | None) -> Key:
        """What signs with *material*."""
        secret = bytes_of(material)
        found = rules.signers.get((secret, algorithm, kid))
        if found is not None:
            _use(rules.signers, (secret, algorithm, kid))
        else:
            found = key_of(secret, algorithm, kid, self._takes_weak(rules), self._tell)
            _keep(rules.signers, (secret, algorithm, kid), found)
        return found

    def admit(self, token: VerifiedToken | None, location: str) -> None:
        """Tells the app's ``Rampart``, if it has one, who is calling: its limits, logs and audit go by that.

        :param location: where the token was; all but cookies, and fields of browsers, say that it was sent on purpose.
        :raises Denied: if somebody else is calling already.
        """
        if token is None or not token.subject or EXTENSION not in self.app.extensions:
            return
        exchange = current_exchange()
        before = exchange.principal
        if before is None:
            exchange.principal = cast("Principal", Admitted(token))
            # A field that came with a browser's word may have been made of a cookie by a proxy.
            is_browsers = location == "headers" and "HTTP_SEC_FETCH_MODE" in exchange.environ
            exchange.deliberate = location != "cookies" and not is_browsers
        elif before.id != token.subject:
            # Views may go by either: nobody is two.
            raise self.note(Denied.of("auth.ambiguous", "two credentials"))

    def note(self, denied: Denied) -> Denied:
        """Tells the app's ``Rampart`` of a refusal."""
        return current_exchange().refuse(denied) if EXTENSION in self.app.extensions else denied

    def _takes_weak(self, rules: Rules) -> bool:
        return rules.is_no_production or self.settings.jwt_weak_secret

    def _tell(self, what: str) -> None:
        if what not in self._told and len(self._told) < _MOST:
            self._told.add(what)
            self.app.logger.warning("flask_rampart.compat.jwt_extended: %s.", what)

    def _tell_of(self, rules: Rules) -> None:
        """Where we are stricter, and by which setting we are not."""
        stricter = []
        if "cookies" in rules.locations:
            # By now: an app may have set them after its manager.
            if self.app.config["JWT_COOKIE_SECURE"] is None and rules.cookie_secure:
                stricter.append("cookies go over HTTPS only (JWT_COOKIE_SECURE = False)")
            if "JWT_COOKIE_SAMESITE" in self._unset and rules.cookie_samesite == DEFAULTS["JWT_COOKIE_SAMESITE"]:
                stricter.append("cookies are SameSite=Lax (JWT_COOKIE_SAMESITE = None)")
        if self.settings.jwt_require_exp and not rules.endless:
            stricter.append("a token without an end is refused (RAMPART_JWT_REQUIRE_EXP = False)")
        if not rules.names_audience:
            stricter.append("a token for an audience is refused, but for our own (JWT_DECODE_AUDIENCE)")
        if stricter:
            self._tell(
                "stricter than Flask-JWT-Extended, each with the setting that says otherwise: "
                + "; ".join(stricter)
                + "; see docs/migrate/jwt-extended.md"
            )


def install(manager: JWTManager, app: Flask, clock: Clock | None) -> None:
    """Makes *manager* the one of *app*."""
    face = app.extensions[_FACE] = Face(manager, app, clock)
    app.extensions[NAME] = manager
    at_first_request(app, face.tell)


def current_face(app: Flask | None = None) -> Face:
    """That of the current app, or of *app*, where the caller knows it.

    :raises RuntimeError: if it has none.
    """
    face: Face | None = (app or current_app).extensions.get(_FACE)
    if face is None:
        raise RuntimeError("This app has no JWTManager: write JWTManager(app), or manager.init_app(app).")
    return face


def _use(kept_in: OrderedDict[Any, Any], key: Any) -> None:
    with contextlib.suppress(KeyError):
        kept_in.move_to_end(key)


def _keep(kept_in: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept_in[key] = value
    # Another thread may have dropped the last one meanwhile; what is dropped is only made once more.
    while len(kept_in) > _MOST_KEYS:
        with contextlib.suppress(KeyError):
            kept_in.popitem(last=False)
