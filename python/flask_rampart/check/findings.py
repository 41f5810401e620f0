"""What a check finds: a rule of the catalogue, at a place, with a sentence that says what is so and why it matters."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any


class Severity(enum.IntEnum):
    """How much a finding matters."""

    NOTE = 0
    """Worth knowing; perhaps meant."""
    WARNING = 1
    """Weakens the app; leave it only on purpose."""
    ERROR = 2
    """Open, or about to break."""

    @property
    def word(self) -> str:
        """As it is written: ``"error"``, ``"warning"``, ``"note"`` (SARIF 2.1.0 section 3.27.10)."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that is looked for."""

    id: str
    """Stable: what is ignored, and what a code scanner follows, goes by it."""
    severity: Severity
    title: str
    cure: str
    deploy: bool = False
    """Whether it matters in production alone, so that only ``--deploy`` looks for it."""

    @property
    def link(self) -> str:
        """Where the manual tells more."""
        return f"docs/check-rules.md#{self.id.lower()}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found. What is not known is None."""

    setting: str | None = None
    """The key of ``app.config``."""
    route: str | None = None
    """Such as ``"POST /predict"``."""
    file: str | None = None
    """Relative to the directory that the check was started in, where it is below that."""
    line: int | None = None
    """From 1."""
    package: str | None = None

    def __str__(self) -> str:
        at = None if self.file is None else self.file if self.line is None else f"{self.file}:{self.line}"
        return ", ".join(part for part in (self.setting, self.route, self.package, at) if part)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was broken, and where."""

    rule: Rule
    message: str
    place: Place = field(default_factory=Place)
    severity: Severity | None = None
    """Where it is another than the rule's."""

    @property
    def weight(self) -> Severity:
        """How much it matters here."""
        return self.rule.severity if self.severity is None else self.severity

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: members are added, none is taken away."""
        place = self.place
        return {
            "id": self.rule.id,
            "severity": self.weight.word,
            "title": self.rule.title,
            "message": self.message,
            "cure": self.rule.cure,
            "link": self.rule.link,
            "place": {
                "setting": place.setting,
                "route": place.route,
                "file": place.file,
                "line": place.line,
                "package": place.package,
            },
        }
