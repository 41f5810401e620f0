"""The extension: puts the rooms together around one app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app
from flask.sansio.blueprints import Blueprint
from werkzeug.middleware.proxy_fix import ProxyFix

from ._native import Clock
from .access import Schemes
from .apikeys import ApiKeys
from .config import Settings
from .edge import EdgePolicy, RampartMiddleware
from .errors import ConfigError
from .guards import EXTENSION, AppState, Guard, expand, protect_blueprint
from .headers import csp_nonce, header_policy
from .issuers import Issuers
from .limits import Limits, application_limits
from .redaction import AccessLog, redact_logging, redactor_of
from .refusals import Challenge
from .stores import Records, Store
from .tokens import Tokens
from .validation import Bounds, hardened

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")


class Rampart:
    """Secures a Flask app: ``Rampart(app)``, or ``rampart = Rampart()`` and ``rampart.init_app(app)``.

    On at once, for every view: secure headers, bounded and hardened JSON, a redacted access log and redacted
    application logs. What is declared by ``require``, ``limit`` and ``validate`` is enforced.

    :param app: the app, or None for the factory pattern.
    :param clock: what time it is, for every guard; ``Clock.manual(...)`` in tests.
    :param store: where records are kept, such as ``RedisStore(client)``, instead of what ``RAMPART_STORE`` names.
    :raises ConfigError: for a setting that cannot be used; see ``docs/defaults.md``.

    Settings are read from ``app.config`` here: set them before.
    """

    def __init__(self, app: Flask | None = None, *, clock: Clock | None = None, store: Store | None = None) -> None:
        self._clock = clock or Clock.system()
        self._store = store
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Secures *app*. Once for each app."""
        if EXTENSION in app.extensions:
            raise ConfigError(f"{app.name} already has a Rampart; call init_app once.")
        settings = Settings.read(app.config)
        redactor = redactor_of(settings)
        limits = Limits(settings, self._clock, f"{app.import_name}\0{app.root_path}", lambda: app.testing)
        bounds = Bounds(settings, app)
        schemes = Schemes()
        records = Records(settings, app.instance_path, lambda: app.testing, self._store)
        services: dict[type, Any] = {
            Clock: self._clock,
            Limits: limits,
            Bounds: bounds,
            Schemes: schemes,
            Records: records,
        }
        bearer = Challenge("Bearer")
        if settings.jwt_keys:
            services[Tokens] = schemes["jwt"] = Tokens(settings, self._clock, app.root_path, bearer)
        if settings.api_keys:
            services[ApiKeys] = schemes["api_key"] = api_keys = ApiKeys(settings, self._clock, records)
            limits.terms = api_keys.terms
            schemes.meters["api_key"] = limits.meter
            if records.given:
                records.open()
        state = AppState(app, settings, services)
        if settings.issuers:
            # In front of our own tokens, which without issuers are verified with nothing in between.
            issuers = Issuers(settings, self._clock, app, services.get(Tokens), challenge=bearer)
            services[Issuers] = schemes["jwt"] = issuers
            state.at_seal.append(issuers.check)
        policy = EdgePolicy(
            headers=header_policy(settings),
            max_body=bounds.max_bytes,
            access_log=AccessLog(settings, redactor, self._clock, lambda: app.testing),
            limits=application_limits(settings, limits),
            owner=state,
            before_first=state.lead,
        )
        app.request_class = request_class = hardened(app.request_class, bounds, state)
        # What werkzeug reads by itself (forms, get_data) has the same bound.
        app.config["MAX_CONTENT_LENGTH"] = bounds.max_bytes
        state.lead()
        app.jinja_env.globals["csp_nonce"] = csp_nonce
        redact_logging(app, redactor)
        # Once more when the first request comes: handlers are often configured after the app.
        state.at_seal.append(lambda app: redact_logging(app, redactor))
        state.at_seal.append(lambda app: _keeps(app, request_class))
        state.at_seal.append(records.check)
        if settings.api_keys:
            # Not before: where it is not set, the place of the store depends on `app.testing`.
            state.at_seal.append(lambda app: records.open())
        _wrap(app, lambda inner: RampartMiddleware(inner, policy))
        app.extensions[EXTENSION] = state

    def protect(self, target: Flask | Blueprint, *guards: Guard) -> None:
        """Puts guards on every view of a blueprint, with those nested in it, or of a whole app.

        :raises ConfigError: for something else, or without guards.
        """
        if not guards or not all(isinstance(guard, Guard) for guard in guards):
            raise ConfigError("protect(target, require(...), limit(...)) takes one guard or more.")
        if isinstance(target, Flask):
            state = _state(target)
            if state.sealed:
                raise ConfigError("protect(app, ...) comes too late: the app has already handled a request.")
            state.app_guards = (*state.app_guards, *expand(guards))
        elif isinstance(target, Blueprint):
            protect_blueprint(target, guards)
        else:
            raise ConfigError(
                f"protect() takes an app or a blueprint, not {target!r}; on a view, write the guard as a decorator."
            )

    @property
    def tokens(self) -> Tokens:
        """Issues and verifies the current app's tokens.

        :raises ConfigError: if the app has no ``RAMPART_JWT_KEYS``.
        """
        return self._service(Tokens, "RAMPART_JWT_KEYS")

    @property
    def issuers(self) -> Issuers:
        """Verifies tokens of the current app's issuers, and its own.

        :raises ConfigError: if the app has no ``RAMPART_ISSUERS``.
        """
        return self._service(Issuers, "RAMPART_ISSUERS")

    @property
    def api_keys(self) -> ApiKeys:
        """Makes, lists, rotates and revokes the current app's API keys.

        :raises ConfigError: if the app has no ``RAMPART_API_KEYS = True``.
        """
        return self._service(ApiKeys, "RAMPART_API_KEYS")

    def _service(self, kind: type[S], setting: str) -> S:
        service: S | None = _state(current_app._get_current_object()).services.get(kind)  # type: ignore[attr-defined]
        if service is None:
            raise ConfigError(f"{setting} is not set.")
        return service


def _state(app: Flask) -> AppState:
    state: AppState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigError(f"{app.name} has no Rampart: call Rampart(app) or init_app(app) first.")
    return state


def _wrap(app: Flask, wrap: Callable[[Any], RampartMiddleware]) -> None:
    """Puts the edge around the app, but inside ``ProxyFix``, which knows the client's address."""
    layer: Any = app.wsgi_app
    innermost: ProxyFix | None = None
    for _ in range(_MOST_LAYERS):
        if isinstance(layer, ProxyFix):
            innermost = layer
        # Middleware keeps what it wraps in `app` or `wsgi_app`, by custom.
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        if layer is None or isinstance(layer, Flask):
            break
    if innermost is None:
        app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    else:
        innermost.app = wrap(innermost.app)


_MOST_LAYERS = 32


def _keeps(app: Flask, request_class: type[Any]) -> None:
    if not issubclass(app.request_class, request_class):
        raise ConfigError(
            "app.request_class was replaced after Rampart(app), so JSON would no longer be bounded. Set it before."
        )
