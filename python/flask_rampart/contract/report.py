"""What a contract and its app make of each other, told to a developer.

Every operation has a row, with the view that it is about or what is wrong; what else does not match stands below, and
then what the document says and nobody checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .matching import Matched, Mismatch


@dataclass(frozen=True)
class Report:
    """A document, what of it is bound to which views, and what does not match."""

    document: str
    matched: Sequence[Matched]
    mismatches: Sequence[Mismatch]
    notes: Sequence[str]
    """What the document says and is not checked."""

    @property
    def agrees(self) -> bool:
        """Whether all of the document and the app match."""
        return not self.mismatches

    def rows(self) -> list[tuple[str, str, str]]:
        """Titles, and each operation with its view and what is wrong with it."""
        wrong: dict[str, list[str]] = {}
        for one in self.mismatches:
            wrong.setdefault(one.subject, []).append(f"{one.kind}: {one.message}")
        rows = [("OPERATION", "VIEW", "")]
        for matched in self.matched:
            label = matched.operation.label
            said = wrong.pop(label, [])
            rows.append((label, ", ".join(matched.endpoints) or "-", "; ".join(said) or "ok"))
        rows += [(subject, "", "; ".join(said)) for subject, said in wrong.items()]
        return rows

    def sentence(self) -> str:
        """All that does not match, with what to do about it."""
        listed = "".join(f"\n  - {one}" for one in self.mismatches)
        return (
            f"{self.document} and the app do not agree:{listed}\nMend either; name views that the document need not "
            'have in contract(exclude=[...]); or say contract(strict="report") and be warned only.'
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: ``{"document", "agrees", "operations", "mismatches", "notes"}``."""
        return {
            "document": self.document,
            "agrees": self.agrees,
            "operations": [
                {
                    "operation": one.operation.label,
                    "operation_id": one.operation.operation_id,
                    "views": one.endpoints,
                    "routes": [rule.rule for rule in one.rules],
                    "where": one.operation.node.where,
                }
                for one in self.matched
            ],
            "mismatches": [
                {"kind": one.kind, "subject": one.subject, "message": one.message, "where": one.where}
                for one in self.mismatches
            ],
            "notes": list(self.notes),
        }
