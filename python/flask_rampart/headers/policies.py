"""What was said of headers, merged, and the policy that comes of it.

Said are: the settings of the app; then, each over the one before, what ``headers(...)`` declares on the app, on its
blueprints from the outermost in, and on the view. Header by header the nearest wins. A nearer profile of another kind
(pages or data) also takes back the Content-Security-Policies of those farther away, which were written for that kind.

Nothing here is asked twice for the same declarations: a policy is made once, and answers as constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .._native import HeaderPolicy
from ..config import Settings
from ..errors import ConfigError

CACHE = "cache-control"
CSP = "content-security-policy"
CSP_REPORT_ONLY = "content-security-policy-report-only"
HSTS = "strict-transport-security"
PERMISSIONS = "permissions-policy"


class _Mark:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


OWN: Any = _Mark("OWN")
"""In the place of a header's value: the profile's own, whatever is said farther away."""
UNSAID: Any = _Mark("UNSAID")
"""In the place of a header's value: nobody said anything, after all."""


class Said(NamedTuple):
    """What is said of headers, in one place or in several, merged."""

    profile: str | None = None
    values: Mapping[str, tuple[Any, ...]] = MappingProxyType({})
    """By lower-cased name: what to send, the nearest first; those behind count where a function says None."""
    names: Mapping[str, str] = MappingProxyType({})
    """How the names are written on the wire."""
    keep: tuple[str, ...] = ()

    def under(self, nearer: Said, default: str) -> Said:
        """This with what was said nearer to the view.

        :param default: the profile where none was said.
        """
        values = dict(self.values)
        profile = nearer.profile or self.profile
        if is_of_data(profile or default) != is_of_data(self.profile or default):
            # What the settings say of them is taken back as well.
            values |= {CSP: (OWN,), CSP_REPORT_ONLY: (OWN,)}
        for name, said in nearer.values.items():
            # Where a function decides, it may leave it to what is said farther away.
            values[name] = (*said, *values.get(name, ())) if callable(said[-1]) else said
        keep = tuple(dict.fromkeys((*self.keep, *nearer.keep)))
        return Said(profile, values, {**self.names, **nearer.names}, keep)

    @property
    def asked(self) -> tuple[str, ...]:
        """The headers of which a function decides."""
        return tuple(name for name, said in self.values.items() if callable(said[0]))

    def settled(self, found: Mapping[str, Any]) -> Said:
        """This with values in the places of functions."""
        values = {name: (found.get(name, OWN) if callable(said[0]) else said[0],) for name, said in self.values.items()}
        values = {name: said for name, said in values.items() if said[0] is not UNSAID}
        return Said(self.profile, values, self.names, self.keep)


NOTHING = Said()


def is_of_data(profile: str) -> bool:
    """Whether a profile is for programs rather than for pages."""
    return profile == "api"


def header_policy(settings: Settings, said: Said = NOTHING, reports: str | None = None) -> HeaderPolicy:
    """The policy of the app, or of a part of it.

    :param said: what is declared there, without functions.
    :param reports: where browsers report to: a path, or an https URL.
    :raises ConfigError: if it is not a policy that a browser would keep.
    """
    csp: Any = settings.csp
    report_only: Any = settings.csp_report_only
    permissions: Any = None
    # A pin cannot be taken back: where a function fails, the settings' own counts, not the profile's two years.
    overrides: dict[str, str | None] = _pin(settings) if said.values.get(HSTS, (OWN,))[0] is OWN else {}
    for name, (value, *_) in said.values.items():
        if value is OWN:
            csp, report_only = _without(name, csp, report_only)
        elif value is None:
            overrides[said.names[name]] = None
            csp, report_only = _without(name, csp, report_only)
        elif name == CSP:
            csp = value
        elif name == CSP_REPORT_ONLY:
            report_only = value
        elif name == PERMISSIONS and isinstance(value, Mapping):
            permissions = value
        else:
            overrides[said.names[name]] = value
    try:
        return HeaderPolicy(
            said.profile or settings.profile,
            csp=csp,
            csp_report_only=report_only,
            permissions=permissions,
            overrides=overrides,
            keep=said.keep,
            reports=reports,
        )
    except ValueError as error:
        raise ConfigError(f"{_place(settings, said)}: {error}") from None


def _without(name: str, csp: Any, report_only: Any) -> tuple[Any, Any]:
    return None if name == CSP else csp, None if name == CSP_REPORT_ONLY else report_only


def _place(settings: Settings, said: Said) -> str:
    """Where what is wrong was said."""
    if said.values or said.keep:
        return "headers(...)"
    if settings.csp_report_only is None:
        return "RAMPART_CSP"
    try:
        HeaderPolicy(settings.profile, csp=settings.csp)
    except ValueError:
        return "RAMPART_CSP"
    return "RAMPART_CSP_REPORT_ONLY"


def _pin(settings: Settings) -> dict[str, str | None]:
    """``Strict-Transport-Security`` where it is not the profile's: another, or none, or one that climbs, which the
    network's room sends."""
    if settings.hsts_since is not None:
        return {"Strict-Transport-Security": None}
    return {} if settings.hsts is None else {"Strict-Transport-Security": settings.hsts or None}
