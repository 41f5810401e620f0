"""What is told of a request that has not the shape: which part, where, which rule, and in whose words.

1. All that is wrong is told at once, in all parts, twenty at most: ``{"in", "pointer", "rule"}``.
2. An app's own function may word each of them, in the caller's language say: ``"message"``.

Neither values nor names that only the peer knows are told, nor given to that function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import current_app

from .._native import SchemaRejected
from ..errors import ConfigError, Denied
from ..waiting import settle
from .generated import MOST

Broken = Sequence[tuple[str, str, str]]
"""What is wrong: (part, JSON Pointer, rule)."""


class Messages:
    """How an app words what is wrong with a request."""

    def __init__(self) -> None:
        self._word: Callable[..., Any] | None = None

    def declare(self, function: Callable[..., Any]) -> None:
        """:raises ConfigError: if there is one already, or it is no function."""
        if not callable(function):
            raise ConfigError(f"rampart.messages decorates a function, not {function!r}.")
        if self._word is not None:
            raise ConfigError("rampart.messages: there is one function for all messages, and a second one was given.")
        self._word = function

    def misshapen(self, rejected: SchemaRejected) -> Denied:
        """The refusal of a request of which the body alone was looked at."""
        if self._word is not None:
            return self.broken("body", [("body", place, rule) for place, rule in rejected.errors])
        # In a text, the quotes of it would be written otherwise.
        document = rejected.document.replace('{"pointer":', '{"in":"body","pointer":')
        first = rejected.errors[0] if rejected.errors else ("", "")
        return Denied.of("body.invalid", f"{first[1]} at {first[0]!r}", members=document)

    def broken(self, part: str, broken: Broken) -> Denied:
        """The refusal of a request for what is wrong with it, named after the first *part* in which something is."""
        told = [self._told(*one) for one in broken[:MOST]]
        document = f'"errors":{json.dumps(told, separators=(",", ":"))}'
        _, pointer, rule = broken[0] if broken else ("", "", "")
        return Denied.of(f"{part}.invalid", f"{rule} at {pointer!r}", members=document)

    def _told(self, part: str, pointer: str, rule: str) -> dict[str, str]:
        error = {"in": part, "pointer": pointer, "rule": rule}
        if self._word is not None:
            try:
                message = settle(self._word, rule, pointer, part)
                if message is not None:
                    # Also what becomes a text when it is asked for one, as lazy translations do.
                    error["message"] = str(message)
            except Exception:
                # The request is refused however it is worded.
                current_app.logger.exception(
                    "rampart.messages: the function failed; the error is told without its words."
                )
        return error
