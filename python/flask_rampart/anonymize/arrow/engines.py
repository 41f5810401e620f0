"""A plan that travels to the workers of an engine, without its key.

1. What travels is the plan's text, which has no key in it, and where the key is: a file, a variable of the environment,
   or a function of a module, by its name. A key or keyset itself, or a function that would travel with what it holds,
   is refused.
2. A worker loads the plan once for its process, at its first batch. A program without the key can make an
   :class:`ArrowPlan` and ask for its schemas; it cannot treat a value.
3. The same function takes what each engine has: an iterator of batches (:meth:`ArrowPlan.batches`, Spark's
   ``mapInArrow``), a table or a batch (the plan itself, Ray Data's ``map_batches``), a frame of pandas (Dask's
   ``map_partitions``).

# What can break it in deployment
The file or the variable has to be on each worker, and readable by nobody else there. A worker holds the key as long as
its process lives. Functions of the rule ``"custom"`` travel as the engine sends functions: what they hold travels with
them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from ..._native import Keyset
from ...errors import ConfigError
from ..keyed import Pseudonymizer, Sealer, needed_key, read_key
from ..measuring import Privacy
from ..plan import Plan
from . import frames
from .measuring import FRAGMENT, Measuring
from .outline import members_of
from .treatment import Treatment

Batch = TypeVar("Batch")
"""A record batch, a table or a frame of pandas."""


class ArrowPlan:
    """A plan as a function over Arrow, for the workers of any engine.

    :param plan: the file of the plan, read now; or the plan as a dict.
    :param key_file: a file on each worker with the hexadecimal digits of the key.
    :param key_env: or a variable of the environment of each worker that has them.
    :param key: or a function of a module that workers can import, which returns the key. It travels by its name.
    :param sealer: a function of a module that workers can import, which returns the ``Keyset`` or ``Vault`` by which
        tokens are sealed, as for :class:`Plan`. It travels by its name, and is called once for each worker's process.
    :param custom: functions for the rule ``"custom"``, as for :class:`Plan`. They travel as the engine sends functions.
    :param redact: further names whose values are secret.
    :param types: what the functions of *custom* return, by path: ``{"name": pa.string()}``.
    :param schema: of the input. A batch in which an engine guessed another type for a column of nothing is brought to
        it; any other difference is refused. None: each batch is taken as it comes.
    :param max_entries: most classes and values that :meth:`measure_batches` counts.
    :raises ConfigError: for what is no plan, or no key that may travel.

    >>> import pyarrow as pa
    >>> plan = ArrowPlan({"columns": {"born": {"do": "date", "to": "decade"}, "name": "drop"}})
    >>> people = pa.table({"name": ["Ann", "Bob"], "born": ["1984-05-09", None]})
    >>> plan(people).to_pylist()
    [{'born': '1980s'}, {'born': None}]
    >>> plan.output_schema(people.schema)
    born: string
    """

    def __init__(
        self,
        plan: str | Path | Mapping[str, Any],
        *,
        key_file: str | Path | None = None,
        key_env: str | None = None,
        key: Callable[[], bytes | str] | None = None,
        sealer: Callable[[], Sealer] | None = None,
        custom: Mapping[str, Callable[[Any], Any]] | None = None,
        redact: Sequence[str] = (),
        types: Mapping[str, pa.DataType] | None = None,
        schema: pa.Schema | None = None,
        max_entries: int = 1_000_000,
    ) -> None:
        if isinstance(plan, Mapping):
            source: str | dict[str, Any] = dict(plan)
        else:
            source = _text_of(plan)
        if sum(given is not None for given in (key_file, key_env, key)) > 1:
            raise ConfigError("key_file, key_env and key: one of the three")
        self._state: dict[str, Any] = {
            "source": source,
            "name": "a dict" if isinstance(plan, Mapping) else str(plan),
            "key_file": None if key_file is None else os.fspath(key_file),
            "key_env": key_env,
            "key": None if key is None else _name_of(key, "key", "the key"),
            "sealer": None if sealer is None else _name_of(sealer, "sealer", "a Keyset or a Vault"),
            "custom": dict(custom or {}),
            "redact": tuple(redact) if not isinstance(redact, str) else redact,
            "types": dict(types or {}),
            "schema": None if schema is None else _bare(schema),
            "max_entries": max_entries,
            # Hashes of fragments are under this where there is no key; see `_measure_key`.
            "measure": os.urandom(16),
        }
        self._start()
        # At once, so that what is no plan is told here and not by a worker.
        self._planned.plan.met()

    def __call__(self, batch: Batch) -> Batch:
        """What stands in the place of a table, a record batch or a frame of pandas; of the same kind.

        The index of a frame is left out, and the rows of the result are numbered anew: values of an index are values.
        What is in the result's frame has the types of Arrow (``pandas.ArrowDtype``), so that a partition with nothing
        in a column has the same type there as all others.

        :raises AnonymizeRefused: ``(code, column)``, as :meth:`Plan.apply`; nothing of a value is in it.
        :raises ConfigError: for a key that is not on this worker, or a batch of another schema than was said.
        :raises TypeError: for anything else than these.
        """
        made: Batch
        if isinstance(batch, pa.RecordBatch):
            made = self._treatment().apply(self._aligned(batch))
        elif isinstance(batch, pa.Table):
            made = self._table(batch)
        else:
            made = frames.to_frame(self._table(frames.to_table(batch)))
        return made

    def batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What stands in the place of each batch: for Spark's ``mapInArrow``. All results have one schema."""
        made: pa.Schema | None = None
        for batch in batches:
            result = self(batch)
            if made is not None and result.schema != made:
                raise ConfigError("batches of one iterator have several schemas: say which, by schema=")
            made = result.schema
            yield result

    def output_schema(self, schema: pa.Schema | None = None) -> pa.Schema:
        """The schema of the results of batches of *schema*, or of the one that was given. It needs no key.

        :raises AnonymizeRefused: for a column that the plan refuses.
        :raises ConfigError: as for the class; and if there is no schema.
        """
        schema = self._state["schema"] if schema is None else schema
        if schema is None:
            raise ConfigError("output_schema needs the schema of the input")
        return self._planned.output_schema(schema)

    def meta(self, frame: Any) -> Any:
        """An empty frame of pandas as the results are: ``meta=`` of Dask's ``map_partitions``. It needs no key.

        :param frame: a frame of pandas, or of Dask.
        """
        empty = frames.to_table(getattr(frame, "_meta", frame).iloc[:0])
        return frames.to_frame(self._table(empty, self._planned))

    def measure_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Counts batches by the plan's quasi-identifiers and sensitive columns; yields one fragment of
        :data:`FRAGMENT`.

        It measures what it is given: what :meth:`batches` returned, or the input.

        :raises OverflowError: for more than ``max_entries``.
        """
        counted = self._measuring(self._measure_key())
        for batch in batches:
            counted.add(batch)
        yield counted.fragment()

    def measure_batch(self, batch: Batch) -> Batch:
        """The same of one table, record batch or frame of pandas; the fragment is of the same kind."""
        made: Batch
        if isinstance(batch, pa.RecordBatch):
            made = next(self.measure_batches([batch]))
            return made
        table = batch if isinstance(batch, pa.Table) else frames.to_table(batch)
        fragment = pa.Table.from_batches(self.measure_batches(table.to_batches()), FRAGMENT)
        made = fragment if isinstance(batch, pa.Table) else frames.to_frame(fragment)
        return made

    def measured(self, fragments: Iterable[Any], *, dropped: Sequence[str] = ()) -> Privacy:
        """What all fragments say together. It needs no key.

        :param fragments: tables, record batches or frames of pandas.
        :param dropped: paths that no row need have: of a result, what the plan drops.
        :raises ConfigError: for a path that no row had, and for what is no fragment of this plan.
        :raises OverflowError: for more than ``max_entries``.
        """
        counted = self._measuring(bytes(16))
        counted.merge(fragments)
        return counted.privacy(dropped)

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Paths by which people may be told apart."""
        return self._planned.plan.quasi_identifiers

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Paths of what nobody should learn of them."""
        return self._planned.plan.sensitive

    def __repr__(self) -> str:
        said = [repr(self._state["name"])]
        said += [f"{name}={self._state[name]!r}" for name in _KEYS if self._state[name]]
        return f"ArrowPlan({', '.join(said)})"

    def __getstate__(self) -> dict[str, Any]:
        return self._state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._start()

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        state = self._state
        return tuple(state[name] for name in ("source", *_KEYS, "custom", "redact", "types"))

    def _start(self) -> None:
        self._own: Treatment | None = None

    @cached_property
    def _planned(self) -> Treatment:
        """For everything that is asked before there are values, under a key of its own: the plan's need not be here."""
        key = os.urandom(32) if self._has_key else None
        return Treatment(self._plan(key, _Any() if self._state["sealer"] else None), types=self._state["types"])

    @property
    def _has_key(self) -> bool:
        return any(self._state[name] is not None for name in ("key_file", "key_env", "key"))

    def _plan(self, key: bytes | None, sealer: Sealer | None) -> Plan:
        source, custom, redact = (self._state[name] for name in ("source", "custom", "redact"))
        if isinstance(source, str):
            return Plan.parse(source, key=key, custom=custom, redact=redact, sealer=sealer)
        return Plan(source, key=key, custom=custom, redact=redact, sealer=sealer)

    def _key(self) -> bytes | None:
        """The key, from where it is on this worker."""
        state = self._state
        if state["key_env"] is not None:
            found = os.environ.get(state["key_env"])
            if not found:
                raise ConfigError(f"key_env: the environment of this process has no {state['key_env']}")
            return read_key(found)
        if state["key"] is not None:
            return needed_key(_found(state["key"]))
        return read_key(key_file=state["key_file"])

    def _loaded(self) -> Treatment:
        sealer = None if self._state["sealer"] is None else _found(self._state["sealer"])()
        if sealer is None and self._state["sealer"] is not None:
            raise ConfigError("sealer: the function returned no Keyset and no Vault")
        return Treatment(self._plan(self._key(), sealer), types=self._state["types"])

    def _treatment(self) -> Treatment:
        own = self._own
        if own is None:
            # Two threads may load it at once: under a lock, code of others would run.
            own = self._own = _loaded(self)
        return own

    def _table(self, table: pa.Table, treatment: Treatment | None = None) -> pa.Table:
        treatment = treatment or self._treatment()
        made = treatment.output_schema(self._expected(table.schema))
        batches = [treatment.apply(self._aligned(batch)) for batch in table.to_batches(max_chunksize=_ROWS)]
        return pa.Table.from_batches(batches, made)

    def _expected(self, schema: pa.Schema) -> pa.Schema:
        """The schema that a batch of *schema* is brought to."""
        wanted: pa.Schema | None = self._state["schema"]
        if wanted is None:
            return schema
        if schema.names != wanted.names:
            raise ConfigError("a batch has other columns than the schema that was said")
        for field, other in zip(wanted, schema, strict=True):
            if field.type != other.type and not pa.types.is_null(other.type):
                raise ConfigError(f"a batch has a column of type {other.type} where {field.type} was said")
        return wanted

    def _aligned(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        wanted = self._expected(batch.schema)
        columns = [
            array if array.type == field.type else pa.nulls(len(array), field.type)
            for field, array in zip(wanted, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=wanted)

    def _measuring(self, key: bytes) -> Measuring:
        quasi, sensitive = ({path: members_of(path) for path in of} for of in (self.quasi_identifiers, self.sensitive))
        return Measuring(quasi, sensitive, key, self._state["max_entries"])

    def _measure_key(self) -> bytes:
        """The same on all workers: derived from the plan's key; without one, what travelled."""
        key = self._key()
        if key is None:
            return bytes(self._state["measure"])
        return bytes.fromhex(str(Pseudonymizer(key, scope="flask_rampart/measure", bits=128)("fragments")))


_ROWS = 1 << 17
"""Rows that are treated at once: texts of one array have at most 2 GiB."""

_KEYS = ("key_file", "key_env", "key", "sealer")
"""Members of a plan's state that say where a key is."""

_LOADED: OrderedDict[Any, Treatment] = OrderedDict()
_LOADING = threading.Lock()


def _loaded(plan: ArrowPlan) -> Treatment:
    """The plan of this process. Engines send a function anew with each task; the plan is loaded for the first alone."""
    state = plan._state
    if state["custom"]:
        # Functions that were sent anew are others.
        return plan._loaded()
    known = repr([state[name] for name in ("source", *_KEYS, "redact", "types")])
    with _LOADING:
        found = _LOADED.get(known)
    if found is not None:
        return found
    made = plan._loaded()
    with _LOADING:
        found = _LOADED.setdefault(known, made)
        while len(_LOADED) > 8:
            _LOADED.popitem(last=False)
    return found


def _in_child() -> None:
    # Another thread may have held it, which is not in this process.
    global _LOADING
    _LOADING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _text_of(path: str | Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read((1 << 20) + 1)
    except (OSError, UnicodeDecodeError, TypeError, ValueError):
        raise ConfigError(f"{str(path)!r} cannot be read as a plan in TOML") from None


def _name_of(function: Callable[[], Any], member: str, what: str) -> str:
    """A function's module and name, by which a worker finds it."""
    if not callable(function):
        raise ConfigError(f"{member} is a function that returns {what}: what it returns would travel with the plan")
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    found = getattr(sys.modules.get(str(module)), name, None)
    if found is not function or module == "__main__":
        raise ConfigError(
            f"{member} is a function at the top of a module that workers can import: what a lambda, a method or a "
            "function of the program's own file holds would travel with it"
        )
    return f"{module}:{name}"


def _found(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


class _Any:
    """A keyset of any name, for what is asked before there are values."""

    def keyset_for(self, primitive: str, name: str | None = None) -> Keyset:
        return Keyset.generate("AES256_SIV")

    def keyset(self, name: str = "default") -> Keyset:
        return Keyset.generate("AES256_SIV")


def _bare(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in schema])
