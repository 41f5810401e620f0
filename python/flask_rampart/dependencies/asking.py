"""Asks a service for JSON, and takes nothing else for an answer.

No answer in time, another status than 200, a redirect (a network that wants a login), another type than JSON, an answer
that was cut off or is too large: each is a :class:`SourceFailed`. A status may be taken for an answer where it is one:
404 for what an index does not have.

The address is https, or http on this machine itself, without a password. A proxy of the environment is used, and
certificates are checked by the system's roots.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from ..dialing import tls_context
from .errors import SourceFailed
from .files import parsed

_LOCAL = ("localhost", "127.0.0.1", "::1")
_MOST_BYTES = 32 * 1024 * 1024
_CHUNK = 65536
_LONGEST_WAIT = 15.0


class Asking:
    """Questions to one service, all of them within some seconds from :meth:`begin` on.

    :param now: a clock that only goes forward, in seconds.
    :raises SourceFailed: for an address that cannot be trusted.
    """

    def __init__(self, url: str, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            parts, host = urlsplit(""), None
        if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
            raise SourceFailed(f"the source {_shown(url)} is no https:// address of a service.")
        if parts.scheme == "http" and host not in _LOCAL:
            raise SourceFailed(
                f"the source {_shown(url)} is plain HTTP: whoever is on the way could say that all is well."
            )
        if parts.username is not None or parts.password is not None:
            raise SourceFailed(f"the source {_shown(url)} has a password in it, which would be shown.")
        self.url = url.rstrip("/")
        self._seconds = seconds
        self._now = now
        self._deadline = now() + seconds
        handlers: list[Any] = [_NoRedirect, urllib.request.HTTPSHandler(context=tls_context())]
        if host in _LOCAL:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def begin(self) -> None:
        """The time for all questions begins now."""
        self._deadline = self._now() + self._seconds

    def json(self, path: str, body: bytes | None = None, *, absent: int | None = None) -> Any:
        """The JSON at *path* below the address; what answers *body*, if there is one.

        :param absent: a status that says that there is none; then it is None.
        :raises SourceFailed: for whatever else comes back.
        """
        headers = {"Accept": "application/json", "User-Agent": "flask-rampart"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=body, headers=headers)  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=self._left()) as answer:
                kind = answer.headers.get_content_type()
                if answer.status != 200:
                    raise SourceFailed(f"{self.url} answered {answer.status}.")
                if kind != "application/json":
                    raise SourceFailed(
                        f"{self.url} answered with {_plain(kind)} instead of JSON: is there a login page in between?"
                    )
                text = self._read(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == absent:
                return None
            raise SourceFailed(f"{self.url} answered {error.code}{_about(error.code)}.") from None
        except urllib.error.URLError as error:
            raise SourceFailed(f"{self.url} did not answer: {_reason(error.reason)}.") from None
        except (OSError, HTTPException, ValueError) as error:
            raise SourceFailed(f"{self.url} did not answer: {_reason(error)}.") from None
        return parsed(text, f"the answer of {self.url}")

    def _read(self, answer: Any) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := answer.read1(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > _MOST_BYTES:
                raise SourceFailed(f"{self.url} answered with more than {_MOST_BYTES} bytes.")
            self._left()
        announced = answer.headers.get("Content-Length")
        if announced is not None and announced.strip() != str(size):
            raise SourceFailed(f"the answer of {self.url} was cut off: {size} bytes of {_plain(announced)}.")
        return b"".join(chunks)

    def _left(self) -> float:
        left = self._deadline - self._now()
        if left <= 0:
            raise SourceFailed(f"{self.url} took longer than {self._seconds:g} seconds.")
        return min(left, _LONGEST_WAIT)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what is asked for is at the address that was configured."""

    def redirect_request(self, *given: Any, **more: Any) -> None:
        return None


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _plain(text.rstrip("."))


def _about(status: int) -> str:
    return ", a redirect: is there a login page in between?" if 300 <= status < 400 else ""


def _plain(text: Iterable[str]) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]


def _shown(url: str) -> str:
    """A URL without what may be a password."""
    scheme, _, rest = url.partition("://")
    return _plain(f"{scheme}://{rest.rpartition('@')[2]}" if rest else "...")
