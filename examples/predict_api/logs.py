"""Reads what the server wrote: one line of JSON for each request, and the app's own lines."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

# The names of the members of an access-log line that the demo goes by.
REQUEST_ID = "request_id"
MICROSECONDS = "us"

# Secrets that are shorter could stand in a log by chance.
SHORTEST = 8

# How the API's keys begin.
API_KEY = "rk_live_"


def access_lines(
    logs: Collection[Path], wanted: Collection[str], seconds: float = 5
) -> dict[str, list[dict[str, Any]]]:
    """The lines of these requests, by request id: there should be one for each, in one of *logs*.

    A line is written when its answer is complete, a moment after the client has it: so this waits a little.
    """
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, list[dict[str, Any]]] = {}
        for log in logs:
            text = log.read_text(encoding="utf-8")
            for line in text[: text.rfind("\n") + 1].splitlines():  # not a line that is being written
                members = json.loads(line)
                found.setdefault(members[REQUEST_ID], []).append(members)
        if found.keys() >= set(wanted) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def app_lines(log: Path, *marks: str) -> list[str]:
    """For each mark, the last line that has it."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = (next((line for line in reversed(lines) if mark in line), None) for mark in marks)
    return [line for line in found if line is not None]


def holds(files: Mapping[str, Path], text: str) -> bool:
    """Whether *text* stands in one of these files."""
    return any(text.encode() in path.read_bytes() for path in files.values())


def leaks(logs: Mapping[str, Path], secrets: Mapping[str, str]) -> list[str]:
    """Which secrets stand in which file: as they are, percent-encoded, as a token's claims or signature, or as what
    comes after an API key's id."""
    found = []
    for name, path in logs.items():
        text = path.read_text(encoding="utf-8", errors="replace")
        for what, secret in secrets.items():
            if any(form in text for form in _forms(secret)):
                found.append(f"{what} is in the {name}")
    return found


def _forms(secret: str) -> set[str]:
    parts = [secret]
    if secret.startswith("eyJ"):
        # The first part of a token says the algorithm alone; the others are what must not be seen.
        parts = secret.split(".")[1:]
    elif secret.startswith(API_KEY):
        # Its id is public, and stands in tables; what comes after it is the secret.
        parts.append(secret[len(API_KEY) + 12 :])
    forms = {form(part) for part in parts for form in (str, quote, quote_plus, lambda s: quote(s, safe=""))}
    return {form for form in forms if len(form) >= SHORTEST}
