"""Filters: how one text of an answer passes through the steps that look at it, as it comes.

1. Each step has a filter of its own for each text; what one releases is fed to the next;
2. under ``on_finding="replace"``, what a filter makes of the text goes on; a filter that stops, stops the choice;
3. under ``"refuse"``, the first finding stops the choice;
4. under ``"report"``, the text goes on as it was fed, and only the findings are noted;
5. a cap lets pass what came before it, and the choice then ends for its ``"length"``;
6. what a filter raises ends the whole answer: nothing is passed on after it.

What a filter finds, and how much it holds back, is its own to say; see the docstring of each step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from .shapes import Stop


class Filter(Protocol):
    """What a step does to one text. The native filters are these."""

    def feed(self, text: str) -> str:
        """What may go on by now."""

    def finish(self) -> str:
        """The rest."""

    @property
    def findings(self) -> Mapping[str, tuple[int, Sequence[int]]]:
        """What was found: how often, and where."""

    @property
    def stopped(self) -> str | None:
        """The rule that has ended the text."""


class Stage:
    """A step's filter, and what its findings do."""

    __slots__ = ("filter", "on_finding")

    def __init__(self, filter: Filter, on_finding: str = "replace") -> None:
        self.filter = filter
        self.on_finding = on_finding

    def feed(self, text: str) -> str:
        made = self.filter.feed(text)
        return self._judged(text, made)

    def finish(self) -> str:
        made = self.filter.finish()
        return self._judged("", made)

    def _judged(self, given: str, made: str) -> str:
        if self.on_finding == "report":
            return given
        rule = self.filter.stopped
        if rule is not None:
            if rule.startswith("cap."):
                raise Stop(rule, made, "length")
            raise Stop(rule)
        if self.on_finding == "refuse":
            for found in self.filter.findings:
                raise Stop(found)
        return made


class Pipeline:
    """One text of an answer, through all stages."""

    def __init__(self, stages: Sequence[Stage], findings: Counter[str]) -> None:
        self._stages = stages
        self._findings = findings
        self._is_over = False
        self._noted = False

    def feed(self, text: str) -> str:
        """:raises Stop: if the choice ends here."""
        if self._is_over:
            return ""
        return self._fed(text, 0, ends=False)

    def finish(self) -> str:
        """:raises Stop: if the choice ends here."""
        if self._is_over:
            return ""
        self._is_over = True
        made = self._fed("", 0, ends=True)
        self.note()
        return made

    def _fed(self, text: str, first: int, *, ends: bool) -> str:
        for at in range(first, len(self._stages)):
            stage = self._stages[at]
            try:
                # A filter that has nothing to do is not asked: most pieces of a stream are held by one of the first.
                text = stage.feed(text) if text else ""
                if ends:
                    text += stage.finish()
            except Stop as stop:
                self._is_over = True
                rest = ""
                if stop.rest:
                    # What came before the cap is still for the others to look at.
                    rest = self._fed(stop.rest, at + 1, ends=True)
                self.note()
                raise Stop(stop.rule, rest, stop.reason) from None
        return text

    def note(self) -> None:
        """Counts what was found. Once."""
        if self._noted:
            return
        self._noted = True
        for stage in self._stages:
            for rule, (count, _) in stage.filter.findings.items():
                self._findings[rule] += count
