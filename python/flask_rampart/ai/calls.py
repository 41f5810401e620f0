"""Calls: what is known of one request to a model, until it is told.

It holds the treated prompt for the view, what was found, what was used, and what was reserved; it ends once, however
the request ends, and then settles the budgets and sends ``ai.called``. No content is told: lengths, counts, rules, and
a hash of the prompt under a key.
"""

from __future__ import annotations

import hmac
import json
import os
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.local import LocalProxy

from .. import _native
from .._native import Clock
from ..locks import Lock
from ..signals import ai_called, emit
from .caps import Reading

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..guards import AppState
    from ..limits import Reservation
    from .budgets import budget
    from .guarding import guard
    from .models import model
    from .shapes import Shape

_ATTRIBUTE = "_rampart_ai"
_own_key = os.urandom(32)
_MISTRALS = 9
_PREFIXES = ("ci_", "ctc_", "fc_", "fs_", "mcp_", "msg_", "rs_", "ws_")
_IN_LETTERS = str.maketrans("0123456789abcdef", "ghjkmnpqrsvwxyzt")


class Call:
    """One request to a model. In a view: ``ai.call``."""

    def __init__(self, state: AppState, exchange: Exchange, declared: guard, endpoint: str) -> None:
        self.state = state
        self.declared = declared
        self.endpoint = endpoint
        self.shape: Shape = declared.shape
        self.exchange = exchange
        self.findings: Counter[str] = Counter()
        #: What the client called the model.
        self.model_name = ""
        self.model: model | None = None
        #: The treated prompt.
        self.body: dict[str, Any] = {}
        self.wants_usage = False
        self.is_streamed = False
        self.prompt_hash = ""
        self.prompt_chars = self.prompt_tokens = 0
        self.completion_chars = self.completion_tokens = 0
        self.tool_calls = 0
        self._placeholders: _native.Placeholders | None = None
        self._reserved: list[tuple[budget, Reservation]] = []
        self._used: tuple[int, int] | None = None
        self._has_answer = False
        #: Whether the model went on after that was said.
        self._went_on = False
        #: Whether it reasons in tokens that are not shown, and whether it has shown some.
        self.asks_reasoning = self._reasoned = self._showed_reasoning = False
        self._clock: Clock = state.services[Clock]
        self._started = self._clock.now()
        self._is_over = False
        self._lock = Lock()
        self._kept: dict[object, Any] = {}
        self._read: tuple[Any, Reading] | None = None

    @property
    def placeholders(self) -> _native.Placeholders:
        """What was taken out of the prompt; of this request alone."""
        if self._placeholders is None:
            self._placeholders = _native.Placeholders()
        return self._placeholders

    def kept(self, step: object, make: Callable[[], Any]) -> Any:
        """What a step has made for this call, once."""
        if step not in self._kept:
            self._kept[step] = make()
        return self._kept[step]

    def alias(self, given: str) -> str:
        """What takes the place of an id that is none to pass on: the same for the same id, in prompts and answers."""
        return alias_of(self.state, given)

    @property
    def upstream(self) -> str:
        """What the model's server calls the model."""
        return (self.model.upstream if self.model is not None else None) or self.model_name

    def read(self, body: dict[str, Any]) -> Reading:
        """What a prompt is made of."""
        if self._read is None or self._read[0] is not body:
            reading = Reading()
            self.shape.prompt(body, reading)
            self._read = (body, reading)
        return self._read[1]

    def used(self, prompt: int, completion: int) -> None:
        """Says how many tokens were used; the last word counts. For a view that knows it otherwise than by the answer.

        :raises ValueError: if one is no whole number of at least 0.
        """
        for value in (prompt, completion):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError("What was used is a whole number of tokens, at least 0.")
        self._used = (prompt, completion)
        self._went_on = False

    def count(self, text: str) -> None:
        """Notes a piece of the model's own words."""
        self._has_answer = self._went_on = True
        self.completion_chars += len(text)
        self.completion_tokens += self.declared.count(text)

    def reasoned(self, *, shown: bool) -> None:
        """Notes that the model reasons: in words that are counted as they come, or in tokens that nobody sees."""
        if shown:
            self._showed_reasoning = True
            return
        self._reasoned = True
        if self.model is not None:
            self.model.has_reasoned = True

    def _hides_reasoning(self) -> bool:
        """Whether tokens were made that only the model's server can count."""
        declared = self.model.reasons if self.model is not None else None
        if declared is not None:
            return declared
        if self._showed_reasoning:
            return False
        return self.asks_reasoning or self._reasoned or (self.model is not None and self.model.has_reasoned)

    def attach(self) -> None:
        """However the request ends, the call does."""
        if self.exchange.sees_answer:
            self.exchange.at_end += (self._left,)

    def _left(self) -> None:
        # The server is done with the answer: what has no end yet, did not come to one.
        self.end("failed", "no answer")

    def hold(self, declared: budget, reservation: Reservation) -> None:
        self._reserved.append((declared, reservation))

    def give_back(self) -> None:
        """Nothing was asked of the model."""
        for _, reservation in self._reserved:
            reservation.refund()
        self._reserved.clear()

    def end(self, decision: str, rule: str = "") -> None:
        """Settles and tells. Once: what comes later says nothing new."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        # It holds us, and we hold it.
        self.exchange.at_end = tuple(one for one in self.exchange.at_end if one != self._left)
        used = self._used
        if used is None and self._has_answer and not self._hides_reasoning():
            used = (self.prompt_tokens, self.completion_tokens)
        elif used is not None and self._went_on and self.is_streamed:
            # Servers that count in each chunk, and were cut off before the last; or that count at the beginning.
            used = (used[0], max(used[1], self.completion_tokens))
        try:
            for declared, reservation in self._reserved:
                if used is not None:
                    reservation.settle(declared.cost(self.model_name, *used))
        finally:
            if self._placeholders is not None:
                self._placeholders.close()
            self._tell(decision, rule, used)

    def _tell(self, decision: str, rule: str, used: tuple[int, int] | None) -> None:
        if not ai_called.receivers:
            return
        prompt, completion = used or (self.prompt_tokens, self.completion_tokens)
        counted = "reserved" if used is None and self._reserved else "upstream" if self._used is not None else "here"
        emit(
            ai_called,
            self.state.app,
            exchange=self.exchange,
            endpoint=self.endpoint,
            model=self.model_name,
            upstream=self.upstream,
            principal=self.exchange.principal,
            streamed=self.is_streamed,
            prompt_hash=self.prompt_hash,
            prompt_chars=self.prompt_chars,
            completion_chars=self.completion_chars,
            prompt_tokens=prompt,
            completion_tokens=completion,
            counted=counted,
            tool_calls=self.tool_calls,
            findings=dict(self.findings),
            decision=decision,
            rule=rule,
            seconds=max(self._clock.now() - self._started, 0.0),
        )


def hash_of(state: AppState, body: Any) -> str:
    """A prompt's hash under a key of the app's, as hex: the same prompt has the same, and nobody without the key can
    try which it was. Without ``SECRET_KEY``, the key is this process's own."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=lambda other: type(other).__name__).encode()
    return hmac.digest(_key(state, b"flask-rampart ai prompt"), text, "sha256").hex()[:32]


def alias_of(state: AppState, given: str) -> str:
    """An id in the place of *given*: a keyed hash of it, in letters, which are nobody's number. Of 37 characters, as
    OpenAI takes 40; it begins as *given* does where an API asks for that (``fc_``, ``rs_``). Mistral takes nine letters
    and digits and nothing else, so one of that form stays one."""
    key = _key(state, b"flask-rampart ai id")
    found = hmac.digest(key, given.encode("utf-8", "surrogatepass"), "sha256").hex()[:32].translate(_IN_LETTERS)
    if len(given) == _MISTRALS and given.isascii() and given.isalnum():
        return found[:_MISTRALS]
    prefix = given[: given.find("_") + 1]
    return (prefix if prefix in _PREFIXES else "call_") + found


def _key(state: AppState, purpose: bytes) -> bytes:
    secret = state.app.secret_key or _own_key
    return hmac.digest(secret.encode() if isinstance(secret, str) else secret, purpose, "sha256")


def call_of(this: Any) -> Call | None:
    """The call of a request object."""
    found: Call | None = this.__dict__.get(_ATTRIBUTE)
    return found


def put(this: Any, made: Call) -> None:
    this.__dict__[_ATTRIBUTE] = made


def current() -> Call:
    """:raises RuntimeError: in a view without ``@ai.guard``."""
    found = call_of(request._get_current_object())  # type: ignore[attr-defined]
    if found is None:
        raise RuntimeError("ai.prompt and ai.call: this view does not have @ai.guard(...).")
    return found


call: Any = LocalProxy(current)
"""The current call, a :class:`Call`: ``ai.call.upstream``, ``ai.call.used(prompt_tokens, completion_tokens)``."""


def _prompt() -> dict[str, Any]:
    return current().body


prompt: Any = LocalProxy(_prompt)
"""The treated prompt, a dict in the shape of the request: what may be sent to the model."""
