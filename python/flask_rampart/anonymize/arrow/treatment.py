"""A plan over batches of Arrow: what a schema becomes, and what the batches of it do.

What becomes of a schema is decided once for each, before a value is seen, so all batches of it have results of one
schema. Nothing of a batch's notes (the metadata of schema and fields) is passed on: pandas writes values of an index
there, Spark the labels of categories.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pyarrow as pa

from ..._native import AnonymizeRefused
from ...errors import ConfigError
from ..plan import Plan
from .columns import Columns
from .counting import Counts, add_counts
from .jobs import Dropped, Job
from .outline import shown


class Treatment:
    """A plan for columns, in the process that has its key.

    :param types: what functions of the rule ``"custom"`` return, by path.

    Safe to use from all threads. Like the plan, it is never pickled: :class:`ArrowPlan` travels.

    >>> import pyarrow as pa
    >>> treatment = Treatment(Plan({"columns": {"born": {"do": "date", "to": "year"}, "name": "drop"}}))
    >>> treatment.apply(pa.record_batch({"name": ["Ann"], "born": ["1984-05-09"]})).to_pylist()
    [{'born': '1984'}]
    """

    def __init__(self, plan: Plan, *, types: Mapping[str, pa.DataType] | None = None) -> None:
        self.plan = plan
        self._columns = Columns(plan, dict(types or {}))
        self._known: dict[pa.Schema, tuple[pa.Schema, list[Job | Dropped]]] = {}
        self._counts: Counts = {}
        self._lock = threading.Lock()

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """The schema of the results of batches of *schema*.

        :raises AnonymizeRefused: ``column`` for one that no rule names, where the plan refuses such, and for a name
            that two have; ``depth``; ``kind`` for unions that would be kept.
        :raises ConfigError: for a function of whose results the type is not known.
        """
        return self._of(schema)[0]

    def apply(self, batch: pa.RecordBatch, counts: Counts | None = None) -> pa.RecordBatch:
        """What stands in the place of a batch. Nothing in its memory is the input's.

        :param counts: where what was met is added, beside :attr:`counts`.
        :raises AnonymizeRefused: as the plan does; ``range`` also for a number that its column cannot hold.
        """
        made, jobs = self._of(batch.schema)
        own: Counts = {}
        arrays = []
        for field, job, array in zip(batch.schema, jobs, batch.columns, strict=True):
            if isinstance(job, Dropped):
                job.note(array, own)
            else:
                arrays.append(_carried_out(field, job, array, own))
        with self._lock:
            add_counts(self._counts, own)
        if counts is not None:
            add_counts(counts, own)
        return pa.RecordBatch.from_arrays(arrays, schema=made)

    @property
    def default(self) -> str:
        """What the plan does with columns that it does not name."""
        return self._columns.outline.default

    @property
    def counts(self) -> Counts:
        """What was met so far, by path, in all threads of this process. A batch that was refused is not in it."""
        with self._lock:
            copy: Counts = {}
            add_counts(copy, self._counts)
            return copy

    def _of(self, schema: pa.Schema) -> tuple[pa.Schema, list[Job | Dropped]]:
        bare = pa.schema([field.remove_metadata() for field in schema])
        try:
            known = self._known.get(bare)
        except TypeError:
            # Extension types that a program made may have no hash.
            jobs = self._columns.of_schema(bare)
            return pa.schema([job.field for job in jobs if isinstance(job, Job)]), jobs
        if known is None:
            jobs = self._columns.of_schema(bare)
            known = pa.schema([job.field for job in jobs if isinstance(job, Job)]), jobs
            with self._lock:
                # A producer with ever new schemas takes no more memory than this.
                if len(self._known) >= 64:
                    self._known.clear()
                self._known[bare] = known
        return known


def _carried_out(field: pa.Field, job: Job, array: pa.Array, counts: Counts) -> pa.Array:
    failed = None
    try:
        return job.run(array, counts)
    except (AnonymizeRefused, ConfigError, MemoryError):
        raise
    except Exception as error:
        failed = type(error).__name__
    # Arrow's errors quote values, so nothing of this one is passed on but its name; names within a type may be values.
    kind = str(field.type).partition("<")[0].partition("[")[0]
    raise RuntimeError(f"column {shown(field.name)!r} of type {kind}: {failed}")
