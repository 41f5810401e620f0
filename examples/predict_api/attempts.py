"""What an attempt on the API is, how it is made, and how it is judged. The attempts stand in ``attacks.py``.

An attempt passes if each of its answers has the status and the problem code that stand in its row, and
if every answer, good or bad, carries what every answer must: see :func:`always`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from examples.predict_api import forge
from examples.predict_api.client import Answer
from examples.predict_api.server import Server

TICKET = {"text": "I was charged twice for the invoice of May"}
GUESSES = 10  # a minute, of @limit on /login


class Scene:
    """A running server, those who call it, and all that was secret in what they sent."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.client
        self.secrets: dict[str, str] = {
            "Ada's password": server.ada.password,
            "Grace's password": server.grace.password,
            "Ada's e-mail": server.ada.email,
            "Grace's e-mail": server.grace.email,
        }
        # Their tokens, once they have signed in.
        self.ada = ""
        self.grace = ""

    def secret(self, name: str, value: str) -> str:
        """Notes something that must not be found in a log, and returns it."""
        self.secrets[name] = value
        return value

    def mint(self, subject: str, scope: str = "predict") -> str:
        """A token by the service's own key, for somebody who never signed in."""
        token = forge.rs256(self.server.key, forge.claims(subject, scope))
        return self.secret(f"token of {subject}", token)

    def login(self, email: str, password: str) -> Answer:
        """Asks for a token."""
        return self.client.post("/login", {"email": email, "password": password})

    def predict(self, body: object, token: str | None = None) -> Answer:
        """Has a ticket classified, as a caller with a quota of their own unless told otherwise."""
        return self.client.post("/predict", body, self.mint(f"u-{secrets.token_hex(4)}") if token is None else token)


Judge = Callable[[Sequence[Answer]], tuple[str, str]]
"""What to say of the answers, and what was wrong with them ("" if nothing)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table."""

    what: str
    status: int
    code: str  # of the problem document; "" where the answer is not a problem
    why: str
    send: Callable[[Scene], Answer | list[Answer]]
    judge: Judge | None = None
    show: bool = False  # whether its log line is among those that are printed


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt went."""

    attempt: Attempt
    answers: Sequence[Answer] = field(default=())
    said: str = ""
    wrong: str = ""

    @property
    def shown(self) -> Answer | None:
        """The answer whose log line stands for all: the last that got the expected status."""
        fitting = [answer for answer in self.answers if answer.status == self.attempt.status]
        return fitting[-1] if fitting and self.attempt.show else None

    @property
    def got(self) -> str:
        """The status, or all of them if they differ, the rarest last."""
        statuses = [answer.status for answer in self.answers]
        return "/".join(str(s) for s in sorted(set(statuses), key=statuses.count, reverse=True)) or "-"


def run(scene: Scene, attempt: Attempt) -> Result:
    """Makes an attempt and judges it. A server that hangs up without an answer is a failure, not a crash."""
    try:
        sent = attempt.send(scene)
    except Exception as error:
        return Result(attempt, said=type(error).__name__, wrong=f"no answer: {type(error).__name__}: {error}")
    answers = sent if isinstance(sent, list) else [sent]
    if attempt.judge is not None:
        said, wrong = attempt.judge(answers)
    else:
        said, wrong = _as_expected(attempt, answers)
    return Result(attempt, answers, said, wrong or next(filter(None, map(always, answers)), ""))


def always(answer: Answer) -> str:
    """What an answer lacks of what every answer must have; empty if it lacks nothing."""
    if answer.headers.get("X-Content-Type-Options") != "nosniff":
        return "no X-Content-Type-Options: nosniff"
    if "Content-Security-Policy" not in answer.headers:
        return "no Content-Security-Policy"
    if not answer.request_id:
        return "no X-Request-Id"
    if answer.status == 401 and "WWW-Authenticate" not in answer.headers:
        return "401 without WWW-Authenticate"
    if answer.status == 429 and not (answer.headers.get("Retry-After") or "").isdigit():
        return "429 without Retry-After in seconds"
    return ""


def _as_expected(attempt: Attempt, answers: Sequence[Answer]) -> tuple[str, str]:
    for answer in answers:
        if (answer.status, answer.code) != (attempt.status, attempt.code):
            return answer.code, f"expected {attempt.status} {attempt.code}, got {answer.status} {answer.code}"
    return answers[-1].code, ""


def label(answers: Sequence[Answer]) -> tuple[str, str]:
    """The ticket was about billing."""
    said = answers[0].document
    good = all(answer.status == 200 and answer.document.get("label") == "billing" for answer in answers)
    return f"{said.get('label')} {said.get('confidence', 0):.0%}", "" if good else "not the label it should have"


def exact(quota: int, good: int, per_second: float) -> Judge:
    """*quota* get through, plus what is refilled while they are sent; all others get a 429."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        passed = sum(answer.status == good for answer in answers)
        refused = sum((answer.status, answer.code) == (429, "limit.exceeded") for answer in answers)
        refill = int(max(answer.seconds for answer in answers) * per_second) + 1
        said = f"{passed} of {len(answers)} passed"
        if passed + refused != len(answers):
            return said, "some got something else than through or 429"
        if not (refused and quota <= passed <= quota + refill):
            return said, f"{quota} should have passed"
        return said, ""

    return judge


def guesses(answers: Sequence[Answer]) -> tuple[str, str]:
    """No more passwords were looked at than the limit says."""
    heard = sum(answer.status == 401 for answer in answers)
    refused = sum((answer.status, answer.code) == (429, "limit.exceeded") for answer in answers)
    good = refused and heard <= GUESSES and heard + refused == len(answers)
    return f"{heard} of {len(answers)} heard", "" if good else f"at most {GUESSES} should have been heard"


def not_found(answers: Sequence[Answer]) -> tuple[str, str]:
    """A 404 and a 405; that they have their headers is asked of every answer anyway."""
    wanted = (404, 405)
    got = tuple(answer.status for answer in answers)
    return "both carry them", "" if got == wanted else f"expected {wanted}, got {got}"


def empty(answers: Sequence[Answer]) -> tuple[str, str]:
    """An answer without a body."""
    return "no body", "" if answers[0].status == 200 and not answers[0].body else "a body, or not 200"
