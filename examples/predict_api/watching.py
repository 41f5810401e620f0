"""The monitor at work: weeks of work, an ordinary hour, and one attack for each detector; and what was found of each.

Everything goes through one app in this process (``stage``). The monitor is asked what it found after each part, so that
each finding is known to be of what was done just before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from examples.predict_api import hostile, traffic
from examples.predict_api.hostile import ATTACKS
from examples.predict_api.stage import HOUR, MONDAY, WEEK, Act, Stage, stage
from flask_rampart import Finding
from flask_rampart.monitor import DETECTORS


@dataclass(frozen=True, slots=True)
class Part:
    """What was done, how many answers had which status, and what the monitor found of it."""

    about: str
    answers: Counter[int]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """All parts: those that are ordinary, and the attacks by the detector that each is for."""

    ordinary: tuple[Part, ...]
    attacks: dict[str, Part]

    def found(self, name: str) -> Finding | None:
        """What the detector *name* said of whom its attack was by, or on; None if nothing."""
        subject = ATTACKS[name].subject
        for finding in self.attacks[name].findings:
            if finding.rule == name and f"{finding.subject_kind} {finding.subject}".startswith(subject):
                return finding
        return None

    @property
    def wrong(self) -> list[str]:
        """What must not be: a detector that nobody attacked, one that said nothing, and a false alarm."""
        names = [detector.name for detector in DETECTORS]
        problems = [f"no attack is for the detector {name}" for name in names if name not in self.attacks]
        problems += [f"the monitor did not find {name}" for name in self.attacks if self.found(name) is None]
        for part in self.ordinary:
            problems += [f"{part.about} raised {finding.rule}" for finding in part.findings]
        for name, part in self.attacks.items():
            others = {finding.rule for finding in part.findings} - {name, *ATTACKS[name].also}
            problems += [f"the monitor found {other} where there was {name}" for other in sorted(others)]
        return problems


def watch(seed: int = 1) -> Watched:
    """Plays it all. The same *seed* is the same ordinary hour."""
    with stage((*traffic.PEOPLE, *traffic.OTHERS)) as it:
        told = 0

        def part(about: str, play: Callable[[], None]) -> Part:
            nonlocal told
            it.answers.clear()
            play()
            new = it.findings()[told:]
            told += len(new)
            return Part(about, Counter(it.answers), tuple(new))

        ordinary = [part("Three weeks of work", lambda: traffic.weeks(it))]
        it.until(MONDAY + traffic.WEEKS * WEEK + 10 * HOUR)
        ordinary.append(part("An hour of ordinary traffic", lambda: traffic.hour(it, seed)))
        attacks = {}
        for name, attack in ATTACKS.items():
            it.until(it.clock.now() + hostile.APART if attack.at is None else attack.at)
            attacks[name] = part(attack.about, lambda act=attack.act: _alone(it, act))  # type: ignore[misc]
    return Watched(tuple(ordinary), attacks)


def _alone(it: Stage, act: Callable[[Stage], Act]) -> None:
    it.play(act(it))
