"""Versions by PEP 440, as ``packaging`` reads them, and names by PEP 503."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import CannotCheck

if TYPE_CHECKING:
    from packaging.version import Version


def normalised(name: str) -> str:
    """A package's name in the one spelling that is compared (PEP 503).

    >>> normalised("Flask_SQLAlchemy")
    'flask-sqlalchemy'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(text: str) -> Version | None:
    """The version that *text* is; None if it is none by PEP 440.

    :raises CannotCheck: if ``packaging`` is not installed.

    >>> version_of("1!2.0") > version_of("3.0") > version_of("3.0rc1")
    True
    """
    try:
        from packaging.version import InvalidVersion, Version
    except ImportError:
        raise CannotCheck("versions cannot be compared without packaging: pip install flask-rampart[check]") from None
    try:
        return Version(text)
    except InvalidVersion:
        return None


def public_of(version: Version) -> Version:
    """A version without the part that names a local build: ``1.0+ubuntu1`` is judged as ``1.0``.

    Whether a local build has a fix, nobody's advisory says.
    """
    return type(version)(version.public)
