"""Judges, for attempts whose answers are not all alike: what to say of the answers, and what was wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from examples.predict_api.attempts import Judge
from examples.predict_api.client import Answer

# What the drafts of one caller may come to: words a minute, and what the API calls that.
BUDGET = 100
POLICY = f"{BUDGET}/minute"


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


def banned(answers: Sequence[Answer]) -> tuple[str, str]:
    """All are refused before Flask, whatever they ask for, for nearly a quarter of an hour."""
    for answer in answers:
        if (answer.status, answer.code) != (429, "limit.banned"):
            return answer.code, f"expected 429 limit.banned, got {answer.status} {answer.code}"
        if answer.by_flask:
            return answer.code, "Flask has seen it"
        wait = answer.headers.get("Retry-After")
        if wait is None or not 840 < int(wait) <= 900:
            return answer.code, f"Retry-After is {wait}, and the ban lasts 900 s"
    return answers[-1].code, ""


def heard(quota: int, strikes: int) -> Judge:
    """Of guesses at once, *quota* are heard. Who is refused while these are under way is not struck; who comes after
    all of them have failed is, and after enough strikes the door is shut."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        got = [(answer.status, answer.code) for answer in answers]
        wrong, exceeded, shut = map(got.count, ((401, "login.failed"), (429, "limit.exceeded"), (429, "limit.banned")))
        said = f"{wrong} of {len(got)} heard"
        if wrong + exceeded + shut != len(got):
            return said, "some got something else than 401 or 429"
        if wrong != quota:
            return said, f"{quota} should have been heard"
        if shut and exceeded < strikes:
            return said, f"banned after {exceeded} refusals, and should have been after {strikes}"
        if any(answer.by_flask for answer in answers if answer.code == "limit.banned"):
            return said, "Flask has seen some that were banned"
        return said, ""

    return judge


def seen(quota: int, per_second: float) -> Judge:
    """Flask sees as many requests for what does not exist as the limit of all paths lets through, and no other."""
    counted = exact(quota, 404, per_second)

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        _, wrong = counted(answers)
        said = f"Flask saw {sum(answer.by_flask for answer in answers)}"
        if any(answer.by_flask != (answer.status == 404) for answer in answers):
            return said, "what Flask saw is not what got 404"
        return said, wrong

    return judge


def paid(held: int) -> Judge:
    """A draft, and one of one word after it: the estimate is charged up front, and in the end what was written."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        draft, after = sorted(answers, key=lambda answer: answer.started)
        words = draft.body.count(b"data: ")
        said = f"{held} held, {words} paid"
        if (draft.status, after.status) != (200, 200):
            return said, f"expected 200 twice, got {draft.status} and {after.status}"
        if draft.left(POLICY) != BUDGET - held:
            return said, f"{draft.left(POLICY)} were left at its start, and should have been {BUDGET - held}"
        # Meanwhile some has come back, as it does all the time.
        least = BUDGET - words - 1
        most = min(BUDGET - 1, least + 1 + int((after.started + after.seconds - draft.started) * BUDGET / 60))
        if not 0 < words < held or not least <= after.left(POLICY) <= most:
            return said, f"{after.left(POLICY)} are left, and should be {least} to {most}"
        return said, ""

    return judge


def one_waits(answers: Sequence[Answer]) -> tuple[str, str]:
    """While the first was being written there was not enough for a second; afterwards there was."""
    got = [answer.status for answer in answers]
    if got != [200, 429, 200]:
        return "", f"expected 200, 429, 200, got {got}"
    return "second waits", over(answers[1])


def spent(written: int) -> Judge:
    """Drafts, one after another, until there is not enough left for one more."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        *good, last = answers
        said = f"{len(good)} of {len(answers)} written"
        if len(good) != written or any(answer.status != 200 for answer in good):
            return said, f"{written} should have been written"
        return said, over(last)

    return judge


def over(answer: Answer) -> str:
    """What is wrong with the refusal of a draft that there is no room for; empty if nothing."""
    if (answer.status, answer.code) != (429, "limit.exceeded"):
        return f"expected 429 limit.exceeded, got {answer.status} {answer.code}"
    violated = answer.document.get("violated-policies")
    return "" if violated == [POLICY] else f"violated-policies is {violated}, and should name {POLICY}"


def not_found(answers: Sequence[Answer]) -> tuple[str, str]:
    """A 404 and a 405; that they have their headers is asked of every answer anyway."""
    wanted = (404, 405)
    got = tuple(answer.status for answer in answers)
    return "both carry them", "" if got == wanted else f"expected {wanted}, got {got}"


def told(answers: Sequence[Answer]) -> tuple[str, str]:
    """The document tells of each route that anybody meets, and how it is guarded."""
    paths = answers[0].document.get("paths", {})
    operations = [operation for path in paths.values() for operation in path.values()]
    said = f"{len(operations)} operations"
    if answers[0].status != 200 or "/tickets" not in paths or "/openapi.json" in paths:
        return said, "not the document, or not all of it"
    if paths["/predict"]["post"]["security"] == [] or "422" not in paths["/tickets"]["post"]["responses"]:
        return said, "it does not say what the guards do"
    return said, ""


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
