"""Sealed columns without transactions: what could lose a value is refused, and the rest works."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_rampart.vault.columns import EncryptedString, SealingError, sealed_values
from flask_rampart.vault.columns.guards import is_autocommit

from .sealing import ENGINES, base, engine, engines, vault

__all__ = ["engine", "engines"]

VAULT = vault()
Base: type[DeclarativeBase] = base()


class Made(Base):
    __tablename__ = "made"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    loose: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT, row=False))


class Given(Base):
    __tablename__ = "given"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))


@pytest.fixture
def bare(engine: sa.Engine) -> sa.Engine:
    """An engine whose connections have no transactions."""
    Base.metadata.create_all(engine)
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def test_a_value_whose_row_has_no_key_yet_is_refused(bare: sa.Engine) -> None:
    with Session(bare) as session:
        session.add(Made(name="Ada"))
        with pytest.raises(SealingError, match=r"made\.name .* AUTOCOMMIT .*default=uuid\.uuid4"):
            session.flush()
        session.rollback()
        assert session.scalar(sa.select(sa.func.count()).select_from(Made)) == 0


def test_a_value_whose_row_is_known_is_written_once(bare: sa.Engine) -> None:
    with Session(bare) as session:
        session.add_all([Made(id=5, name="Ada"), Made(loose="of no row"), Made(name=None), Given(name="Eve")])
        session.commit()
        assert session.get_one(Made, 5).name == "Ada"
        assert session.scalars(sa.select(Given)).one().name == "Eve"
        session.get_one(Made, 5).name = "Grace"
        session.commit()
        assert session.get_one(Made, 5).name == "Grace"


def test_a_key_that_changes_is_refused(bare: sa.Engine) -> None:
    with Session(bare) as session:
        session.add(Made(id=5, name="Ada"))
        session.commit()
        session.get_one(Made, 5).id = 6
        with pytest.raises(SealingError, match="AUTOCOMMIT"):
            session.flush()
        session.rollback()
        assert session.get_one(Made, 5).name == "Ada"


def test_a_statement_that_may_meet_several_rows_is_refused_before_it_is_sent(bare: sa.Engine) -> None:
    table: Any = Made.__table__
    with Session(bare) as session:
        session.add_all([Made(id=n, name=f"{n}") for n in (5, 6)])
        session.commit()
        values = sealed_values(Made, {"name": "new"}, row=5)
        update = sa.update(Made)
        for statement in (
            update, update.where(Made.id > 4), update.where(sa.or_(Made.id == 5, Made.id == 6)),
            update.where(Made.id == Made.id), update.where(Made.loose.is_(None)),
            sa.update(table).where(~(table.c.id == 7)),
        ):  # fmt: skip
            with pytest.raises(SealingError, match="sealed for one row"):
                session.execute(statement.values(values))
        with pytest.raises(SealingError, match="sealed for one row"):
            session.connection().execute(sa.update(table), values)
        session.rollback()
        assert {one.id: one.name for one in session.scalars(sa.select(Made))} == {5: "5", 6: "6"}
        for statement in (
            update.where(Made.id == 5), update.where(sa.and_(Made.loose.is_(None), sa.literal(5) == Made.id)),
            update.where(Made.id == 5).where(Made.id == 5),
        ):  # fmt: skip
            assert session.execute(statement.values(values)).rowcount == 1  # type: ignore[attr-defined]
        session.expire_all()
        assert {one.id: one.name for one in session.scalars(sa.select(Made))} == {5: "new", 6: "6"}


def test_each_set_of_parameters_is_looked_at(bare: sa.Engine) -> None:
    table: Any = Made.__table__
    with Session(bare) as session:
        session.add_all([Made(id=n, loose="same") for n in (5, 6)])
        session.commit()
        new = sealed_values(Made, {"name": "new"}, row=5)
        rows = [{"n": 7, "name": None}, {"n": 5, **new}]
        connection = session.connection()
        with pytest.raises(SealingError, match="sealed for one row"):
            connection.execute(sa.update(table).where(table.c.id >= sa.bindparam("n")), rows)
        assert session.scalars(sa.select(Made.name)).all() == [None, None]
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("n")), rows)
        session.expire_all()
        assert {one.id: one.name for one in session.scalars(sa.select(Made))} == {5: "new", 6: None}


def test_the_key_of_another_table_names_no_row(bare: sa.Engine) -> None:
    made: Any = Made.__table__
    other = made.alias()
    with Session(bare) as session:
        session.add_all([Made(id=n) for n in (5, 6)])
        session.commit()
        new = sealed_values(Made, {"name": "new"}, row=5)
        with pytest.raises(SealingError, match="sealed for one row"):
            session.execute(sa.update(made).where(other.c.id == 5, other.c.id != made.c.id + 9).values(new))
        assert session.scalars(sa.select(Made.name)).all() == [None, None]


def test_several_sets_of_parameters_that_met_more_rows_are_refused_in_a_transaction(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    table: Any = Made.__table__
    with engine.begin() as connection:
        connection.execute(sa.insert(table), [{"id": n} for n in (5, 6, 7)])
    new = [{"n": n, **sealed_values(Made, {"name": "new"}, row=n)} for n in (5, 6)]
    with pytest.raises(SealingError, match="written to"), engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.id >= sa.bindparam("n")), new)
    with engine.begin() as connection:
        assert connection.scalars(sa.select(table.c.name)).all() == [None] * 3
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("n")), new)
    with Session(engine) as session:
        assert {one.id: one.name for one in session.scalars(sa.select(Made))} == {5: "new", 6: "new", 7: None}


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Callable[..., sa.Engine]]:
    made: list[sa.Engine] = []

    def make(**given: Any) -> sa.Engine:
        made.append(sa.create_engine(f"sqlite:///{tmp_path}/{len(made)}", **given))
        return made[-1]

    yield make
    for one in made:
        one.dispose()


def asked(engine: sa.Engine, **options: Any) -> bool:
    with engine.connect().execution_options(**options) as connection:
        connection.begin()
        return is_autocommit(connection)


def test_what_has_no_transactions_is_known_however_it_was_said(files: Callable[..., sa.Engine]) -> None:
    assert not asked(files())
    assert not asked(files(isolation_level="SERIALIZABLE"))
    assert asked(files(isolation_level="AUTOCOMMIT"))
    assert not asked(files(isolation_level="AUTOCOMMIT"), isolation_level="SERIALIZABLE")
    assert asked(files(), isolation_level="AUTOCOMMIT")
    # The driver's own, of which SQLAlchemy is not told.
    assert asked(files(connect_args={"isolation_level": None}))
    # As SQLAlchemy's manual has it for savepoints: there is a transaction, begun by a statement.
    begun = files(connect_args={"isolation_level": None})
    sa.event.listen(begun, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    assert not asked(begun)
    if hasattr(sqlite3.Connection, "autocommit"):  # since 3.12
        assert asked(files(connect_args={"autocommit": True}))
        assert not asked(files(connect_args={"autocommit": False}))


@pytest.mark.servers
@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_postgres_says_by_its_driver(engine: sa.Engine) -> None:
    assert not asked(engine)
    assert asked(engine, isolation_level="AUTOCOMMIT")
    sa.event.listen(engine, "connect", lambda driver, _: setattr(driver, "autocommit", True))
    engine.dispose()
    assert asked(engine)
