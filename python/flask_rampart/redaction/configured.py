"""An app's redactor: what ``RAMPART_REDACT`` says."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import Settings
from ..errors import ConfigError
from .redactor import Redactor


def redactor_of(settings: Settings) -> Redactor:
    """The app's redactor: by names alone, or by a dict of what :class:`Redactor` takes.

    :raises ConfigError: for what cannot be used.
    """
    given = settings.redact
    said = dict(given) if isinstance(given, Mapping) else {"names": given}
    try:
        return Redactor(**said)
    except ConfigError as error:
        raise ConfigError(f"RAMPART_REDACT: {error}") from None
