"""Replays what was recorded through detectors: which would have found what, when, and of whom.

1. The engine is the same as in production, with a table of its own and the records' times as its clock.
2. Of the audit log come refusals (with those that were only counted), logins, refresh tokens that came again, and the
   answers of views with ``@audit``. What it does not hold, such as answers of other views and paths without a route,
   only the access log has: with both, what belongs to one request is put together by its id.
3. Nothing is refused, recorded or sent.

Half windows begin at round times of the records, and not of the host: a count may differ by what falls between.
It verifies no log.
"""

from __future__ import annotations

import heapq
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._native import Clock, Monitor, Sight
from .detectors import Detector
from .findings import Finding

Record = Mapping[str, Any]
REPEATABLE = b"rampart's replay"
"""What names are hashed with where nobody chooses them: in replays and under test, so that estimates are the same in
each run."""
_MOST_OPEN = 100_000
_TABLE = 64 * 1024 * 1024
_MOST_COUNTED = 100_000


def replay(detectors: Sequence[Detector], sights: Iterable[tuple[float, dict[str, Any]]]) -> Iterator[Finding]:
    """What *detectors* would have found.

    :param sights: each with its time, in seconds since 1970, in order; see :func:`sights_of`.
    """
    monitor = Monitor([detector.native() for detector in detectors], Clock.manual(1), bytes=_TABLE, seed=REPEATABLE)
    for time, sight in sights:
        for number, kind, subject, _, count, when, route, request_id, *_ in monitor.note(Sight(**sight, unix=time)):
            detector = detectors[number]
            yield Finding(
                time=when,
                rule=detector.name,
                severity=detector.severity,
                subject_kind=kind,
                subject=subject,
                count=count,
                threshold=detector.threshold,
                response=detector.response,
                enforced=False,
                route=route or "",
                request_id=request_id or "",
            )


def sights_of(
    records: Iterable[Record], lines: Iterable[Record] | None = None
) -> Iterator[tuple[float, dict[str, Any]]]:
    """What the records of an audit log, and the lines of an access log, say of requests; each with its time.

    :param records: in the order of time, as ``audit.reading`` gives them.
    :param lines: of the access log, in the order in which they were written.
    """
    if lines is None:
        yield from _Alone().sights(records)
    else:
        yield from _Together().sights(records, lines)


def access_lines(path: Path) -> Iterator[Record]:
    """The lines of an access log; those that are none are left out.

    :raises LookupError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(found, dict) and isinstance(found.get("time"), str) and "status" in found:
                    yield found
    except OSError as error:
        raise LookupError(f"{path} cannot be read: {error.strerror}") from None


class _Alone:
    """An audit log without an access log."""

    def __init__(self) -> None:
        #: What the first record of an ``@audit`` said of a request whose answer has not ended.
        self._open: OrderedDict[str, Record] = OrderedDict()
        self._told: OrderedDict[str, None] = OrderedDict()

    def sights(self, records: Iterable[Record]) -> Iterator[tuple[float, dict[str, Any]]]:
        for record in records:
            time = seconds(record)
            if time is None:
                continue
            request = record.get("request_id")
            if record.get("decision") == "allowed" and isinstance(request, str):
                _keep(self._open, request, record)
                continue
            if "outcome" in record and isinstance(request, str):
                first = self._open.pop(request, {})
                if request not in self._told:
                    yield time, _answered(record, first)
                continue
            for sight in _apart(record):
                yield time, sight
            refused = _refused(record)
            if refused is not None:
                for _ in range(min(_count(record.get("unrecorded")), _MOST_COUNTED)):
                    yield time, refused
                yield time, refused
            elif isinstance(record.get("login"), bool) and isinstance(request, str):
                _keep(self._told, request, None)
                yield time, _login(record)


class _Together:
    """An audit log and an access log: each request is told when its answer ends, once."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def sights(self, records: Iterable[Record], lines: Iterable[Record]) -> Iterator[tuple[float, dict[str, Any]]]:
        # At the same time, what was decided comes before how it ended.
        ordered = heapq.merge(_timed(records, 0), _timed(lines, 1), key=lambda each: each[:2])
        for time, kind, record in ordered:
            if kind == 1:
                yield time, self._ended(record)
                continue
            for sight in _apart(record):
                yield time, sight
            request = record.get("request_id")
            if not isinstance(request, str):
                continue
            more = {name: record[name] for name in ("reason",) if isinstance(record.get(name), str)}
            if isinstance(record.get("token_id"), str):
                more["token"] = record["token_id"]
            if isinstance(record.get("login"), bool) and "finding" not in record:
                more.update(account=record.get("subject"), login=record["login"])
            _keep(self._known, request, {**self._known.get(request, {}), **more})

    def _ended(self, line: Record) -> dict[str, Any]:
        target = _text(line.get("target")) or ""
        sight = {
            "status": _status(line),
            "codes": [code for code in line.get("codes") or () if isinstance(code, str)],
            "route": _text(line.get("route")),
            "path": target.partition("?")[0],
            "query": target.partition("?")[2],
            "address": _text(line.get("client")),
            "principal": _text(line.get("principal")),
            "size": _count(line.get("bytes")),
            "request_id": _text(line.get("request_id")),
        }
        return {**sight, **self._known.pop(str(line.get("request_id")), {})}


def seconds(record: Record) -> float | None:
    """When a record was written, in seconds since 1970; None if it does not say, or says that it was before.

    >>> seconds({"time": "2027-01-15T08:00:00.250000Z"})
    1800000000.25
    """
    try:
        time = datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    except (KeyError, TypeError, ValueError):
        return None
    found = time.replace(tzinfo=timezone.utc).timestamp()
    return found if found >= 0 else None


def _timed(records: Iterable[Record], kind: int) -> Iterator[tuple[float, int, Record]]:
    for record in records:
        time = seconds(record)
        if time is not None:
            yield time, kind, record


def _apart(record: Record) -> Iterator[dict[str, Any]]:
    """What is no request's end."""
    if "finding" in record:
        return
    about = {"principal": _text(record.get("subject")), "address": _text(record.get("address"))}
    request = _text(record.get("request_id"))
    if record["event"] == "authn_token_reuse":
        yield {"signs": ["refresh_reused"], **about, "route": _text(record.get("route")), "request_id": request}
    elif record["event"] == "audit_tampered":
        yield {"signs": ["audit_tampered"]}


def _refused(record: Record) -> dict[str, Any] | None:
    code, status = record.get("code"), _status(record)
    if record.get("decision") != "refused" or not isinstance(code, str) or not status:
        return None
    return {
        "status": status,
        "codes": [code],
        "route": _text(record.get("route")),
        "path": _text(record.get("target")),
        "address": _text(record.get("address")),
        "principal": _text(record.get("principal")),
        "token": _text(record.get("token_id")),
        "reason": _text(record.get("reason")),
        "request_id": _text(record.get("request_id")),
    }


def _answered(record: Record, first: Record) -> dict[str, Any]:
    return {
        "status": _status(record),
        "route": _text(first.get("route")),
        "path": _text(first.get("target")),
        "address": _text(first.get("address")),
        "principal": _text(record.get("principal")) or _text(first.get("principal")),
        "token": _text(first.get("token_id")),
        "size": _count(record.get("bytes")),
        "request_id": _text(record.get("request_id")),
    }


def _login(record: Record) -> dict[str, Any]:
    status = _status(record)
    # One of several attempts of a request, which ended before there was an answer.
    signs = [] if status else ["login"] if record["login"] else ["login", "login_failed"]
    return {
        "status": status,
        "signs": signs,
        "route": _text(record.get("route")),
        "address": _text(record.get("address")),
        "account": _text(record.get("subject")),
        "login": record["login"],
        "request_id": _text(record.get("request_id")),
    }


def _keep(known: OrderedDict[str, Any], name: str, value: Any) -> None:
    known[name] = value
    if len(known) > _MOST_OPEN:
        known.popitem(last=False)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else 0


def _status(record: Record) -> int:
    status = _count(record.get("status"))
    return status if status < 1000 else 0
