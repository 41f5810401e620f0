"""``CSRFProtect``: what is asked of each request that may change something.

In this order:

1. a view or a blueprint that is exempt, or a method that is not in ``WTF_CSRF_METHODS``: nothing;
2. what a browser says is from a page of another site, by ``Sec-Fetch-Site`` or ``Origin``: refused. The body is not
   read. Origins in ``RAMPART_CSRF_TRUSTED_ORIGINS`` are one's own; ``RAMPART_CSRF = "off"`` leaves this out;
3. no token of this session: refused;
4. over HTTPS, under ``WTF_CSRF_SSL_STRICT``, a ``Referer`` of another origin, or none: refused. None is needed where
   the browser said in 2 that the page is one's own.

What is refused raises :class:`CSRFError`.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Request, current_app, g, request
from werkzeug.wrappers import Response

from ..._native import Clock
from ...config import Settings
from ...errors import Denied
from ...guards import Guard, tell
from ...origins import trusted_origins
from ...uploads.forms import FORMS
from .config import DEFAULTS
from .errors import ANOTHER, CSRFError, ValidationError, logger
from .exempt import Exemptions
from .face import Face, face_of, install
from .tokens import csrf_meta_tag, generate_csrf, validate_csrf
from .told import TOLD

T = TypeVar("T")


class CSRFProtect:
    """Asks every request that may change something for a token of this session.

    :param app: the app; or call :meth:`init_app` later.
    :param clock: what time it is, for tests.
    :raises ConfigError: for a ``WTF_CSRF_*`` setting that could not be meant.

    Templates have ``csrf_token()`` and ``csrf_meta_tag()``. A request sends the token in the form's field, or in
    ``X-CSRFToken``.
    """

    def __init__(self, app: Flask | None = None, *, clock: Clock | None = None) -> None:
        self._exempt = Exemptions()
        self._clock = clock
        if app:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Puts the check, and what templates call, into *app*."""
        app.extensions["csrf"] = self
        for key, value in DEFAULTS.items():
            app.config.setdefault(key, list(value) if isinstance(value, list) else value)
        face = install(app, self._clock)
        # What is wrong stops the start-up. Settings may still come, so these are not kept.
        trusted_origins(Settings.read(app.config))
        # Flask-WTF leaves a set.
        app.config["WTF_CSRF_METHODS"] = set(face.rules().methods)
        functions = {"csrf_token": generate_csrf, "csrf_meta_tag": csrf_meta_tag}
        app.jinja_env.globals.update(functions)
        app.context_processor(lambda: dict(functions))
        told = False

        def asked_of(endpoint: str, method: str) -> tuple[Guard, ...]:
            rules = face_of(app).rules()
            is_asked = rules.enabled and rules.check_default and method in rules.methods
            path = endpoint.rpartition(".")[0] or None
            return (TOLD,) if is_asked and not self._exempt.has(app, endpoint, path) else ()

        tell(app, asked_of)

        @app.before_request
        def csrf_protect() -> None:
            nonlocal told
            if not told:
                face.tell(self._exempt.namesakes(app))
                told = True
            rules = face.rules()
            if rules.enabled and rules.check_default:
                self.protect(apply_exemptions=True)

    def protect(self, apply_exemptions: bool = False) -> None:
        """Raises, unless the current request is known to be from a page of this app.

        :param apply_exemptions: whether nothing is asked of views and blueprints that are exempt.
        :raises CSRFError: with the reason.
        """
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        face = face_of(current_app._get_current_object())  # type: ignore[attr-defined]
        if apply_exemptions and (not this.endpoint or self._is_exempt()):
            return
        rules = face.rules()
        if this.method not in rules.methods:
            return
        page = face.page(this)
        if page == "other":
            self._refuse(face, "csrf.origin", ANOTHER)
        try:
            validate_csrf(self._get_csrf_token())
        except ValidationError as error:
            self._refuse(face, "csrf.invalid", error.args[0])
        if rules.ssl_strict and this.is_secure:
            referrer = this.referrer
            if not referrer:
                if page not in ("own", "trusted"):
                    self._refuse(face, "csrf.invalid", "The referrer header is missing.")
            elif not same_origin(referrer, f"https://{this.host}/") and not _is_among(referrer, face.origins(this)[1]):
                self._refuse(face, "csrf.invalid", "The referrer does not match the host.")
        g.csrf_valid = True

    def exempt(self, view: T) -> T:
        """Leaves a view or a blueprint out of the check: above or below its route, or called with it.

        :param view: a view, a ``Blueprint``, or the name of views as ``"module.name"``.
        """
        self._exempt.add(view)
        return view

    # Apps read these and change them, since Flask-WTF's have these names.

    @property
    def _exempt_views(self) -> set[str]:
        return self._exempt.names

    @_exempt_views.setter
    def _exempt_views(self, names: set[str]) -> None:
        self._exempt.names = names

    @property
    def _exempt_blueprints(self) -> set[Blueprint]:
        return self._exempt.blueprints

    @_exempt_blueprints.setter
    def _exempt_blueprints(self, blueprints: set[Blueprint]) -> None:
        self._exempt.blueprints = blueprints

    def _is_exempt(self) -> bool:
        return self._exempt.has(current_app, request.endpoint, request.blueprint)

    def _get_csrf_token(self) -> str | None:
        rules = face_of(current_app._get_current_object()).rules()  # type: ignore[attr-defined]
        this: Request = request._get_current_object()  # type: ignore[attr-defined]
        # To look for a form in what is none takes as long as all else. A class of the app's own may find one there.
        if this.mimetype in FORMS or type(this) is not Request:
            name = rules.field_name or ""
            form = this.form
            found = form.get(name)
            if found:
                return found
            # A form with a prefix has it as {prefix}-csrf_token.
            for key in form:
                if key.endswith(name) and form[key]:
                    return form[key]
        for header in rules.headers:
            found = this.headers.get(header)
            if found:
                return found
        return None

    def _error_response(self, reason: str) -> Any:
        raise CSRFError(reason)

    def _refuse(self, face: Face, code: str, reason: str) -> NoReturn:
        logger.info(reason)
        denied = face.note(Denied.of(code, reason))
        answer: Response | None = None
        if face.settings.error_format == "problem":
            answer = denied.to_response(face.app.response_class)
        try:
            self._error_response(reason)
        except CSRFError as error:
            # What an app's own class has made stays as it is.
            if error.response is None and type(error) is CSRFError:
                error.response = answer
            raise
        # One that returned has refused nothing yet.
        raise CSRFError(reason, response=answer)


def same_origin(current_uri: str, compare_uri: str) -> bool:
    """Whether two addresses have one scheme, host and port. What cannot be read is of no origin.

    >>> same_origin("https://example.com/a", "https://example.com/")
    True
    >>> same_origin("https://example.com:x/", "https://example.com/")
    False
    """
    try:
        current, compare = urlsplit(current_uri), urlsplit(compare_uri)
        return (
            current.scheme == compare.scheme and current.hostname == compare.hostname and current.port == compare.port
        )
    except ValueError:
        return False


def _is_among(referrer: str, trusted: frozenset[str]) -> bool:
    return any(same_origin(referrer, origin) for origin in trusted)
