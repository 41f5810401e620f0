"""Runs all rules over an app, and sorts what they found.

A finding is left out if its id is ignored, everywhere or at one place: ``RMP-401`` or ``RMP-401:GET /health``, where
the place is what the report shows of it, and ``*`` stands for any text. What was left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import Flask

from ..dependencies import Outcome
from . import browsers, files, installed, keys, own, remembered, routes, source, starting, stores, way
from .catalogue import CATALOGUE
from .findings import Finding, Place, Rule, Severity
from .layers import layer_of
from .matrix import Row, matrix
from .subject import Subject, found

_OLD = 30
"""Days after which advisories in a file are old."""


@dataclass(slots=True)
class Report:
    """What a check found."""

    findings: list[Finding]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be looked at."""
    ignored: int = 0
    outcome: Outcome | None = None
    """Of the comparison with advisories, if there was one."""
    deploy: bool = False

    def at_least(self, severity: Severity) -> list[Finding]:
        """The findings that matter so much, or more."""
        return [finding for finding in self.findings if finding.weight >= severity]

    def counted(self) -> str:
        """Such as ``"2 errors, 1 warning, 0 notes"``."""
        counts = [(sum(f.weight is each for f in self.findings), each.word) for each in sorted(Severity, reverse=True)]
        return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``. Members are added, none is taken away; the order is always the same."""
        outcome = self.outcome
        told: dict[str, Any] = {
            "format": 1,
            "deploy": self.deploy,
            "findings": [finding.as_dict() for finding in self.findings],
            "ignored": self.ignored,
            "not_checked": self.notes,
            "routes": [row.as_dict() for row in self.rows],
        }
        if outcome is not None:
            told["advisories"] = {
                "source": outcome.source,
                "packages": outcome.checked,
                "advisories": outcome.advisories,
                "age_seconds": None if outcome.age is None else int(outcome.age),
            }
        return told


def run(
    app: Flask,
    *,
    deploy: bool = False,
    ignore: Sequence[str] = (),
    today: date | None = None,
    environ: Mapping[str, str] | None = None,
) -> Report:
    """What is open in *app*.

    :param deploy: whether to look for what matters in production alone, too.
    :param ignore: ids that are left out, or ids with places: ``"RMP-401:GET /health"``.
    :param today: the day that ages are counted from.
    :param environ: the environment; this process's, if not given.
    :raises LookupError: if the app has no ``Rampart(app)``.
    :raises ValueError: for an id in *ignore* that is none.

    >>> from flask import Flask
    >>> from flask_rampart import Rampart
    >>> app = Flask("shop")
    >>> app.secret_key = "dev"
    >>> rampart = Rampart(app)
    >>> "RMP-103" in {finding.rule.id for finding in run(app).findings}
    True
    """
    patterns = read_ignored(ignore)
    subject = Subject.of(app, today=date.today() if today is None else today, environ=environ)
    rows = matrix(subject)
    report = Report([], rows, subject.notes, deploy=deploy)
    add(report, _all(subject, rows), patterns)
    add(report, of_notes(report.notes), patterns)
    return report


def add(report: Report, findings: Iterable[Finding], patterns: Sequence[tuple[str, str]]) -> None:
    """Puts findings into a report, the worst first."""
    for finding in dict.fromkeys(findings):
        if finding.rule.deploy and not report.deploy:
            continue
        if is_ignored(finding, patterns):
            report.ignored += 1
        else:
            report.findings.append(finding)
    report.findings.sort(key=lambda finding: (-finding.weight, finding.rule.id, str(finding.place), finding.message))


def known_rules() -> dict[str, Rule]:
    """All rules, the app's own after ours."""
    return {**CATALOGUE, **own.rules()}


def read_ignored(ignore: Iterable[str]) -> list[tuple[str, str]]:
    """Ids, each with the places at which it is ignored.

    :raises ValueError: for one that is no rule: what is misspelt would ignore nothing.
    """
    found: list[tuple[str, str]] = []
    for text in ignore:
        id, colon, place = text.partition(":")
        if id not in known_rules():
            raise ValueError(f"{id} is no rule of this check.")
        if colon and not place.strip():
            raise ValueError(f"{text} names no place: leave the colon out, or write the place behind it.")
        found.append((id, place.strip() or "*"))
    return found


def is_ignored(finding: Finding, patterns: Iterable[tuple[str, str]]) -> bool:
    """Whether a finding is one of these."""
    place = finding.place
    names = ("", str(place), place.setting or "", place.route or "", place.file or "", place.package or "")
    return any(
        id == finding.rule.id and (pattern == "*" or any(_matches(pattern, name) for name in names if name))
        for id, pattern in patterns
    )


def _matches(pattern: str, name: str) -> bool:
    """Whether it is this text; ``*`` stands for any, and nothing else for anything but itself."""
    first, *others = pattern.split("*")
    if not others:
        return name == first
    *middle, last = others
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:  # the first place of each leaves the most for the others
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def of_notes(notes: Iterable[str]) -> Iterator[Finding]:
    """What could not be looked at: without this, half a check would pass for a whole one."""
    for note in notes:
        file, _, why = note.partition(" is not read: ")
        layer = layer_of(note)
        place = Place(file=file) if why else None if layer is None else Place(setting=f"wsgi_app: {layer}")
        yield found("RMP-009", note, place)


def of_advisories(outcome: Outcome) -> Iterator[Finding]:
    """What a comparison with advisories found."""
    for hit in outcome.affected:
        names = ", ".join((hit.id, *hit.aliases))
        fixed = f"fixed in {', '.join(hit.fixed_in)}" if hit.fixed_in else "no version that fixes it is known"
        summary = f": {hit.summary}" if hit.summary else ""
        package = hit.package
        yield found(
            "RMP-811", f"{package.name} {package.version}, {fixed}; {names}{summary}", Place(package=package.name)
        )
    for package, why in outcome.undecided:
        yield found("RMP-812", f"{package.name} {package.version}: {why}.", Place(package=package.name))
    if not outcome.is_whole:
        yield found(
            "RMP-812",
            f"{outcome.source} has no advisory of flask 0.12.2, which has been known since 2018: it has not all that "
            "there are.",
        )
    if outcome.ahead is not None:
        yield found(
            "RMP-813",
            f"{outcome.ahead} in {outcome.source} is dated in the future: how old the rest is is not known.",
        )
    elif outcome.is_from_file and outcome.age is None:
        yield found("RMP-813", f"Nothing in {outcome.source} says when it was written.")
    elif outcome.is_from_file and outcome.age is not None and outcome.age > _OLD * 86400:
        yield found("RMP-813", f"The newest in {outcome.source} is {int(outcome.age // 86400)} days old.")


def _all(subject: Subject, rows: list[Row]) -> Iterator[Finding]:
    simple: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
        starting.check,
        keys.check,
        source.check,
        way.check,
        stores.check,
        remembered.check,
        files.check,
        installed.check,
    )
    for look in simple:
        yield from look(subject)
    for of_routes in (browsers.check, routes.check):
        yield from of_routes(subject, rows)
    yield from own.check(subject.app)
