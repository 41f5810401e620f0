"""Redacts columns, by the rule or the default ``"redact"``: texts without what is secret by shape or name, at any
depth.

1. Below a name whose values are secret, everything becomes ``[REDACTED]``, a text, whatever it was.
2. In a text, what is found is replaced. A number, a date or a moment in which something is found becomes nothing: a
   column of numbers has no place for a text, and a column does not change its type with what is in it.
3. Names that are values are redacted as well, those of members of structs and keys of maps; where two become one, with
   ``#2`` and so on.
4. What has no text and is no number (bytes, times of day, durations) is refused or becomes nothing, as the plan says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from ..._native import AnonymizeRefused
from ..plan import Plan
from . import walking
from .counting import Count, Counts
from .fresh import entries_of, fresh, maps, offsets_of, picked
from .jobs import DEEPEST, Dropped, Job, Run, distinct_names, has_union, note, nullable, rewrapped, storable, unwrapped
from .kinds import is_list, is_text, kept_field, kept_type
from .outline import Outline, shown, written
from .values import array_of, by_distinct, values_of
from .walking import Renaming

REDACTED = "[REDACTED]"


class Redaction:
    """What a plan redacts at a path."""

    def __init__(self, plan: Plan, path: str) -> None:
        self._plan, self._path = plan, path
        # Names of columns, and keys of maps: as many as there are, so bounded.
        self.clean = lru_cache(maxsize=10_000)(self._clean)
        self.is_secret = lru_cache(maxsize=10_000)(self._is_secret)

    def apply(self, values: list[Any], column: str) -> list[Any]:
        """The values, redacted; those in which nothing was found are the same objects.

        :raises AnonymizeRefused: of *column*.
        """
        made = code = None
        try:
            made = self._plan.apply_column(self._path, values)
        except AnonymizeRefused as refused:
            code = refused.args[0]
        if code is not None:
            raise AnonymizeRefused(code, column)
        return made or []

    def renamed(self, names: list[str], unnamed: Sequence[bool]) -> list[str]:
        """The names of one table as it may show them; those that the plan names are its own."""
        taken, out, last = set(names), [], dict[str, int]()
        for name, may in zip(names, unnamed, strict=True):
            clean = self.clean(name) if may else name
            if clean != name:
                number = last.get(clean, 0) + 1
                while (free := clean if number == 1 else f"{clean}#{number}") in taken:
                    number += 1
                last[clean] = number
                taken.add(free)
                name = free
            out.append(name)
        return out

    def found(self, texts: list[Any], flags: pa.Array, places: pa.Array) -> dict[str, int]:
        """What is in texts that were changed, by entity: *places* says which of them each row has."""
        found: dict[str, int] = {}
        changed = pc.if_else(flags, pa.array(range(len(texts)), places.type), pa.scalar(None, places.type)).take(places)
        for of in pc.value_counts(changed.drop_null()).to_pylist():
            text = texts[of["values"]]
            if isinstance(text, str):
                for entity, *_ in self._plan.redactor.scan(text):
                    found[entity] = found.get(entity, 0) + of["counts"]
        return found

    def entries(self, item: pa.Field, path: str, secret: bool) -> tuple[Job, Renaming]:
        """What becomes of the entries of a map, given as structs of key and value; and of their keys."""
        word = "default: redact" if self._path != path else "redact"
        job = redacted(item, self, path, word, secret)
        kind = job.field.type if isinstance(job, Job) else pa.null()

        def run(entries: pa.Array, counts: Counts) -> pa.Array:
            keys, items = entries.flatten()
            hidden = by_distinct(
                keys, lambda some: pa.array([self.is_secret(key) for key in some.to_pylist()], pa.bool_())
            )
            if not isinstance(job, Job):
                return pa.nulls(len(entries))
            # What is hidden is not looked at, which might refuse it.
            places = pc.if_else(hidden, pa.scalar(None, pa.int64()), pa.array(range(len(items)), pa.int64()))
            made = job.run(picked(items, places), counts)
            if not is_text(kind):
                return made
            stands = pc.and_(hidden, pc.is_valid(items))
            return pc.if_else(stands, pa.scalar(REDACTED, kind), made)

        def rename(keys: pa.Array, parents: pa.Array, unnamed: pa.Array) -> pa.Array:
            distinct = pc.unique(keys.filter(unnamed)).to_pylist()
            if all(self.clean(key) == key for key in distinct):
                return keys
            rows: dict[int, list[tuple[str, bool]]] = {}
            for row, key, may in zip(parents.to_pylist(), keys.to_pylist(), unnamed.to_pylist(), strict=True):
                rows.setdefault(row, []).append((key, may))
            return pa.array(
                [
                    name
                    for row in rows.values()
                    for name in self.renamed([key for key, _ in row], [may for _, may in row])
                ],
                keys.type,
            )

        return Job(nullable(item, kind), run), rename

    def _clean(self, name: str) -> str:
        made = self._plan.apply_column(self._path, [{name: None}])
        return str(next(iter(made[0]))) if made else name

    def _is_secret(self, name: str) -> bool:
        made = self._plan.apply_column(self._path, [{name: True}])
        return made is not None and next(iter(made[0].values())) is not True


def by_default(plan: Plan, outline: Outline) -> Redaction | None:
    """What a plan redacts of columns that it does not name; None if it does something else with them."""
    if outline.default != "redact":
        return None
    name = "column"
    while name in outline.root.members:
        name += "_"
    return Redaction(plan, written(name))


def redacted(field: pa.Field, redaction: Redaction, path: str, word: str, secret: bool) -> Job | Dropped:
    """What becomes of a column under redaction."""
    if path.count(".") + path.count("[*]") >= DEEPEST:
        raise AnonymizeRefused("depth", "")
    inner = unwrapped(field)
    if inner is not None:
        return rewrapped(field, redacted(inner[0], redaction, path, word, secret), inner[1])
    kind = field.type
    if at.is_null(kind):
        return Job(nullable(field, kind), lambda array, counts: pa.nulls(len(array)))
    if secret:
        return Job(nullable(field, pa.string()), _hidden(path, word))
    if is_text(kind):
        return Job(nullable(field, kind), _texts(redaction, kind, path, word))
    if at.is_struct(kind):
        return _struct(field, redaction, path, word)
    if is_list(kind):
        return walking.list_of(field, redacted(kind.value_field, redaction, f"{path}[*]", word, False))
    if at.is_map(kind):
        return _map(field, redaction, path)
    if has_union(kind):
        raise AnonymizeRefused("kind", path)
    return Job(nullable(field, kept_type(kind)), _values(redaction, path, word))


def _struct(field: pa.Field, redaction: Redaction, path: str, word: str) -> Job | Dropped:
    members = [field.type.field(place) for place in range(field.type.num_fields)]
    names = [member.name for member in members]
    distinct_names(names, path)
    clean = redaction.renamed(names, [True] * len(names))
    found: list[Job | Dropped] = []
    for member, name in zip(members, clean, strict=True):
        secret = redaction.is_secret(member.name)
        job = redacted(member, redaction, f"{path}.{shown(member.name)}", word, secret)
        if isinstance(job, Job):
            job = Job(job.field.with_name(name), job.run)
        found.append(job)
    return walking.struct_of(field, found, path)


def _map(field: pa.Field, redaction: Redaction, path: str) -> Job:
    kind = field.type
    if not is_text(kind.key_type):

        def refused(array: pa.Array, counts: Counts) -> pa.Array:
            if array.null_count < len(array):
                raise AnonymizeRefused("kind", path)
            return pa.nulls(len(array), kept_type(kind))

        return Job(nullable(field, kept_type(kind)), refused)
    job, rename = redaction.entries(kind.item_field, path, False)
    made = pa.map_(kept_field(kind.key_field), job.field)

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        entries = entries_of(array)
        keys, items = entries.flatten().flatten()
        values = job.run(pa.StructArray.from_arrays([keys, items], ["key", "value"]), counts)
        names = rename(keys, pc.list_parent_indices(entries), pa.repeat(pa.scalar(True), len(keys)))
        return maps(array, offsets_of(entries), fresh(names), values, made)

    return Job(nullable(field, made), run)


def _hidden(path: str, word: str) -> Run:
    def run(array: pa.Array, counts: Counts) -> pa.Array:
        nulls = array.null_count
        note(counts, path, Count(word, len(array), nulls, changed=len(array) - nulls))
        return pc.if_else(pc.is_valid(array), pa.scalar(REDACTED), pa.scalar(None, pa.string()))

    return run


def _texts(redaction: Redaction, kind: pa.DataType, path: str, word: str) -> Run:
    def run(array: pa.Array, counts: Counts) -> pa.Array:
        whole = array.cast(pa.large_string()) if at.is_string_view(kind) else array
        encoded = whole.dictionary_encode()
        values = values_of(encoded.dictionary)
        texts = redaction.apply(values, path)
        flags = pa.array([one is not other for one, other in zip(values, texts, strict=True)], pa.bool_())
        made = array_of(texts, storable(kind), path).take(encoded.indices)
        changed = pc.sum(flags.take(encoded.indices)).as_py() or 0
        gone, nulls = made.null_count - array.null_count, array.null_count
        count = Count(word, len(array), nulls, len(array) - nulls - changed, changed - gone, suppressed=gone)
        count.found = redaction.found(values, flags, encoded.indices)
        note(counts, path, count)
        return made if made.type == kind else made.cast(kind)

    return run


def _values(redaction: Redaction, path: str, word: str) -> Run:
    """Values that are no texts: each stays, or becomes nothing."""

    def run(array: pa.Array, counts: Counts) -> pa.Array:
        def stays(some: pa.Array) -> pa.Array:
            values = values_of(some)
            made = redaction.apply(values, path)
            return pa.array([one is other for one, other in zip(values, made, strict=True)], pa.bool_())

        stay = pc.fill_null(by_distinct(array, stays), False)
        places = pa.array(range(len(array)), pa.int64())
        made = fresh(picked(array, pc.if_else(stay, places, pa.scalar(None, pa.int64()))))
        nulls = array.null_count
        gone = made.null_count - nulls
        count = Count(word, len(array), nulls, len(array) - nulls - gone, suppressed=gone)
        note(counts, path, count)
        return made

    return run
