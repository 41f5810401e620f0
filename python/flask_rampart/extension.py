"""The extension: what an app says to Flask-Rampart as a whole. How the rooms are put together is in ``assembling``."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, current_app, has_app_context
from flask.sansio.blueprints import Blueprint

from . import access
from ._native import Clock
from .access import CustomScheme, Schemes
from .apikeys import ApiKeys
from .assembling import Given, assemble
from .audit import Audit
from .contract import Contract, Contracts
from .declarations import changed, protect_blueprint
from .errors import ConfigError
from .exchange import EXTENSION
from .guards import AppState, Guard, current_exchange
from .issuers import Issuers
from .limits import Reservation, reserving, unlimited
from .metrics import Metrics
from .monitor import Monitor, Monitoring
from .openapi import Include, OpenApi, Told, place_of
from .redaction import Redactor
from .reports import Reports
from .stores import Store
from .tokens import Tokens
from .vault import Vault
from .view_classes import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

S = TypeVar("S")
F = TypeVar("F", bound="Callable[..., Any]")


class Rampart:
    """Secures a Flask app: ``Rampart(app)``, or ``rampart = Rampart()`` and ``rampart.init_app(app)``.

    On at once, for every view: secure headers, bounded and hardened JSON, a redacted access log and redacted
    application logs. What is declared by ``require``, ``limit`` and ``validate`` is enforced.

    :param app: the app, or None for the factory pattern.
    :param clock: what time it is, for every guard; ``Clock.manual(...)`` in tests.
    :param store: where records are kept, such as ``RedisStore(client)``, instead of what ``RAMPART_STORE`` names.
    :param limit_store: a ``redis.Redis`` or ``redis.RedisCluster`` client for the counters of limits, instead of what
        ``RAMPART_LIMIT_STORE`` names.
    :raises ConfigError: for a setting that cannot be used; see ``docs/defaults.md``.

    Settings are read from ``app.config`` here: set them before.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        limit_store: Any = None,
    ) -> None:
        self._given = Given(clock or Clock.system(), store, limit_store)
        self._states: weakref.WeakSet[AppState] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Secures *app*. Once for each app."""
        if EXTENSION in app.extensions:
            raise ConfigError(f"{app.name} already has a Rampart; call init_app once.")
        self._states.add(assemble(app, self._given))

    def protect(self, target: Flask | Blueprint, *guards: Guard) -> None:
        """Puts guards on every view of a blueprint, with those nested in it, or of a whole app.

        :raises ConfigError: for something else, or without guards.
        """
        if not guards or not all(isinstance(guard, Guard) for guard in guards):
            raise ConfigError("protect(target, require(...), limit(...)) takes one guard or more.")
        if any(isinstance(guard, unlimited) for guard in guards):
            raise ConfigError(
                "protect(target, unlimited()) would lift nothing: @unlimited is said above the view that it is about. "
                "To leave out all of a blueprint, put the limit on the other blueprints instead of on the app."
            )
        if isinstance(target, Flask):
            state = _state(target)
            if state.sealed:
                raise ConfigError("protect(app, ...) comes too late: the app has already handled a request.")
            state.app_guards = (*state.app_guards, *expand(guards))
            changed()  # the edge may have met a request already, which no guard has
        elif isinstance(target, Blueprint):
            protect_blueprint(target, guards)
        else:
            raise ConfigError(
                f"protect() takes an app or a blueprint, not {target!r}; on a view, write the guard as a decorator."
            )

    def contract(
        self,
        document: Mapping[str, Any] | str | Path,
        *,
        strict: bool | Literal["report"] = True,
        base_path: str | None = None,
        exclude: Iterable[str] = (),
        unknown: Literal["reject", "ignore", "strip"] = "reject",
        read_only: Literal["reject", "ignore"] = "reject",
        security: bool = True,
        validate_responses: Literal["off", "log", "enforce"] = "off",
    ) -> None:
        """Binds an OpenAPI 3.0 or 3.1 document to the app's views: requests are judged by it, and what differs is told.

        :param document: the path of a YAML or JSON file, relative to the app's folder, or a dict.
        :param strict: True: what does not match stops the start-up. ``"report"``: it is logged as a warning.
        :param base_path: the path under which the document's paths are served, instead of what its ``servers`` say;
            ``""`` for none.
        :param exclude: endpoints that the document need not have, such as ``"health"`` or ``"admin.*"``.
        :param unknown: what becomes of names that the document does not know in query, body and form, as in
            ``validate``.
        :param read_only: what becomes of members of a request that are ``readOnly``: ``"reject"`` or ``"ignore"``.
        :param security: whether what the document says of credentials is compared with what the views require.
        :param validate_responses: what becomes of an answer that is not as the document says: ``"off"``, ``"log"`` or
            ``"enforce"`` (the client gets 500).
        :raises ConfigError: with a pointer into the document, for what cannot be used; after the first request.

        The views read ``validated.query`` and so on, as with ``validate``. See ``docs/contract.md``.
        """
        contract = Contract(
            document,
            strict=strict,
            base_path=base_path,
            exclude=exclude,
            unknown=unknown,
            read_only=read_only,
            security=security,
            validate_responses=validate_responses,
        )
        self._refuse_late("contract(...)")
        for state in list(self._states):
            state.services[Contracts].add(contract)
        self._given.contracts.append(contract)

    def scheme(self, name: str, *, challenge: str | None = None, header: str | None = None) -> Callable[[F], F]:
        """Makes a function a scheme that ``require("name")`` takes: a kind of credential that the app checks itself.

        :param name: its name, which becomes ``current_principal.kind``; not ``"jwt"`` or ``"api_key"``.
        :param challenge: what refusals say in ``WWW-Authenticate`` (RFC 9110 section 11.1); the name, if not given.
        :param header: the field that carries the credential. The function is then called with its value, and only if
            there is one; of ``Authorization``, with what follows *challenge*. Without it, the function is called with
            nothing, and reads ``flask.request`` itself.
        :raises ConfigError: for a name that is taken, or after the first request.

        The function, sync or async, returns who it is, an :class:`~flask_rampart.Identity` say. Where there is a field,
        None refuses with ``auth.invalid``; without *header*, it says that the request carries no such credential.
        ``raise Denied.of("auth.invalid")`` refuses in any case. Compare secrets with ``hmac.compare_digest``.

        >>> from flask_rampart import Identity
        >>> rampart = Rampart()
        >>> @rampart.scheme("signature", header="X-Signature")
        ... def signed(value):
        ...     return Identity("partner") if value == "s3cret" else None
        """
        access.check_names(name, challenge, header)

        def declare(function: F) -> F:
            if not callable(function):
                raise ConfigError(f"rampart.scheme({name!r}) decorates a function, not {function!r}.")
            self._refuse_late(f"The scheme {name!r}")
            if name in self._given.schemes:
                raise ConfigError(f"There are two schemes {name!r}.")
            scheme = CustomScheme(name, function, challenge, header)
            for state in list(self._states):
                state.services[Schemes].add(scheme)
            self._given.schemes[name] = scheme
            return function

        return declare

    def policy(self, name: str) -> Callable[[F], F]:
        """Declares a policy: whether somebody may do something with one object.

        :param name: such as ``"doc.edit"``.
        :raises ConfigError: if there is one of this name, or after the first request.

        The function, sync or async, is called with the principal and what is to be decided on: by
        ``require(policy=name)`` with the path's arguments as keywords, by :meth:`authorize` and :meth:`may` with what
        these are given. It returns True or False. Anything else, and whatever it raises, refuses with
        ``guard.failed``, 500.

        >>> rampart = Rampart()
        >>> @rampart.policy("doc.edit")
        ... def can_edit(principal, doc_id):
        ...     return doc_id.startswith(principal.id)
        """
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f'Write @rampart.policy("name"), not {name!r}.')

        def declare(function: F) -> F:
            if not callable(function):
                raise ConfigError(f"rampart.policy({name!r}) decorates a function, not {function!r}.")
            self._refuse_late(f"The policy {name!r}")
            self._given.policies.add(name, function)
            return function

        return declare

    def authorize(self, name: str, /, *objects: Any, **more: Any) -> None:
        """Refuses unless the policy *name* admits the current principal for these objects. In a view.

        :raises Denied: ``auth.policy``, 403; ``auth.missing``, 401, if nobody has said who they are.
        :raises ConfigError: if there is no such policy.
        """
        access.authorize(name, *objects, **more)

    def may(self, name: str, /, *objects: Any, **more: Any) -> bool:
        """Whether the policy *name* admits the current principal for these objects; False for nobody. In a view.

        :raises Denied: ``guard.failed``, 500, if the policy fails.
        :raises ConfigError: if there is no such policy.
        """
        return access.may(name, *objects, **more)

    def user_loader(self, function: F) -> F:
        """Declares how the app's own user is found: ``(principal) -> user | None``, sync or async.

        ``current_user`` calls it when it is first read, once for each request; with ``RAMPART_USER_LOADING = "eager"``,
        every ``require`` does, as soon as the credential was accepted. None refuses with ``auth.invalid``, 401.

        :raises ConfigError: if there is one, or after the first request.
        """
        self._refuse_late("The user loader")
        self._given.users.declare(function)
        return function

    def messages(self, function: F) -> F:
        """Declares how what is wrong with a request is worded: ``(rule, pointer, part) -> str | None``, sync or async.

        It is asked for each of the ``errors`` of a 422, in the request; what it gives is that error's ``message``. If
        it raises, that is logged, and the error has none.

        :raises ConfigError: if there is one, or after the first request.

        >>> rampart = Rampart()
        >>> @rampart.messages
        ... def message(rule, pointer, part):
        ...     return {"required": "This is missing."}.get(rule)
        """
        self._refuse_late("The function of rampart.messages")
        self._given.messages.declare(function)
        return function

    def _refuse_late(self, what: str) -> None:
        for state in list(self._states):
            if state.sealed:
                raise ConfigError(f"{what} comes too late: {state.app.name} has already handled a request.")

    def reserve(self, quota: str, *, cost: int, by: Any = "principal", scope: str | None = None) -> Reservation:
        """Charges an estimate for what is about to be done, or refuses. In a view.

        :param quota: such as ``"10000/minute; 200000/day fixed"``.
        :param cost: cells, such as the tokens that a model may write at most. Above what a quota can hold, it counts
            as all that it
            holds.
        :param by: as in ``limit``.
        :param scope: reservations of one scope with one quota share their counters; without it, each route has its own.
        :raises Denied: ``limit.exceeded``, 429, if there is not so much left.
        :raises ConfigError: if *quota* or *by* cannot be meant.

        ``settle`` it when it is known what it has cost; what is never settled stays charged. A stream of tokens:

        .. code-block:: python

            budget = rampart.reserve("10000/minute", cost=500)
            return Response(budget.stream(model.generate(prompt), cost=lambda text: count_tokens(text)))
        """
        state = _state(current_app._get_current_object())  # type: ignore[attr-defined]
        return reserving.reserve(state, current_exchange(), quota, cost, by, scope)

    def openapi(
        self,
        *,
        title: str | None = None,
        version: str | None = None,
        description: str | None = None,
        servers: Sequence[str | Mapping[str, Any]] | None = None,
        include: Include | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What the current app declares, as an OpenAPI 3.1 document: dicts and lists of the caller's own.

        Outside an app context, of the only app that this extension secures.

        :param title: the API's name; the app's, if not given.
        :param version: of the API.
        :param description: for people, in CommonMark.
        :param servers: addresses, or Server Objects (section 4.8.5). Not given: ``RAMPART_RESOURCE``, else where the
            document is.
        :param include: ``(rule, method) -> bool``: whether a route's operation is told of.
        :param info: further members of the Info Object, such as ``{"contact": {"email": "api@example.com"}}``.
        :raises ConfigError: for what cannot be said; for a schema in a file that cannot be read.

        Without arguments, what :meth:`serve_openapi` serves. See ``docs/openapi.md``.

        >>> app = Flask("shop")
        >>> rampart = Rampart(app)
        >>> rampart.openapi(title="Orders", version="2026-11")["info"]
        {'title': 'Orders', 'version': '2026-11'}
        """
        given = {"title": title, "description": description, "servers": servers, "include": include, "more": info}
        asked = any(value is not None for value in (*given.values(), version))
        told = Told(**given, version="0" if version is None else version) if asked else None  # type: ignore[arg-type]
        if has_app_context():
            return self._service(OpenApi, "Rampart(app)").document(told)
        states = list(self._states)
        if len(states) != 1:
            raise ConfigError("Of which app? Call openapi() in its app_context().")
        found: OpenApi = states[0].services[OpenApi]
        return found.document(told)

    def serve_openapi(
        self,
        path: str = "/openapi.json",
        *,
        guards: Iterable[Guard] = (),
        title: str | None = None,
        version: str = "0",
        description: str | None = None,
        servers: Sequence[str | Mapping[str, Any]] | None = None,
        include: Include | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """Serves the OpenAPI document of each app of this extension, at *path*.

        :param guards: who may read it, such as ``[require(roles="staff")]``; without any, everybody (``public``).
        :raises ConfigError: for what cannot be said, a second call, or after the first request; at start-up, if the app
            has another route there.

        The rest is as of :meth:`openapi`. Nothing serves the document unless this is called: it is a map of the API.

        >>> from flask_rampart import require
        >>> rampart = Rampart()
        >>> rampart.serve_openapi("/openapi.json", guards=[require(roles="staff")], title="Orders")
        """
        self._refuse_late("serve_openapi()")
        if self._given.document is not None:
            raise ConfigError("serve_openapi() is called once.")
        told = Told(title, version, description, servers, include, info)
        self._given.document = place_of(path, guards, told)
        for state in list(self._states):
            state.services[OpenApi].serve(self._given.document)

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

    @property
    def reports(self) -> Reports:
        """What browsers reported of the current app's pages.

        :raises ConfigError: if the app collects no reports.
        """
        return self._service(Reports, 'RAMPART_REPORTS = "/reports"')

    @property
    def redactor(self) -> Redactor:
        """Finds secrets and personal data by the current app's ``RAMPART_REDACT``, and replaces them.

        >>> app = Flask("shop")
        >>> app.config["RAMPART_REDACT"] = {"operators": {"EMAIL_ADDRESS": {"type": "mask", "keep_last": 4}}}
        >>> rampart = Rampart(app)
        >>> with app.app_context():
        ...     rampart.redactor.redact("ada@example.com")
        '***********.com'
        """
        return self._service(Redactor, "RAMPART_REDACT")

    @property
    def audit(self) -> Audit:
        """Records what the current app did: ``rampart.audit.event("invoice.sent", resource="invoice:7")``.

        Where ``RAMPART_AUDIT_LOG`` is ``"off"``, it records nothing.

        :raises RuntimeError: without an app context, if there is more than one app of this extension.
        """
        return self._only(Audit, "rampart.audit")

    @property
    def monitor(self) -> Monitoring:
        """Says what attacks look like, tells what was found, and counts attempts to log in; see ``docs/monitor.md``.

        ``rampart.monitor.rule(...)`` needs no app context; what is about one app does, where there is more than one.
        """
        return Monitoring(
            self._given.detectors,
            lambda: self._only(Monitor, "rampart.monitor"),
            lambda: [state.services[Monitor] for state in list(self._states)],
        )

    @property
    def metrics(self) -> Metrics:
        """How often what happened, in all workers of the host: ``rampart.metrics.serve("/metrics", require(...))``.

        :raises RuntimeError: without an app context, if there is more than one app of this extension.
        """
        return self._only(Metrics, "rampart.metrics")

    @property
    def vault(self) -> Vault:
        """Seals and opens what the current app keeps.

        :raises ConfigError: if the app has no ``RAMPART_VAULT_KEYSET``.
        """
        return self._service(Vault, "RAMPART_VAULT_KEYSET")

    def _only(self, kind: type[S], name: str) -> S:
        """The current app's; without a context, that of the only app of this extension."""
        if has_app_context():
            return self._service(kind, name)
        states = list(self._states)
        if len(states) != 1:
            raise RuntimeError(f"Of which app? Use {name} in its app_context().")
        found: S = states[0].services[kind]
        return found

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
