"""What an attempt on the API is, how it is made, and how it is judged. The attempts stand in ``attacks/``.

An attempt passes if each of its answers has the status and the problem code that stand in its row, and
if every answer, good or bad, carries what every answer must: see :func:`always`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from examples.predict_api.client import Answer
from examples.predict_api.scene import Scene

Send = Callable[[Scene], "Answer | list[Answer]"]
"""Makes the requests of one row."""

Judge = Callable[[Sequence[Answer]], tuple[str, str]]
"""What to say of the answers, and what was wrong with them ("" if nothing)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the table."""

    what: str
    status: int
    code: str  # of the problem document; "" where the answer is not a problem
    why: str
    send: Send
    judge: Judge | None = None
    show: bool = False  # whether its log line is among those that are printed


class Act(NamedTuple):
    """Some rows under one heading."""

    title: str
    attempts: Sequence[Attempt]


class Unexpected(Exception):
    """What happened beside the answers and must not; for people."""


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
    except Unexpected as error:
        return Result(attempt, wrong=str(error))
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
