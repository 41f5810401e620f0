"""Asks an issuer about a token (RFC 7662), and remembers the answer for a short time.

Rules, in order:

1. a good answer is believed for ``cache`` seconds and never beyond the token's ``exp``, a bad one for ``negative``
   seconds; what it says of time is looked at again at each use. An outage prolongs nothing: a token that was revoked
   meanwhile must not live on because nobody can be asked;
2. about one token one question is under way, and others that bring the token wait for its answer;
3. questions, and requests that wait for another's, are few (``in_flight`` of each): whoever comes beyond them is told
   to come again, so that a flood of made-up tokens does not take every thread;
4. after three failures in a row, or one that says that we may not ask, none is asked for a while: 1 s, doubled up to
   60 s, with jitter; then one question finds out. Meanwhile the answer is 503;
5. an answer that is none is a failure. Only an answer admits, and only the answer "no" refuses for good.

The secret and the token go to the issuer, by POST over a checked connection (:mod:`.transport`), and nowhere else: no
log line, no text of an error and no ``repr`` has them.
"""

from __future__ import annotations

import base64
import random
import threading
import time
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

from .._native import Clock, VerifiedToken
from ..locks import Lock
from . import answers, discovery
from .answers import IntrospectedToken, Refused
from .flights import BackOff, Flight, Unavailable, at_fork
from .memory import MOST_BAD, MOST_GOOD, MOST_GOOD_BYTES, Memory, name_of
from .settings import Entry
from .transport import Fetched, FetchFailed, Form, Transport

PATIENCE = 3
"""Failures in a row after which nobody is asked for a while."""
ENDPOINT_LIFETIME, ENDPOINT_LONGEST = 3600.0, 86400.0
"""Seconds for which the endpoint of the metadata is used, and at most while the metadata cannot be had."""
ENDPOINT_RETRY = 60.0
"""Seconds between two attempts to have it meanwhile."""
QUIET = 10.0
"""Seconds between two lines in the log about failures."""
_GRACE = 0.25
_COST = 1024
#: Answers that say that we may not ask, or must not now: more questions make it worse.
_FORBIDDEN = frozenset((401, 403, 404, 405, 429))


class _Question(Flight):
    """A question that is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict: IntrospectedToken | Refused | None = None


class Introspector:
    """Asks one issuer about its tokens.

    :param warn: is told what an operator should know, one line each.
    :param production: whether the app runs in earnest, which decides about http.
    """

    def __init__(
        self,
        entry: Entry,
        clock: Clock,
        transport: Transport,
        warn: Callable[[str], None],
        production: Callable[[], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        asked = entry.introspection
        if asked is None:
            raise TypeError("this issuer is not asked about tokens")
        self.settings = asked
        self._entry = entry
        self._clock = clock
        self._transport = transport
        self._warn = warn
        self._production = production
        self._back_off = BackOff(jitter)
        self._quiet_until = 0.0
        self._endpoint: tuple[str, float] | None = None
        self._endpoint_retry = 0.0
        self._fork()
        at_fork(self)

    def _fork(self) -> None:
        """Begins anew: threads, and whatever they were about to change, stay with the parent."""
        self._lock = Lock()
        self._questions: dict[bytes, _Question] = {}
        self._waiting = 0
        self._good: Memory[IntrospectedToken] = Memory(MOST_GOOD, MOST_GOOD_BYTES)
        self._bad: Memory[Refused] = Memory(MOST_BAD, MOST_BAD * _COST)

    def judge(self, token: str, jwt: VerifiedToken | None = None) -> IntrospectedToken | Refused | Unavailable:
        """What the issuer says of *token*, now or a moment ago.

        :param jwt: the token itself, where it is a JWT that was verified.
        """
        name = name_of(self._entry.issuer, token)
        now = self._clock.now()
        lines: list[str] = []
        with self._lock:
            known = self._known(name, now)
            if known is not None:
                return known
            question = self._questions.get(name)
            joined = question is not None
            if question is None:
                question = self._begin(name, token, jwt, now, lines)
            elif self._waiting >= self.settings.in_flight:
                question = None
            else:
                self._waiting += 1
            retry = self._back_off.unavailable(now)
        for line in lines:
            self._warn(line)
        if question is None:
            return retry
        question.wait(self.settings.timeout + _GRACE)
        if joined:
            with self._lock:
                self._waiting -= 1
        verdict = question.verdict
        if verdict is None:
            return self._back_off.unavailable(self._clock.now())
        return verdict

    def _known(self, name: bytes, now: float) -> IntrospectedToken | Refused | None:
        good = self._good.find(name, now)
        if good is None:
            return self._bad.find(name, now)
        wrong = answers.check_times(good, now, self._entry.leeway)
        if wrong is None:
            return good
        self._good.forget(name)
        return wrong

    # Asking, on threads of their own.

    def _begin(
        self, name: bytes, token: str, jwt: VerifiedToken | None, now: float, lines: list[str]
    ) -> _Question | None:
        if self._back_off.holds(now):
            return None
        # After failures, one question finds out whether the issuer is there again.
        most = 1 if self._back_off.failures >= PATIENCE else self.settings.in_flight
        if len(self._questions) >= most:
            self._questions = {name: each for name, each in self._questions.items() if not each.is_lost}
        if len(self._questions) >= most:
            return None
        question = _Question()
        thread = threading.Thread(
            target=self._ask, args=(question, name, token, jwt), daemon=True, name="rampart-introspection"
        )
        self._questions[name] = question
        try:
            thread.start()
        except RuntimeError:
            # No more threads, or the interpreter is ending.
            del self._questions[name]
            lines.extend(self._failed("no thread could be started", now))
            return None
        return question

    def _ask(self, question: _Question, name: bytes, token: str, jwt: VerifiedToken | None) -> None:
        lines: list[str] = []
        reason, status, size = "the thread was ended", 0, _COST + len(token)
        verdict: IntrospectedToken | Refused | None = None
        try:
            body = self._post(token, question.begun + self.settings.timeout).body
            size += len(body)
            verdict = answers.read(self._entry, body, self._clock.now(), jwt)
        except FetchFailed as error:
            reason, status = str(error), error.status
        except Exception as error:
            # Its text may hold what was sent.
            reason = type(error).__name__
        finally:
            now = self._clock.now()
            with self._lock:
                # One that was given up, or was the parent's, changes nothing.
                if self._questions.get(name) is question:
                    del self._questions[name]
                    if verdict is None:
                        lines.extend(self._failed(reason, now, status))
                    else:
                        self._keep(name, verdict, now, size)
                        if self._back_off.failures >= PATIENCE:
                            lines.append(f"{self._place()} can be asked again (RFC 7662)")
                        self._back_off.succeed()
                    question.verdict = verdict
            question.landed.set()
            for line in lines:
                self._warn(line)

    def _keep(self, name: bytes, verdict: IntrospectedToken | Refused, now: float, size: int) -> None:
        if isinstance(verdict, tuple):
            self._bad.keep(name, verdict, now, now + self.settings.negative, _COST)
            return
        end = now + self.settings.cache
        if verdict.expires_at is not None:
            end = min(end, verdict.expires_at)
        self._good.keep(name, verdict, now, end, size)

    def _failed(self, reason: str, now: float, status: int = 0) -> list[str]:
        if status in _FORBIDDEN:
            self._back_off.failures = max(self._back_off.failures, PATIENCE - 1)
        if 400 <= status < 500 and status not in _FORBIDDEN:
            # It is there, and dislikes this question: whoever makes up such tokens must not close it for others.
            self._back_off.succeed()
        else:
            self._back_off.fail(now, patience=PATIENCE)
        if self._quiet_until - QUIET <= now < self._quiet_until:
            return []
        self._quiet_until = now + QUIET
        # "token:" would make the redaction of logs hide what follows.
        return [f"{self._place()} could not be asked (RFC 7662): {reason}"]

    def _place(self) -> str:
        return f"{self._entry.place}: {self._entry.issuer}"

    def _post(self, token: str, deadline: float) -> Fetched:
        asked = self.settings
        fields = {"token": token, "token_type_hint": "access_token"}
        authorization = None
        if asked.method == "client_secret_basic":
            # Each is form-encoded first (RFC 6749 section 2.3.1), so that a colon in it is none between them.
            pair = f"{quote_plus(asked.client_id)}:{quote_plus(asked.client_secret)}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields.update(client_id=asked.client_id, client_secret=asked.client_secret)
        return self._transport(
            self._where(deadline),
            allow_private=self._entry.allow_private,
            allow_http=self._entry.allow_http,
            deadline=deadline,
            form=Form(urlencode(fields).encode(), authorization),
        )

    def _where(self, deadline: float) -> str:
        """The endpoint: as configured, or as the issuer's metadata says, which is read again each hour."""
        if self.settings.endpoint is not None:
            return self.settings.endpoint
        now = self._clock.now()
        known = self._endpoint
        if known is not None:
            url, since = known
            if since <= now < since + ENDPOINT_LIFETIME or now < self._endpoint_retry:
                return url
            # What is held is good enough to leave most of the time for the question itself.
            deadline = min(deadline, time.monotonic() + self.settings.timeout / 3)
        try:
            url = discovery.find(
                self._entry, "introspection_endpoint", self._transport, deadline, production=self._production()
            )
        except FetchFailed:
            if known is None or not known[1] <= now < known[1] + ENDPOINT_LONGEST:
                raise
            self._endpoint_retry = now + ENDPOINT_RETRY
            return known[0]
        self._endpoint = (url, now)
        return url
