"""The way from a client to the app: cookies, hosts, proxies, HTTPS, and what the app itself calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import parse_qs, urlsplit

from werkzeug.middleware.proxy_fix import ProxyFix

from ..guards import told_of
from ..stores.urls import without_password
from .findings import Finding, Severity
from .layers import layers
from .subject import Subject, settings_found

_YEAR = 31_536_000
_BROADEST = {4: 8, 6: 16}  # bits: no operator of proxies has a larger network
_LOCAL = ("localhost", "127.0.0.1", "::1", "")
_ENCRYPTED = ("require", "verify-ca", "verify-full", "verify_ca", "verify_identity")
# Where a platform's own proxy stands in front of every app.
_PLATFORMS = {
    "KUBERNETES_SERVICE_HOST": "Kubernetes",
    "DYNO": "Heroku",
    "K_SERVICE": "Cloud Run",
    "FLY_APP_NAME": "Fly.io",
    "RENDER": "Render",
    "RAILWAY_ENVIRONMENT": "Railway",
    "WEBSITE_SITE_NAME": "Azure App Service",
    "AWS_EXECUTION_ENV": "AWS",
    "FORWARDED_ALLOW_IPS": "FORWARDED_ALLOW_IPS",
}


def check(subject: Subject) -> Iterator[Finding]:
    """What is open on the way."""
    yield from _cookies(subject)
    yield from _hosts_and_proxies(subject)
    yield from _https(subject)
    yield from _stores(subject)


def _cookies(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    for name, rule in settings.cookies.items():
        if rule.get("secure") is False:
            yield settings_found("RMP-201", f"The cookie {name!r} is sent by plain HTTP too.", "RAMPART_COOKIES")
        if rule.get("http_only") is False:
            yield settings_found(
                "RMP-202", f"Whatever script runs in a page can read and send on {name!r}.", "RAMPART_COOKIES"
            )
        if _crosses(rule.get("same_site")):
            yield settings_found(
                "RMP-203", f"Browsers send {name!r} with what pages of other sites ask for.", "RAMPART_COOKIES"
            )
    if "cookie" in settings.jwt_locations:
        if not settings.jwt_cookie_secure:
            yield settings_found("RMP-201", "Tokens are sent by plain HTTP too.", "RAMPART_JWT_COOKIE_SECURE")
        if settings.jwt_cookie_samesite == "None":
            yield settings_found(
                "RMP-203",
                "Browsers send the token with what pages of other sites ask for.",
                "RAMPART_JWT_COOKIE_SAMESITE",
            )
    if "query" in settings.jwt_locations:
        yield settings_found(
            "RMP-205", "A token in an address is in logs, histories and Referer.", "RAMPART_JWT_LOCATIONS"
        )
    if _crosses(subject.config("SESSION_COOKIE_SAMESITE")):
        yield settings_found(
            "RMP-203",
            "Browsers send the session's cookie with what pages of other sites ask for.",
            "SESSION_COOKIE_SAMESITE",
        )
    if settings.session_prefix is None and subject.config("SECRET_KEY"):
        yield settings_found(
            "RMP-204",
            "Its name begins with no __Host-, so a subdomain, or who writes answers of plain HTTP, can plant one.",
            "RAMPART_SESSION_PREFIX",
        )


def _hosts_and_proxies(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    if not settings.trusted_hosts and not subject.config("TRUSTED_HOSTS"):
        yield settings_found(
            "RMP-211",
            "Whoever sends a request chooses the host that links, mails and caches are made with.",
            "RAMPART_TRUSTED_HOSTS",
        )
    fixes = any(isinstance(layer, ProxyFix) for layer in layers(subject.app, subject.notes))
    if fixes:
        yield settings_found("RMP-223", "Whoever sends X-Forwarded-For is whom it says.", "wsgi_app")
    elif not settings.trusted_proxies:
        platform = next((_PLATFORMS[name] for name in _PLATFORMS if name in subject.environ), None)
        message = "Behind a proxy, all clients would be one address, and HTTPS would not be seen."
        if platform is not None:
            message = f"{message} One seems to stand in front here ({platform})."
        finding = settings_found("RMP-221", message, "RAMPART_TRUSTED_PROXIES")
        yield finding if platform is None else Finding(finding.rule, message, finding.place, Severity.WARNING)
    for text in settings.trusted_proxies:
        network = None if text == "unix" else ip_network(text)
        if network is not None and not network.is_private and network.prefixlen < _BROADEST[network.version]:
            yield settings_found(
                "RMP-222",
                f"{text} is {network.num_addresses:,} addresses, whoever has them: each may say who it is.",
                "RAMPART_TRUSTED_PROXIES",
            )


def _is_sent_on(subject: Subject) -> bool:
    """Whether another extension sends on what comes by plain HTTP."""
    views = subject.app.view_functions
    return any(
        guard.is_everywhere and getattr(guard, "forces_https", False)
        for rule in subject.app.url_map.iter_rules()
        if rule.endpoint in views
        for guard in told_of(subject.app, rule.endpoint, "GET")
    )


def _https(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    if settings.https in (None, "off") and not _is_sent_on(subject):
        yield settings_found(
            "RMP-231", "Tokens and cookies travel so that whoever is on the way reads them.", "RAMPART_HTTPS"
        )
    if settings.hsts is not None:
        age = re.search(r"max-age=([0-9]+)", settings.hsts)
        if age is None:
            yield settings_found("RMP-232", "The first request of each visit can be caught.", "RAMPART_HSTS")
        elif int(age[1]) < _YEAR:
            yield settings_found("RMP-232", "They forget it in less than a year.", "RAMPART_HSTS")


def _stores(subject: Subject) -> Iterator[Finding]:
    for setting, url in (
        ("RAMPART_STORE", subject.settings.store),
        ("RAMPART_LIMIT_STORE", subject.settings.limit_store),
    ):
        if url is not None and _is_in_clear(url):
            yield settings_found("RMP-233", f"{without_password(url)} is on another machine.", setting)


def _crosses(same_site: object) -> bool:
    # The text: None itself is what Flask has where nothing is said.
    return isinstance(same_site, str) and same_site.lower() == "none"


def _is_in_clear(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if host in _LOCAL or host.startswith("/"):
        return False
    scheme = parts.scheme.partition("+")[0]
    if scheme == "redis":
        return True
    if scheme in ("postgresql", "mysql", "mariadb"):
        asked = parse_qs(parts.query)
        modes = [*asked.get("sslmode", ()), *asked.get("ssl_mode", ())]
        named = {"ssl", "ssl_ca", "sslrootcert", "ssl_cert"} & set(asked)
        return not named and not any(mode.lower() in _ENCRYPTED for mode in modes)
    return False
