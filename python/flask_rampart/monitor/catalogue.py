"""The detectors of the package, and those of an app: by name.

1. A name stands for one detector. :data:`DETECTORS` are those of the package.
2. One in code or in a file (``reading``) changes a known one of its name in the members that it gives, or is a new one.
3. At most 200 are on. Their audit records have names of the OWASP Logging Vocabulary, or, with a point in them, of the
   app's own: a slip in one would be found by nobody who searches for it.

What a detector can mean is decided in ``detectors``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from ..errors import ConfigError
from ..readers import nearest
from .detectors import Detector

MOST_RULES = 200
"""How many can be on: as the native core has it."""
MEMBERS = tuple(member.name for member in fields(Detector))


class Detectors:
    """Those of an app, by name.

    :param events: the names that audit records may have, beside those with a point, which are the app's own; empty if
        that is not to be looked at.
    """

    def __init__(self, events: Collection[str] = ()) -> None:
        self._events = events
        self._all: dict[str, Detector] = {detector.name: detector for detector in DETECTORS}

    def change(self, name: str, members: Mapping[str, Any], where: str) -> Detector:
        """Changes a known detector, or adds one.

        :param where: what is told of where it was said.
        :raises ConfigError: for a member that there is none of, or what cannot be meant.
        """
        if not isinstance(name, str):
            raise ConfigError(f"{where}: a detector's name is a text, not {name!r}.")
        for member in members:
            if member not in MEMBERS or member == "name":
                raise ConfigError(f"{where}: {name!r} has no member {member!r}.{nearest(str(member), MEMBERS[1:])}")
        known = self._all.get(name)
        if known is None and not members.get("counts"):
            raise ConfigError(
                f"{where}: {name!r} is no detector of the package, and says nothing of what it counts."
                f"{nearest(name, tuple(self._all))}"
            )
        try:
            made = Detector(name, **members) if known is None else replace(known, **members)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        if self._events and made.event not in self._events and "." not in made.event:
            raise ConfigError(
                f"{where}: The detector {name!r}: event must be a name of the OWASP Logging Vocabulary, or one of your "
                f"own with a point in it, not {made.event!r}.{nearest(made.event, tuple(self._events))}"
            )
        others = sum(other.enabled for other in self._all.values() if other.name != name)
        if made.enabled and others >= MOST_RULES:
            raise ConfigError(f"{where}: {name!r} is one too many: at most {MOST_RULES} detectors can be on.")
        self._all[name] = made
        return made

    def enabled(self) -> tuple[Detector, ...]:
        """Those that are on, in order."""
        return tuple(detector for detector in self._all.values() if detector.enabled)

    def __iter__(self) -> Any:
        return iter(self._all.values())


def _of(name: str, about: str, **members: Any) -> Detector:
    return Detector(name, about=about, **members)


DETECTORS: tuple[Detector, ...] = (
    _of(
        "credential_stuffing",
        "One address fails to log in to many accounts.",
        counts=("login_failed",),
        measure="accounts",
        threshold=10,
        window="10 minutes",
        among=("login",),
        share=0.5,
        alone=5,
        response="ban",
        severity="high",
        event="authn_login_fail_max",
        point="AE1",
    ),
    _of(
        "password_guessing",
        "Logins to one account fail, again and again.",
        counts=("login_failed",),
        by="account",
        threshold=10,
        window="15 minutes",
        response="throttle",
        event="authn_login_fail_max",
        point="AE2",
    ),
    _of(
        "distributed_guessing",
        "Logins to one account fail, from many networks.",
        counts=("login_failed",),
        by="account",
        measure="networks",
        threshold=8,
        window="1 hour",
        response="throttle",
        lasts="2 hours",
        severity="high",
        event="authn_login_fail_max",
        point="AE2",
    ),
    _of(
        "stuffing_campaign",
        "Logins fail from many networks at once: the attempts are spread so that no address stands out.",
        counts=("login_failed",),
        by="host",
        measure="networks",
        threshold=50,
        window="10 minutes",
        among=("login",),
        share=0.5,
        response="step_up",
        severity="high",
        event="authn_login_fail_max",
        point="STE2",
    ),
    _of(
        "credential_guessing",
        "One address sends tokens or API keys that are refused.",
        counts=("authentication_failed",),
        threshold=100,
        window="10 minutes",
        among=("request",),
        share=0.5,
        alone=5,
        response="throttle",
        event="authn_login_fail_max",
        point="AE3",
    ),
    _of(
        "token_replay",
        "Two networks use one token in turn.",
        counts=("request",),
        by="token",
        measure="switches",
        threshold=8,
        window="10 minutes",
        response="step_up",
        lasts="1 day",
        severity="high",
        event="authn_token_reuse",
        point="SE5",
    ),
    _of(
        "token_shared",
        "Many networks use one token.",
        counts=("request",),
        by="token",
        measure="networks",
        threshold=6,
        window="10 minutes",
        response="step_up",
        lasts="1 day",
        severity="high",
        event="authn_token_reuse",
        point="SE5",
    ),
    _of(
        "refresh_reuse",
        "A refresh token came a second time.",
        counts=("refresh_reused",),
        by="principal",
        threshold=1,
        window="1 minute",
        response="step_up",
        lasts="1 day",
        severity="critical",
        event="authn_token_reuse",
        point="SE4",
    ),
    _of(
        "path_scanning",
        "One address asks for many paths that no route has.",
        counts=("not_found",),
        measure="places",
        threshold=40,
        window="5 minutes",
        among=("request",),
        share=0.5,
        alone=10,
        response="ban",
        event="malicious_excess_404",
        point="ACE3",
    ),
    _of(
        "object_enumeration",
        "Somebody asks for many objects that are not there, or not theirs.",
        counts=("object_refused",),
        by="caller",
        measure="objects",
        threshold=30,
        window="5 minutes",
        among=("request",),
        share=0.3,
        alone=5,
        response="throttle",
        event="malicious_direct_reference",
        point="ACE1",
    ),
    _of(
        "privilege_probing",
        "Somebody tries many places where they may not go.",
        counts=("forbidden",),
        by="principal",
        measure="places",
        threshold=8,
        window="10 minutes",
        event="authz_fail",
        point="ACE3",
    ),
    _of(
        "schema_probing",
        "Somebody sends input that is wrong in many ways.",
        counts=("invalid",),
        by="caller",
        measure="kinds",
        threshold=8,
        window="10 minutes",
        among=("request",),
        share=0.3,
        alone=4,
        response="throttle",
        event="input_validation_fail",
        point="IE2",
    ),
    _of(
        "protocol_probing",
        "One address sends requests that are malformed in several ways.",
        counts=("malformed",),
        measure="kinds",
        threshold=4,
        window="5 minutes",
        response="ban",
        event="malicious_attack_tool",
        point="RE2",
    ),
    _of(
        "scraping",
        "Somebody reads thousands of different places.",
        counts=("read",),
        by="caller",
        measure="objects",
        threshold=3000,
        window="10 minutes",
        response="throttle",
        event="excess_rate_limit_exceeded",
        point="UT2",
    ),
    _of(
        "quota_abuse",
        "Somebody goes on and on although their quota is spent.",
        counts=("limited",),
        by="caller",
        threshold=300,
        window="10 minutes",
        among=("request",),
        share=0.5,
        alone=5,
        response="throttle",
        event="excess_rate_limit_exceeded",
        point="UT4",
    ),
    _of(
        "exfiltration",
        "Somebody is given more than any person reads.",
        counts=("read",),
        by="principal",
        measure="bytes",
        threshold=2 * 1024**3,
        window="1 hour",
        response="step_up",
        lasts="2 hours",
        severity="high",
        event="sensitive_read",
        point="UT4",
    ),
    _of(
        "unusual_volume",
        "A principal sends many more requests than it usually does.",
        counts=("request",),
        by="principal",
        measure="unusual_requests",
        threshold=500,
        window="1 hour",
        severity="low",
        point="UT3",
    ),
    _of(
        "unusual_errors",
        "A principal runs into many more errors than it usually does.",
        counts=("request",),
        by="principal",
        measure="unusual_errors",
        threshold=50,
        window="1 hour",
        share=0.3,
        among=("request",),
        severity="low",
        point="UT1",
    ),
    _of(
        "unusual_bytes",
        "A principal is given much more than it usually is.",
        counts=("request",),
        by="principal",
        measure="unusual_bytes",
        threshold=50 * 1024**2,
        window="1 hour",
        event="sensitive_read",
        point="UT4",
    ),
    _of(
        "unusual_hour",
        "A principal is here at an hour at which it never was.",
        counts=("request",),
        by="principal",
        measure="unusual_hours",
        threshold=20,
        window="1 hour",
        severity="low",
        point="UT1",
    ),
    _of(
        "audit_tampering",
        "The audit log was changed.",
        counts=("audit_tampered",),
        by="host",
        threshold=1,
        window="1 hour",
        severity="critical",
        # Not the log's own name for it, which the log writes alone.
        event="monitor.audit_tampering",
        point="IE6",
    ),
    _of(
        "table_flooded",
        "So many new addresses or names come that the monitor forgets some.",
        counts=("request",),
        by="host",
        measure="evictions",
        threshold=20_000,
        window="10 minutes",
        severity="high",
        event="sys_monitor_disabled",
        point="RP4",
    ),
)
"""The detectors of the package."""
