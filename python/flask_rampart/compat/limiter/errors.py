"""``RateLimitExceeded``: the 429 of a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask.wrappers import Response
from werkzeug.exceptions import TooManyRequests

if TYPE_CHECKING:
    from .definitions import RuntimeLimit


class RateLimitExceeded(TooManyRequests):
    """A limit has no room for this request.

    :param limit: the one that refused; its quota, or its ``error_message``, is the description.
    :param response: what is answered, instead of a page with the description.
    """

    def __init__(self, limit: RuntimeLimit, response: Response | None = None) -> None:
        self.limit = limit
        message = limit.error_message
        said = message() if callable(message) else message
        super().__init__(description=said or str(limit.limit), response=response)
