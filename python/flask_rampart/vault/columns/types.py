"""The types of sealed columns: what goes to the database and what comes from it.

1. In the database a value is bytes (``BYTEA``, ``BLOB``): Tink's ciphertext, bound to its column and, unless
   ``row=False``, to its row. NULL stays NULL.
2. A column that is bound to rows takes :class:`Sealed` values alone, for a type sees no row: a value that is not sealed
   is refused before it is sent. Objects seal (``objects.py``), or ``sealed_values`` and ``seal_value`` for statements.
   A column of ``row=False`` is sealed here, by any statement.
3. Each gives :class:`Sealed` values. Objects open them when an attribute is read; ``open_value`` those of a statement.
4. Nothing but IS NULL compares a sealed column: the same value is sealed to other bytes each time. What begins with the
   column is refused when it is built, the rest before it is sent (``comparing.py``).

It hides neither how long a value is nor that there is none. Errors here are not wrapped by SQLAlchemy, whose
``StatementError`` would quote the values that were to be sealed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from flask import current_app, has_app_context
from sqlalchemy import Column, LargeBinary, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ClauseElement

from ...errors import ConfigError, IntegrityError
from ...exchange import EXTENSION
from .. import AEAD, Keyset, Vault
from ..telling import told
from . import guards, hiding
from .guards import SealingError as SealingError
from .places import Place, Row, Sealed

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

T = TypeVar("T")

_serials = itertools.count()


class NoSuchText(ValueError):
    """A text that UTF-8 cannot say."""


class Bound:
    """What a type knows of its column, shared by the copies that SQLAlchemy makes of it for dialects."""

    def __init__(self) -> None:
        self.column: Column[Any] | None = None
        self.place: Place | None = None
        self.index: str | None = None
        """Of a sealed column: the attribute that is its blind index."""
        self.source: Any = None
        """Of a blind index: the type of its sealed column."""
        self.check: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None
        """Of a sealed column of a class: what looks at a row's key that a caller gives."""
        # Statements are cached by their types, with what seals and opens: each column is a type of its own there.
        self.serial = next(_serials)


class _Owned(TypeDecorator[T]):
    """A type that belongs to one column. Where several columns share an instance, each gets one of its own."""

    impl = LargeBinary
    cache_ok = True
    _bound: Bound
    _vault: Vault | Callable[[], Vault] | None
    keyset: str | None

    def _own(self, vault: Vault | Callable[[], Vault] | None, keyset: str | None) -> None:
        if vault is not None and not callable(vault) and not isinstance(vault, Vault):
            raise ConfigError(f"vault= is a Vault or a function that returns one, not {type(vault).__name__}.")
        self._bound = Bound()
        self._vault = vault
        self.keyset = keyset

    @property
    def vault(self) -> Vault:
        """The vault that was given, or the current app's."""
        given = self._vault
        if given is None:
            return _vault_of_app(self.label)
        return given if isinstance(given, Vault) else given()

    @property
    def label(self) -> str:
        """For people: ``"users.email"``."""
        column = self._bound.column
        if column is None:
            return type(self).__name__
        return column.name if column.table is None else f"{column.table.fullname}.{column.name}"

    @property
    def _static_cache_key(self) -> Any:
        return (type(self), self._bound.serial)

    def _set_parent(self, parent: Any, outer: bool = False, **kw: Any) -> None:
        if isinstance(parent, Column):
            if self._bound.column is None:
                self._bound.column = parent
            elif self._bound.column is not parent:
                own = self.copy()
                own._bound = Bound()
                own._bound.column = parent
                parent.type = own
        super()._set_parent(parent, outer=outer, **kw)
        if isinstance(parent, Column) and isinstance(parent.type, Encrypted):
            hiding.remember(parent.type._bound)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_bound", "dispatch")} | {
            "_column": self._bound.column,
            "_known": (self._bound.index, self._bound.source),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        column, (index, source) = state.pop("_column"), state.pop("_known")
        self.__dict__.update(state)
        self._bound = Bound()
        self._bound.column, self._bound.index, self._bound.source = column, index, source


class _Refusing(TypeDecorator.Comparator[Any]):
    """Refuses what could only be wrong, when the statement is built."""

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        if op in (operators.eq, operators.ne, operators.is_, operators.is_not) and other:
            # SQLAlchemy finds columns in dicts by == with themselves.
            itself = isinstance(other[0], ClauseElement) and hash(other[0]) == hash(self.expr)
            if itself or _is_null(other[0]):
                return super().operate(op, *other, **kwargs)
        kind = cast("Encrypted[Any]", self.expr.type)
        name = kind.label.rpartition(".")[2]
        index = kind._bound.index
        cure = f"{name}_index = blind_index({name!r}), and " if index is None else ""
        raise ConfigError(
            f"{kind.label} is sealed, to other bytes each time: {getattr(op, '__name__', op)} finds and sorts nothing. "
            f"Look it up by a blind index: {cure}where(Model.{index or name + '_index'} == ...)."
        )

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        return self.operate(op, other, **kwargs)


class Encrypted(_Owned[T], Generic[T]):
    """What the three types share. Each says how its values become bytes."""

    comparator_factory = _Refusing

    def __init__(
        self,
        *,
        row: bool | str | Sequence[str] = True,
        bound_as: str | None = None,
        vault: Vault | Callable[[], Vault] | None = None,
        keyset: str | None = None,
        accept_plaintext: bool = False,
    ) -> None:
        super().__init__()
        self._own(vault, keyset)
        if isinstance(row, str):
            row = (row,)
        elif not isinstance(row, bool):
            row = tuple(row)
            if not row or not all(isinstance(name, str) for name in row):
                raise ConfigError(
                    "row= is True (the primary key), False, or the names of the attributes that identify one."
                )
        if bound_as is not None and (not isinstance(bound_as, str) or not bound_as):
            raise ConfigError('bound_as= is a text such as "users.email".')
        if not isinstance(accept_plaintext, bool):
            raise ConfigError("accept_plaintext= is True or False.")
        if accept_plaintext and not self._plaintext_shows:
            raise ConfigError(
                f"{type(self).__name__} cannot accept plaintext: bytes that were never sealed may look as if they "
                "were. Add a new column, and copy row by row."
            )
        self.row: bool | tuple[str, ...] = row
        self.bound_as = bound_as
        self.accept_plaintext = accept_plaintext
        hiding.install()
        guards.install()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # MySQL's BLOB ends at 64 KiB, and some settings cut what is longer.
        return mysql.LONGBLOB() if dialect.name in ("mysql", "mariadb") else self.impl_instance

    @property
    def python_type(self) -> type[Any]:
        return self._python_type

    _python_type: type[Any] = bytes
    # Whether a value that was never sealed does not look as if it were.
    _plaintext_shows = True

    @property
    def place(self) -> Place:
        """What values are bound to, beside their row."""
        bound = self._bound
        if bound.place is None:
            column = bound.column
            if column is None or column.table is None:
                raise SealingError(
                    f"{type(self).__name__} has to be the type of a column of a table: it seals for one."
                )
            table = column.table
            schema = None if table.schema is None else str(table.schema)
            bound.place = Place(schema, str(table.name), str(column.name), bound_as=self.bound_as)
        return bound.place

    def seal(self, value: T, row: Row) -> Sealed:
        """*value*, sealed for a row (None: for none)."""
        data = self.encode(value)
        place = self.place
        sealed = self.vault.seal(data, associated_data=place.associated_data(row), name=self.keyset)
        return Sealed(sealed, place, row, value)

    def open(self, sealed: Sealed, row: Row, *, tell: bool = True) -> T:
        """What *sealed* says.

        :param tell: whether a failure is an alarm.
        :raises IntegrityError: if it was not sealed for this column and row, or was changed.
        """
        if sealed.place != self.place:
            raise ConfigError(f"A sealed value of {sealed.place.label} is none of {self.label}.")
        data = sealed.data
        if self.accept_plaintext and self.is_plaintext(data):
            return self._decoded(data, row)
        vault, place = self.vault, self.place
        try:
            # Not by Vault.open, which tells associated data, and with them keys that may be names of people.
            plain = vault._for(AEAD, self.keyset).open(data, place.associated_data(row))
        except IntegrityError as error:
            if self.accept_plaintext:
                self._refuse_raw()
            if tell:
                told(error, place.name(row), vault.app)
            raise
        return self._decoded(plain, row)

    def is_plaintext(self, data: bytes) -> bool:
        """Whether *data* cannot be sealed: it begins as no ciphertext of a keyset with ids does."""
        if data[:1] in (b"\0", b"\1"):
            return False
        self._refuse_raw()
        return True

    def _refuse_raw(self) -> None:
        # Asked for what is not sealed alone: it takes longer than opening does.
        if any(key.prefix == "RAW" for key in self.keyset_of().info()):
            raise ConfigError(
                f"{self.label}: accept_plaintext=True needs keys with a prefix, and the keyset has a RAW one: what it "
                "sealed cannot be told from plaintext."
            )

    def keyset_of(self) -> Keyset:
        """The keyset that seals and opens."""
        return self.vault._for(AEAD, self.keyset)

    def encode(self, value: Any) -> bytes:
        """A value's bytes, before they are sealed.

        :raises TypeError, ValueError: if it is none of this type; without quoting it.
        """
        raise NotImplementedError

    def form(self, value: Any) -> bytes:
        """The same for values that are equal: what a blind index is made of, and looked for by, of any length."""
        return self.encode(value)

    def decode(self, plain: bytes) -> T:
        """The value of which these are the bytes."""
        raise NotImplementedError

    def _decoded(self, plain: bytes, row: Row) -> T:
        try:
            return self.decode(plain)
        except ValueError:
            pass
        # Of another type, or plaintext in a place that accepts some.
        raise told(IntegrityError("altered"), self.place.name(row), self.vault.app)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        binary = self.impl_instance.bind_processor(dialect)

        def process(value: Any) -> Any:
            if value is None:
                return None
            data = self._to_send(value)
            return data if binary is None else binary(data)

        return process

    def _to_send(self, value: Any) -> bytes:
        if isinstance(value, Sealed):
            if value.place != self.place:
                raise SealingError(f"A sealed value of {value.place.label} is written to {self.label}.")
            return value.data
        if self.row is not False:
            raise SealingError(
                f"{self.label} is bound to its row, which a statement does not tell its type. Write it through an "
                "object and its session; or put sealed_values(Model, {...}, row=key) into the statement; or declare "
                "row=False."
            )
        if self._bound.index is not None:
            raise SealingError(
                f"{self.label} has a blind index, which this statement would leave behind. Put sealed_values(Model, "
                "{...}) into it, or write through an object and its session."
            )
        return self.seal(value, None).data

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        place, plaintext = self.place, self.accept_plaintext

        def process(value: Any) -> Any:
            # Not opened, also where no row is needed for it: rows are in the logs of ``echo="debug"``.
            return None if value is None else Sealed(_as_bytes(value, plaintext), place)

        return process

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        # SQLAlchemy quotes the value if this raises. What it gives is for people: no database takes it.
        return lambda value: f"(sealed for {self.label})"

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self

    def compare_values(self, x: Any, y: Any) -> bool:
        return type(x) is type(y) and bool(x == y)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._arguments())})"

    def _arguments(self) -> list[tuple[str, Any]]:
        """What was said, for migrations: without the vault, which a migration does not need."""
        given = [("row", self.row, True), ("bound_as", self.bound_as, None), ("keyset", self.keyset, None)]
        given.append(("accept_plaintext", self.accept_plaintext, False))
        return [(name, value) for name, value, default in given if value != default]


class EncryptedString(Encrypted[str]):
    """A text, sealed.

    :param row: True binds it to the row by its primary key; names of attributes, by these; False to the column alone.
    :param bound_as: in place of schema, table and column, so that these can be renamed: ``"users.email"``, for good.
    :param vault: a :class:`Vault`, or a function that returns one; the current app's if None.
    :param keyset: the name of the vault's keyset.
    :param max_length: of the text, in code points. The database sees bytes and cannot check it.
    :param accept_plaintext: reads what was never sealed, until :func:`seal_column` has sealed it.
    :raises ConfigError: for what cannot be; when mappers are configured, if there is no row to bind to.

    >>> EncryptedString(row=False, max_length=200)
    EncryptedString(row=False, max_length=200)
    """

    cache_ok = True
    _python_type = str

    def __init__(
        self,
        *,
        row: bool | str | Sequence[str] = True,
        bound_as: str | None = None,
        vault: Vault | Callable[[], Vault] | None = None,
        keyset: str | None = None,
        max_length: int | None = None,
        accept_plaintext: bool = False,
    ) -> None:
        super().__init__(row=row, bound_as=bound_as, vault=vault, keyset=keyset, accept_plaintext=accept_plaintext)
        if max_length is not None and (type(max_length) is not int or max_length < 1):
            raise ConfigError("max_length= is a whole number of code points, at least 1.")
        self.max_length = max_length

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"{self.label} takes a text, not {type(value).__name__}")
        if self.max_length is not None and len(value) > self.max_length:
            raise ValueError(f"{self.label} takes {self.max_length} characters at most, not {len(value)}")
        return self.form(value)

    def form(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"{self.label} takes a text, not {type(value).__name__}")
        try:
            return value.encode()
        except UnicodeEncodeError:
            pass
        # Not from within: the error has the text as an attribute.
        raise NoSuchText(f"{self.label} takes no half of a surrogate pair")

    def decode(self, plain: bytes) -> str:
        return plain.decode()

    def _arguments(self) -> list[tuple[str, Any]]:
        longest = [("max_length", self.max_length)] if self.max_length is not None else []
        return [*super()._arguments(), *longest]


class EncryptedBytes(Encrypted[bytes]):
    """Bytes, sealed. The parameters are those of :class:`EncryptedString`, but for ``max_length``.

    :raises ConfigError: for ``accept_plaintext``: bytes that were never sealed cannot be told from others. Seal them
        into a new column.
    """

    cache_ok = True

    _plaintext_shows = False

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"{self.label} takes bytes, not {type(value).__name__}")
        return bytes(value)

    def decode(self, plain: bytes) -> bytes:
        return plain


class EncryptedJSON(Encrypted[Any]):
    """What JSON can say, sealed. The parameters are those of :class:`EncryptedString`, but for ``max_length``.

    A dict or list that is an attribute's value is tracked: ``user.settings["a"] = 1`` is written at the next flush.
    What is inside of it is not, as with SQLAlchemy's ``MutableDict``. Do not wrap this in ``MutableDict.as_mutable``.

    Two values are equal if their JSON is, with members sorted: ``1`` and ``True`` differ, orders of members do not.
    None is NULL; JSON's ``null`` is not kept apart from it.
    """

    cache_ok = True
    _python_type = dict

    def encode(self, value: Any) -> bytes:
        return self._text(value, sort_keys=False)

    def decode(self, plain: bytes) -> Any:
        try:
            return json.loads(plain.decode())
        except RecursionError:
            raise ValueError("too deep") from None

    def form(self, value: Any) -> bytes:
        return self._text(value, sort_keys=True)

    def compare_values(self, x: Any, y: Any) -> bool:
        if isinstance(x, Sealed) or isinstance(y, Sealed):
            return type(x) is type(y) and bool(x == y)
        try:
            return self.form(x) == self.form(y)
        except (TypeError, ValueError):
            return False

    def _text(self, value: Any, *, sort_keys: bool) -> bytes:
        try:
            text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True, sort_keys=sort_keys)
            return text.encode()
        except (TypeError, ValueError, RecursionError):
            pass
        # Not from within: the error may quote.
        raise TypeError(f"{self.label} takes what JSON can say, with finite numbers")


def _as_bytes(value: Any, plaintext: bool) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    # SQLite keeps a text or a number in a column of bytes. Whether that may be is for whoever opens it.
    if isinstance(value, str) or plaintext:
        return str(value).encode("utf-8", "surrogatepass")
    return b""


def _is_null(value: Any) -> bool:
    return value is None or getattr(value, "__visit_name__", "") == "null"


def _vault_of_app(label: str) -> Vault:
    if not has_app_context():
        raise SealingError(
            f"{label} needs a vault: there is no app context. Push one (with app.app_context():), or give the type its "
            "own: vault=Vault(...)."
        )
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state = app.extensions.get(EXTENSION)
    found: Vault | None = None if state is None else state.services.get(Vault)
    if found is None:
        raise SealingError(f"{label} needs a vault: set RAMPART_VAULT_KEYSET and call Rampart(app), or give vault=.")
    return found
