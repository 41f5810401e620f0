"""What the answers of one view get, or of all that say nothing: made once, of what an extension and a view say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from .beside import Beside, Fields
from .policies import CSP, REPORT_ONLY, Text, checked, csp_of, feature_policy, structured

if TYPE_CHECKING:
    from .talisman import Talisman

ALLOW_FROM = "ALLOW-FROM"
DEFAULT_CSP_POLICY = {"default-src": "'self'", "object-src": "'none'"}
OF_VIEWS = (
    "feature_policy",
    "permissions_policy",
    "document_policy",
    "force_https",
    "frame_options",
    "frame_options_allow_from",
    "content_security_policy",
    "content_security_policy_nonce_in",
)
"""What a view may have another way."""


class Plan:
    """The fields of one view, or of all that say nothing."""

    def __init__(self, talisman: Talisman, options: dict[str, Any], beside: Beside | None) -> None:
        said = {name: getattr(talisman, name) for name in OF_VIEWS} | options
        self.options = options
        #: When it was made: see ``Talisman._epoch``.
        self.epoch = talisman._epoch
        self.forces_https: bool = said["force_https"]
        fields: dict[str, str] = {}
        for field, name, write in (
            ("Feature-Policy", "feature_policy", feature_policy),
            ("Permissions-Policy", "permissions_policy", lambda policy: structured("Permissions-Policy", policy)),
            ("Document-Policy", "document_policy", lambda policy: structured("Document-Policy", policy)),
        ):
            if said[name]:
                fields[field] = write(said[name])
        if said["frame_options"]:
            frames = said["frame_options"]
            frames += f" {said['frame_options_allow_from']}" if frames == ALLOW_FROM else ""
            fields["X-Frame-Options"] = checked("X-Frame-Options", frames)
        if talisman.x_xss_protection:
            fields["X-XSS-Protection"] = "1; mode=block"
        if talisman.x_content_type_options:
            fields["X-Content-Type-Options"] = "nosniff"
        if talisman.force_file_save:
            fields["X-Download-Options"] = "noopen"
        if talisman.referrer_policy:
            fields["Referrer-Policy"] = checked("Referrer-Policy", talisman.referrer_policy)
        hsts = _hsts(talisman)
        #: What is said here of each field, whoever else says something of it, by its lower name.
        self.mine = {name.lower(): value for name, value in fields.items()}
        self.mine_secure = self.mine | ({"strict-transport-security": hsts} if hsts else {})
        csp_field = REPORT_ONLY if talisman.content_security_policy_report_only else CSP
        nonce_in = said["content_security_policy_nonce_in"] or ()
        policy = said["content_security_policy"]
        report_uri = talisman.content_security_policy_report_uri
        csp = csp_of(policy, nonce_in, report_uri, report_only=csp_field == REPORT_ONLY) if policy else None
        #: Whether a request gets a nonce, wherever it is named.
        self.asks = bool(policy and nonce_in)
        if csp is not None:
            said_of_scripts = {csp_field.lower(): csp.with_nonce(None)}
            self.mine |= said_of_scripts
            self.mine_secure |= said_of_scripts
        if beside is not None:
            is_default = policy == DEFAULT_CSP_POLICY and not report_uri and not nonce_in
            csp = beside.csp(csp_field, csp, is_default=is_default)
            fields = {name: found for name, value in fields.items() if (found := beside.stricter(name, value))}
            hsts = beside.stricter("Strict-Transport-Security", hsts) if hsts else None
            self.asks = self.asks or (csp is not None and csp.asks)
        #: What has a nonce in it, apart.
        self.csp: tuple[str, Text] | None = None
        if csp is not None and csp.asks:
            self.csp = (csp_field, csp)
        elif csp is not None:
            fields[csp_field] = csp.with_nonce(None)
        self.plain: Fields = tuple(fields.items())
        self.secure: Fields = (*self.plain, ("Strict-Transport-Security", hsts)) if hsts else self.plain


def _hsts(talisman: Talisman) -> str | None:
    if not talisman.strict_transport_security:
        return None
    age = str(talisman.strict_transport_security_max_age)
    if not (age.isascii() and age.isdigit()):
        raise ConfigError(f"Talisman: strict_transport_security_max_age is whole seconds, not {age!r}.")
    more = "; includeSubDomains" if talisman.strict_transport_security_include_subdomains else ""
    return f"max-age={age}{more}{'; preload' if talisman.strict_transport_security_preload else ''}"
