"""``Talisman``: what an app sends with each answer, and whether it answers by plain HTTP.

The fields of an answer are constants: they are made at the first request of each view, and anew where an attribute of
the extension is assigned.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Request, Response, has_request_context, redirect, request, request_finished
from werkzeug.wrappers import Response as AnyResponse

from ...config import Settings
from ...errors import ConfigError, Denied
from ...exchange import EXTENSION
from ...guards import Guard, current_exchange, tell
from ...headers import csp_nonce
from ..leaving import is_unseen
from .beside import Beside, Fields, settled
from .hooks import Slot, met, without
from .https import Arrival
from .plans import ALLOW_FROM as ALLOW_FROM
from .plans import DEFAULT_CSP_POLICY as DEFAULT_CSP_POLICY
from .plans import OF_VIEWS, Plan
from .policies import CSP, csp_of
from .told import Told

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

F = TypeVar("F", bound=Callable[..., Any])

DENY = "DENY"
SAMEORIGIN = "SAMEORIGIN"
ONE_YEAR_IN_SECS = 31556926

DEFAULT_REFERRER_POLICY = "strict-origin-when-cross-origin"
DEFAULT_SESSION_COOKIE_SAMESITE = "Lax"
DEFAULT_PERMISSIONS_POLICY = {"browsing-topics": "()"}
DEFAULT_DOCUMENT_POLICY: dict[str, str] = {}
DEFAULT_FEATURE_POLICY: dict[str, str] = {}

GOOGLE_CSP_POLICY = {
    "font-src": "'self' themes.googleusercontent.com *.gstatic.com",
    "frame-src": "'self' www.google.com www.youtube.com",
    "script-src": "'self' ajax.googleapis.com *.googleanalytics.com *.google-analytics.com",
    "style-src": "'self' ajax.googleapis.com fonts.googleapis.com *.gstatic.com",
    "object-src": "'none'",
    "default-src": "'self' *.gstatic.com",
}
"""What pages with Google's fonts, maps, videos and libraries need."""

NONCE_LENGTH = 32


class Talisman:
    """Sends security headers with each answer of *app*, and sends on to HTTPS.

    :param app: the app; or call :meth:`init_app` later. The other arguments are :meth:`init_app`'s.
    """

    app: Flask
    feature_policy: Any
    permissions_policy: Any
    document_policy: Any
    force_https: bool
    force_https_permanent: bool
    force_file_save: bool
    frame_options: str | None
    frame_options_allow_from: str | None
    strict_transport_security: bool
    strict_transport_security_preload: bool
    strict_transport_security_max_age: int
    strict_transport_security_include_subdomains: bool
    content_security_policy: Any
    content_security_policy_report_uri: str | None
    content_security_policy_report_only: bool
    content_security_policy_nonce_in: Any
    referrer_policy: str | None
    session_cookie_secure: bool
    x_content_type_options: bool
    x_xss_protection: bool

    _epoch: object = None
    """Another one whenever an attribute is assigned: what was made of them no longer holds."""
    _is_ready = False
    """Whether all attributes are there, so that another one can be judged."""
    _some_view_differs = False
    """Whether any view has options of its own, of whichever of these it is decorated by."""

    def __init__(self, app: Flask | None = None, **kwargs: Any) -> None:
        if app is not None:
            self.init_app(app, **kwargs)

    def init_app(
        self,
        app: Flask,
        feature_policy: Any = DEFAULT_FEATURE_POLICY,
        permissions_policy: Any = DEFAULT_PERMISSIONS_POLICY,
        document_policy: Any = DEFAULT_DOCUMENT_POLICY,
        force_https: bool = True,
        force_https_permanent: bool = False,
        force_file_save: bool = False,
        frame_options: str | None = SAMEORIGIN,
        frame_options_allow_from: str | None = None,
        strict_transport_security: bool = True,
        strict_transport_security_preload: bool = False,
        strict_transport_security_max_age: int = ONE_YEAR_IN_SECS,
        strict_transport_security_include_subdomains: bool = True,
        content_security_policy: Any = DEFAULT_CSP_POLICY,
        content_security_policy_report_uri: str | None = None,
        content_security_policy_report_only: bool = False,
        content_security_policy_nonce_in: Any = None,
        referrer_policy: str | None = DEFAULT_REFERRER_POLICY,
        session_cookie_secure: bool = True,
        session_cookie_http_only: bool = True,
        session_cookie_samesite: str | None = DEFAULT_SESSION_COOKIE_SAMESITE,
        x_content_type_options: bool = True,
        x_xss_protection: bool = False,
    ) -> None:
        """Puts the fields and the redirect into *app*.

        :param feature_policy: a dict or text, for ``Feature-Policy``.
        :param permissions_policy: a dict or text, for ``Permissions-Policy``.
        :param document_policy: a dict or text, for ``Document-Policy``.
        :param force_https: whether a request by plain HTTP is sent on to HTTPS; not under ``app.debug``.
        :param force_https_permanent: whether it is with 301 instead of 302.
        :param force_file_save: whether ``X-Download-Options: noopen`` is sent.
        :param frame_options: ``X-Frame-Options``.
        :param frame_options_allow_from: what stands behind ``ALLOW-FROM``, which browsers have left.
        :param strict_transport_security: whether browsers take this host by HTTPS alone, by ``max_age`` in seconds.
        :param content_security_policy: a dict or text.
        :param content_security_policy_report_uri: where browsers report to.
        :param content_security_policy_report_only: whether they only report.
        :param content_security_policy_nonce_in: the directives that name the nonce of ``csp_nonce()``.
        :param referrer_policy: ``Referrer-Policy``.
        :param session_cookie_secure: whether the session's cookie goes by HTTPS only; not under ``app.debug``.
        :param session_cookie_http_only: whether no script reads it.
        :param session_cookie_samesite: its ``SameSite``.
        :param x_content_type_options: whether ``nosniff`` is sent.
        :param x_xss_protection: whether ``X-XSS-Protection`` is sent, which browsers have left.
        :raises ValueError: if browsers only report, and nobody says where to.
        :raises ConfigError: for a policy that a browser would read otherwise than it is written.
        """
        if content_security_policy_report_only and content_security_policy_report_uri is None:
            raise ValueError(
                "content_security_policy_report_only needs content_security_policy_report_uri: browsers would tell "
                "nobody."
            )
        self._is_ready = False
        self.app = app
        self.feature_policy = _own(feature_policy)
        self.permissions_policy = _own(permissions_policy)
        self.document_policy = _own(document_policy)
        self.force_https = force_https
        self.force_https_permanent = force_https_permanent
        self.force_file_save = force_file_save
        self.frame_options = frame_options
        self.frame_options_allow_from = frame_options_allow_from
        self.strict_transport_security = strict_transport_security
        self.strict_transport_security_preload = strict_transport_security_preload
        self.strict_transport_security_max_age = strict_transport_security_max_age
        self.strict_transport_security_include_subdomains = strict_transport_security_include_subdomains
        self.content_security_policy = _own(content_security_policy)
        self.content_security_policy_report_uri = content_security_policy_report_uri
        self.content_security_policy_report_only = content_security_policy_report_only
        self.content_security_policy_nonce_in = content_security_policy_nonce_in or []
        self.referrer_policy = referrer_policy
        self.session_cookie_secure = session_cookie_secure
        self.x_content_type_options = x_content_type_options
        self.x_xss_protection = x_xss_protection
        face = _Face(self, app)
        app.jinja_env.globals["csp_nonce"] = self._nonce
        app.config["SESSION_COOKIE_SAMESITE"] = session_cookie_samesite
        if session_cookie_http_only:
            app.config["SESSION_COOKIE_HTTPONLY"] = True
        tell(app, face.told)
        app.before_request(face.before)
        app.after_request(face.after)
        if face.leaves:
            app.wsgi_app = face.leave(app.wsgi_app)  # type: ignore[method-assign, assignment]
        self._is_ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        """:raises ConfigError: for a policy that a browser would read otherwise; what was there before still holds."""
        before = getattr(self, name, None)
        super().__setattr__(name, value)
        if self._is_ready:
            try:
                Plan(self, {}, None)
            except ConfigError:
                super().__setattr__(name, before)
                raise
        super().__setattr__("_epoch", object())

    def __call__(self, **kwargs: Any) -> Callable[[F], F]:
        """What one view has another way: ``@talisman(frame_options=DENY)``, below the route.

        :raises ConfigError: for an option that no view has, or a policy that a browser would read otherwise.
        """
        for name in kwargs:
            if name not in OF_VIEWS:
                raise ConfigError(f"@talisman({name}=...) has no effect on one view: it takes {', '.join(OF_VIEWS)}.")
        options = dict(kwargs)
        policy = options.get("content_security_policy", getattr(self, "content_security_policy", None))
        nonce_in = options.get(
            "content_security_policy_nonce_in", getattr(self, "content_security_policy_nonce_in", None)
        )
        if policy:
            csp_of(policy, nonce_in or (), None)
        Talisman._some_view_differs = True

        def decorate(view: F) -> F:
            view.talisman_view_options = options  # type: ignore[attr-defined]
            return view

        return decorate

    def _nonce(self) -> str:
        """``csp_nonce()`` of templates."""
        if EXTENSION in self.app.extensions:
            return csp_nonce()
        nonce: str = getattr(request, "csp_nonce", "")
        return nonce


class _Face:
    """A Talisman in one app."""

    def __init__(self, talisman: Talisman, app: Flask) -> None:
        self._talisman = talisman
        self._app = app
        self._epoch: object = None
        self._plans: dict[int, Plan] = {}
        # What is wrong stops the start-up. Settings may still come, so these are not kept.
        self._own = Plan(talisman, {}, None)
        Settings.read(app.config)
        self._arrival: Arrival | None = None
        self._beside: Beside | None = None
        #: Whether fields may be added where the app ends. What is wrapped round it already, as a cache, is to see them.
        self.leaves = getattr(app.wsgi_app, "__func__", None) is Flask.wsgi_app
        #: Whether something sees the answer between the hook and the server.
        self._is_looked_at = True
        #: What all answers get alike, unless a view differs; None where that is not known, or somebody looks at them.
        self._for_all: Plan | None = None
        # What a request meets that had its fields left to where it leaves: those of HTTPS need no hook at all.
        self._leaving = object()
        self._leaving_secure = object()
        self._told = False
        self._told_of: dict[tuple[str | None, bool, bool], Told] = {}

    def before(self) -> AnyResponse | None:
        """Sends on to HTTPS, or draws the nonce."""
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        slot = met.get()
        if slot is not None and slot[0] in (self._leaving, self._leaving_secure) and slot[1] <= 1:
            slot[2] = this
        arrival = self._arrival or self._begin()
        plan = self._plan(this)
        if this.scheme != "https" and not self._app.debug:
            if self._talisman.session_cookie_secure:
                self._app.config["SESSION_COOKIE_SECURE"] = True
            if plan.forces_https and not arrival.is_secure(this.environ):
                found = self._send_on(arrival, this)
                if found is not None:
                    return found
        if plan.asks and not getattr(this, "csp_nonce", None):
            beside = self._beside is not None
            this.csp_nonce = csp_nonce() if beside else secrets.token_urlsafe(NONCE_LENGTH * 3 // 4)  # type: ignore[attr-defined]
        return None

    def after(self, response: Response) -> Response:
        """Adds the fields, as ``settled`` says, where somebody looks at the answer before it leaves."""
        arrival = self._arrival or self._begin()
        if self._beside is not None and current_exchange().headers is not None:
            return response  # headers(...) stands on the view, and says it all
        headers = response.headers
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        headers[:] = settled(headers, *self._fields(this, is_secure=arrival.is_secure(this.environ)))
        return response

    def leave(self, inner: WSGIApplication) -> WSGIApplication:
        """Adds the fields when the answer leaves: what an answer has before, werkzeug copies one by one."""
        talisman, secure = self._talisman, self._leaving_secure
        leave_slowly = self._leave_slowly

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            own = self._for_all
            if (
                own is None
                or environ["wsgi.url_scheme"] != "https"
                or talisman._epoch is not own.epoch
                or Talisman._some_view_differs
                or request_finished.receivers
            ):
                return leave_slowly(inner, environ, start_response)
            fields, mine = own.secure, own.mine_secure

            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                if talisman._epoch is not own.epoch:  # the view assigned something
                    this: Request | None = request._get_current_object() if has_request_context() else None  # type: ignore[attr-defined]
                    headers = settled(headers, *self._fields(this, is_secure=True))
                else:
                    for name, _ in headers:
                        if name.lower() in mine:
                            headers = settled(headers, fields, mine)
                            break
                    else:
                        headers = [*headers, *fields]
                if exc_info is None:
                    return start_response(status, headers)
                return start_response(status, headers, exc_info)

            before = met.set([secure, 0, None])
            try:
                return inner(environ, start)
            finally:
                met.reset(before)

        return app

    def _leave_slowly(
        self, inner: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """As :meth:`leave` does it where an answer depends on more than that it goes by HTTPS."""
        arrival = self._arrival
        if arrival is None or self._is_looked_at or request_finished.receivers:
            # A view may call the app, whose hooks are not to take this request for that of the view.
            before = met.set(None)
            try:
                return inner(environ, start_response)
            finally:
                met.reset(before)
        is_secure = arrival.is_secure(environ)

        own = self._for_all
        is_plain = own is not None and own.epoch is self._talisman._epoch and not Talisman._some_view_differs
        slot: Slot = [self._leaving_secure if is_secure and is_plain else self._leaving, 0, None]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = settled(headers, *self._fields(slot[2], is_secure=is_secure))
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        before = met.set(slot)
        try:
            return inner(environ, start)
        finally:
            met.reset(before)

    def _fields(self, this: Request | None, *, is_secure: bool) -> tuple[Fields, dict[str, str]]:
        """What an answer gets, and what is said for all. None is a request that meets what all do."""
        plan = self._plan(this)
        fields, mine = (plan.secure, plan.mine_secure) if is_secure else (plan.plain, plan.mine)
        if plan.csp is not None:
            name, text = plan.csp
            fields = (*fields, (name, text.with_nonce(getattr(this, "csp_nonce", None))))
        return fields, mine

    def told(self, endpoint: str, method: str) -> Iterable[Guard]:
        """What is sent with the answers of a view."""
        app = self._app
        options = getattr(app.view_functions.get(endpoint), "talisman_view_options", None) or {}
        beside = Beside(app, Settings.read(app.config)) if EXTENSION in app.extensions else None
        plan = Plan(self._talisman, options, beside)
        name, text = plan.csp or ("", None)
        csp = text.with_nonce("...") if text is not None and name == CSP else dict(plan.plain).get(CSP)
        # The same object for the same fields: it tells one way of guarding a route from another.
        said = (csp, plan.forces_https, not options)
        if said not in self._told_of:
            self._told_of[said] = Told(csp, forces_https=plan.forces_https, is_everywhere=not options)
        yield self._told_of[said]

    def _plan(self, this: Request | None) -> Plan:
        talisman = self._talisman
        if talisman._epoch is not self._epoch:
            epoch = talisman._epoch
            self._own = Plan(talisman, {}, self._beside)
            is_alike = self._own.csp is None and not self._own.asks and not self._is_looked_at
            self._for_all = self._own if is_alike else None
            self._plans = {}
            self._epoch = epoch
            if talisman.session_cookie_secure and not self._app.debug:
                self._app.config["SESSION_COOKIE_SECURE"] = True
        if this is None:
            return self._own
        view = self._app.view_functions.get(this.endpoint)  # type: ignore[arg-type]
        options: dict[str, Any] | None = getattr(view, "talisman_view_options", None)
        if not options:
            return self._own
        plans = self._plans
        found = plans.get(id(options))
        if found is None:
            # It holds its options, so no others have their id.
            found = plans[id(options)] = Plan(talisman, options, self._beside)
        return found

    def _send_on(self, arrival: Arrival, this: Request) -> AnyResponse | None:
        beside = self._beside
        if beside is not None and beside.decides_https:
            return None
        found = arrival.target(this)
        if isinstance(found, Denied):
            denied = found if beside is None else current_exchange().refuse(found)
            return denied.to_response(self._app.response_class)
        if found is None:
            return None
        return redirect(found, code=301 if self._talisman.force_https_permanent else 302)

    def _begin(self) -> Arrival:
        """At the first request: the settings can be set until then."""
        app = self._app
        settings = Settings.read(app.config)
        if EXTENSION in app.extensions:
            self._beside = Beside(app, settings)
        self._epoch = None
        self._is_looked_at = (
            not self.leaves  # what another app's leaving has put into the environ is not ours
            or self._beside is not None  # the edge may be within
            or not is_unseen(app, self.after)
        )
        if any(getattr(view, "talisman_view_options", None) for view in app.view_functions.values()):
            Talisman._some_view_differs = True  # written there by hand
        if not self._is_looked_at:
            marks = self._leaving_secure, self._leaving
            app.before_request_funcs[None] = without(self.before, app.before_request_funcs[None], *marks)
            app.after_request_funcs[None] = without(self.after, app.after_request_funcs[None], *marks)
        arrival = Arrival(app, settings)
        decides = self._beside is not None and self._beside.decides_https
        if self._talisman.force_https and not decides and not (self._told or app.debug):
            self._told = True
            self._tell(arrival)
        self._arrival = arrival
        return arrival

    def _tell(self, arrival: Arrival) -> None:
        """Where we are stricter, and by which setting we are not."""
        stricter = []
        if not arrival.knows_proxies:
            stricter.append("X-Forwarded-Proto is believed of no proxy (RAMPART_TRUSTED_PROXIES)")
        if not arrival.knows_hosts:
            stricter.append(
                "no host but this machine is sent on to HTTPS (RAMPART_TRUSTED_HOSTS, or RAMPART_CANONICAL_HOST)"
            )
        stricter.append("a POST by plain HTTP is refused (@talisman(force_https=False) on the view)")
        self._app.logger.warning(
            "flask_rampart.compat.talisman: stricter than Flask-Talisman, each with what says otherwise: %s; see "
            "docs/migrate/talisman.md.",
            "; ".join(stricter),
        )


def _own(policy: Any) -> Any:
    """A dict of this extension's, which is not a default of the next one."""
    return dict(policy) if isinstance(policy, dict) else policy
