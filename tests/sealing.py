"""What the tests of sealed columns share: a vault, engines of both databases, and how somebody tampers with a table."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_rampart import Keyset, Vault
from flask_rampart.vault.columns import EncryptedBytes, EncryptedJSON, EncryptedString

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
Engines = Callable[[str], sa.Engine]


def vault() -> Vault:
    """One for sealing and one for indexes."""
    return Vault({"default": Keyset.generate("AES256_GCM"), "index": Keyset.generate("HKDF_SHA256")})


def base() -> type[DeclarativeBase]:
    """A registry of a test's own."""

    class Base(DeclarativeBase):
        pass

    return Base


@pytest.fixture
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engines]:
    """Makes an engine of an empty database."""
    made: list[sa.Engine] = []

    def make(name: str) -> sa.Engine:
        if name == "sqlite":
            url = f"sqlite:///{tmp_path}/{len(made)}.sqlite3"
        else:
            url = request.getfixturevalue("postgres_server").fresh()
        made.append(sa.create_engine(url))
        if name == "sqlite":
            sa.event.listen(made[-1], "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, engines: Engines) -> sa.Engine:
    """An empty database, of each kind."""
    return engines(request.param)


def stored(engine: sa.Engine, table: str, column: str, row: Any, further: str = "") -> Any:
    """What is in the database."""
    with engine.begin() as connection:
        value = connection.execute(
            sa.text(f'SELECT {column} FROM "{table}" WHERE id = :id {further}'), {"id": row}
        ).scalar_one()
        return bytes(value) if isinstance(value, memoryview) else value


def put(engine: sa.Engine, table: str, column: str, row: Any, value: Any) -> None:
    """Writes past everything."""
    with engine.begin() as connection:
        connection.execute(sa.text(f'UPDATE "{table}" SET {column} = :v WHERE id = :id'), {"v": value, "id": row})


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


class Counting(Vault):
    """A vault that counts what it opens."""

    def __init__(self, keysets: Any) -> None:
        super().__init__(keysets)
        self.asked = itertools.count()

    def _for(self, primitive: str, name: str | None) -> Any:
        next(self.asked)
        return super()._for(primitive, name)

    @property
    def count(self) -> int:
        """How often a keyset was used since this was last asked."""
        so_far = next(self.asked)
        self.asked = itertools.count()
        return so_far


SECRET = "42 Main Street, c/o Lovelace"


class Tables:
    """Two tables of people, with keys that the database makes and keys that Python makes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.vault = vault()
        self.engine = engine
        given = {"vault": self.vault}
        Base = base()

        class Person(Base):  # type: ignore[misc, valid-type]
            __tablename__ = "person"
            id: Mapped[int] = mapped_column(primary_key=True)
            address: Mapped[str] = mapped_column(EncryptedString(**given))
            second: Mapped[str | None] = mapped_column(EncryptedString(**given))
            loose: Mapped[str | None] = mapped_column(EncryptedString(row=False, **given))

        class Other(Base):  # type: ignore[misc, valid-type]
            __tablename__ = "other"
            id: Mapped[int] = mapped_column(primary_key=True)
            address: Mapped[str | None] = mapped_column(EncryptedString(**given))
            loose: Mapped[str | None] = mapped_column(EncryptedString(row=False, **given))

        class Thing(Base):  # type: ignore[misc, valid-type]
            __tablename__ = "thing"
            id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
            document: Mapped[Any] = mapped_column(EncryptedJSON(**given), nullable=True)
            blob: Mapped[bytes | None] = mapped_column(EncryptedBytes(**given))

        self.Person, self.Other, self.Thing = Person, Other, Thing
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all(
                [Person(id=n, address=f"{SECRET} {n}", second=f"two {n}", loose=f"loose {n}") for n in (1, 2)]
            )
            session.add(Other(id=1, address="elsewhere", loose="elsewhere"))
            session.commit()

    def read(self, row: int, name: str = "address") -> Any:
        with Session(self.engine) as session:
            return getattr(session.get(self.Person, row), name)


@contextmanager
def everything_logged(engine: sa.Engine) -> Iterator[list[str]]:
    """All that SQLAlchemy's loggers say, at their most talkative."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger("sqlalchemy"), Handler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    engine.echo = "debug"  # type: ignore[attr-defined]
    try:
        yield lines
    finally:
        engine.echo = False  # type: ignore[attr-defined]
        logger.removeHandler(handler)
        logger.setLevel(before)
