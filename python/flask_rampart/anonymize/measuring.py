"""What is left to find in a table: k-anonymity, l-diversity, t-closeness.

One pass over the rows, of which none is kept. The counts are exact, and memory is bounded: a table with more classes
and values than ``max_entries`` is refused, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import _native
from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much is open of one sensitive column."""

    values: int
    """Different values in the table."""

    distinct: int
    """Least number of different values in a class: distinct l-diversity."""

    entropy: float
    """Least exp(H) of a class, with H the entropy of its values: entropy l-diversity."""

    closeness: float
    """Largest distance of a class's distribution from the table's, 0 to 1: t-closeness, any two values equally far
    apart."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What was measured. Rows with the same quasi-identifiers are one class."""

    rows: int
    """Rows of the table."""

    classes: int
    """Classes."""

    sizes: tuple[tuple[int, int], ...]
    """How many classes have each size, in rising order."""

    sensitive: Mapping[str, Diversity]
    """Of each sensitive column, by its path."""

    dropped: tuple[str, ...] = ()
    """Paths that no row has, and was to have: it was measured by the rest."""

    @property
    def k(self) -> int:
        """The size of the smallest class; 0 for a table without rows."""
        return self.sizes[0][0] if self.sizes else 0

    def rows_below(self, k: int) -> int:
        """How many rows are in classes of fewer than *k*."""
        return sum(size * classes for size, classes in self.sizes if size < k)


class Measure:
    """Counts rows, in as many pieces as there are.

    :param quasi_identifiers: paths by which people may be told apart: ``["birth", "place.zip"]``. At least one.
    :param sensitive: paths of what nobody should learn of them.
    :param max_entries: most classes, values and pairs of them together, each of some 50 bytes.
    :param key: 16 random bytes; the same for counts that are merged. A fresh one if None.
    :raises ConfigError: for what cannot be.

    Nothing is a value like any other, and so is what a row does not have. ``1`` and ``1.0`` are one value, ``"1"``
    another. A list or a table for a value is refused (:class:`AnonymizeRefused`), and so is a value where a path leads
    on. A path that no row has would make all rows one class, and look safe: :meth:`privacy` refuses it.

    Sweeney 2002; Machanavajjhala et al. 2007; Li et al. 2007.

    >>> measure = Measure(["zip"], ["illness"])
    >>> measure.add([{"zip": "902", "illness": "flu"}, {"zip": "902", "illness": "flu"}])
    >>> measure.add([{"zip": "903", "illness": "flu"}])
    >>> measure.privacy().k, measure.privacy().rows_below(2)
    (1, 1)
    """

    def __init__(
        self,
        quasi_identifiers: Sequence[str],
        sensitive: Sequence[str] = (),
        *,
        max_entries: int = 1_000_000,
        key: bytes | None = None,
    ) -> None:
        if isinstance(quasi_identifiers, str) or isinstance(sensitive, str):
            raise ConfigError("quasi_identifiers and sensitive are lists of paths, not one text")
        self._paths, self._sensitive = (*quasi_identifiers, *sensitive), tuple(sensitive)
        try:
            self._native = _native.AnonymizeMeasure(
                list(quasi_identifiers), list(sensitive), max_entries=max_entries, key=key
            )
        except (OverflowError, ValueError) as error:
            raise ConfigError(str(error)) from None

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Counts these rows.

        :raises OverflowError: for more than ``max_entries``; nothing can be measured then.
        """
        self._native.add(rows)

    def merge(self, other: Measure) -> None:
        """Adds what another counted, of other rows, with the same key and paths.

        :raises ConfigError: if it has others.
        :raises OverflowError: for more than ``max_entries``.
        """
        try:
            self._native.merge(other._native)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def class_size(self, row: dict[str, Any]) -> int:
        """How many rows so far have the quasi-identifiers of this one."""
        return self._native.class_size(row)

    def privacy(self, *, dropped: Sequence[str] = ()) -> Privacy:
        """What was measured so far.

        :param dropped: paths that no row need have: what a plan drops tells nobody apart any more, and the rest is what
            counts.
        :raises ConfigError: for another path that no row had; perhaps it is mistyped.
        :raises OverflowError: if there were more than ``max_entries``.
        """
        try:
            return privacy_of(self._native, self._paths, self._sensitive, dropped)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def privacy_of(
    counted: _native.AnonymizeMeasure, paths: Sequence[str], sensitive: Sequence[str], dropped: Sequence[str]
) -> Privacy:
    """What was counted by *paths*, the *sensitive* ones at their end.

    :raises ValueError: for a path that no row had and that is not among *dropped*, and for one there that is no path.
    """
    if isinstance(dropped, str) or (unknown := [path for path in dropped if path not in paths]):
        raise ConfigError(f"dropped has {'a text' if isinstance(dropped, str) else unknown[0]!r}: no path of these")
    rows, classes, sizes, found = counted.result([at for at, path in enumerate(paths) if path in dropped])
    # Without rows, nobody knows what they would have had.
    gone = tuple(paths[at] for at in counted.missing()) if rows else ()
    told = {path: Diversity(*of) for path, of in zip(sensitive, found, strict=True) if path not in gone}
    return Privacy(rows, classes, tuple(sizes), told, gone)


def measure(
    rows: Iterable[dict[str, Any]],
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    max_entries: int = 1_000_000,
    dropped: Sequence[str] = (),
) -> Privacy:
    """What is left to find in these rows: :class:`Measure` in one call.

    >>> measure([{"age": "30-39", "illness": "flu"}] * 5, ["age"], ["illness"]).k
    5
    """
    counted = Measure(quasi_identifiers, sensitive, max_entries=max_entries)
    counted.add(rows)
    return counted.privacy(dropped=dropped)
