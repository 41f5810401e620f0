"""Refuses statements that would take a value to the database as it is, beside a sealed column or into it.

A type sees values that are compared with its column, and nothing else: ``literal("ada@x") == User.email`` and
``func.lower(User.email) == "ada@x"`` are none of its business, and would send the address, into the database's logs
too. So each statement is looked at once, when it was compiled and before anything of it is sent. Refused are:

1. a comparison of what comes of a sealed column or blind index with anything else than NULL and its like: it finds
   nothing, and what it is compared with is there for all to read. So are ``CASE column WHEN value`` and ``||``;
2. a function of a sealed column that is given a text or bytes beside it, as ``instr(email, 'ada')`` and
   ``instr(email, lower('ada'))`` are, and a ``CASE`` that gives the column or such a text. An empty one says nothing;
3. an ``INSERT``, ``UPDATE`` or upsert that gives a sealed column, or an index, an expression of SQL that is no value of
   that very column, nor NULL: it would be there in clear, and also if only a part of it is (``coalesce(email, name)``).
   ``INSERT ... SELECT`` may copy a whole column into one of its name: that is sealed, and fails where it is read if it
   was bound to another place.

What is selected from a subquery, a common table or a function's rows is what it was there, whatever type it has. Of a
recursive table that is not seen in its own recursion, which knows its first part alone.

What counts something of a column is none of its values: ``count(email)``, ``length(email)``, and any function whose
type is a number, a truth or a time. A literal that is part of a statement's text (``literal_column``) is the program's.

It sees statements of SQLAlchemy, not texts of SQL. A statement that is kept compiled is not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import elements, functions, operators, selectable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase

from .guards import OWN, SealingError

# Where a statement that was compiled says that it was looked at.
_LOOKED = "_flask_rampart_vault_looked"


def sending(connection: Any, cursor: Any, text: str, parameters: Any, context: Any, executemany: bool) -> None:
    """Looks at what a cursor is about to be given: a listener of all engines.

    :raises SealingError: if it may not be.
    """
    compiled = context.compiled
    if compiled is None or context.execution_options.get(OWN):
        return
    blank = compiled.__dict__.get(_LOOKED)
    if blank is None:
        setattr(compiled, _LOOKED, _first_look(compiled, context) or True)
    elif blank is not True and not _are_blank(context, blank):
        # It was kept for another statement, which said nothing where this one says something.
        _look(compiled, trusting=False)


def _first_look(compiled: Any, context: Any) -> list[str]:
    """The names of values that are to be NULL or empty each time: without that, it would be refused."""
    if not isinstance(compiled, SQLCompiler):
        return []
    try:
        _look(compiled, trusting=False)
    except SealingError:
        blank = [name for name, bind in compiled.binds.items() if not _is_owned(bind.type) and _is_blank(bind)]
        if not blank or not _are_blank(context, blank):
            raise
        _look(compiled, trusting=True)
        return blank
    return []


def _look(compiled: SQLCompiler, *, trusting: bool) -> None:
    # Of the ORM: with the criteria of its options, and its joins as they are sent.
    state = compiled.compile_state
    statement = compiled.statement if state is None else getattr(state, "statement", None)
    looking = _Looking(trusting)
    for one in (compiled.statement, statement):
        if one is not None:
            looking.at(one)


def _is_blank(bind: Any) -> bool:
    """Whether a value of the statement itself, which nobody gives it by name, is NULL or empty."""
    return bool(
        bind.unique and not (bind.required or bind.expanding or bind.callable is not None) and _says_nothing(bind.value)
    )


def _says_nothing(value: Any) -> bool:
    return value is None or (type(value) in (str, bytes) and not value)


def _are_blank(context: Any, names: list[str]) -> bool:
    return all(_says_nothing(row.get(name)) for row in context.compiled_parameters for name in names)


class _Found(NamedTuple):
    """What an expression gives."""

    kind: Any = None
    """The type of the sealed column or the index that it comes of."""

    other: bool = False
    """Whether it gives something else (too)."""

    told: bool = False
    """Whether a text or bytes that go with the statement are in it."""


_NOTHING, _OTHER = _Found(), _Found(other=True)


class _Looking:
    """Looks at one statement; each part of it once, however often it is there."""

    def __init__(self, trusting: bool = True) -> None:
        # Whether what was NULL or empty when the statement was compiled is so now.
        self._trusting = trusting
        self._known: dict[int, tuple[Any, _Found]] = {}

    def at(self, one: Any) -> _Found:
        known = self._known.get(id(one))
        if known is not None:
            return known[1]
        # Before its parts: what is in itself (a recursive CTE) is looked at already. It is kept, so that no other gets
        # its id meanwhile.
        self._known[id(one)] = (one, _of_type(one))
        found: _Found = _how(type(one))(self, one)
        self._known[id(one)] = (one, found)
        return found

    def _all(self, ones: Iterable[Any]) -> _Found:
        """What several give together."""
        kind, other, told = None, False, False
        for one in ones:
            found = self.at(one)
            kind, other, told = kind or found.kind, other or found.other, told or found.told
        return _Found(kind, other, told)

    def _any(self, one: Any) -> _Found:
        """What is made of its parts, a cast say, and of a sealed column if one of them is."""
        parts = list(one.get_children())
        return self._all(parts) if parts else _OTHER

    def _text(self, one: Any) -> _Found:
        return self._all(one.get_children())._replace(other=True)

    def _value(self, one: Any) -> _Found:
        """A value, which is sealed before it is sent if its type says so."""
        if _is_owned(one.type):
            return _Found(one.type)
        blank = self._trusting and _is_blank(one)
        if blank and one.value is None:
            return _NOTHING
        # What a type says of a text does not keep a driver from sending it.
        is_text = type(one.value) in (str, bytes) or not isinstance(one.type, _MEASURED)
        return _Found(other=True, told=not blank and is_text)

    def _column(self, one: Any) -> _Found:
        """A column: of a table by its type; of what was selected, or of a function's rows, as that is."""
        found, table = _of_type(one), one.table
        if isinstance(table, selectable.TableValuedAlias):
            return found if isinstance(one.type, _MEASURED) else self.at(table.element)
        if one._proxies:
            of = self._all(one._proxies)
            return _Found(found.kind or of.kind, of.other, of.told)
        if isinstance(table, selectable.Values) and found.kind is None:
            return _Found(other=True, told=not isinstance(one.type, _MEASURED))
        return found

    def _null(self, _: Any) -> _Found:
        return _NOTHING

    def _comparison(self, one: Any) -> _Found:
        found = self._beside((one.left, one.right), one.operator)
        return _OTHER if operators.is_comparison(one.operator) else found

    def _beside(self, ones: Any, operator: Any) -> _Found:
        kind, other = _met([self.at(one) for one in ones], "other")
        if other:
            raise _compared(kind, getattr(operator, "__name__", str(operator)))
        return self._all(ones)

    def _conditions(self, one: Any) -> _Found:
        self._all(one.get_children())
        return _OTHER

    def _list(self, one: Any) -> _Found:
        if one.operator not in (operators.comma_op, None):
            return self._beside(one.clauses, one.operator)  # a || b || c
        return self._all(one.get_children())

    def _one_sided(self, one: Any) -> _Found:
        found = self._all(one.get_children())
        return _OTHER if one.operator in _TRUTHS else found

    def _case(self, one: Any) -> _Found:
        asked = self._all([one.value] if one.value is not None else [])
        for when, _ in one.whens:
            found = self.at(when)
            if one.value is not None:
                asked = _Found(asked.kind or found.kind, asked.other or found.other)
        if one.value is not None and asked.kind is not None and asked.other:
            raise _compared(asked.kind, "CASE")
        given = [then for _, then in one.whens] + ([] if one.else_ is None else [one.else_])
        kind, told = _met([self.at(each) for each in given], "told")
        if told:
            raise _instead(kind)
        return self._all(given)

    def _function(self, one: Any) -> _Found:
        found = self._all(one.get_children())
        name = getattr(one, "name", type(one).__name__)
        given = list(getattr(one, "clauses", ()))
        kind, told = _met([self.at(each) for each in given], "told")
        if told:
            raise _sought(kind, name)
        if name.lower() in _MEASURES or isinstance(one.type, _MEASURED) or found.kind is None:
            return _Found(other=True, told=found.told)
        # A number says where, or how many; one of these gives it as it is.
        gives = name.lower() in _GIVES
        return found._replace(other=any(self.at(each).other for each in given if gives or not _is_number(each)))

    def _around(self, one: Any) -> _Found:
        """A function with what it is over, or is filtered by."""
        self._all(one.get_children())
        found = self.at(one.element if hasattr(one, "element") else one.func)
        if isinstance(one, elements.WithinGroup) and found.told:
            kind = self.at(one.order_by).kind  # rank('ada') WITHIN GROUP (ORDER BY email)
            if kind is not None:
                raise _sought(kind, getattr(one.element, "name", "WITHIN GROUP"))
        return found

    def _selected(self, one: Any) -> _Found:
        self._all(one.get_children())
        columns = [column for each in _selects(one) for column in getattr(each, "selected_columns", ())]
        return self._all(columns) if columns else _OTHER

    def _select_within(self, one: Any) -> _Found:
        return self.at(one.element)

    def _table(self, _: Any) -> _Found:
        return _OTHER

    def _written(self, one: Any) -> _Found:
        columns = one.table.c if hasattr(one.table, "c") else ()
        values: list[tuple[Any, Any]] = [*(getattr(one, "_values", None) or {}).items()]
        values += getattr(one, "_ordered_values", None) or ()
        for rows in getattr(one, "_multi_values", None) or ():
            for row in rows:
                values += row.items() if isinstance(row, dict) else zip(columns, row, strict=False)
        self._assigned(columns, values)
        select = getattr(one, "select", None)
        if isinstance(select, selectable.SelectBase):
            for each in _selects(select):
                given = zip(one._select_names or (), each.selected_columns, strict=False)
                self._assigned(columns, given, selected=True)
        further = getattr(one, "_post_values_clause", None)
        if further is not None:
            for name in ("update_values_to_set", "update"):
                found = getattr(further, name, None)
                self._assigned(columns, found.items() if isinstance(found, dict) else found or ())
            for name in ("update_whereclause", "inferred_target_whereclause"):
                if isinstance(getattr(further, name, None), elements.ClauseElement):
                    self.at(getattr(further, name))
        self._all(one.get_children())
        return _OTHER

    def _assigned(self, columns: Any, values: Iterable[tuple[Any, Any]], *, selected: bool = False) -> None:
        for name, value in values:
            if hasattr(value, "__clause_element__"):
                value = value.__clause_element__()
            if not isinstance(value, elements.ClauseElement):
                continue  # the column's type seals it, or refuses
            column = columns.get(name, name) if isinstance(name, str) else name
            kind = getattr(column, "type", None)
            if not _is_owned(kind):
                self.at(value)
                continue
            if isinstance(value, elements.BindParameter) and value.type._isnull and not selected:
                continue  # it takes the type of the column
            found = self.at(value)
            if found.other:
                raise _given(kind)
            if found.kind is not None and not _is_same(kind, found.kind) and not (selected and _is_copy(column, value)):
                raise _given(kind)


def _of_type(one: Any) -> _Found:
    kind = getattr(one, "type", None)
    return _Found(kind) if _is_owned(kind) else _OTHER


def _is_owned(kind: Any) -> bool:
    return getattr(kind, "_bound", None) is not None


def _is_index(kind: Any) -> bool:
    return _is_owned(kind) and not hasattr(kind, "accept_plaintext")


def _is_same(kind: Any, other: Any) -> bool:
    return kind._bound is other._bound or (
        _is_index(kind) == _is_index(other) and not _is_index(kind) and bool(kind.place == other.place)
    )


def _is_copy(column: Any, value: Any) -> bool:
    """Whether a whole column is selected into one of its name, as where a table is made anew."""
    while isinstance(value, (elements.Grouping, elements.Label)):
        value = value.element
    kind: Any = getattr(value, "type", None)
    if not isinstance(value, elements.ColumnClause) or not _is_owned(kind):
        return False
    source = kind._bound.column
    return source is not None and bool(source.name == column.name) and _is_index(kind) == _is_index(column.type)


def _is_number(one: Any) -> bool:
    """Whether it is a number that goes with the statement."""
    while isinstance(one, (elements.Grouping, elements.Label, elements.Cast, elements.TypeCoerce)):
        one = one.clause if isinstance(one, (elements.Cast, elements.TypeCoerce)) else one.element
    return isinstance(one, elements.BindParameter) and isinstance(one.type, _MEASURED)


def _met(found: list[_Found], what: str) -> tuple[Any, bool]:
    """A sealed column that one of several comes of, and whether another one is what is asked for."""
    sealed = [n for n, one in enumerate(found) if one.kind is not None]
    asked = [n for n, one in enumerate(found) if getattr(one, what)]
    # Two different ones: not if each is the same single one, or one of them is not there.
    met = bool(sealed and asked) and not (len(sealed) == len(asked) == 1 and sealed == asked)
    return (found[sealed[0]].kind if sealed else None), met


def _selects(one: Any) -> list[Any]:
    """The selections that a union is of, or the one."""
    found, waiting = [], [one]
    while waiting:
        each = waiting.pop()
        if isinstance(each, selectable.SelectStatementGrouping):
            waiting.append(each.element)
        elif isinstance(each, selectable.CompoundSelect):
            waiting += each.selects
        else:
            found.append(each)
    return found


def _sought(kind: Any, name: str) -> SealingError:
    return SealingError(
        f"{kind.label} is sealed: {name}() finds nothing in it, and what stands beside it would be sent as it is. Open "
        f"the values and look in Python; a text of the program's own is literal_column(...).{_CURE}"
    )


def _instead(kind: Any) -> SealingError:
    return SealingError(
        f"{kind.label} is sealed: a text that CASE gives in its place would be sent as it is, and read as a value that "
        "was changed. Let it give NULL there (None), and say the rest in Python; a text of the program's own is "
        "literal_column(...)."
    )


def _given(kind: Any) -> SealingError:
    return SealingError(
        f"{kind.label} is sealed by Python, and this statement gives it an expression of SQL: what that says would be "
        "there as it is. Give the value itself, by sealed_values(Model, {...}) or by an object and its session."
    )


def _compared(kind: Any, operator: str) -> SealingError:
    if _is_index(kind):
        return SealingError(
            f"{kind.label} is a blind index: {operator} with an expression of SQL finds nothing, and sends what stands "
            "beside it as it is. Compare the attribute itself with a value of Python: "
            f"Model.{kind.label.rpartition('.')[2]} == value."
        )
    index = kind._bound.index
    cure = f" Look it up by its blind index: where(Model.{index} == ...)." if index else _CURE
    return SealingError(
        f"{kind.label} is sealed, to other bytes each time: {operator} finds nothing, and what stands beside it would "
        f"be sent as it is.{cure}"
    )


_CURE = " What you look up by has a blind index of its own: blind_index(...)."
_TRUTHS = (operators.exists, operators.inv, operators.is_true, operators.is_false)
_MEASURED = (sa.Numeric, sa.Integer, sa.Float, sa.Boolean, sa.Date, sa.DateTime, sa.Time, sa.Interval)
_MEASURES = frozenset(
    [
        *("count", "length", "char_length", "character_length", "octet_length", "bit_length", "datalength", "len"),
        *("pg_column_size", "typeof", "row_number", "rank", "dense_rank", "ntile"),
    ]
)
_GIVES = frozenset(["coalesce", "ifnull", "nvl", "isnull", "iif", "if", "greatest", "least", "max", "min", "concat"])
# In this order: the first that fits is how it is looked at. With as few calls for each part as may be: what SQLAlchemy
# has compiled must not be too deep for this.
_LOOKS: tuple[tuple[Any, Any], ...] = (
    (UpdateBase, _Looking._written),
    (elements.BindParameter, _Looking._value),
    (elements.ColumnClause, _Looking._column),
    (elements.TextClause, _Looking._text),
    ((elements.Null, elements.TypeClause), _Looking._null),
    (elements.BinaryExpression, _Looking._comparison),
    (elements.BooleanClauseList, _Looking._conditions),
    (elements.Case, _Looking._case),
    ((elements.Over, elements.WithinGroup, elements.FunctionFilter), _Looking._around),
    (functions.FunctionElement, _Looking._function),
    (elements.UnaryExpression, _Looking._one_sided),
    ((elements.ClauseList, elements.ExpressionClauseList), _Looking._list),
    (selectable.ScalarSelect, _Looking._select_within),
    (selectable.SelectStatementGrouping, _Looking._select_within),
    (selectable.SelectBase, _Looking._selected),
    (sa.Table, _Looking._table),
)
_HOW: dict[type, Any] = {}


def _how(kind: type) -> Any:
    found = _HOW.get(kind)
    if found is None:
        fitting = (look for base, look in _LOOKS if issubclass(kind, base))
        found = _HOW[kind] = next(fitting, _Looking._any)
    return found
