"""Very many requests, each of another address: without a client, whose own work is most of a request's time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from flask import Flask
from werkzeug.test import create_environ


def flood(app: Flask, addresses: Iterable[str], path: str = "/") -> Iterator[int]:
    """A GET from each address, as a server hands it to the app; gives the statuses of the answers."""
    base = create_environ(path)
    found: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        found.append(status)
        return lambda data: None

    for address in addresses:
        body = app(dict(base, REMOTE_ADDR=address, **{"wsgi.input": BytesIO()}), start)
        try:
            for _ in body:
                pass
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        yield int(found.pop().partition(" ")[0])
