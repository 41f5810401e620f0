"""The headers that tell of a limit: ``X-RateLimit-*`` where the app wants them, ``Retry-After`` with each refusal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flask.wrappers import Response
from werkzeug.http import http_date, parse_date

from .requests import reset_time

if TYPE_CHECKING:
    from .face import Face
    from .requests import Passage


def add(face: Face, passage: Passage, response: Response) -> None:
    """Adds the headers to an answer."""
    rules = face.rules
    headers = response.headers
    verdict = passage.verdict
    if verdict is not None:
        # Known since it was charged: most are.
        item, remaining = passage.lines[0].limit.limit, verdict.remaining
        reset_at = int(reset_time(verdict, passage.asked_at) + 1)
    elif rules.headers_enabled and (limit := passage.limit) is not None:
        item, remaining, reset_at = limit.limit, limit.remaining, limit.reset_at
    else:
        # Whoever words the answer, who was refused is told when to come back.
        if passage.wait is not None and response.status_code == 429 and "Retry-After" not in headers:
            wait = passage.wait
            when = http_date(math.ceil(face.counters.clock.now() + wait)) if rules.is_retry_date else str(wait)
            headers["Retry-After"] = when
        return
    now = face.counters.clock.now()
    limit_name, remaining_name, reset_name, told = rules.header_fields
    present = [name.lower() for name, _ in headers]
    wait_until = reset_at
    if "retry-after" in present:
        wait_until = max(reset_at, _told(headers.get("Retry-After"), now))
    if told.lower() in present:
        del headers[told]
    # At once, and not by `add`: that looks at each name and value several times.
    headers[len(headers) :] = [
        (limit_name, str(item.amount)),
        (remaining_name, str(remaining)),
        (reset_name, str(reset_at)),
        (told, http_date(wait_until) if rules.is_retry_date else str(int(wait_until - now))),
    ]


def _told(value: str | None, now: float) -> int:
    """The Unix second of a ``Retry-After`` that the app has set; 0 if there is none that can be read."""
    if value is None:
        return 0
    date = parse_date(value)
    if date is not None:
        return int(date.timestamp())
    return int(now + int(value)) if value.isascii() and value.isdigit() else 0
