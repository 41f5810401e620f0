"""Sealed columns in statements: what they write, select and compare."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from flask_rampart import ConfigError, IntegrityError
from flask_rampart.vault.columns import (
    EncryptedJSON,
    EncryptedString,
    Sealed,
    SealingError,
    open_value,
    seal_value,
    sealed_values,
)

from .sealing import SECRET, Tables, engine, engines, stored, vault

__all__ = ["engine", "engines"]


@pytest.fixture
def tables(engine: sa.Engine) -> Tables:
    return Tables(engine)


# Statements ---------------------------------------------------------------------------------------------------------


def test_statements_cannot_write_what_they_cannot_bind_to_a_row(tables: Tables) -> None:
    Person = tables.Person
    for statement in (
        sa.insert(Person).values(id=5, address="x"),
        sa.update(Person).values(address="x"),
        Person.__table__.insert().values(id=5, address="x"),
        Person.__table__.update().values(address="x"),
    ):
        with Session(tables.engine) as session, pytest.raises(SealingError, match="bound to its row"):
            session.execute(statement)
    with Session(tables.engine) as session, pytest.raises(SealingError):
        session.execute(sa.insert(Person), [{"id": 5, "address": "x"}, {"id": 6, "address": "y"}])
    with Session(tables.engine) as session, pytest.raises(SealingError):
        session.bulk_save_objects([Person(id=5, address="x")])
    with Session(tables.engine) as session, pytest.raises(SealingError):
        session.bulk_insert_mappings(sa.inspect(Person), [{"id": 5, "address": "x"}])


def test_statements_write_what_was_sealed_for_its_row(tables: Tables) -> None:
    Person, Thing = tables.Person, tables.Thing
    with Session(tables.engine) as session:
        rows = [sealed_values(Person, {"id": n, "address": f"bulk {n}", "loose": "l"}) for n in range(10, 20)]
        session.execute(sa.insert(Person), rows)
        session.execute(sa.insert(Thing), [sealed_values(Thing, {"blob": b"made"}) for _ in range(3)])
        new = sealed_values(Person, {"address": "updated", "second": None}, row=11)
        session.execute(sa.update(Person).where(Person.id == 11).values(new))
        session.commit()
        assert [session.get(Person, n).address for n in (10, 11, 12)] == ["bulk 10", "updated", "bulk 12"]
        assert [thing.blob for thing in session.scalars(sa.select(Thing))] == [b"made"] * 3
        # One value for all rows opens in one: the others' would be lost.
        with pytest.raises(SealingError, match="sealed for one row and written to 12"):
            session.execute(sa.update(Person).values(new))
        session.rollback()
        assert session.get(Person, 12).address == "bulk 12"
        # So it is where a statement gives what it wrote to the objects of several rows.
        people = session.scalars(sa.select(Person).where(Person.id.in_([1, 12]))).all()
        for person in people:
            sa.orm.attributes.set_committed_value(person, "address", new["address"])
            with pytest.raises(IntegrityError):
                person.address  # noqa: B018
        session.rollback()
    for values, row in (({"address": "x"}, None), ({"address": "x"}, (1, 2)), ({"address": "x", "id": None}, None)):
        with pytest.raises(ConfigError):
            sealed_values(Person, values, row=row)
    with pytest.raises(ConfigError, match="int, not str"):
        sealed_values(Person, {"address": "x"}, row="7")
    with pytest.raises(ConfigError):
        sealed_values(dict, {})


def test_a_value_sealed_for_another_column_is_not_written(tables: Tables) -> None:
    sealed = seal_value(tables.Person.address, "x", row=1)
    for statement in (
        sa.update(tables.Person).values(second=sealed),
        sa.update(tables.Other).values(address=sealed),
        sa.update(tables.Person).values(loose=sealed),
    ):
        with Session(tables.engine) as session, pytest.raises(SealingError, match=r"person\.address"):
            session.execute(statement)


def test_selected_columns_are_sealed_until_the_row_is_said(tables: Tables) -> None:
    Person = tables.Person
    first, second = sa.orm.aliased(Person), sa.orm.aliased(Person)
    with Session(tables.engine) as session:
        key, sealed, loose = session.execute(
            sa.select(Person.id, Person.address, Person.loose).order_by(Person.id)
        ).first()
        assert isinstance(sealed, Sealed) and open_value(Person.loose, loose) == "loose 1"
        assert open_value(Person.address, sealed, row=key) == f"{SECRET} 1"
        assert open_value(Person.__table__.c.address, sealed, row=(1,)) == f"{SECRET} 1"
        with pytest.raises(IntegrityError):
            open_value(Person.address, sealed, row=2)
        for wrong in (lambda: open_value(Person.address, sealed), lambda: open_value(Person.loose, sealed, row=1),
                      lambda: open_value(Person.id, sealed, row=1), lambda: open_value(Person.second, sealed, row=1),
                      lambda: open_value(Person.address, "x", row=1)):  # fmt: skip
            with pytest.raises(ConfigError):
                wrong()
        assert open_value(Person.address, None, row=1) is None
        for wrong in (
            lambda: str(sealed),
            lambda: f"{sealed}",
            lambda: format(sealed, ">9"),
            lambda: "".join(["a", sealed]),
        ):
            with pytest.raises(TypeError):
                wrong()
        # Aliases and joins of one table, subqueries and raw text that is told its types.
        pair = session.execute(
            sa.select(first.address, second.address, first, second)
            .join(second, second.id == first.id + 1)
        ).one()  # fmt: skip
        assert open_value(first.address, pair[0], row=1) == pair[2].address == f"{SECRET} 1"
        assert open_value(second.address, pair[1], row=2) == pair[3].address == f"{SECRET} 2"
        inner = sa.select(Person.address, Person.loose).where(Person.id == 2).subquery()
        found = session.execute(sa.select(inner.c.address, inner.c.loose)).one()
        assert open_value(Person.address, found[0], row=2) == f"{SECRET} 2"
        assert open_value(Person.loose, found[1]) == "loose 2"
        people = session.scalars(sa.select(Person).from_statement(sa.text("SELECT * FROM person ORDER BY id"))).all()
        assert [person.address for person in people] == [f"{SECRET} 1", f"{SECRET} 2"]
        raw = session.execute(sa.text("SELECT address FROM person")).scalars().first()
        assert b"Main" not in bytes(raw)


def test_a_table_without_a_class_is_sealed_too(engine: sa.Engine) -> None:
    metadata, given = sa.MetaData(), vault()
    note = sa.Table(
        "note", metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("text", EncryptedString(row=False, vault=given)),
        sa.Column("data", EncryptedJSON(vault=given)),
    )  # fmt: skip
    metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"id": n, "text": f"n{n}", "data": seal_value(note.c.data, [n], row=n)} for n in range(3)]
        connection.execute(note.insert(), rows)
        connection.execute(note.update().where(note.c.id == 1).values(text="changed"))
        found = connection.execute(sa.select(note).order_by(note.c.id)).all()
        assert [open_value(note.c.text, row.text) for row in found] == ["n0", "changed", "n2"]
        assert [open_value(note.c.data, row.data, row=row.id) for row in found] == [[0], [1], [2]]


def test_two_columns_of_one_name_are_never_taken_for_each_other(engine: sa.Engine) -> None:
    # SQLAlchemy caches compiled statements, with what converts their values.
    given, kind = vault(), EncryptedString(row=False, vault=vault())
    metadata = sa.MetaData()
    tables = [
        sa.Table(
            f"t{n}", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", kind), sa.Column("b", kind)
        )
        for n in range(2)
    ]
    columns = [table.c[name] for table in tables for name in "ab"]
    assert len({id(column.type) for column in columns}) == len({column.type.place for column in columns}) == 4
    assert tables[0].to_metadata(sa.MetaData(), name="copied").c.a.type.place.label == "copied.a"
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in tables:
            connection.execute(table.insert().values(id=1, a="a", b="b"))
        for table in tables:
            b, a = connection.execute(sa.select(table.c.b, table.c.a)).one()
            assert (open_value(table.c.b, b), open_value(table.c.a, a)) == ("b", "a")
        for column in columns:
            loose = sa.text(f"SELECT {column.name} AS v FROM {column.table.name}").columns(v=column.type)
            assert open_value(column, connection.execute(loose).scalar_one()) == column.name
    with pytest.raises(SealingError, match="column of a table"):
        EncryptedString(vault=given).seal("x", None)


# Comparing ------------------------------------------------------------------------------------------------------------


def test_comparing_a_sealed_column_is_refused_when_the_statement_is_built(tables: Tables) -> None:
    column = tables.Person.address
    for wrong in (
        lambda: column == "x", lambda: column != "x", lambda: column == "x", lambda: column.in_(["x"]), lambda: column < "x",
        lambda: column.like("x%"), lambda: column.startswith("x"), lambda: column + "x", lambda: "x" + column,
        lambda: column.desc(), lambda: column.between("a", "b"), lambda: column == tables.Other.address,
        lambda: sa.select(tables.Person).filter_by(address="x"), lambda: column.is_distinct_from("x"),
        lambda: tables.Thing.document["a"], lambda: tables.Person.__table__.c.loose == "x",
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="blind index"):
            wrong()


def test_null_stays_null_and_is_looked_for(tables: Tables) -> None:
    Person = tables.Person
    with Session(tables.engine) as session:
        session.add(Person(id=9, address="", second=None))
        session.commit()
        assert (
            stored(tables.engine, "person", "second", 9) is None
            and len(stored(tables.engine, "person", "address", 9)) == 33
        )
        for clause in (Person.second == None, Person.second.is_(None)):  # noqa: E711
            assert session.scalars(sa.select(Person.id).where(clause)).all() == [9]
        for clause in (Person.second != None, Person.second.is_not(None)):  # noqa: E711
            assert session.scalars(sa.select(Person.id).where(clause).order_by(Person.id)).all() == [1, 2]
        person = session.get(Person, 9)
        assert person.address == "" and person.second is None
        person.second = "now"
        session.commit()
        person.second = None
        session.commit()
        assert person.second is None and stored(tables.engine, "person", "second", 9) is None
        assert session.scalar(sa.select(sa.func.count(Person.address))) == 3
