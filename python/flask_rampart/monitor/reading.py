"""Reads detectors from a TOML file: a table for each, by name.

.. code-block:: toml

    [path_scanning]
    threshold = 60
    window = "5 minutes"

    [unusual_hour]
    enabled = false

    [export_downloads]
    counts = ["read"]
    by = "principal"
    measure = "bytes"
    threshold = 500_000_000
    window = "1 hour"

Python 3.10 has no reader of TOML: there, ``tomli`` must be installed.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .catalogue import Detectors

_MOST = 1024 * 1024


def read_file(path: Path, detectors: Detectors, where: str = "RAMPART_MONITOR_RULES") -> None:
    """Changes *detectors* as the file says.

    :raises ConfigError: for a file that cannot be read, with the place; for what cannot be meant.
    """
    try:
        size = path.stat().st_size
        text = path.read_bytes() if size <= _MOST else b""
    except OSError as error:
        raise ConfigError(f"{where}: {str(path)!r} cannot be read: {error.strerror}.") from None
    if size > _MOST:
        raise ConfigError(f"{where}: {str(path)!r} has {size} bytes; rules take at most {_MOST}.")
    for name, members in _parsed(text, f"{where}: {str(path)!r}").items():
        if not isinstance(members, dict):
            raise ConfigError(
                f"{where}: {name!r} stands outside of a table. Write the detector's name in brackets above it: "
                "[path_scanning]."
            )
        detectors.change(name, members, where)


def _parsed(text: bytes, where: str) -> dict[str, Any]:
    for module in ("tomllib", "tomli"):
        try:
            toml = importlib.import_module(module)
        except ModuleNotFoundError:
            continue
        try:
            found: dict[str, Any] = toml.loads(text.decode())
        except UnicodeDecodeError:
            raise ConfigError(f"{where} is not UTF-8.") from None
        except (toml.TOMLDecodeError, RecursionError) as error:
            raise ConfigError(f"{where} is not TOML: {error}.") from None
        return found
    raise ConfigError(f"{where}: this Python has no reader of TOML: pip install tomli.")
