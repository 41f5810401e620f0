"""Posts findings to a URL as Standard Webhooks writes it: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``.

1. What is to be sent waits in a queue of a fixed length. Where that is full, the newest is dropped and counted: who
   floods the app must not fill its memory. The last quarter is kept for findings of high and critical severity, and of
   that the last quarter for critical ones: who makes many small findings must not hide the large one.
2. A thread sends them, whichever is due first. It begins with the first one; a process that was forked off has its own.
   What waits to be tried again keeps nobody from being sent.
3. An answer of 2xx is success. 408, 425, 429, what is no 4xx, and no answer are tried again after 1, 5, 25, 125 and
   600 s, or later if ``Retry-After`` says so, with the same id, a new timestamp and so a new signature; then it is
   given up and counted, as is at once what another 4xx refused. 410 ends it for the process.
4. The URL is judged anew for each try, by the rules of outbound calls (``admit``): its host is resolved once, the
   connection goes to one of the addresses that were judged. No redirect is followed, no proxy of the environment used.

The signature is ``v1,`` and the base64 of HMAC-SHA-256 over id, timestamp and body, with points between them.

It decides nothing about findings. Source: standardwebhooks.com, specification 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import hmac
import itertools
import json
import logging
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigError
from ..locks import Lock
from .findings import Finding, stamp

_logger = logging.getLogger("flask_rampart")
_WAITS = (1.0, 5.0, 25.0, 125.0, 600.0)
_LONGEST = 3600
MOST = 1000
"""How many findings wait at most."""
_TIMEOUT = 10.0
_AGAIN = frozenset((408, 425, 429))
"""Of the 4xx, those that another try may mend."""
_LOOK = 0.01
_WHEN = re.compile(r"[0-9]{1,9}")


class Target(Protocol):
    """Where a URL leads, judged."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def scheme(self) -> str: ...
    @property
    def url(self) -> str: ...
    def connect(self, timeout: float = 10.0) -> socket.socket: ...


Admit = Callable[[str], Target]
"""Judges a URL. What it raises says why it may not be called."""
Clockwork = Callable[[float], bool]
"""Waits so many seconds, or until there is something to do; True if it is to end at once."""


class Waiting(NamedTuple):
    """A message that waits, in the order in which they are sent."""

    due: float
    number: int
    id: str
    body: bytes
    tries: int = 0


def key_of(secret: str) -> bytes:
    """The bytes of ``whsec_...``.

    :raises ConfigError: for what is no such secret; it is not quoted.

    >>> len(key_of("whsec_" + "A" * 32))
    24
    """
    wrong = ConfigError(
        'RAMPART_MONITOR_WEBHOOK_SECRET must be "whsec_" and the base64 of 24 to 64 random bytes: '
        "python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
    )
    prefix, _, text = secret.partition("whsec_")
    if prefix or not text:
        raise wrong
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not 24 <= len(key) <= 64:
        raise wrong
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


class Webhook:
    """Where findings are posted to.

    :param admit: judges the URL before each try.
    :param tick: the clock by which tries are due, in seconds; tests give another.
    :param pause: waits between tries; tests give another.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        admit: Admit,
        *,
        now: Callable[[], float] = time.time,
        tick: Callable[[], float] = time.monotonic,
        pause: Clockwork | None = None,
        most: int = MOST,
    ) -> None:
        self.url = url
        self._key = key_of(secret)
        self._admit = admit
        self._now = now
        self._tick = tick
        self._most = most
        self._lock = Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._pause = pause or self._wait
        self._waiting: list[Waiting] = []
        self._numbers = itertools.count()
        #: Findings that found no place in the queue.
        self.dropped = 0
        #: Findings that were given up after the last try.
        self.failed = 0
        #: Findings that were taken.
        self.sent = 0
        self._gone = False

    def put(self, finding: Finding, more: Mapping[str, Any]) -> None:
        """Queues a finding. Never waits for the network."""
        body = {"type": "rampart.finding", "timestamp": stamp(finding.time), "data": {**finding.as_dict(), **more}}
        written = json.dumps(body, separators=(",", ":")).encode()
        message = Waiting(self._tick(), next(self._numbers), f"msg_{secrets.token_hex(16)}", written)
        with self._lock:
            if self._gone or len(self._waiting) >= self._room(finding.severity):
                self.dropped += 1
                return
            heapq.heappush(self._waiting, message)
            if self._thread is None:
                self._start()
        self._wake.set()

    def flush(self, seconds: float) -> int:
        """Waits until nothing waits, at most so many seconds. Findings that were not taken: what waits still, was given
        up or found no place."""
        end = time.monotonic() + seconds
        while self._waiting and not self._stop.is_set() and time.monotonic() < end:
            time.sleep(_LOOK)
        return len(self._waiting) + self.failed + self.dropped

    def close(self, wait: float = 0.0) -> None:
        """Ends the thread, once nothing waits or after so many seconds; what waits then is lost, counted and told."""
        thread = self._thread
        if thread is not None:
            self.flush(wait)
        self._stop.set()
        self._wake.set()
        if thread is not None:
            thread.join(wait)
        with self._lock:
            lost = len(self._waiting)
            self.dropped += lost
            self._waiting.clear()
        if lost:
            _logger.error("%d findings had not been posted to the webhook of the monitor when the process ended.", lost)

    def renew(self) -> None:
        """To be called in a process that was just forked off: what waits is its parent's to send."""
        self._lock = Lock()
        self._thread = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._waiting = []

    def _room(self, severity: str) -> int:
        """How many may wait for one of this severity to be taken."""
        kept = 0 if severity == "critical" else self._most // 16 if severity == "high" else self._most // 4
        return self._most - kept

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="rampart-webhook", daemon=True)
        # It must not take the signals that are the process's.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        except RuntimeError as error:
            # There are too many threads. What waits is sent when the next finding can have one.
            _logger.error("The webhook of the monitor could not begin its thread: %s", error)
        else:
            # Not before: one that has not begun would be waited for, and never sends anything.
            self._thread = thread
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                message = self._waiting[0] if self._waiting else None
                # Cleared under the lock: who puts one sets it afterwards.
                self._wake.clear()
            if self._stop.is_set():
                return
            if message is None:
                self._wake.wait()
                continue
            left = message.due - self._tick()
            if left > 0:
                if self._pause(left):
                    return
                continue
            again = self._deliver(message)
            with self._lock:
                # It kept its place while it was tried, so that the queue's length is the truth.
                if message in self._waiting:
                    self._waiting.remove(message)
                    if again is not None:
                        self._waiting.append(again)
                    heapq.heapify(self._waiting)

    def _wait(self, seconds: float) -> bool:
        self._wake.wait(seconds)
        return self._stop.is_set()

    def _deliver(self, message: Waiting) -> Waiting | None:
        """Tries it. Gives it with the time of its next try, if there is one."""
        try:
            status, retry_after = self._post(message.id, message.body)
            why = f"it answered {status}"
        except Exception as error:
            status, retry_after, why = 0, 0.0, f"{type(error).__name__}: {error}"
        if 200 <= status < 300:
            self.sent += 1
            return None
        if status == 410:
            _logger.error("The webhook of the monitor is gone (410): nothing more is sent to it.")
            with self._lock:
                self._gone = True
                self.failed += len(self._waiting)
                self._waiting.clear()
            return None
        is_over = message.tries == len(_WAITS) or (400 <= status < 500 and status not in _AGAIN)
        if not is_over:
            due = self._tick() + max(_WAITS[message.tries], retry_after)
            return message._replace(due=due, tries=message.tries + 1)
        self.failed += 1
        _logger.error("A finding could not be posted to the webhook of the monitor: %s", why)
        return None

    def _post(self, message_id: str, body: bytes) -> tuple[int, float]:
        target = self._admit(self.url)
        timestamp = int(self._now())
        sock = target.connect(_TIMEOUT)
        try:
            connection = HTTPConnection(target.host, target.port)
            connection.default_port = 443 if target.scheme == "https" else 80
            connection.auto_open = 0
            connection.sock = sock
            fields = {
                "Content-Type": "application/json",
                "User-Agent": "flask-rampart",
                "Connection": "close",
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(self._key, message_id, timestamp, body),
            }
            connection.request("POST", _path(target.url), body, fields)
            response = connection.getresponse()
            try:
                said = response.headers.get("Retry-After", "")
                # The answer's body says nothing that we need.
                return response.status, float(min(int(said), _LONGEST)) if _WHEN.fullmatch(said) else 0.0
            finally:
                response.close()
        except HTTPException as error:
            raise OSError(f"no HTTP answer ({type(error).__name__})") from None
        finally:
            sock.close()


def _path(url: str) -> str:
    """What stands on the request line."""
    rest = url.partition("://")[2].partition("#")[0]
    at = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    path = rest[at:]
    return path if path.startswith("/") else f"/{path}"
