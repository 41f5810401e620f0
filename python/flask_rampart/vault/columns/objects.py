"""Seals attributes of mapped objects when they are flushed, and opens them when they are read.

1. A sealed value that was loaded stays sealed until its attribute is read: a query of 10,000 rows opens what is read of
   them. What was opened stays with the object as long as any attribute does: until it expires or is gone.
2. At a flush, a value that was set is sealed for its row, and that goes into the statement: no statement, log or error
   of SQLAlchemy has the value. Blind indexes are computed anew.
3. A new row without a key (``AUTOINCREMENT``, ``SERIAL``) is inserted with the value sealed for nobody, and updated
   with that sealed for its key before the flush ends: a second statement, for all such rows of a table at once. That
   needs a transaction: with ``AUTOCOMMIT``, whoever is killed between the two would have lost the value, and it is
   refused. A key that Python makes (``default=uuid.uuid4``) is made first, and the row is written once.
4. An object whose primary key changes is opened by its old key and sealed anew for its new one: what is in the row
   then, locked (``FOR UPDATE``), and not what was loaded before.
5. What listeners read during a flush changes nothing of what is written. A listener that runs after these here, and
   changes a key or a sealed value, is told so.
6. A sealed value is written with its blind indexes, also where these are as they were: others may have written both.
7. What was changed is noticed where it is read: ``IntegrityError``. It can be overwritten without being read.

It does not see what statements do (``types.py`` refuses what they cannot do), what ``ON UPDATE CASCADE`` does to keys
in the database, nor ``bulk_save_objects``.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.mutable import Mutable, MutableDict, MutableList
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, LoaderCallableStatus, Mapper, Session, object_session
from sqlalchemy.orm.attributes import flag_modified, instance_state
from sqlalchemy.sql.elements import ClauseElement

from ...errors import ConfigError, IntegrityError
from .guards import OWN, SealingError, is_autocommit
from .places import Pending, Row, Sealed
from .plans import Index, Plan, SealedColumn, in_table, plan_of
from .types import EncryptedJSON

State = InstanceState[Any]

# In Session.info, during a flush: what was sealed, of which objects, and for which rows; and what of it is for nobody.
_WRITTEN, _WAITING = "flask_rampart.vault.written", "flask_rampart.vault.waiting"
# Of parameters: none may be called as a column is.
_KEY, _VALUE = "rampart_sealed_key_", "rampart_sealed_value_"


class SealedAttribute(InstrumentedAttribute[Any]):
    """The attribute of a class that opens what was sealed when it is read."""

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        if type(value) is Sealed:
            return _opened(instance_state(instance), self.key, value)
        return value


class SealedDocument(SealedAttribute):
    """The same for JSON, whose dicts and lists tell of changes."""

    __slots__ = ()
    inherit_cache = True

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        if instance is not None and isinstance(value, (dict, list)):
            # What a type has opened is no such dict yet; one that came out of a pickle, or was merged, knows nobody.
            state = instance_state(instance)
            value = _coerced(self.key, value)
            if type(state.dict.get(self.key)) is not Sealed:  # during a flush it is, and goes into the statement
                state.dict[self.key] = value
            value._parents.setdefault(state, self.key)
        return value


def configured(mapper: Mapper[Any], class_: type[Any]) -> None:
    """Takes care of a class, when its mapper is configured."""
    plan = plan_of(mapper)
    if plan is None:
        return
    for column in plan.columns:
        attribute = mapper.class_manager[column.key]
        document = isinstance(column.type, EncryptedJSON)
        attribute.__class__ = SealedDocument if document else SealedAttribute
        if document:
            event.listen(attribute, "set", _tracked, retval=True)
    event.listen(mapper, "before_insert", _before_insert)
    event.listen(mapper, "before_update", _before_update)
    event.listen(mapper, "after_insert", _after_insert)
    event.listen(mapper, "after_update", _after_update)


class Written(NamedTuple):
    """What a flush writes of an object: for which row, and sealed if the value is written."""

    column: SealedColumn
    row: Row
    sealed: Sealed | None


class Waiting(NamedTuple):
    """What is sealed for nobody, in a row that has its key now."""

    state: State
    connection: sa.Connection
    written: list[Written]


def begin(session: Session, *_: Any) -> None:
    """A flush begins: what waited in one that failed waits no longer."""
    session.info.pop(_WAITING, None)
    session.info.pop(_WRITTEN, None)


def finish(session: Session, *_: Any) -> None:
    """A flush has sent all: rows have their keys, and what was sealed for nobody is sealed for them."""
    session.info.pop(_WRITTEN, None)
    waiting: list[Waiting] = session.info.pop(_WAITING, [])
    # By the connection that took the row: in a session over several databases, each has its own.
    rows: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for state, connection, written in waiting:
        mapper = state.mapper
        found: dict[sa.Table, dict[str, Sealed]] = defaultdict(dict)
        for column, _for_nobody, before in written:
            row = current_row(state, column)
            if before is None or isinstance(row, Pending):
                raise ConfigError(f"{column.label} is sealed for a row whose key was lost during the flush.")
            sealed = column.type.seal(before._value, row)
            if type(state.dict.get(column.key)) is Sealed:
                state.dict[column.key] = sealed
            found[column.table][column.name] = sealed
        for table, values in found.items():
            key = {
                f"{_KEY}{in_table(mapper, c, table).key}": state.dict[mapper.get_property_by_column(c).key]
                for c in mapper.primary_key
            }
            parameters = {f"{_VALUE}{name}": sealed for name, sealed in values.items()}
            rows[connection, mapper, table, tuple(values)].append({**key, **parameters})
    for (connection, mapper, table, names), parameters_of_rows in rows.items():
        columns = [in_table(mapper, c, table) for c in mapper.primary_key]
        statement = table.update().where(*(c == sa.bindparam(f"{_KEY}{c.key}") for c in columns))
        # Not an update of the row's own: what says when it was updated stays as it was inserted.
        kept = {c.key: c for c in table.c if c.onupdate is not None}
        statement = statement.values({**kept, **{name: sa.bindparam(f"{_VALUE}{name}") for name in names}})
        result = connection.execute(statement, parameters_of_rows, execution_options={OWN: True})
        if connection.dialect.supports_sane_multi_rowcount and result.rowcount != len(parameters_of_rows):
            raise ConfigError(
                f"{table.fullname}: rows that were just inserted could not be updated (a policy or trigger may hide "
                "them): sealed columns need a key that Python makes, such as default=uuid.uuid4."
            )


def current_row(state: State, column: SealedColumn) -> Row:
    """What identifies an object's row, as it is or will be written. Pending if the database has yet to say."""
    if column.row is None:
        return None
    stored = state.key[1] if state.key is not None and column.by_primary_key else None
    values = []
    for place, key in enumerate(column.row):
        value = state.dict.get(key)
        if value is None and stored is not None:
            value = stored[place]
        if value is None and not column.by_primary_key and state.key is not None:
            value = getattr(state.obj(), key)
        if value is None:
            return Pending(uuid.uuid4().hex)
        if isinstance(value, ClauseElement):
            raise ConfigError(f"{column.label} is bound to its row, and {key!r} is an SQL expression: give a value.")
        column.check_key(place, value)
        values.append(value)
    return tuple(values)


def stored_row(state: State, column: SealedColumn) -> Row:
    """What identifies an object's row in the database."""
    if column.row is None:
        return None
    if column.by_primary_key and state.key is not None:
        return tuple(state.key[1])
    return current_row(state, column)


def _opened(state: State, key: str, sealed: Sealed) -> Any:
    column = cast(Plan, plan_of(state.mapper)).by_key[key]
    known, session = sealed._value is not ..., state.session
    flushing = session is not None and session._flushing
    if known and (flushing or isinstance(sealed.row, Pending)):
        # It is on its way to the database, and has to stay sealed until it is there.
        return sealed._value
    row: Row = sealed.row
    if isinstance(row, tuple) and state.key is not None:
        # A statement may have given one row's value to the objects of several.
        stored = stored_row(state, column)
        row, known = stored, known and row == stored
    if known:
        value = sealed._value
    else:
        value = column.type.open(sealed, row if row is not None else stored_row(state, column))
        if isinstance(column.type, EncryptedJSON):
            value = _coerced(key, value)
    if not (flushing and key in state.committed_state):
        state.dict[key] = value
    return value


def _before_insert(mapper: Mapper[Any], connection: sa.Connection, target: Any) -> None:
    state = instance_state(target)
    plan = cast(Plan, plan_of(mapper))
    plan.make_keys(target, state.dict)
    written = []
    for column in plan.columns:
        if state.dict.get(column.key) is not None:
            row = current_row(state, column)
            if isinstance(row, Pending) and not column.by_primary_key:
                raise ConfigError(
                    f"{column.label} is bound to its row by {', '.join(column.row or ())}: give it a value."
                )
            if isinstance(row, Pending) and is_autocommit(connection):
                raise SealingError(
                    f"{column.label} is sealed for a key that the database makes: it takes an INSERT and an UPDATE, "
                    "and with AUTOCOMMIT the value is lost if this process ends between them. Let Python make the key "
                    "(default=uuid.uuid4), give it, or begin a transaction."
                )
            sealed = state.dict[column.key] = _sealed(state, column, row)
            written.append(Written(column, row, sealed))
    _note(state, written)
    for index in plan.indexes:
        _index(state, index)


def _before_update(mapper: Mapper[Any], connection: sa.Connection, target: Any) -> None:
    state = instance_state(target)
    plan = cast(Plan, plan_of(mapper))
    written, changed = [], set()
    for column in plan.columns:
        before, row = stored_row(state, column), current_row(state, column)
        if not column.by_primary_key and column.row is not None:
            _same_key(state, column)
        moved, set_anew = before != row, column.key in state.committed_state
        if moved and not set_anew:
            _read_again(state, column, connection)
        value = state.dict.get(column.key)
        write = value is not None and (moved or (set_anew and _differs(state, column, value)))
        sealed = None
        if write:
            sealed = _sealed(state, column, row)
            if not set_anew:
                flag_modified(target, column.key)
            state.dict[column.key] = sealed
        elif value is not None and set_anew:
            # As it was, and so nothing of it goes into the statement: also where one is sealed and the other open.
            state.committed_state[column.key] = value
        if write or (value is None and set_anew and state.committed_state[column.key] is not None):
            changed.add(column.key)
        written.append(Written(column, row, sealed))
    _note(state, written)
    for index in plan.indexes:
        by_hand = state.dict.get(index.key) != state.committed_state.get(index.key, state.dict.get(index.key))
        if index.of in changed or by_hand:
            _index(state, index)
        if index.of in changed:
            # Also one that is as it was loaded: another session may have written the value with its index meanwhile.
            flag_modified(target, index.key)
            state.committed_state[index.key] = LoaderCallableStatus.NO_VALUE


def _after_insert(mapper: Mapper[Any], connection: sa.Connection, target: Any) -> None:
    state = instance_state(target)
    pending = [one for one in _noted(state) if one.sealed is not None and isinstance(one.row, Pending)]
    session = object_session(target)
    if pending and session is not None:
        session.info.setdefault(_WAITING, []).append(Waiting(state, connection, pending))


def _after_update(mapper: Mapper[Any], connection: sa.Connection, target: Any) -> None:
    _noted(instance_state(target))


def _note(state: State, written: list[Written]) -> None:
    session = state.session
    if session is None:
        raise ConfigError(f"{state.class_.__name__} has sealed columns: write it by a session.")
    session.info.setdefault(_WRITTEN, {})[state] = written


def _noted(state: State) -> list[Written]:
    """What was written of an object, if it is still what was sealed for its row."""
    session = state.session
    written: list[Written] = [] if session is None else session.info.get(_WRITTEN, {}).pop(state, [])
    for column, row, sealed in written:
        changed = sealed is not None and state.dict.get(column.key, sealed) is None
        if changed or (not isinstance(row, Pending) and current_row(state, column) != row):
            raise ConfigError(
                f"{column.label}: a listener changed the value or its row's key after it was sealed. Let it listen "
                "to before_flush, which comes earlier."
            )
    return written


def _read_again(state: State, column: SealedColumn, connection: sa.Connection) -> None:
    """Opens what is in a row whose key is about to change, by the old key, which the row in the database still has."""
    if state.key is None:
        return
    if is_autocommit(connection):
        raise SealingError(
            f"{column.label} is sealed anew when its row's key changes, from what is in the row then: with AUTOCOMMIT, "
            "what others write meanwhile is lost. Begin a transaction."
        )
    keys = [in_table(column.mapper, c, column.table) for c in column.mapper.primary_key]
    here = [key == value for key, value in zip(keys, state.key[1], strict=True)]
    found = connection.execute(sa.select(column.table.c[column.name]).where(*here).with_for_update()).first()
    if found is None:
        # The database changed the key itself (ON UPDATE CASCADE): all there is is what was loaded.
        getattr(state.obj(), column.key)
        return
    loaded = state.dict.get(column.key)
    if found[0] is None:
        state.dict[column.key] = None
        return
    value = column.type.open(found[0], stored_row(state, column))
    if loaded is None or type(loaded) is Sealed or not column.type.compare_values(value, loaded):
        state.dict[column.key] = _coerced(column.key, value) if isinstance(column.type, EncryptedJSON) else value


def _differs(state: State, column: SealedColumn, value: Any) -> bool:
    """Whether a value that was set is another than the one that was loaded."""
    old = state.committed_state[column.key]
    if old is None or old is LoaderCallableStatus.NO_VALUE:
        return True
    if type(value) is Sealed and type(old) is Sealed and value == old:
        return False
    if isinstance(value, ClauseElement):
        return True
    try:
        value, old = (
            (one._value if one._value is not ... else column.type.open(one, stored_row(state, column), tell=False))
            if type(one) is Sealed
            else one
            for one in (value, old)
        )
    except IntegrityError:
        return True  # what is broken can be written over; what is set and broken raises where it is sealed
    return not column.type.compare_values(value, old)


def _sealed(state: State, column: SealedColumn, row: Row) -> Sealed:
    value = state.dict[column.key]
    if isinstance(value, ClauseElement):
        raise ConfigError(f"{column.label} is sealed by Python: an SQL expression cannot be its value.")
    if type(value) is Sealed:
        # Set by hand, merged, or left by a flush that failed: it has to open where it is said to be from.
        if value._value is ...:
            value = column.type.open(value, value.row if value.row is not None else stored_row(state, column))
        else:
            value = value._value
    return column.type.seal(value, row)


def _same_key(state: State, column: SealedColumn) -> None:
    for key in column.row or ():
        if key in state.committed_state and state.committed_state[key] != state.dict.get(key):
            raise ConfigError(f"{column.label} is bound to its row by {key!r}, which cannot change.")


def _index(state: State, index: Index) -> None:
    """Brings a blind index in step with what it is of."""
    if index.of not in state.dict:
        getattr(state.obj(), index.of)
    value = state.dict.get(index.of)
    if type(value) is Sealed:
        value = _opened(state, index.of, value) if value._value is ... else value._value
    found = None if value is None else index.type.index(value)
    there = state.dict.get(index.key, ...)
    if there is ... or there != found:
        setattr(state.obj(), index.key, found)


def _tracked(target: Any, value: Any, old: Any, initiator: Any) -> Any:
    state = instance_state(target)
    if isinstance(old, Mutable):
        old._parents.pop(state, None)
    value = _coerced(initiator.key, value)
    if isinstance(value, Mutable):
        value._parents[state] = initiator.key
    return value


def _coerced(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return MutableDict.coerce(key, value)
    return MutableList.coerce(key, value) if isinstance(value, list) else value


event.listen(Mapper, "mapper_configured", configured)
event.listen(Session, "before_flush", begin)
event.listen(Session, "after_flush", finish)
