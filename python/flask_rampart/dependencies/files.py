"""Advisories from files: records of OSV's format, for checks without a network.

A file is one record, a list of them, or an answer of OSV's service (``{"vulns": [...]}``); a folder or a zip holds many
such files, as OSV's own export of an ecosystem does. Nothing in it about packages of Python, a file that is no JSON,
a page of an answer that has more of them: each is a :class:`SourceFailed`, never "no advisories".

Bounded: so many bytes for one file, and for all together, also of what a zip unpacks to.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import SourceFailed
from .osv import Advisory, read_record

MOST_BYTES = 64 * 1024 * 1024
"""Of one file."""
MOST_BYTES_TOGETHER = 1024 * 1024 * 1024


def advisories_in(path: Path) -> list[Advisory]:
    """The advisories in a file, a folder or a zip.

    :raises SourceFailed: for one that cannot be read; if none of them is about a package of Python.
    """
    found: dict[str, Advisory] = {}
    for name, text in _texts(path):
        for advisory in _records(text, name):
            # Of two with one id the newer, however they are ordered; of two as new, the one that still holds.
            known = found.get(advisory.id)
            if known is None or (advisory.modified, known.withdrawn) >= (known.modified, advisory.withdrawn):
                found[advisory.id] = advisory
    if not any(advisory.entries for advisory in found.values()):
        raise SourceFailed(
            f"{path} has no advisory about a package of Python: {len(found)} records, none with the ecosystem PyPI."
        )
    return list(found.values())


def parsed(text: bytes, where: str) -> Any:
    """The JSON that *text* is.

    :raises SourceFailed: if it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        what = "HTML" if text.lstrip()[:1] == b"<" else "not JSON, or cut off"
        raise SourceFailed(f"{where} is {what}, and no advisories.") from None


def _records(text: bytes, where: str) -> Iterator[Advisory]:
    given = parsed(text, where)
    if isinstance(given, dict) and "id" not in given and isinstance(given.get("vulns"), list):
        if given.get("next_page_token") or given.get("nextPageToken"):
            raise SourceFailed(f"{where} is one page of an answer that has more (next_page_token).")
        given = given["vulns"]
    for record in given if isinstance(given, list) else [given]:
        yield read_record(record, where)


def _texts(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise SourceFailed(f"{path} is a pipe or a device, which might never end: write it to a file first.")
        if path.is_dir():
            yield from _bounded((str(each), each.stat().st_size, each) for each in _json_files(path))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = [each for each in archive.infolist() if each.filename.endswith(".json")]
                together = 0
                for member in members:
                    with archive.open(member) as file:
                        text = file.read(MOST_BYTES + 1)
                    together += len(text)
                    if len(text) > MOST_BYTES or together > MOST_BYTES_TOGETHER:
                        raise SourceFailed(f"{path} unpacks to more than advisories are.")
                    yield f"{path.name}:{member.filename}", text
        else:
            yield from _bounded([(str(path), path.stat().st_size, path)])
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is broken, or encrypted"
        raise SourceFailed(f"{path} cannot be read: {reason}.") from None


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.json") if path.is_file())


def _bounded(files: Any) -> Iterator[tuple[str, bytes]]:
    together = 0
    for name, size, path in files:
        together += size
        if size > MOST_BYTES or together > MOST_BYTES_TOGETHER:
            raise SourceFailed(f"{name} is larger than advisories are.")
        yield name, path.read_bytes()
