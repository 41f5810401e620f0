"""Asks for a name's addresses, and connects to one of those that were judged: each within a deadline.

Rules, in order:

1. a question to the name server cannot be ended, so it is asked on a thread of its own and waited for until the
   deadline; at most :data:`MOST_QUESTIONS` are under way, so that a name server that hangs holds a bounded number;
2. a connection is tried to the first few addresses, and to no other: a name is not resolved again;
3. TLS is 1.2 or newer, its certificate is checked for the host's *name*, and ``SSLKEYLOGFILE`` is not honoured.

It judges no address: ``addresses`` does, before it is called.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .locks import Lock

#: Addresses of a name, as texts, given the name and a port. Raises ``OSError`` or ``UnicodeError`` if there is none.
Resolver = Callable[[str, int], Iterable[str]]

MOST_QUESTIONS = 64
MOST_ADDRESSES = 4

_lock = Lock()
_pending: set[object] = set()

if hasattr(os, "register_at_fork"):
    # The threads that ask are the parent's: in a child nobody would give their places back.
    os.register_at_fork(after_in_child=_pending.clear)


class Busy(OSError):
    """Too many names are being asked for."""


def look_up(host: str, port: int) -> list[str]:
    """The addresses of *host*, in the system's order. Takes as long as the system does.

    :raises OSError: or ``UnicodeError``, if it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def look_up_until(resolver: Resolver, host: str, port: int, deadline: float) -> list[str]:
    """What *resolver* finds before *deadline* (``time.monotonic()``).

    :raises TimeoutError: if it finds nothing before.
    :raises Busy: if :data:`MOST_QUESTIONS` are under way.
    :raises OSError: or ``UnicodeError``, if the host has no address.
    """
    this = object()
    answer: list[Any] = []
    done = threading.Event()
    with _lock:
        if len(_pending) >= MOST_QUESTIONS:
            raise Busy("too many names are being asked for")
        _pending.add(this)

    def ask() -> None:
        try:
            answer.append([str(each) for each in resolver(host, port)])
        except BaseException as error:  # whoever waits raises it
            answer.append(error)
        finally:
            with _lock:
                _pending.discard(this)
            done.set()

    try:
        threading.Thread(target=ask, name="rampart-resolve", daemon=True).start()
    except BaseException:
        with _lock:
            _pending.discard(this)
        raise
    if not done.wait(max(deadline - time.monotonic(), 0)):
        raise TimeoutError("the name server did not answer in time")
    if isinstance(answer[0], BaseException):
        raise answer[0]
    found: list[str] = answer[0]
    return found


def connect(
    addresses: Sequence[str], port: int, deadline: float, make: Callable[..., socket.socket] | None = None
) -> socket.socket:
    """A connection to the first of *addresses* that takes one before *deadline*; none else is called.

    :raises TimeoutError: at the deadline. :raises OSError: if none takes one.
    """
    failed: OSError = OSError("no address")
    for address in addresses[:MOST_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = (make or socket.socket)(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            sock.connect((address, port))
        except OSError as error:
            failed = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


def tls_context(*, system_roots: bool = True) -> ssl.SSLContext:
    """As ``ssl.create_default_context()``, which would also write the keys of the connection to ``SSLKEYLOGFILE``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if system_roots:
        context.load_default_certs()
    return context
