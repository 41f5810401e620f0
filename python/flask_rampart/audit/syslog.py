"""A sink that speaks syslog: RFC 5424 messages by UDP (RFC 5426), by TCP with octet counting (RFC 6587 section 3.4.1),
by TLS (RFC 5425), or to this host's datagram socket.

Not ``logging.handlers.SysLogHandler``: its messages have no header of RFC 5424, by TCP no frames, so that a line break
or a long record makes two of one, and it connects in the thread that logs.

1. A message's text is the record's whole line, link and all, with its writer in front. The facility is ``audit``; the
   severity is a notice (5), a warning (4) for what was refused or failed, and critical (2) for tampering.
2. UDP and the socket of this host take one record in one datagram: one that is too long for that is not sent, and is
   counted. UDP tells nobody what is lost on its way, and TCP does not tell what the other end had not read when it
   broke: numbers and links of what arrives show a gap. Whether it has closed is looked at before each batch. Where that
   matters, use TLS and ``verify``.
3. All waiting ends after 5 s.
"""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import ssl
from collections.abc import Sequence

from ..sinks import SinkAddress

_PATIENCE = 5.0
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_NOTICE, _WARNING, _CRITICAL = 5, 4, 2


class Syslog:
    """Sends records as syslog messages."""

    only_checkpoints = False

    def __init__(self, address: SinkAddress, app_name: str, host: str) -> None:
        self.name = address.name
        self.unfit = 0
        self._address = address
        self._socket: socket.socket | None = None
        self._head = f"{_word(host, 255)} {_word(app_name, 48)} {os.getpid()}"

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        """Sends lines; see :class:`~.courier.Sink`."""
        if self._socket is not None and self._has_ended(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connected()
        done = 0
        try:
            for line in lines:
                self._send(self._socket, self.message(writer, line))
                done += 1
        except OSError:
            self.close()
            # What was sent is not sent again.
            if not done:
                raise
        return done

    def _has_ended(self, to: socket.socket) -> bool:
        """Whether the other end has closed a connection: the first batch sent into one is lost, and nobody says so."""
        if self._address.kind not in ("syslog+tcp", "syslog+tls"):
            return False
        poll = select.poll()
        poll.register(to, select.POLLIN)
        if not poll.poll(0):
            return False
        if isinstance(to, ssl.SSLSocket):
            return self._has_ended_tls(to)
        try:
            # A collector says nothing (RFC 6587). Should one, that is read, so that it hides no end.
            return not to.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _has_ended_tls(self, to: ssl.SSLSocket) -> bool:
        to.settimeout(0)
        try:
            return not to.recv(4096)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False  # a ticket of TLS 1.3
        except OSError:
            return True
        finally:
            to.settimeout(_PATIENCE)

    def _send(self, to: socket.socket, message: bytes) -> None:
        if self._address.kind in ("syslog+tcp", "syslog+tls"):
            to.sendall(b"%d %b" % (len(message), message))
            return
        try:
            to.send(message)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            self.unfit += 1

    def close(self) -> None:
        """Ends the connection."""
        found, self._socket = self._socket, None
        if found is not None:
            found.close()

    def message(self, writer: str, line: bytes) -> bytes:
        """A record as a message of RFC 5424.

        :param line: as it stands in the log.
        """
        time, event = _of(line, b'"time":"'), _of(line, b'"event":"')
        if event == "audit_tampered":
            severity = _CRITICAL
        elif b'"decision":"refused"' in line or event.endswith("_fail"):
            severity = _WARNING
        else:
            severity = _NOTICE
        head = f"<{self._address.facility * 8 + severity}>1 {time or '-'} {self._head} {_word(event, 32)} - "
        return head.encode() + with_writer(writer, line).rstrip(b"\n")

    def _connected(self) -> socket.socket:
        kind, host, port = self._address.kind, self._address.host, self._address.port
        if kind in ("syslog+tcp", "syslog+tls"):
            made = socket.create_connection((host, port), timeout=_PATIENCE)
            if kind == "syslog+tcp":
                return made
            try:
                return ssl.create_default_context().wrap_socket(made, server_hostname=host)
            except BaseException:
                made.close()
                raise
        if kind == "syslog+unix":
            choices = [(socket.AF_UNIX, host)]
        else:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            choices = [(one[0], one[4]) for one in found]  # type: ignore[misc]
        family, where = choices[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.settimeout(_PATIENCE)
            made.connect(where)
        except BaseException:
            made.close()
            raise
        return made


def with_writer(writer: str, line: bytes) -> bytes:
    """A line of the log, with its writer as its first member: what follows that stays as it was linked.

    >>> with_writer("5f0c", b'{"seq":0,"event":"x"}')
    b'{"writer":"5f0c","seq":0,"event":"x"}'
    """
    return b'{"writer":"%b",%b' % (writer.encode(), line[1:])


def _of(line: bytes, name: bytes) -> str:
    # Both stand in front of all that a peer has a word in, and neither has a quote in it.
    at = line.find(name, 0, 256)
    if at < 0:
        return ""
    start = at + len(name)
    return line[start : line.find(b'"', start)].decode("ascii", "replace")


def _word(text: str, most: int) -> str:
    """A field of the header: printable, without spaces (RFC 5424 section 6)."""
    return _UNPRINTABLE.sub("_", text)[:most] or "-"
