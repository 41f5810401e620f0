"""Assembling: puts the rooms together around one app, in the order in which they need one another.

What each room does is its own to say; what stands here is who is handed what, and what is looked at once more before
the first request. Nothing here answers a request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from ._native import Clock, HeaderPolicy
from .access import CustomScheme, Policies, RoleBook, Schemes, Users, public, require
from .apikeys import ApiKeys
from .audit import Audit, Decisions, audit
from .bound import Binding
from .checks import keep_words
from .codings import Codings
from .config import Settings
from .contract import Contract, Contracts
from .cookies import AppCookies
from .edge import EdgePolicy, Exempt, RampartMiddleware
from .errors import ConfigError
from .exchange import EXTENSION
from .guards import AppState, methods_of
from .headers import RoutePolicies, csp_nonce, header_policy
from .hygiene import declared_methods, head_bounds, unanswered
from .issuers import Issuers
from .limits import Limits, Watch, application_limits, application_penalty, is_limited, limit
from .metrics import Metrics, metrics_token, trace_refusals
from .monitor import Declared, Monitor
from .monitored import install, monitor_of
from .neighbours import tell_shared
from .network.peers import Peers
from .network.transport import Transport
from .openapi import OpenApi, Place
from .origins import Cors, CsrfPolicy, cors
from .redaction import AccessLog, Redactor, redact_logging, redactor_of
from .refusals import Challenge
from .reports import ENDPOINT as REPORTS_ENDPOINT
from .reports import MAX_BODY, QUOTA, TYPES_TAKEN, Reports, address_of
from .resource_metadata import ResourceMetadata
from .stores import Records, Store, StoreError
from .tokens import Revocations, Tokens
from .validation import Bounds, Messages, RouteBounds, hardened
from .validation import bounds as bounded
from .vault import Vault
from .vault.configured import vault_of

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as WerkzeugResponse

    from .errors import Denied
    from .exchange import Exchange


@dataclass
class Given:
    """What is said to a ``Rampart`` rather than to an app's configuration; it may still grow after the assembling."""

    clock: Clock
    store: Store | None
    limit_store: Any
    schemes: dict[str, CustomScheme] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)
    users: Users = field(default_factory=Users)
    messages: Messages = field(default_factory=Messages)
    contracts: list[Contract] = field(default_factory=list)
    detectors: Declared = field(default_factory=list)
    document: Place | None = None


def assemble(app: Flask, given: Given) -> AppState:
    """Secures *app*, and gives what is known of it.

    :raises ConfigError: for a setting that cannot be used.
    """
    settings = Settings.read(app.config)
    redactor = redactor_of(settings)
    limits = Limits(
        settings,
        given.clock,
        f"{app.import_name}\0{app.root_path}",
        lambda: app.testing,
        lambda: app.secret_key,
        given.limit_store,
    )
    bounds = Bounds(settings, app)
    schemes = Schemes()
    records = Records(settings, app.instance_path, lambda: app.testing, given.store)
    report_to = address_of(settings, str(app.config.get("APPLICATION_ROOT") or "/"))
    metrics = Metrics(settings, given.clock, app, f"{app.import_name}\0{app.root_path}", apart=(cors.none,))
    services: dict[type, Any] = {
        Clock: given.clock,
        Metrics: metrics,
        Limits: limits,
        Bounds: bounds,
        Schemes: schemes,
        Records: records,
        RoleBook: RoleBook(settings),
        Policies: given.policies,
        Users: given.users,
        Messages: given.messages,
        Redactor: redactor,
        Audit: Audit(settings, given.clock, redactor.native, app),
        RoutePolicies: RoutePolicies(settings, lambda: app.logger, report_to),
    }
    metadata = ResourceMetadata.read(settings)
    named = {"resource_metadata": metadata.url} if metadata else {}
    binding = _binding(settings, given.clock, limits, named)
    challenge = Challenge("Bearer", named) if binding is None else binding.challenge
    revocations = Revocations(records, given.clock)
    tokens: Tokens | None = None
    if settings.jwt_keys:
        tokens = Tokens(
            settings, given.clock, app, records, revocations=revocations, challenge=challenge, binding=binding
        )
        services[Tokens] = schemes["jwt"] = tokens
    elif settings.jwks_path is not None:
        raise ConfigError("RAMPART_JWKS_PATH needs RAMPART_JWT_KEYS: there is no key to serve.")
    elif settings.jwt_revocation and not settings.issuers:
        raise ConfigError("RAMPART_JWT_REVOCATION is about tokens: set RAMPART_JWT_KEYS or RAMPART_ISSUERS.")
    revocable = settings.jwt_revocation or (tokens is not None and tokens.revocations is not None)
    if settings.api_keys:
        services[ApiKeys] = schemes["api_key"] = api_keys = ApiKeys(settings, given.clock, records, app)
        limits.terms = api_keys.terms
        schemes.meters["api_key"] = limits.meter
    headers = header_policy(settings, reports=report_to)
    collects = settings.reports is not None and settings.reports.startswith("/")
    keeps_records = settings.api_keys or revocable or collects
    if keeps_records and records.given:
        records.open()
    log: Audit = services[Audit]
    services[Monitor] = monitor = monitor_of(app, settings, given.clock, given.detectors, log, limits)
    state = AppState(app, settings, services)
    install(monitor, state)
    _record(app, state)
    _trace(app, state)
    if settings.vault_keyset or settings.vault_kms is not None or settings.vault_passphrase is not None:
        services[Vault], check_vault = vault_of(settings, app)
        state.at_seal.append(check_vault)
    CsrfPolicy(settings, given.clock, app).install(state)
    services[Contracts] = contracts = Contracts(state)
    for contract in given.contracts:
        contracts.add(contract)
    if tokens is not None:
        state.at_seal.append(tokens.check)
        if settings.jwks_path is not None:
            state.open_endpoints.add(_JWKS)
            path = settings.jwks_path
            _serve_keys(app, tokens, path)
            state.at_seal.append(lambda app: _has_place(app, path))
    if binding is not None:
        state.at_seal.append(binding.open)
    if settings.issuers:
        # In front of our own tokens, which without issuers are verified with nothing in between.
        issuers = Issuers(
            settings,
            given.clock,
            app,
            tokens,
            challenge=challenge,
            binding=binding,
            revocations=revocations if revocable else None,
        )
        services[Issuers] = schemes["jwt"] = issuers
        state.at_seal.append(issuers.check)
    for scheme in given.schemes.values():
        schemes.add(scheme)
    if metadata is not None:
        services[ResourceMetadata] = metadata
        state.open_endpoints.add(metadata.endpoint)
        # The view's own guard says so too, under RAMPART_DEFAULT = "deny" and in `flask rampart routes`.
        metadata.serve(app, public)
        state.at_seal.append(lambda app: metadata.seal(app, _scopes(state)))
    if collects:
        services[Reports] = reports = Reports(
            settings,
            app,
            given.clock,
            records,
            redactor.native,
            str(settings.reports),
            strict_dynamic="'strict-dynamic'" in headers.csp(),
        )
        # A browser reports with its cookies and without proof of anything: only what asks for neither guards it.
        state.open_endpoints.add(REPORTS_ENDPOINT)
        reports.serve(app, _open_to_reports)
        state.at_seal.append(reports.seal)
    services[Cors] = cors_step = Cors(settings, state)
    services[RouteBounds] = own_bounds = RouteBounds(bounds, settings, state)
    transport = _transport(app, settings, given.clock, headers)
    cookies = AppCookies(app, settings, {} if tokens is None else tokens.cookie_rules)
    state.at_seal.append(cookies.check)
    policy = EdgePolicy(
        headers=headers,
        max_body=bounds.max_bytes,
        access_log=AccessLog(settings, redactor, given.clock, lambda: app.testing),
        open_limits=lambda: application_limits(settings, limits),
        exempt=Exempt.of(settings, settings.reports if collects else None),
        limit_headers=settings.limit_headers,
        bans=limits.bans,
        penalty=application_penalty(settings),
        watch=Watch(app.logger, limits.is_own, limits.has_addresses),
        owner=state,
        before_first=lambda: _lead(state, limits, transport, policy, cookies),
        head=head_bounds(settings),
        codings=Codings(settings.request_codings, settings.coding_ratio),
        own_bounds=own_bounds,
        peers=Peers(settings, app.logger),
        steps=(*transport.steps, cors_step, *((monitor.responses.step,) if monitor.enforces else ())),
        monitor=monitor.begin,
        cross=cors_step.tell,
        cookies=cookies.policy,
        metrics=metrics.begin,
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
    state.at_seal.append(keep_words)
    state.at_seal.append(lambda app: tell_shared(app, state))
    state.at_seal.append(lambda app: own_bounds.prepare())
    state.at_seal.append(lambda app: services[RoutePolicies].check(state.app_guards))
    state.at_seal.append(lambda app: _tell_unanswered(app, settings))
    state.at_seal.append(records.check)
    if keeps_records:
        # Not before: where it is not set, the place of the store depends on `app.testing`.
        state.at_seal.append(lambda app: records.open())
    _wrap(app, lambda inner: RampartMiddleware(inner, policy))
    app.extensions[EXTENSION] = state
    _count(app, settings, metrics, state)
    services[OpenApi] = document = OpenApi(state)
    if given.document is not None:
        document.serve(given.document)
    return state


def _record(app: Flask, state: AppState) -> None:
    """Has what the app decides recorded, if it keeps an audit log."""
    log: Audit = state.services[Audit]
    if not log.enabled:
        if "RAMPART_AUDIT_LOG" not in app.config:
            state.at_seal.append(lambda app: _tell_unrecorded(app, state))
        return
    state.services[Decisions] = decisions = Decisions(log)
    state.record_refusal = decisions.refused
    decisions.install(app)
    state.at_seal.append(log.check)


def _tell_unrecorded(app: Flask, state: AppState) -> None:
    """Says that what asks for a record gets none, where nobody has said that this is meant."""
    asking = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint in app.view_functions
        and any(
            isinstance(guard, audit)
            for method in methods_of(rule)
            for guard, _ in state.guards_of(rule.endpoint, method)
        )
    }
    if asking and not (app.testing or app.debug):
        app.logger.warning(
            "@audit on %s records nothing: there is no audit log. Set RAMPART_AUDIT_LOG to a directory such as "
            '"audit", or to "off".',
            ", ".join(sorted(asking)),
        )


def _trace(app: Flask, state: AppState) -> None:
    """Has OpenTelemetry's spans told of refusals, where it is installed."""
    told = trace_refusals(app)
    if told is None:
        return
    before = state.record_refusal
    if before is None:
        state.record_refusal = told
        return

    def both(exchange: Exchange, denied: Denied) -> None:
        before(exchange, denied)
        told(exchange, denied)

    state.record_refusal = both


def _count(app: Flask, settings: Settings, metrics: Metrics, state: AppState) -> None:
    """Serves the metrics to a scraper with a token, if there is to be one, and has the audit log counted."""
    if settings.metrics_path is not None:
        token = settings.metrics_token
        metrics.serve(settings.metrics_path, *([] if token is None else [metrics_token(token)]))
    elif settings.metrics_token is not None:
        raise ConfigError("RAMPART_METRICS_TOKEN is for RAMPART_METRICS_PATH, which is not set.")
    log: Audit = state.services[Audit]

    def check(app: Flask) -> None:
        metrics.check(app)
        if metrics.wanted and log.enabled:
            log.at_write = metrics.recorded

    state.at_seal.append(check)


def _open_to_reports(view: Any) -> Any:
    """What guards the collector of reports: bounds and a quota of its own, and nothing that asks who it is."""
    # The quota is asked first: what is refused for its length or type counts too, for no other limit counts it.
    # Preflights it answers itself, for pages of every origin.
    view = cors.none(limit(QUOTA, scope="rampart.reports")(view))
    return public(bounded(max_body=MAX_BODY, content_types=TYPES_TAKEN)(view))


def _scopes(state: AppState) -> set[str]:
    """The scopes that any view of the app demands."""
    found: set[str] = set()
    for rule in state.app.url_map.iter_rules():
        if rule.endpoint not in state.app.view_functions:
            continue  # a rule for url_for alone (build_only)
        for method in methods_of(rule):
            for guard, _ in state.guards_of(rule.endpoint, method):
                if isinstance(guard, require):
                    found.update(guard.scopes or (), guard.any_scopes or ())
    return found


def _binding(settings: Settings, clock: Clock, limits: Limits, named: dict[str, str]) -> Binding | None:
    """What ties tokens to their senders, if anything shall."""
    if settings.dpop == "off" and settings.dpop_nonce:
        raise ConfigError('RAMPART_DPOP_NONCE = True has no effect while RAMPART_DPOP is "off".')
    if settings.dpop == settings.client_cert == "off":
        return None
    if not (settings.jwt_keys or settings.issuers):
        raise ConfigError(
            "RAMPART_DPOP and RAMPART_CLIENT_CERT are about tokens, and this app takes none: set RAMPART_JWT_KEYS or "
            "RAMPART_ISSUERS."
        )
    if settings.dpop == "required" and settings.jwt_locations != ("header",):
        raise ConfigError(
            'RAMPART_DPOP = "required" takes tokens in the Authorization header alone (RFC 9449 section 7.1): leave '
            'RAMPART_JWT_LOCATIONS at "header".'
        )
    return Binding(settings, clock, lambda: limits.table("proofs"), named)


def _serve_keys(app: Flask, tokens: Tokens, path: str) -> None:
    document = json.dumps(tokens.public_keys())
    if document == '{"keys": []}':
        raise ConfigError("RAMPART_JWKS_PATH: RAMPART_JWT_KEYS has no public key to serve; a shared secret is none.")

    tag = hashlib.sha256(document.encode()).hexdigest()[:32]

    @public
    def keys() -> WerkzeugResponse:
        response = Response(document, mimetype="application/jwk-set+json")
        response.headers["Cache-Control"] = f"public, max-age={_KEYS_FRESH}"
        # Public keys are for pages of other sites too, wherever these are isolated.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.set_etag(tag)
        return response.make_conditional(request)

    app.add_url_rule(path, _JWKS, keys, methods=["GET"])


def _has_place(app: Flask, path: str) -> None:
    """Refuses another route at *path*: whichever was added first would win, and others would find no keys."""
    (ours,) = app.url_map.iter_rules(_JWKS)
    for rule in app.url_map.iter_rules():
        served = "GET" in (rule.methods or ("GET",)) and not rule.build_only
        same = rule.rule.rstrip("/") == path.rstrip("/") and (rule.host, rule.subdomain) == (ours.host, ours.subdomain)
        if rule.endpoint != _JWKS and served and same:
            raise ConfigError(
                f"{rule.endpoint} has the route {rule.rule}, where RAMPART_JWKS_PATH serves the public keys. Remove "
                "it, or choose another path."
            )


_JWKS = "rampart_jwks"
_KEYS_FRESH = 300
"""Seconds for which others may keep our keys: publish a new key so long before it signs."""


def _transport(app: Flask, settings: Settings, clock: Clock, headers: HeaderPolicy) -> Transport:
    def hosts() -> Any:
        configured = app.config.get("TRUSTED_HOSTS")
        return configured if configured is not None else app.request_class.trusted_hosts

    return Transport(
        settings,
        clock,
        headers,
        app.logger,
        flask_hosts=hosts,
        is_production=lambda: not (app.debug or app.testing),
        # What was configured can be tested; the development server has no TLS.
        is_enforced=lambda: app.testing or not app.debug,
    )


def _lead(state: AppState, limits: Limits, transport: Transport, policy: EdgePolicy, cookies: AppCookies) -> None:
    """Before the first request."""
    cookies.name_session()
    state.lead()
    headers = state.services[RoutePolicies]
    hosts = transport.open(unpinned=headers.unpins(state.app_guards))
    if hosts is not None:
        state.app.config["TRUSTED_HOSTS"] = hosts
    policy.headers = headers.of_app(state.app_guards)
    # Every route is known by now.
    policy.head = head_bounds(state.settings, declared_methods(state.app))
    state.services[RouteBounds].survey()
    try:
        if is_limited(state) or state.services[Monitor].enforces:
            # A worker that has just begun refuses who is banned with its first request.
            limits.bans.book  # noqa: B018
    except StoreError:
        raise  # the edge refuses until it can be had
    except ConfigError:
        pass  # it is told where the guards are bound, a moment later


def _tell_unanswered(app: Flask, settings: Settings) -> None:
    for route in unanswered(app, settings):
        app.logger.warning(
            "%s is never reached: its method is not in RAMPART_METHODS, or is one that is never answered.", route
        )


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
