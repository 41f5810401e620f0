"""The packages that are installed: what the metadata beside them says (the core metadata specification).

Of two with one name and different versions, both are listed, wherever they are: which of them is imported depends on
what the path is then, and what an installer left behind may be what is there. Metadata that cannot be read, or names no
package, is a :class:`CannotCheck`: what is not seen would not be checked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple, cast

from .errors import CannotCheck
from .versions import normalised


class Package(NamedTuple):
    """An installed package."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    written: str
    """The name as the package itself writes it."""
    distribution: Distribution


def installed(path: Sequence[str] | None = None) -> list[Package]:
    """The packages on *path*, or on this process's; by name.

    :raises CannotCheck: for one whose metadata cannot be read; if there are none at all.
    """
    found: dict[tuple[str, str], Package] = {}
    for folder in path or ():
        if not os.path.isdir(folder):
            raise CannotCheck(f"{folder} is no folder of installed packages.")
    for distribution in distributions() if path is None else distributions(path=list(path)):
        package = _package(distribution)
        found.setdefault((package.name, package.version), package)
    if not found:
        raise CannotCheck("no installed package was found, so none was checked.")
    return sorted(found.values(), key=lambda package: (package.name, package.version))


def metadata_of(distribution: Distribution) -> Message:
    """A package's metadata, of which what is missing is None: by key, newer Pythons warn of that."""
    return cast(Message, distribution.metadata)


def _package(distribution: Distribution) -> Package:
    try:
        metadata = metadata_of(distribution)
        name, version = metadata.get("Name"), metadata.get("Version")
    except Exception:  # what reads it raises different things on different Pythons
        name, version = "", ""
    if not isinstance(name, str) or not isinstance(version, str) or not name.strip() or not version.strip():
        raise CannotCheck(f"{_place(distribution)} names no package and version: remove it, or install it again.")
    return Package(normalised(name.strip()), version.strip(), name.strip(), distribution)


def _place(distribution: Distribution) -> str:
    folder = getattr(distribution, "_path", None)
    return Path(folder).name if folder is not None else "an installed package"
