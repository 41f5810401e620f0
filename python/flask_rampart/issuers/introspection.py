"""Asks an issuer about a token (RFC 7662), and remembers the answer for a short time.

Rules, in order:

1. a good answer is believed for ``cache`` seconds and never beyond the token's ``exp``, a bad one for ``negative``
   seconds; what it says of time is looked at again at each use. An outage prolongs nothing: a token that was revoked
   meanwhile must not live on because nobody can be asked;
2. about one token one question is under way, and others that bring the token wait for its answer;
3. questions, and requests that wait for another's, are few (``in_flight`` of each): whoever comes beyond them is told
   to come again, so that a flood of made-up tokens does not take every thread;
4. a token about which there was no answer is not asked about again for some seconds (503, for that token alone), so
   that one token never counts as several failures;
5. after failures with three tokens in a row, or one that says who asks is not known (401) or asks too often (429), none
   is asked for a while: 1 s, doubled up to 60 s, with jitter, and at least as long as ``Retry-After`` says. Then a few
   questions, about different tokens, find out, and one answer opens it wholly. Meanwhile the answer is 503;
6. whoever makes up tokens that the issuer, or what stands in front of it, dislikes must not close it for others. So
   403, 404 and 405 count only if nothing was answered for a minute; what they close is open again after 1 s, and it
   takes twice as many tokens to close it again; any other 4xx is about that token alone;
7. an answer that is none is a failure. Only an answer admits, and only the answer "no" refuses for good.

The secret and the token go to the issuer, by POST over a checked connection (:mod:`.transport`), and nowhere else: no
log line, no text of an error and no ``repr`` has them.
"""

from __future__ import annotations

import base64
import math
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
"""Tokens in a row without an answer after which nobody is asked for a while."""
PROBES = 4
"""Questions at one time that find out whether the issuer can be asked again."""
MOST_DOUBLED = 6
"""Times that :data:`PATIENCE` is doubled for 403, 404 and 405."""
UNJUDGED = 5.0
"""Seconds for which a token about which there was no answer is not asked about again."""
TRUSTED = 60.0
"""Seconds after an answer for which 403, 404 and 405 are about the token, and not about whoever asks."""
ENDPOINT_LIFETIME, ENDPOINT_LONGEST = 3600.0, 86400.0
"""Seconds for which the endpoint of the metadata is used, and at most while the metadata cannot be had."""
ENDPOINT_RETRY = 60.0
"""Seconds between two attempts to have it meanwhile."""
QUIET = 10.0
"""Seconds between two lines in the log about failures."""
_GRACE = 0.25
_COST = 1024
#: Answers that say that we are not known, or must not ask now: more questions make it worse.
_CLOSING = frozenset((401, 429))
#: Answers that say that we may not ask, or of something in front of the issuer that dislikes this one token.
_DOUBTFUL = frozenset((403, 404, 405))


class _Question(Flight):
    """A question that is under way."""

    def __init__(self, name: bytes, token: str, jwt: VerifiedToken | None, period: int) -> None:
        super().__init__()
        self.name = name
        self.token = token
        self.jwt = jwt
        #: How often the issuer had been closed when it began.
        self.period = period
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
        #: Its failures are the times that nobody was asked for a while, without an answer in between.
        self._back_off = BackOff(jitter)
        self._answered = -math.inf
        self._quiet_until = 0.0
        self._endpoint: tuple[str, float] | None = None
        self._endpoint_retry = 0.0
        self._fork()
        at_fork(self)

    def _fork(self) -> None:
        """Begins anew: threads, and whatever they were about to change, stay with the parent."""
        self._lock = Lock()
        self._questions: dict[bytes, _Question] = {}
        #: Those that were given up, and whose threads have not ended.
        self._lost: list[_Question] = []
        self._waiting = 0
        #: The tokens in a row about which there was no answer.
        self._row: set[bytes] = set()
        #: How often 403, 404 or 405 made that nobody was asked for a while, without an answer in between.
        self._doubted = 0
        self._period = 0
        self._good: Memory[IntrospectedToken] = Memory(MOST_GOOD, MOST_GOOD_BYTES)
        self._bad: Memory[Refused] = Memory(MOST_BAD, MOST_BAD * _COST)
        #: Tokens about which there was no answer, and until when they are not asked about.
        self._unjudged: Memory[float] = Memory(MOST_BAD, MOST_BAD * _COST)

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
            again = self._unjudged.find(name, now)
            question = self._questions.get(name)
            joined = question is not None
            if question is None:
                question = self._begin(name, token, jwt, now, lines) if again is None else None
            elif self._waiting >= self.settings.in_flight:
                question = None
            else:
                self._waiting += 1
            retry = self._back_off.unavailable(now)
        for line in lines:
            self._warn(line)
        if question is None:
            return retry if again is None else max(retry, Unavailable(math.ceil(again - now)))
        question.wait(self.settings.timeout + _GRACE)
        with self._lock:
            self._waiting -= joined
            if question.verdict is not None:
                return question.verdict
            now = self._clock.now()
            again = self._unjudged.find(name, now) or now
            return max(self._back_off.unavailable(now), Unavailable(math.ceil(again - now)))

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
        most = self.settings.in_flight
        if self._back_off.failures:
            # Some, so that the one who comes first with a token that cannot be judged is not the only one.
            most = min(PROBES, most)
        if len(self._questions) >= most or self._lost:
            self._give_up()
        # What a name server holds for ever keeps its thread: such threads are bounded too.
        if len(self._questions) >= most or len(self._questions) + len(self._lost) >= 2 * self.settings.in_flight:
            return None
        question = _Question(name, token, jwt, self._period)
        thread = threading.Thread(target=self._ask, args=(question,), daemon=True, name="rampart-introspection")
        self._questions[name] = question
        try:
            thread.start()
        except RuntimeError:
            # No more threads, or the interpreter is ending.
            del self._questions[name]
            self._count(question, now, FetchFailed(""))
            lines.extend(self._line("no thread could be started", now))
            return None
        return question

    def _give_up(self) -> None:
        """Forgets the questions that should have ended long ago, but not their threads."""
        self._lost = [each for each in self._lost if not each.landed.is_set()]
        for name, each in list(self._questions.items()):
            if each.is_lost:
                del self._questions[name]
                self._lost.append(each)

    def _ask(self, question: _Question) -> None:
        lines: list[str] = []
        failed, size = FetchFailed("the thread was ended"), _COST + len(question.token)
        verdict: IntrospectedToken | Refused | None = None
        try:
            body = self._post(question.token, question.begun + self.settings.timeout).body
            size += len(body)
            verdict = answers.read(self._entry, body, self._clock.now(), question.jwt)
        except FetchFailed as error:
            failed = error
        except Exception as error:
            # Its text may hold what was sent.
            failed = FetchFailed(type(error).__name__)
        finally:
            now = self._clock.now()
            with self._lock:
                # One that was given up, or was the parent's, changes nothing.
                if self._questions.get(question.name) is question:
                    del self._questions[question.name]
                    if verdict is None:
                        self._unjudged.keep(question.name, now + UNJUDGED, now, now + UNJUDGED, _COST)
                        self._count(question, now, failed)
                        lines.extend(self._line(str(failed), now))
                    else:
                        self._keep(question.name, verdict, now, size)
                        self._row.clear()
                        self._doubted = 0
                        self._answered = now
                        if self._back_off.succeed():
                            lines.append(f"{self._place()} can be asked again (RFC 7662)")
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

    def _count(self, question: _Question, now: float, failed: FetchFailed) -> None:
        """Notes that there was no answer, and asks nobody for a while if that was too often."""
        status = failed.status
        if question.period != self._period:
            # It began before nobody was asked, and says nothing new.
            return
        closing, doubtful = status in _CLOSING, status in _DOUBTFUL
        if 400 <= status < 500 and not closing and not doubtful:
            return
        if doubtful and self._answered <= now < self._answered + TRUSTED:
            return
        self._row.add(question.name)
        # Nobody was asked for a while, and it is as it was. What an attacker may have brought needs more each time.
        known = self._back_off.failures > 0 and not doubtful
        most = PATIENCE << min(self._doubted, MOST_DOUBLED) if doubtful else PATIENCE
        if closing or known or len(self._row) >= most:
            self._doubted += doubtful
            self._back_off.fail(now, doubled=not doubtful, least=failed.retry_after if status == 429 else 0)
            self._row.clear()
            self._period += 1

    def _line(self, reason: str, now: float) -> list[str]:
        """What the log is told of a failure, now and then."""
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
