"""One check of limits, as a guard makes it: on the store shared by workers, beside ``limits`` in memory.

Run ``python benches/checks.py``. The guard's own call is timed, in a loop whose own time is taken off: the key goes
in, and whether the request may pass comes out; with ``fields``, what the answer tells as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import apps
import peers
from common import Row, Subject, conclude, figure, goal, heading, lacking, mark, measure, options, table, versions

#: Microseconds where ``limits`` takes 3.1 and 9: elsewhere what counts is how many times that is.
ONE_TARGET, THREE_TARGET = 0.25, 0.6
ONE_TIMES, THREE_TIMES = 3.1 / 0.25, 9 / 0.6
THREE = ("10000000/hour", "1000000/minute", "90000000/day")
Run = Callable[[Sequence[str]], None]


def subject(name: str, run: Run, values: Sequence[str]) -> Subject:
    """A loop of its own, so that no call of the bench's is timed beside the guard's."""

    def prepare(count: int) -> list[str]:
        return [values[number % len(values)] for number in range(count)]

    return Subject(name, prepare, run)


def nothing(given: Sequence[str]) -> None:
    """The loop alone."""
    for _ in given:
        pass


def ours() -> dict[str, Run]:
    """Ours, by name."""
    ask = apps.counting("address", ("address", THREE[0])).check
    ask_text = apps.counting("text", ("text", THREE[0])).check
    three = apps.counting("three", ("address", ";".join(THREE)))
    ask_three, policy_three = three.check, three.policy
    apart = apps.counting("apart", ("address", THREE[0]), ("text", THREE[1]), ("text", THREE[2]))
    ask_apart, policy_apart = apart.check, apart.policy
    refusing = apps.counting("refusing", ("address", "1/day")).check
    fixed = apps.counting("fixed", ("address", "10000000/day fixed Europe/Berlin")).check
    sliding = apps.counting("sliding", ("address", "10000000/hour sliding")).check
    reserve = apps.counting("reserve", ("address", THREE[0])).reserve

    def check_address(given: Sequence[str]) -> None:
        for address in given:
            if not ask(address):
                raise SystemExit("a check refuses; it is not measured")

    def check_text(given: Sequence[str]) -> None:
        for key in given:
            if not ask_text(key):
                raise SystemExit("a check refuses; it is not measured")

    def check_three(given: Sequence[str]) -> None:
        for address in given:
            verdict = ask_three(address)
            if not verdict:
                raise SystemExit("a check refuses; it is not measured")
            field, policy = verdict.fields, policy_three  # noqa: F841

    def check_apart(given: Sequence[str]) -> None:
        for key in given:
            verdict = ask_apart((key, "ada", ""))
            if not verdict:
                raise SystemExit("a check refuses; it is not measured")
            field, policy = verdict.fields, policy_apart  # noqa: F841

    def check_refused(given: Sequence[str]) -> None:
        for address in given:
            refusing(address)

    def check_fixed(given: Sequence[str]) -> None:
        for address in given:
            fixed(address)

    def check_sliding(given: Sequence[str]) -> None:
        for address in given:
            sliding(address)

    def check_reserved(given: Sequence[str]) -> None:
        for address in given:
            reserve((address,), 2)[1].settle(1)

    return {
        "one limit, by address": check_address,
        "one limit, by text": check_text,
        "three limits of an address, and fields": check_three,
        "three limits by three keys, and fields": check_apart,
        "one limit that refuses": check_refused,
        "one limit, a day in Berlin": check_fixed,
        "one limit, sliding": check_sliding,
        "one limit, reserved and settled": check_reserved,
    }


def theirs() -> dict[str, Run]:
    """``limits`` in memory, for the first rows: the keys are the same, fields are not told."""
    from limits import parse
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    hit = FixedWindowRateLimiter(MemoryStorage()).hit
    first, second, third = (parse(quota) for quota in THREE)

    def hit_one(given: Sequence[str]) -> None:
        for address in given:
            if not hit(first, "one", address):
                raise SystemExit("limits refuses; it is not measured")

    def hit_three(given: Sequence[str]) -> None:
        for address in given:
            if not (hit(first, "three", address) and hit(second, "three", address) and hit(third, "three", address)):
                raise SystemExit("limits refuses; it is not measured")

    return {"one": hit_one, "three": hit_three}


def main() -> int:
    arguments = options(__doc__, rounds=101).parse_args()
    about = versions("limits")
    heading("One check of limits, called from Python", about)
    values = apps.addresses(256)
    empty = subject("the loop", nothing, values)
    mine = [subject(name, run, values) for name, run in ours().items()]
    for one in mine:
        one.against = empty
    beside: dict[str, Subject] = {}
    if peers.missing("limits"):
        lacking("limits", "bench")
    else:
        beside = {name: subject(name, run, values) for name, run in theirs().items()}
        for one in beside.values():
            one.against = empty
    measure([*mine, *beside.values()], rounds=arguments.rounds)

    rows, lines = [], []
    for one in mine:
        is_one, is_three = one.name == "one limit, by address", "fields" in one.name
        row = Row("checks", one.name, one.added, "us", micros=one.added)
        row.target = ONE_TARGET if is_one else THREE_TARGET if is_three else None
        rows.append(row)
        line = [one.name, figure(one.added), goal(row), mark(row.met), figure(_fastest(one))]
        peer = beside.get("one" if is_one else "three" if is_three else "")
        if peer is not None:
            times = Row("checks", f"{one.name}, beside limits", peer.added / one.added, "times faster", at_least=True)
            times.target, times.peer = ONE_TIMES if is_one else THREE_TIMES, peer.added
            rows.append(times)
            line += [figure(peer.added), figure(times.value), goal(times), mark(times.met)]
        lines.append([*line, *[""] * (9 - len(line))])
    head = ("", "us", "target", "", "fastest tenth", "limits in memory", "times", "target", "")
    print(table(head, lines))
    print(f"\n{arguments.rounds} rounds; medians of processor time, and the fastest tenth of them, less the loop's.")
    return conclude(arguments, about, rows)


def _fastest(one: Subject) -> float:
    """What a tenth of the rounds took at most: a machine that others use makes all of it slower, none of it faster."""
    spent = sorted(a - b for a, b in zip(one.rounds, one.beside, strict=True))
    return spent[len(spent) // 10] / 1000


if __name__ == "__main__":
    sys.exit(main())
