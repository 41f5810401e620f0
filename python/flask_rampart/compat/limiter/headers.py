"""The headers that tell of a limit: ``X-RateLimit-*`` where the app wants them, ``Retry-After`` with each refusal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flask.wrappers import Response
from werkzeug.http import http_date, parse_date

from .constants import HeaderNames

if TYPE_CHECKING:
    from .face import Face
    from .requests import Passage


def add(face: Face, passage: Passage, response: Response) -> None:
    """Adds the headers to an answer."""
    rules, names = face.rules, face.rules.header_names
    now = face.counters.clock.now()
    limit = passage.limit
    if not rules.headers_enabled or limit is None:
        # Whoever words the answer, who was refused is told when to come back.
        if passage.wait is not None and response.status_code == 429 and "Retry-After" not in response.headers:
            wait = passage.wait
            response.headers["Retry-After"] = http_date(math.ceil(now + wait)) if rules.is_retry_date else str(wait)
        return
    reset_at = limit.reset_at
    response.headers.add(names[HeaderNames.LIMIT], str(limit.limit.amount))
    response.headers.add(names[HeaderNames.REMAINING], str(limit.remaining))
    response.headers.add(names[HeaderNames.RESET], str(reset_at))
    reset_at = max(reset_at, _told(response.headers.get("Retry-After"), now))
    response.headers.set(
        names[HeaderNames.RETRY_AFTER], http_date(reset_at) if rules.is_retry_date else str(int(reset_at - now))
    )


def _told(value: str | None, now: float) -> int:
    """The Unix second of a ``Retry-After`` that the app has set; 0 if there is none that can be read."""
    if value is None:
        return 0
    date = parse_date(value)
    if date is not None:
        return int(date.timestamp())
    return int(now + int(value)) if value.isascii() and value.isdigit() else 0
