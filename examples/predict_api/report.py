"""Prints what happened, for people: a table, some log lines, a verdict.

Colours only where they are seen: on a terminal, or if ``FORCE_COLOR`` is set; never if ``NO_COLOR`` is.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from examples.predict_api.attempts import Result
from examples.predict_api.logs import MICROSECONDS, REQUEST_ID
from examples.predict_api.watching import Watched
from flask_rampart import Finding

# Fits a terminal of 100 columns.
WIDTH = 98
TRIED, GOT, WHY = 32, 23, 29
#: What was done, where the monitor is shown.
ABOUT = 33
_NAME, _WHOM, _COUNT = 20, 22, 15
_MICROS = 7
_UNTOLD = {REQUEST_ID, "time", "client", "bytes"}
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def _coloured() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def paint(text: str, *styles: str) -> str:
    """*text* in a style, if colours are seen."""
    if not styles or not _coloured():
        return text
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def heading() -> None:
    """The first line of the table."""
    print(paint(f"    {'tried':{TRIED}} {'answer':{GOT}} {'why it matters':{WHY}} {'µs':>{_MICROS}}", "dim"))


def act(title: str) -> None:
    """A line above some rows."""
    print(paint(f"\n{title} {'─' * (WIDTH - len(title) - 1)}", "cyan"))


def row(result: Result, lines: Mapping[str, Mapping[str, Any]]) -> None:
    """One attempt. The time is the server's own, from the access log; the client's, marked ``~``, without."""
    attempt = result.attempt
    good = not result.wrong
    answer = paint(result.got, "green" if good else "red") + " " + paint(result.said, "bold")
    blanks = " " * (GOT - len(f"{result.got} {result.said}"))
    print(
        paint("  ✓ ", "green") if good else paint("  ✗ ", "red", "bold"),
        attempt.what.ljust(TRIED),
        " ",
        answer,
        blanks,
        " ",
        paint(attempt.why.ljust(WHY), "dim"),
        " ",
        _time(result, lines).rjust(_MICROS),
        sep="",
    )
    if not good:
        print(paint(f"      {result.wrong}", "red"))


def _time(result: Result, lines: Mapping[str, Mapping[str, Any]]) -> str:
    known = [lines[a.request_id][MICROSECONDS] for a in result.answers if a.request_id in lines]
    if known:
        micros = median(known)
        return f"{micros:,.0f}" if micros < 1e6 else f"{micros / 1e6:.1f} s"
    return f"~{median(a.seconds for a in result.answers) * 1e3:,.0f} ms" if result.answers else "-"


def log_lines(results: Sequence[Result], lines: Mapping[str, Mapping[str, Any]], app: Sequence[str]) -> None:
    """Some of the lines that the requests left, as they stand there but for what is the same in all."""
    act("What the logs remember: the access log, then the app's own lines")
    for result in results:
        line = lines.get(result.shown.request_id) if result.shown else None
        if line is not None:
            # The target last: it is the longest, and says nothing new where it is the route.
            order = sorted(line, key=lambda name: name == "target")
            print(_members([(name, _plain(line[name])) for name in order if _told(name, line)]))
    for text in app:
        print("\n    ".join(f"  {text}" if number == 0 else text for number, text in enumerate(_fold(text, WIDTH - 4))))


def findings(found: Sequence[Mapping[str, Any]]) -> None:
    """What the monitor found, the oldest first; without whom, which the command itself tells."""
    act("What the monitor found, for all workers: flask rampart monitor recent")
    for finding in reversed(found):
        names = ("severity", "rule", "subject_kind", "count", "threshold", "route")
        print(_members([(name, _plain(finding[name])) for name in names if finding[name] != ""]))


def watched(seen: Watched) -> None:
    """What the monitor found of each part of the traffic in this process."""
    act("The same app in this process, by a clock that its traffic moves: weeks in seconds")
    for part in seen.ordinary:
        vain = sum(count for status, count in part.answers.items() if status >= 400)
        said = f"{part.answers.total():,} requests, {vain:,} of them in vain; {len(part.findings) or 'no'} findings"
        _detected(not part.findings, f"{part.about}:", said)
    print(paint(f"    {'detector':{_NAME}} {'of whom':{_WHOM}} {'count':>{_COUNT}}  {'what was done':{ABOUT}}", "dim"))
    for name, part in seen.attacks.items():
        found = seen.found(name)
        whom, count = ("nobody", "") if found is None else (_whom(found), _count(found))
        columns = f"{paint(whom.ljust(_WHOM), 'bold')} {count:>{_COUNT}}  {paint(part.about, 'dim')}"
        _detected(found is not None, name.ljust(_NAME), columns)


def _detected(good: bool, name: str, said: str) -> None:
    print(paint("  ✓ ", "green") if good else paint("  ✗ ", "red", "bold"), name, " ", said, sep="")


def _whom(found: Finding) -> str:
    if found.subject_kind == "host":
        return found.subject
    # Of an e-mail address what stands before the @, and of a token's id as much as tells it from others.
    name = found.subject.partition("@")[0]
    return f"{found.subject_kind} {name[:8] if found.subject_kind == 'token' else name}"


def _count(found: Finding) -> str:
    if found.threshold < 1024**2:
        return f"{found.count:,}/{found.threshold:,}"
    return f"{found.count / 1024**2:,.0f}/{found.threshold / 1024**2:,.0f} MiB"


def verdict(good: bool, text: str) -> None:
    """The last line."""
    print(paint(f"{'✓' if good else '✗'} {text}", "green" if good else "red", "bold"))


def _told(name: str, line: Mapping[str, Any]) -> bool:
    if name == "complete":
        return line[name] is False  # told of an answer that was cut off
    if name in _UNTOLD or (name == "target" and line[name] == line.get("route")):
        return False
    return line[name] not in (None, "", [], {})


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _members(members: Sequence[tuple[str, str]]) -> str:
    """``name=value`` for each; what does not fit the line goes to the next, the colours not counted."""
    lines, used = [""], 2
    for name, value in members:
        size = len(name) + len(value) + 2
        if used + size > WIDTH and used > 2:
            lines.append("  ")
            used = 4
        first, *rest = _fold(value, WIDTH - used - len(name) - 1)
        lines[-1] += f"{paint(f'{name}=', 'dim')}{first} "
        lines += [f"  {part}" for part in rest]
        used += size
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _fold(text: str, width: int) -> list[str]:
    """*text* in lines of at most *width*, broken between words or the members of a query."""
    lines = [""]
    for piece in re.findall(r"[^ &]*[ &]?", text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]
