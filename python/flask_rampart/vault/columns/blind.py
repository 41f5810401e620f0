"""Blind indexes: a second column, by which a sealed one is looked up.

1. An index is ``Vault.blind_index`` of the value, after ``normalise``: 16 bytes, by a key that seals nothing, for a
   purpose that is the index's own column unless another is given.
2. Objects keep it in step when they are flushed (``objects.py``); statements by ``sealed_values``.
3. ``Model.email_index == "ada@example.com"`` looks for the indexes by all enabled keys: ``IN``. Anything else than
   ``==``, ``!=``, ``in_`` and IS NULL is refused when the statement is built; and so is an expression of SQL, which
   would bring the value to the database as it is. What no text can say is nowhere, and finds nothing.

Who sees the column sees which rows agree and how often each value occurs. Where there are few values (a sex, a
postcode, a diagnosis), that is as good as reading them: do not index these. ``unique=True`` holds among indexes of one
key; while rows of an older key remain, the same value can be there twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.dialects import mysql
from sqlalchemy.orm import MappedColumn, configure_mappers, mapped_column
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.lambdas import PyWrapper
from sqlalchemy.types import TypeDecorator

from ...errors import ConfigError
from .. import Vault
from .places import IndexBytes, _json
from .types import Encrypted, NoSuchText, SealingError, _is_null, _Owned

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

Normalise = Callable[[Any], Any]


def blind_index(
    of: str,
    *,
    normalise: Normalise | None = None,
    purpose: str | None = None,
    vault: Vault | Callable[[], Vault] | None = None,
    keyset: str | None = None,
    index: bool = True,
    unique: bool = False,
    nullable: bool = True,
    **column: Any,
) -> MappedColumn[Any]:
    """A column by which the sealed attribute *of* is looked up. It is kept in step with it.

    :param normalise: brings a value into one form, before it is indexed and before it is looked for:
        ``lambda email: email.strip().casefold()``. It gives a value of the same type.
    :param purpose: the same value has the same index for the same purpose; this column's name if None. Give two columns
        the same to join them by it.
    :param vault: where the keyset for indexes is (``HKDF_SHA256``); that of the sealed column if None.
    :param keyset: its name.
    :raises ConfigError: when mappers are configured, if *of* is no sealed attribute of the same table.

    >>> from sqlalchemy import Integer
    >>> from sqlalchemy.orm import DeclarativeBase
    >>> from flask_rampart import Keyset, Vault
    >>> from flask_rampart.vault.columns import EncryptedString
    >>> vault = Vault({"default": Keyset.generate("AES256_GCM"), "index": Keyset.generate("HKDF_SHA256")})
    >>> class Base(DeclarativeBase):
    ...     pass
    >>> class User(Base):
    ...     __tablename__ = "users"
    ...     id = mapped_column(Integer, primary_key=True)
    ...     email = mapped_column(EncryptedString(vault=vault))
    ...     email_index = blind_index("email", normalise=str.casefold)
    >>> print(User.email_index == "Ada@Example.com")
    users.email_index IN (__[POSTCOMPILE_email_index_1])
    """
    kind = BlindIndex(of, normalise=normalise, purpose=purpose, vault=vault, keyset=keyset)
    return mapped_column(kind, index=index and not unique, unique=unique or None, nullable=nullable, **column)


class _Looking(TypeDecorator.Comparator[Any]):
    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        kind = cast("BlindIndex", self.expr.type)
        value = other[0] if other else None
        if op in _EQUAL and (_is_null(value) or isinstance(value, IndexBytes) or _is_index(value)):
            # Also of two indexes of one purpose: of aliases of a table, say.
            return super().operate(op, *other, **kwargs)
        if isinstance(value, PyWrapper):
            raise ConfigError(
                f"{kind.label} is a blind index: within a lambda, SQLAlchemy has no value yet of which there could be "
                "one. Give the expression itself: with_loader_criteria(Model, Model.email_index == value)."
            )
        if op in (operators.eq, operators.ne) and (isinstance(value, ClauseElement) or _is_column(value)):
            raise ConfigError(
                f"{kind.label} is a blind index: an expression of SQL is no index, and has the value as it is. Compare "
                "it with a value of Python, or with another index."
            )
        if op is operators.eq:
            return super().operate(operators.in_op, kind.candidates(value))
        if op is operators.ne:
            return super().operate(operators.not_in_op, kind.candidates(value))
        if op in (operators.in_op, operators.not_in_op) and isinstance(value, (list, tuple, set, frozenset)):
            return super().operate(op, [found for one in value for found in kind.candidates(one)])
        raise ConfigError(
            f"{kind.label} is a blind index: it finds equal values alone, by ==, != and in_([...]), not by "
            f"{getattr(op, '__name__', op)}."
        )

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        return self.operate(op, other, **kwargs)


class BlindIndex(_Owned[bytes]):
    """The type of the column that :func:`blind_index` makes."""

    cache_ok = True
    comparator_factory = _Looking

    def __init__(
        self,
        of: str = "",
        *,
        normalise: Normalise | None = None,
        purpose: str | None = None,
        vault: Vault | Callable[[], Vault] | None = None,
        keyset: str | None = None,
    ) -> None:
        super().__init__(16)
        self._own(vault, keyset)
        if not isinstance(of, str):
            raise ConfigError('blind_index("email") names the attribute that it is an index of.')
        if normalise is not None and not callable(normalise):
            raise ConfigError("normalise= is a function that brings a value into one form, such as str.casefold.")
        if purpose is not None and (not isinstance(purpose, str) or not purpose):
            raise ConfigError("purpose= is a text that is not empty.")
        self.of = of
        self.normalise = normalise
        self._purpose = purpose

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # MySQL does not index a BLOB as a whole.
        return mysql.VARBINARY(16) if dialect.name in ("mysql", "mariadb") else self.impl_instance

    def purpose(self) -> str:
        """What the vault is told: ``["index",schema,table,column]``, or what was given."""
        column = self._bound.column
        if self._purpose is not None or column is None:
            return self._purpose or ""
        schema = column.table.schema
        return _json(["index", None if schema is None else str(schema), str(column.table.name), str(column.name)])

    def index(self, value: Any) -> IndexBytes:
        """What to write beside *value*: its index by the primary key."""
        return IndexBytes(self._vault_of().blind_index(self._normal(value), purpose=self.purpose(), name=self.keyset))

    def candidates(self, value: Any) -> list[IndexBytes]:
        """What to look for: the index of *value* by each enabled key; nothing for what no row can have."""
        try:
            normal = self._normal(value)
        except NoSuchText:
            return []
        found = self._vault_of().blind_indexes(normal, purpose=self.purpose(), name=self.keyset)
        return [IndexBytes(one) for one in found]

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        binary = self.impl_instance.bind_processor(dialect)

        def process(value: Any) -> Any:
            if value is None:
                return None
            if not isinstance(value, IndexBytes):
                raise SealingError(
                    f"{self.label} is a blind index and is kept in step with {self.of!r}: write that, through an "
                    "object and its session, or by sealed_values(Model, {...}). It is looked for by == and in_ of the "
                    "attribute itself: not in a tuple_, nor by a value that a lambda takes from around it."
                )
            data = bytes(value)
            return data if binary is None else binary(data)

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        def process(value: Any) -> Any:
            if value is None:
                return None
            return IndexBytes(value if isinstance(value, (bytes, bytearray, memoryview)) else str(value).encode())

        return process

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self

    def __repr__(self) -> str:
        return f"BlindIndex({self.of!r})"

    def _normal(self, value: Any) -> bytes:
        source = self._source()
        normal = source.form(value)  # refuses what is of another type, before a function of the app's fails over it
        return normal if self.normalise is None else source.form(self.normalise(value))

    def _source(self) -> Encrypted[Any]:
        if self._bound.source is None:
            configure_mappers()
        if self._bound.source is None:
            raise ConfigError(f"{self.label} is an index of {self.of!r}, whose class is not mapped.")
        source: Encrypted[Any] = self._bound.source
        return source

    def _vault_of(self) -> Vault:
        return self.vault if self._vault is not None else self._source().vault


def _is_index(value: Any) -> bool:
    found = value.__clause_element__() if _is_column(value) else value
    return isinstance(found, ClauseElement) and isinstance(getattr(found, "type", None), BlindIndex)


def _is_column(value: Any) -> bool:
    return hasattr(value, "__clause_element__")


_EQUAL = (operators.eq, operators.ne, operators.is_, operators.is_not)
