"""A finding: what a detector found, of whom, and what was done.

It decides nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from .detectors import DONE, SEVERITIES

LONGEST = 128
"""Bytes of a name for which the book has a place."""


@dataclass(frozen=True)
class Finding:
    """What a detector found.

    It names whom it is about, since people must act on it.
    """

    time: float
    """When, in seconds since 1970-01-01 UTC."""
    rule: str
    """The detector's name."""
    severity: str
    """``"informational"``, ``"low"``, ``"medium"``, ``"high"`` or ``"critical"``."""
    subject_kind: str
    """``"address"``, ``"network"``, ``"principal"``, ``"token"``, ``"account"`` or ``"host"``."""
    subject: str
    """Whom it is about; cut to 128 bytes, the last three ``...``, where it is read back from the book."""
    count: int
    """What was counted, about."""
    threshold: int
    """What was too much."""
    response: str
    """``"log"``, ``"step_up"``, ``"throttle"`` or ``"ban"``; or ``"slow"``, of what pages had browsers send: such
    requests alone are throttled."""
    enforced: bool
    """Whether that was done. Not in ``"report"`` mode."""
    route: str
    """The route of the last request, if one matched; else empty."""
    request_id: str
    """The id of the last request; empty if there was none."""

    @classmethod
    def of_native(cls, told: tuple[float, str, int, str, str, int, int, int, bool, str, str]) -> Finding:
        """As the book has it."""
        time, rule, severity, kind, subject, count, threshold, response, enforced, route, request_id = told
        return cls(
            time,
            rule,
            SEVERITIES[min(max(severity, 1), len(SEVERITIES)) - 1],
            kind,
            subject,
            count,
            threshold,
            DONE[min(response, len(DONE) - 1)],
            enforced,
            route,
            request_id,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the time by RFC 3339."""
        return {**asdict(self), "time": stamp(self.time)}


def stamp(time: float) -> str:
    """A time by RFC 3339.

    >>> stamp(1_800_000_000)
    '2027-01-15T08:00:00.000Z'
    """
    return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(name: str) -> str:
    """A name as the book has a place for it: one that is cut ends in ``...``.

    >>> written("ada"), written("a" * 129)[-6:]
    ('ada', 'aaa...')
    """
    told = name.encode("utf-8", "replace")
    return name if len(told) <= LONGEST else told[: LONGEST - 3].decode("utf-8", "ignore") + "..."
