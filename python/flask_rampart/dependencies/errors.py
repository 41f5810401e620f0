"""Why a check could not be made: never to be taken for a check that found nothing."""

from __future__ import annotations

from ..errors import RampartError


class CannotCheck(RampartError):
    """What was to be checked could not be; says why, and what to do."""


class SourceFailed(CannotCheck):
    """A source of advisories did not answer, or not with advisories."""
