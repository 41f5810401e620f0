"""Decides whether pages of other origins may read this app's answers, and answers the browsers that ask.

For each request, at the edge, before limits, credentials and the app:

1. without ``Origin``, no page of another origin asks: the answer says at most that it depends on who does (``Vary``),
   or, where every origin is meant, ``*``;
2. the policy is that of the view which the request is for (``@cors``, the nearest wins), else the app's
   (``RAMPART_CORS_*``); a preflight is for the view of its ``Access-Control-Request-Method`` (``routing``);
3. without a policy, nothing is said, and the app's own word stands;
4. a preflight is answered here: 204 with what is allowed, or 403 ``cors.refused`` without a word of it. It carries no
   credential, so what guards a view must not see it;
5. any other request goes on, and its answer says who may read it: a refusal too (401, 404, 422, 429, 500), so that the
   page learns why. The app's own ``Access-Control-*`` fields are dropped: two that say so are one that is wrong.

Nothing is allowed until origins are given. It keeps nobody out: who may call is for ``require`` to say, and programs
that are no browsers ask nobody. A simple request (GET, HEAD, or POST of a form) is carried out whoever the page is,
and merely not read: against that stands CSRF protection.

With ``RAMPART_CORS_DEBUG``, a refusal says why in ``X-Rampart-CORS`` and in the log.

In deployment: middleware between the edge and the app that changes path or method hides from rule 2 what the request is
for. A proxy that answers OPTIONS, or adds fields of its own, is another policy.

Sources: Fetch (CORS protocol); RFC 9110 section 12.5.5 (Vary); flask-cors#262, #264, #292, #297 (refusals and redirects
without the fields).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..checks import is_preflight
from ..config import Settings
from ..declarations import changed, declared_around, declared_on, epoch
from ..errors import ConfigError, Denied
from ..exchange import Exchange, Reply
from ..guards import AppState, Guard, Stage
from ..view_classes import view_class
from .policy import DEFAULT_EXPOSE, DEFAULT_HEADERS, DEFAULT_MAX_AGE, PREFLIGHT_VARY, VARY, Policy, shown
from .routing import Routes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask

    from ..checks import Check


class cors(Guard):  # noqa: N801 - read as a word above a view
    """Lets pages of these *origins* read what a view answers, instead of those of ``RAMPART_CORS_ORIGINS``.

    :param origins: such as ``"https://app.example.com"``; ``"https://*.example.com"`` for all names below a domain, at
        any depth; ``"http://localhost:*"``; a ``re.Pattern``, which must match the whole origin; or ``"*"`` for every
        origin. An empty list turns it off for the view, and so does ``@cors.none``.
    :param credentials: whether these pages act as whoever is logged in, by cookie, HTTP authentication or certificate.
    :param methods: beside GET, HEAD and POST; without it, those that the view has.
    :param headers: that these pages may send, beside those that need no asking; ``"*"`` is any but ``Authorization``.
    :param expose: header fields of the answer that these pages may read; ``"*"`` is any.
    :param max_age: seconds for which browsers keep a preflight's answer, 0 to 86400.
    :param private_network: whether pages of public sites may reach this app in a private network.
    :raises ConfigError: for what could not be meant, such as ``"*"`` with credentials.

    It stands for itself: what is left out is not taken from the app's settings. On a view class, a method or a whole
    blueprint (``rampart.protect(blueprint, cors(...))``) too; the nearest wins.

    >>> cors(origins=["https://app.example.com"], credentials=True)
    cors(origins=['https://app.example.com'], credentials=True)
    >>> cors(origins="*", credentials=True)
    Traceback (most recent call last):
    flask_rampart.errors.ConfigError: cors(origins=...): '*' with cors(credentials=...) would let every page ...
    """

    stage = Stage.ARRIVAL
    name = "cors"
    none: ClassVar[cors]
    """Turns it off for a view, under an app or a blueprint that has it on."""

    def __init__(
        self,
        origins: Any,
        *,
        credentials: bool = False,
        methods: str | Sequence[str] | None = None,
        headers: str | Sequence[str] = DEFAULT_HEADERS,
        expose: str | Sequence[str] = DEFAULT_EXPOSE,
        max_age: int = DEFAULT_MAX_AGE,
        private_network: bool = False,
    ) -> None:
        if callable(origins):
            raise ConfigError('Write @cors(origins=["https://app.example.com"]), with origins in parentheses.')
        policy = Policy(
            "cors({}=...)",
            origins,
            credentials=credentials,
            methods=methods,
            headers=headers,
            expose=expose,
            max_age=max_age,
            private_network=private_network,
        )
        #: None where it turns off.
        self.policy = None if policy.is_off else policy
        told = [f"origins={origins!r}", *(["credentials=True"] if credentials else [])]
        self._told = f"cors({', '.join(told)})"

    def __repr__(self) -> str:
        return self._told

    @classmethod
    def bind(cls, guards: Sequence[tuple[cors, str]], state: AppState, endpoint: str) -> Check:
        view = state.app.view_functions.get(endpoint)
        if view is not None and view_class(view) is None:
            own = [guard for guard, _ in declared_on(view, "GET") if isinstance(guard, cors)]
            if len(own) > 1:
                raise ConfigError(f"{endpoint}: @cors stands twice on one view. One policy can be meant: leave one.")
        return _admit


cors.none = cors(origins=())


class _Follow(Guard):
    """Stands on every view of an app with more than one policy: the answer goes by the view that gave it."""

    stage = Stage.ARRIVAL
    name = "cors"
    is_everywhere = True

    @classmethod
    def bind(cls, guards: Sequence[tuple[Any, str]], state: AppState, endpoint: str) -> Check:
        edge: Cors = state.services[Cors]
        # Bound anew with the plan, whenever a view is replaced or a guard declared.
        known: dict[str, Policy | None] = {}

        def check(exchange: Exchange) -> Denied | None:
            # Whoever answers OPTIONS has no word in a preflight's answer.
            if "HTTP_ORIGIN" not in exchange.environ or not exchange.sees_answer or is_preflight(exchange):
                return None
            method: str = exchange.environ.get("REQUEST_METHOD", "")
            try:
                policy = known[method]
            except KeyError:
                policy = edge.of(endpoint, method)
                if len(known) < _MOST_METHODS:
                    known[method] = policy
            if exchange.crossing is not policy:
                edge.correct(exchange, policy)
            return None

        return check


class Cors:
    """The step of the edge. Made once for an app.

    :param state: the Flask app's; None for an app of another kind, which has the app-wide policy alone.
    :raises ConfigError: for a setting that could not be meant.
    """

    def __init__(self, settings: Settings, state: AppState | None = None) -> None:
        self._policy = application_policy(settings)
        self._debug = settings.cors_debug
        self._told: set[tuple[str, str]] = set()
        self._state = state
        # The views are known when the first request comes.
        self._routes = Routes(None, self._policy, _nobody, -1)
        if state is not None:
            state.sources.append(self._following)
            state.at_seal.append(self._warn)

    def __call__(self, environ: WSGIEnvironment, exchange: Exchange) -> Denied | Reply | None:
        routes = self._routes
        if routes.epoch != epoch() and self._state is not None:
            routes = self._survey(self._state)
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None:
            if routes.without:
                exchange.sends += routes.without
                if routes.are_alike:
                    exchange.crossing = routes.policy
            return None
        method: str = environ.get("REQUEST_METHOD", "")
        wanted: str | None = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD") if method == "OPTIONS" else None
        policy = routes.policy if routes.are_alike else routes.of(environ, method if wanted is None else wanted)
        if policy is None:
            return None
        if wanted is not None:
            return self._preflight(policy, environ)
        self._tell(policy, origin, exchange)
        return None

    def tell(self, environ: WSGIEnvironment, exchange: Exchange) -> None:
        """Says who may read a refusal that is given before any view is looked for: as where there is none."""
        if self._policy is not None:
            self._tell(self._policy, environ["HTTP_ORIGIN"], exchange)

    def of(self, endpoint: str, method: str) -> Policy | None:
        """The policy of a view."""
        return self._policy if self._state is None else policy_of(self._state, self._policy, endpoint, method)

    def correct(self, exchange: Exchange, policy: Policy | None) -> None:
        """Goes by the policy of the view that the request has come to, where the edge took it for another's: something
        between the edge and the app changed its path or method."""
        exchange.sends = tuple(field for field in exchange.sends if not field[0].startswith(_OURS))
        exchange.crossing = None
        if policy is not None:
            self._tell(policy, exchange.environ["HTTP_ORIGIN"], exchange)

    def _following(self, endpoint: str, method: str) -> tuple[Guard, ...]:
        state, routes = self._state, self._routes
        if state is None:
            return ()
        is_outdated = routes.epoch == epoch() and routes.is_outdated(endpoint)
        if is_outdated or routes.epoch != epoch():
            were_alike = routes.are_alike
            routes = self._survey(state)
            if is_outdated and were_alike and not routes.are_alike:
                changed()  # the other views, which were planned without it, are planned anew
        return () if routes.are_alike else _EVERYWHERE

    def _survey(self, state: AppState) -> Routes:
        now = epoch()
        routes = Routes(state.app, self._policy, self.of, now)
        self._routes = routes
        return routes

    def _warn(self, app: Flask) -> None:
        if self._debug and not (app.debug or app.testing):
            app.logger.warning(
                "RAMPART_CORS_DEBUG is on in production: strangers learn from X-Rampart-CORS what is allowed to whom."
            )

    def _preflight(self, policy: Policy, environ: WSGIEnvironment) -> Denied | Reply:
        answer = policy.preflight(environ)
        if not isinstance(answer, str):
            return Reply(204, answer)
        headers: tuple[tuple[str, str], ...] = (PREFLIGHT_VARY,)
        if self._debug:
            headers += (self._say(environ, answer),)
        return Denied.of("cors.refused", reason=answer, headers=headers)

    def _tell(self, policy: Policy, origin: str, exchange: Exchange) -> None:
        exchange.crossing = policy
        fields = policy.fields(origin)
        if fields is None:
            fields = (VARY,)
            environ = exchange.environ
            # Browsers send it to their own origin too, with all but GET and HEAD.
            if self._debug and origin.partition("://")[2] != environ.get("HTTP_HOST"):
                fields += (self._say(environ, "origin"),)
        exchange.sends += fields

    def _say(self, environ: WSGIEnvironment, why: str) -> tuple[str, str]:
        """Why a page is refused: in the log once for each cause, and in a header field without a peer's value."""
        cause = shown(environ.get(_CAUSES[why], ""))
        if (why, cause) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((why, cause))
            _logger.warning(
                "CORS: %s %s is refused to the page of %s: %s %s is not allowed.",
                shown(environ.get("REQUEST_METHOD", "")),
                shown(environ.get("PATH_INFO", "")),
                shown(environ.get("HTTP_ORIGIN", "")),
                why,
                cause,
            )
        return ("X-Rampart-CORS", f"{why} not allowed")


def application_policy(settings: Settings) -> Policy | None:
    """What ``RAMPART_CORS_*`` say; None if they give no origins.

    :raises ConfigError: for what could not be meant.
    """
    given = {
        "credentials": settings.cors_credentials,
        "methods": settings.cors_methods,
        "headers": settings.cors_headers,
        "expose": settings.cors_expose,
        "max_age": settings.cors_max_age,
        "private_network": settings.cors_private_network,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if settings.cors_origins is not None:
        return Policy("RAMPART_CORS_{}", settings.cors_origins, **given)
    for name in given:
        raise ConfigError(
            f"RAMPART_CORS_{name.upper()} has no effect without RAMPART_CORS_ORIGINS, the origins whose pages may read "
            "this app's answers. For one view, write @cors(origins=[...])."
        )
    return None


def policy_of(state: AppState, default: Policy | None, endpoint: str, method: str) -> Policy | None:
    """The policy of the ``@cors`` that stands nearest to a view; without one, the app's."""
    app = state.app
    view = [guard for guard, _ in declared_on(app.view_functions[endpoint], method)]
    for guards in (view, declared_around(app, endpoint), state.app_guards):
        own = [guard for guard in guards if isinstance(guard, cors)]
        if own:
            # The last, which stands nearest; None if it turns CORS off.
            return own[-1].policy
    return default


def _admit(exchange: Exchange) -> Denied | None:
    """It refuses nothing by itself: the edge goes by it."""
    return None


def _nobody(endpoint: str, method: str) -> Policy | None:
    return None


_logger = logging.getLogger("flask_rampart")
_EVERYWHERE = (_Follow(),)
_OURS = ("Access-Control-", "X-Rampart-CORS")
_CAUSES = {
    "origin": "HTTP_ORIGIN",
    "method": "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
    "header": "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
    "private network": "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK",
}
_MOST_METHODS = 16
_MOST_TOLD = 256
"""Causes that are logged, in the life of a process."""
