"""What the native core says of a piece, as :class:`Treated`; and of a measure, as :class:`Measured`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..measuring import Diversity, Privacy
from . import Counts, Measured, Refusal, Tally, Treated

if TYPE_CHECKING:
    from ..._native import _AnonymizeSide, _AnonymizeTreated


def treated(told: _AnonymizeTreated, digest: bytes) -> Treated:
    out, (read, written, lines), refusals, refused, columns, fatal = told
    tally = Tally(read, written, lines, refused)
    for path, (rule, values, codes, found) in columns.items():
        nulls, kept, changed, dropped, suppressed = values
        tally.columns[path] = Counts(rule, sum(values), nulls, kept, changed, dropped, suppressed, codes, found)
    return Treated(out, digest, tally, tuple(Refusal(*refusal) for refusal in refusals), fatal)


def refused(code: str, lines: int, digest: bytes, *, fatal: bool = False) -> Treated:
    """Of a record that was too long to be held."""
    return Treated(b"", digest, Tally(1, 0, lines, {code: 1}), (Refusal(0, code, ""),), fatal)


def measured(sides: list[_AnonymizeSide] | None, sensitive: tuple[str, ...]) -> Measured | None:
    if sides is None:
        return None
    before, after = (_side(side, sensitive) for side in sides)
    return Measured(before, after)


def _side(side: _AnonymizeSide, sensitive: tuple[str, ...]) -> Privacy | str:
    if isinstance(side, str):
        return side
    rows, classes, sizes, found, dropped = side
    told = {path: Diversity(*of) for path, of in zip(sensitive, found, strict=True) if path not in dropped}
    return Privacy(rows, classes, tuple(sizes), told, tuple(dropped))
