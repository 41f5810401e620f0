"""Judges, for attempts whose answers are not all alike: what to say of the answers, and what was wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from examples.predict_api.attempts import Judge
from examples.predict_api.client import Answer


def label(answers: Sequence[Answer]) -> tuple[str, str]:
    """The ticket was about billing."""
    said = answers[0].document
    good = all(answer.status == 200 and answer.document.get("label") == "billing" for answer in answers)
    return f"{said.get('label')} {said.get('confidence', 0):.0%}", "" if good else "not the label it should have"


def exact(quota: int, good: int, per_second: float, verb: str = "passed") -> Judge:
    """*quota* get through, plus what is refilled while they are sent; all others get a 429."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        passed = sum(answer.status == good for answer in answers)
        refused = sum((answer.status, answer.code) == (429, "limit.exceeded") for answer in answers)
        took = max(answer.started + answer.seconds for answer in answers) - min(answer.started for answer in answers)
        refill = int(took * per_second) + 1
        said = f"{passed} of {len(answers)} {verb}"
        if passed + refused != len(answers):
            return said, "some got something else than through or 429"
        if not (refused and quota <= passed <= quota + refill):
            return said, f"{quota} should have passed"
        return said, ""

    return judge


def not_found(answers: Sequence[Answer]) -> tuple[str, str]:
    """A 404 and a 405; that they have their headers is asked of every answer anyway."""
    wanted = (404, 405)
    got = tuple(answer.status for answer in answers)
    return "both carry them", "" if got == wanted else f"expected {wanted}, got {got}"


def empty(answers: Sequence[Answer]) -> tuple[str, str]:
    """An answer without a body."""
    return "no body", "" if answers[0].status == 200 and not answers[0].body else "a body, or not 200"


def next_pair(answers: Sequence[Answer]) -> tuple[str, str]:
    """A pair, which nobody may store; the same refresh token where it was asked for twice."""
    tokens = {answer.document.get("refresh_token") for answer in answers}
    if any(answer.status != 200 or "access_token" not in answer.document for answer in answers) or None in tokens:
        return answers[-1].code, "not a pair of tokens"
    if any(answer.headers.get("Cache-Control") != "no-store" for answer in answers):
        return "a pair", "no Cache-Control: no-store"
    if len(tokens) != 1:
        return "different tokens", "the same refresh token should have the same successor"
    return "the next pair" if len(answers) == 1 else "the same next token", ""


def served(principal: str) -> Judge:
    """The ticket was classified, for *principal*."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        if all(answer.status == 200 and answer.document.get("for") == principal for answer in answers):
            return f"for {principal}", ""
        return answers[-1].code, "not served, or as somebody else"

    return judge
