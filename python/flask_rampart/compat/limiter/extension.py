"""``Limiter``: what an app says once about its limits, and what it decorates with."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Flask, current_app, request
from flask.wrappers import Request, Response

from ..._native import Clock
from ...errors import ConfigError
from ...guards import tell
from .config import is_enabled
from .constants import ALL, ExemptionScope, HeaderNames
from .declared import Declared
from .definitions import ApplicationLimit, Limit, MetaLimit, OnBreach, RouteLimit, ScopeText, Text
from .face import FACES, Face
from .headers import Leaving, add
from .requests import Passage, RequestLimit
from .told import told

Judge = Callable[[Response], bool]


class Limiter:
    """Limits the views of an app. The arguments, but for *key_func* and *clock*, have settings of their own.

    :param key_func: by whom it is counted: a function that returns a text. An empty text counts by address.
    :param app: the app; or call :meth:`init_app` later, for each app.
    :param clock: what time it is; that of the app's ``Rampart``, or the system's, if not given.
    """

    def __init__(
        self,
        key_func: Callable[[], str],
        *,
        app: Flask | None = None,
        default_limits: list[Text | Limit] | None = None,
        default_limits_per_method: bool | None = None,
        default_limits_exempt_when: Callable[[], bool] | None = None,
        default_limits_deduct_when: Judge | None = None,
        default_limits_cost: int | Callable[[], int] | None = None,
        application_limits: list[Text | ApplicationLimit] | None = None,
        application_limits_per_method: bool | None = None,
        application_limits_exempt_when: Callable[[], bool] | None = None,
        application_limits_deduct_when: Judge | None = None,
        application_limits_cost: int | Callable[[], int] | None = None,
        headers_enabled: bool | None = None,
        header_name_mapping: dict[HeaderNames, str] | None = None,
        strategy: str | None = None,
        storage_uri: str | None = None,
        storage_options: dict[str, str | int] | None = None,
        swallow_errors: bool | None = None,
        fail_on_first_breach: bool | None = None,
        on_breach: OnBreach | None = None,
        meta_limits: list[Text | MetaLimit] | None = None,
        on_meta_breach: OnBreach | None = None,
        in_memory_fallback: list[str] | None = None,
        in_memory_fallback_enabled: bool | None = None,
        retry_after: str | None = None,
        key_prefix: str = "",
        request_identifier: Callable[..., str] | None = None,
        enabled: bool = True,
        clock: Clock | None = None,
    ) -> None:
        if not callable(key_func):
            raise ConfigError("Limiter(key_func): a function that returns a text, such as get_remote_address.")
        #: What was given, by name: each app's rules are made of it and of its settings.
        self.arguments: dict[str, Any] = {
            name: value for name, value in locals().items() if name not in ("self", "app", "clock", "key_func")
        }
        self.key_func = key_func
        self.app = app
        self.enabled = enabled
        self.initialized = False
        self._is_off_by_app = False
        self.logger = logging.getLogger("flask-limiter")
        self.declared = Declared(key_func)
        self.filters: list[Callable[[], bool]] = []
        self._clock = clock
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Puts the limits into *app*."""
        is_first = not (self.initialized or self._is_off_by_app)
        if not is_enabled(app.config, self.enabled if is_first else bool(self.arguments["enabled"])):
            # In this app: another one's limits stay on.
            app.extensions.setdefault(_OFF, set()).add(self)
            if is_first:
                self.enabled, self._is_off_by_app = False, True
            return
        if self._is_off_by_app:
            self.enabled, self._is_off_by_app = True, False
        faces: dict[Limiter, Face] = app.extensions.setdefault(FACES, {})
        others: set[Limiter] = app.extensions.setdefault("limiter", set())
        is_new = self not in faces
        nth = len(faces) if is_new else list(faces).index(self)
        faces[self] = Face(self, app, nth, self._clock)
        others.add(self)
        if is_new:

            def ask_before() -> None:
                if leaving.is_unseen:
                    leaving.begin()
                faces[self].before_view()

            def tell_after(response: Response) -> Response:
                this: Request = request._get_current_object()  # type: ignore[attr-defined]
                face = faces[self]
                asked = this.__dict__.get(face.key)
                # The usual cases: admitted, and nothing to tell; or one limit.
                if type(asked) is tuple:
                    if not face.rules.headers_enabled or not self.enabled:
                        return response
                    if not asked[3]:
                        add(face, face.passage(), response)
                    else:
                        leaving.add(asked, this, response)
                elif asked is not None:
                    self._tell(face, asked, response)
                return response

            leaving = Leaving(faces, self, app, tell_after)
            app.before_request(ask_before)
            app.after_request(tell_after)
            tell(app, lambda endpoint, method: told(faces[self], endpoint, method))
            if nth == 0:
                from .commands import cli

                app.cli.add_command(cli)
        self.initialized = True

    def limit(
        self,
        limit_value: Text,
        *,
        key_func: Callable[[], str] | None = None,
        per_method: bool = False,
        methods: list[str] | None = None,
        error_message: Text | None = None,
        exempt_when: Callable[[], bool] | None = None,
        override_defaults: bool = True,
        deduct_when: Judge | None = None,
        on_breach: OnBreach | None = None,
        cost: int | Callable[[], int] = 1,
        scope: ScopeText | None = None,
        meta_limits: Sequence[Text | MetaLimit] | None = None,
    ) -> RouteLimit:
        """Limits a view or another function, a blueprint, or a part of a view (``with limiter.limit(...)``).

        :param limit_value: such as ``"5/minute; 100 per 2 hours"``, or a function that returns such a text.
        :param key_func: by whom it is counted, instead of by the extension's.
        :param per_method: whether each method has counters of its own. ``HEAD`` counts as ``GET``.
        :param methods: those that are counted; all, if not given. ``GET`` counts ``HEAD``, too.
        :param error_message: what a refusal says.
        :param exempt_when: whether this request is not limited.
        :param override_defaults: whether the defaults, and limits of blueprints above, do not hold beside it.
        :param deduct_when: whether an answer counts. Until it leaves, its request is counted.
        :param on_breach: is told of a refusal; a response that it returns is the answer.
        :param cost: how much a request counts.
        :param scope: what it is counted by beside the view.
        :param meta_limits: how often it may refuse, before everything is refused.
        """
        return RouteLimit(
            limit_value,
            key_func,
            scope,
            cost,
            False,
            methods,
            per_method,
            error_message,
            meta_limits,
            exempt_when,
            deduct_when,
            on_breach,
            override_defaults=override_defaults,
            limiter=self,
        )

    def shared_limit(
        self,
        limit_value: Text,
        scope: ScopeText,
        *,
        key_func: Callable[[], str] | None = None,
        per_method: bool = False,
        methods: list[str] | None = None,
        error_message: Text | None = None,
        exempt_when: Callable[[], bool] | None = None,
        override_defaults: bool = True,
        deduct_when: Judge | None = None,
        on_breach: OnBreach | None = None,
        cost: int | Callable[[], int] = 1,
        meta_limits: Sequence[Text | MetaLimit] | None = None,
    ) -> RouteLimit:
        """As :meth:`limit`; all views with this *scope* are counted together."""
        return RouteLimit(
            limit_value,
            key_func,
            scope,
            cost,
            True,
            methods,
            per_method,
            error_message,
            meta_limits,
            exempt_when,
            deduct_when,
            on_breach,
            override_defaults=override_defaults,
            limiter=self,
        )

    def exempt(self, obj: Callable[..., Any] | Blueprint | None = None, *, flags: ExemptionScope = ALL) -> Any:
        """Takes a view, or a blueprint's, out of the limits that *flags* names; of all, if it is not given."""
        if obj is None:
            return functools.partial(self.exempt, flags=flags)
        if isinstance(obj, Blueprint):
            self.declared.exempt_blueprint(obj, flags)
        else:
            self.declared.exempt_function(obj, flags)
        return obj

    def request_filter(self, fn: Callable[[], bool]) -> Callable[[], bool]:
        """Decorates a function that returns whether the current request is not limited."""
        self.filters.append(fn)
        return fn

    def reset(self) -> None:
        """Forgets all that was counted, where it is counted in this process alone, as in tests."""
        for face in self._faces():
            if face.reset():
                self.logger.info("All limits were reset.")
            else:
                self.logger.warning("Others count here, too, and nothing was reset: see `flask limiter clear`.")

    def check(self) -> None:
        """Asks the limits of the current view once more, as of a request of its own.

        :raises RateLimitExceeded: if one refuses.
        """
        if self.enabled and (face := self._face()) is not None:
            face.again()

    @property
    def current_limit(self) -> RequestLimit | None:
        """The limit that says most of the current request: one that refused, else that of the shortest unit."""
        face = self._known()
        return None if face is None else face.passage().limit

    @property
    def current_limits(self) -> list[RequestLimit]:
        """The limits that the current request met, those of shorter units first."""
        face = self._known()
        return [] if face is None else face.passage().limits

    def identify_request(self) -> str:
        """What a request is counted as: its endpoint, or what ``request_identifier`` says."""
        face = self._known()
        return "" if face is None else face.identity()

    def ask_for(self, function: Callable[..., Any]) -> None:
        """Asks the limits of a function that is called."""
        if self.enabled and (face := self._face()) is not None:
            face.before_function(function)

    def ask_within(self, limit: RouteLimit) -> None:
        """Asks a limit of a part of a view."""
        if self.enabled and (face := self._face()) is not None:
            face.within(limit)

    def _tell(self, face: Face, passage: Passage, response: Response) -> None:
        if passage.settling:
            face.counters.settle(passage, response)
        if passage.wait is not None or (face.rules.headers_enabled and self.enabled):
            add(face, passage, response)

    def _faces(self) -> list[Face]:
        if current_app:
            face = self._known()
            return [] if face is None else [face]
        face = None if self.app is None else self.app.extensions.get(FACES, {}).get(self)
        return [] if face is None else [face]

    def _known(self) -> Face | None:
        found: Face | None = current_app.extensions.get(FACES, {}).get(self)
        return found

    def _face(self) -> Face | None:
        """None in an app of which the settings turn limits off."""
        extensions = current_app.extensions
        faces: dict[Limiter, Face] = extensions.get(FACES, {})
        try:
            return faces[self]
        except KeyError:
            if self in extensions.get(_OFF, ()):
                return None
            raise RuntimeError(
                "This Limiter has no app: write Limiter(key_func, app=app), or limiter.init_app(app). Until then it "
                "limits nothing, so nothing is let through."
            ) from None


_OFF = "rampart-limiter-off"
"""Where an app keeps the extensions that are off in it."""
