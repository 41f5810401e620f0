"""Decides, of each column of a schema, what becomes of it and of which type the result is; before the first value.

1. A place that a rule names is treated by that rule, whole. One that leads on to some is walked (``walking.py``).
2. What no rule names has the plan's default: it is kept, dropped, redacted (``redacting.py``), or the schema is
   refused.
3. What becomes of a value is the plan's to say: it is shown each different value of a batch once.

It is the same that :meth:`Plan.apply` does to records, but for these: a struct of which nothing is left is left out; a
number in which redaction finds something becomes nothing, since a column of numbers has no place for a text; of two
columns with one name it is not said which is meant, so they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.types as at

from ..._native import AnonymizeRefused
from ...errors import ConfigError
from ..plan import Plan
from . import redacting, walking
from .counting import Count, Counts
from .jobs import DEEPEST, Dropped, Job, Run, distinct_names, kept, note, nullable, rewrapped, storable, unwrapped
from .kinds import kept_type, number_like, text_like
from .outline import Outline, Place, Rule, read_outline, shown
from .values import array_of, by_distinct, values_of


class Columns:
    """A plan, asked about columns.

    :param types: of the results of the rule ``"custom"``, by path.
    """

    def __init__(self, plan: Plan, types: Mapping[str, pa.DataType]) -> None:
        self.plan = plan
        self.outline: Outline = read_outline(plan)
        self.types = types
        self.default = redacting.by_default(plan, self.outline)

    def of_schema(self, schema: pa.Schema) -> list[Job | Dropped]:
        """What becomes of each column of a table."""
        return self.members(list(schema), self.outline.root, "", False)

    def members(self, fields: list[pa.Field], place: Place, above: str, secret: bool) -> list[Job | Dropped]:
        """What becomes of each member of a struct, or column of a table."""
        names = [field.name for field in fields]
        distinct_names(names, above)
        made: list[Job | Dropped] = []
        for field in fields:
            within = secret or (self.default is not None and self.default.is_secret(field.name))
            path = f"{above}.{shown(field.name)}" if above else shown(field.name)
            made.append(self.column(field, place.members.get(field.name), path, within))
        if self.default is None:
            return made
        clean = self.default.renamed(names, [name not in place.members for name in names])
        return [
            Job(job.field.with_name(name), job.run) if isinstance(job, Job) else job
            for job, name in zip(made, clean, strict=True)
        ]

    def column(self, field: pa.Field, place: Place | None, path: str, secret: bool) -> Job | Dropped:
        """What becomes of a column.

        :param path: as it is told.
        :param secret: whether it is below a name whose values are secret.
        :raises AnonymizeRefused: for what no rule names, if the plan refuses such.
        """
        if path.count(".") + path.count("[*]") >= DEEPEST:
            raise AnonymizeRefused("depth", "")
        rule = None if place is None else place.rule
        if rule is not None and rule.gives == "same":
            return kept(field, rule.path, rule.word)
        if place is None and self.outline.default != "redact":
            return self.unnamed(field, path, secret)
        inner = unwrapped(field)
        if inner is not None:
            return rewrapped(field, self.column(inner[0], place, path, secret), inner[1])
        if place is None:
            return self.unnamed(field, path, secret)
        if rule is not None:
            return self._ruled(field, rule)
        return walking.walked(self, field, place, path, secret)

    def unnamed(self, field: pa.Field, path: str, secret: bool) -> Job | Dropped:
        word = f"default: {self.outline.default}"
        if self.outline.default == "drop":
            return Dropped(path, word)
        if self.outline.default == "refuse":
            raise AnonymizeRefused("column", path)
        if self.default is not None:
            return redacting.redacted(field, self.default, path, word, secret)
        return kept(field, path, word)

    def _ruled(self, field: pa.Field, rule: Rule) -> Job | Dropped:
        if rule.gives == "none":
            return Dropped(rule.path, rule.word)
        if rule.gives == "redacted":
            return redacting.redacted(field, redacting.Redaction(self.plan, rule.path), rule.path, rule.word, False)
        kind = field.type
        if rule.gives == "null":
            return Job(nullable(field, kept_type(kind)), self._nothing(rule, kept_type(kind)))
        if rule.gives == "custom":
            if rule.path not in self.types:
                raise ConfigError(
                    f"{rule.path!r} has a function of yours: say the type of what it returns, "
                    f"types={{{rule.path!r}: pa.string()}}"
                )
            made = self.types[rule.path]
        elif rule.gives in ("whole", "fraction"):
            made = number_like(kind, rule.gives == "whole")
        else:
            made = {"integer": pa.int64(), "float": pa.float64()}.get(rule.gives, text_like(kind))
        if rule.word == "constant":
            return Job(nullable(field, made), self._constant(rule, made))
        return Job(nullable(field, made), self._treating(rule, made))

    def _is_sealed_anew(self) -> bool:
        return any(primitive == "AEAD" for _, primitive, _ in self.plan._native.sealed_by())

    def _nothing(self, rule: Rule, kind: pa.DataType) -> Run:
        def run(array: pa.Array, counts: Counts) -> pa.Array:
            count = Count(rule.word, len(array), array.null_count, changed=len(array) - array.null_count)
            note(counts, rule.path, count)
            return pa.nulls(len(array), kind)

        return run

    def _constant(self, rule: Rule, kind: pa.DataType) -> Run:
        values = self.plan.apply_column(rule.path, [None]) or []
        constant = array_of(values, kind, rule.path)[0]

        def run(array: pa.Array, counts: Counts) -> pa.Array:
            note(counts, rule.path, Count(rule.word, len(array), changed=len(array)))
            if at.is_string_view(kind):
                return pa.repeat(constant.cast(pa.string()), len(array)).cast(kind)
            return pa.repeat(constant, len(array))

        return run

    def _treating(self, rule: Rule, kind: pa.DataType) -> Run:
        custom = rule.gives == "custom"

        def made_of(array: pa.Array) -> pa.Array:
            values = self.plan.apply_column(rule.path, values_of(array))
            lenient = rule.on_error == "suppress"
            return array_of(
                values or [], storable(kind), rule.path, code="custom" if custom else "kind", lenient=lenient
            )

        def run(array: pa.Array, counts: Counts) -> pa.Array:
            # A function of the program's is called for each value: it may not return the same for the same. Nor does a
            # keyset for AEAD, whose tokens are not to be counted.
            each = custom or (rule.word == "token" and self._is_sealed_anew())
            made = made_of(array) if each else by_distinct(array, made_of)
            nulls = array.null_count
            gone = max(made.null_count - nulls, 0)
            count = Count(rule.word, len(array), nulls, changed=len(array) - nulls - gone, suppressed=gone)
            note(counts, rule.path, count)
            return made if made.type == kind else made.cast(kind)

        return run
