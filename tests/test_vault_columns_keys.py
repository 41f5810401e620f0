"""What rows are bound to: keys of the database and of Python, that change, that are inherited, that cannot be."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    column_property,
    composite,
    configure_mappers,
    defer,
    load_only,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator

from flask_rampart import ConfigError, IntegrityError
from flask_rampart.vault.columns import (
    EncryptedJSON,
    EncryptedString,
    blind_index,
    open_value,
    seal_value,
    sealed_values,
)

from .sealed import VAULT, Animal, Base, Cat, Cell, Dog, Note, Parcel, Text, User
from .sealing import base, engine, engines, put, statements, stored, vault

__all__ = ["engine", "engines"]


@pytest.fixture
def session(engine: sa.Engine) -> Any:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


# Keys ---------------------------------------------------------------------------------------------------------------


def test_rows_whose_key_the_database_makes_are_sealed_for_it_by_one_more_statement(
    session: Session, engine: sa.Engine
) -> None:
    users = [User(email=f"u{n}@example.com", settings={"n": n}) for n in range(50)]
    session.add_all(users)
    with statements(engine) as seen:
        session.flush()
    assert len([s for s in seen if s.startswith("UPDATE")]) == 1
    session.commit()
    for user in session.scalars(sa.select(User)):
        assert user.email == f"u{user.settings['n']}@example.com" and user.changed == 0
    # What is in the database is bound to that key.
    put(engine, "user", "email", 2, stored(engine, "user", "email", 1))
    session.expire_all()
    with pytest.raises(IntegrityError):
        session.get(User, 2).email  # type: ignore[union-attr]  # noqa: B018


def test_rows_whose_key_python_makes_are_written_once(session: Session, engine: sa.Engine) -> None:
    user = User(email="a", notes=[Note(text=f"n{n}") for n in range(5)])
    session.add(user)
    session.flush()
    user.notes.append(Note(text="later"))
    with statements(engine) as seen:
        session.commit()
    assert not [s for s in seen if "UPDATE" in s]
    assert sorted(note.text for note in user.notes) == ["later", "n0", "n1", "n2", "n3", "n4"]
    assert {note.user.email for note in session.scalars(sa.select(Note))} == {"a"}


def test_a_flush_that_fails_half_way_keeps_the_values_and_can_be_repeated(session: Session) -> None:
    user, broken = User(email="kept", settings={"a": 1}), Note(text="no user")
    session.add_all([user, broken])
    with pytest.raises(sa.exc.IntegrityError):
        session.flush()
    assert user.email == "kept" and user.settings == {"a": 1}
    session.rollback()
    assert user.email == "kept" and broken.text == "no user"
    user.settings["a"] = 2
    broken.user = user
    session.add_all([user, broken])
    session.commit()
    assert (user.email, user.settings, broken.text, broken.user.id) == ("kept", {"a": 2}, "no user", user.id)


def test_a_savepoint_that_is_rolled_back_leaves_what_was_there(session: Session) -> None:
    user = User(email="before")
    session.add(user)
    session.commit()
    with pytest.raises(ZeroDivisionError), session.begin_nested():
        user.email = "within"
        session.flush()
        assert user.email == "within"
        1 / 0  # noqa: B018
    assert user.email == "before"


def test_composite_keys_bind_by_all_of_their_parts(session: Session) -> None:
    day = datetime.date(2026, 11, 29)
    session.add_all([Cell(sheet="a", line=12, day=day, content=b"x"), Cell(sheet="a1", line=2, day=day, content=b"y")])
    session.commit()
    assert session.get(Cell, ("a", 12, day)).content == b"x"  # type: ignore[union-attr]
    sealed = session.execute(sa.select(Cell.content).where(Cell.line == 12)).scalar_one()
    assert open_value(Cell.content, sealed, row=("a", 12, day)) == b"x"
    for other in (("a1", 2, day), ("a", 12, day + datetime.timedelta(1)), ("", 12, day)):
        with pytest.raises(IntegrityError):
            open_value(Cell.content, sealed, row=other)
    for wrong in (("a", 12), ("a", "12", day), (day, 12, "a"), ("a", 12, None)):
        for act in (
            lambda key: open_value(Cell.content, sealed, row=key),
            lambda key: seal_value(Cell.content, b"", row=key),
        ):
            with pytest.raises(ConfigError, match=r"cell\.content"):
                act(wrong)


def test_an_object_whose_key_changes_is_sealed_anew_also_where_nothing_was_loaded(session: Session) -> None:
    user = User(id=1, email="mine", settings={"a": 1}, options={"b": 2})
    session.add(user)
    session.commit()
    user.id = 100
    session.commit()
    assert user.email == "mine" and user.settings == {"a": 1} and user.options == {"b": 2}
    session.expunge_all()
    user = session.scalars(sa.select(User).options(defer(User.email), defer(User.settings))).one()
    user.id, user.settings = 7, {"a": 2}
    session.commit()
    session.expunge_all()
    user = session.get(User, 7)  # type: ignore[assignment]
    assert user.email == "mine" and user.settings == {"a": 2}
    # What was read before stays what it was.
    user.id = 8
    assert user.email == "mine"
    session.commit()
    assert user.email == "mine"


def test_a_key_that_was_changed_by_a_statement_opens_nothing(session: Session) -> None:
    session.add(User(id=1, email="mine"))
    session.commit()
    session.execute(sa.update(User).values(id=2))
    session.commit()
    session.expunge_all()
    with pytest.raises(IntegrityError):
        session.get(User, 2).email  # type: ignore[union-attr]  # noqa: B018


def test_a_row_may_be_bound_by_another_key_which_then_does_not_change(session: Session, engine: sa.Engine) -> None:
    parcel = Parcel(address="here")
    session.add(parcel)
    with statements(engine) as seen:
        session.commit()
    assert not [s for s in seen if "UPDATE" in s]
    assert parcel.address == "here"
    session.expunge_all()
    parcel = session.scalars(sa.select(Parcel).options(load_only(Parcel.address))).one()
    assert parcel.address == "here"
    session.execute(sa.insert(Parcel), [sealed_values(Parcel, {"address": str(n)}) for n in range(3)])
    assert sorted(p.address for p in session.scalars(sa.select(Parcel))) == ["0", "1", "2", "here"]
    first, second = session.scalars(sa.select(Parcel).limit(2))
    session.execute(sa.text("UPDATE parcel SET address = (SELECT address FROM parcel WHERE id = :a) WHERE id = :b"),
                    {"a": first.id, "b": second.id})  # fmt: skip
    session.expire_all()
    with pytest.raises(IntegrityError):
        second.address  # noqa: B018
    first.public = uuid.uuid4()
    with pytest.raises(ConfigError, match="cannot change"):
        session.flush()
    session.rollback()


def test_a_key_of_another_type_than_the_database_gives_back_is_refused(session: Session) -> None:
    wrong: list[Any] = [
        User(id="7", email="x"), User(id=True, email="x"), Note(id=str(uuid.uuid4()), text="x", user_id=1),
        User(id=sa.literal(7), email="x"),
    ]  # fmt: skip
    for item in wrong:
        session.add(item)
        with pytest.raises(ConfigError, match="bound to its row"):
            session.flush()
        session.rollback()


def test_a_new_row_that_cannot_be_written_a_second_time_is_told(session: Session, engine: sa.Engine) -> None:
    # A trigger, or a policy for rows, keeps the update away: the value would be lost.
    if engine.dialect.name == "sqlite":
        made = ["CREATE TRIGGER no BEFORE UPDATE ON animal BEGIN SELECT RAISE(IGNORE); END"]
    else:
        made = [
            "CREATE FUNCTION no() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql",
            "CREATE TRIGGER no BEFORE UPDATE ON animal FOR EACH ROW EXECUTE FUNCTION no()",
        ]
    for statement in made:
        session.execute(sa.text(statement))
    session.commit()
    session.add_all([Animal(name="Eve"), Animal(name="Ada")])
    with pytest.raises(ConfigError, match=r"animal: .* default=uuid\.uuid4"):
        session.commit()
    session.rollback()
    assert session.scalar(sa.select(sa.func.count()).select_from(Animal)) == 0


def test_columns_of_any_name_are_bound_by_bytes_and_other_keys(engine: sa.Engine) -> None:
    class Odd(base()):  # type: ignore[misc]
        __tablename__ = "odd"
        key_id: Mapped[int] = mapped_column("key id", primary_key=True)
        value_a: Mapped[str] = mapped_column("a:b", EncryptedString(vault=VAULT))
        a: Mapped[str] = mapped_column("value_a", EncryptedString(vault=VAULT))

    class Blob(base()):  # type: ignore[misc]
        __tablename__ = "blob"
        id: Mapped[bytes] = mapped_column(sa.LargeBinary(8), primary_key=True)
        a: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))

    for kind in (Odd, Blob):
        kind.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Odd(value_a="1", a="2"), Blob(id=b"\0\xff", a="3")])
        session.commit()
        odd, blob = session.scalars(sa.select(Odd)).one(), session.scalars(sa.select(Blob)).one()
        assert (odd.value_a, odd.a, blob.a) == ("1", "2", "3")
        blob.id = b"new"
        session.commit()
        assert blob.a == "3"
        place = b'["column",null,"blob","a",[{"bytes":"6e6577"}]]'
        data = session.execute(sa.select(Blob.a)).scalar_one().data
        assert VAULT.open(data, associated_data=place) == b"3"


# Inheritance --------------------------------------------------------------------------------------------------------


def test_inherited_columns_are_sealed_for_the_table_they_are_in(session: Session, engine: sa.Engine) -> None:
    session.add_all([Dog(name="Rex", chip="123"), Cat(name="Tom", mood="sour"), Cat(name="Kit"), Animal(name="Eve")])
    session.commit()
    found = {a.name: a for a in session.scalars(sa.select(Animal).order_by(Animal.id))}
    assert set(found) == {"Rex", "Tom", "Kit", "Eve"} and found["Rex"].chip == "123"  # type: ignore[attr-defined]
    assert found["Tom"].mood == "sour" and found["Kit"].mood is None  # type: ignore[attr-defined]
    dog = session.scalars(sa.select(Dog)).one()
    data = stored(engine, "dog", "chip", dog.id)
    assert VAULT.open(data, associated_data=f'["column",null,"dog","chip",[{dog.id}]]') == b"123"
    dog.id = 50
    session.commit()
    session.expunge_all()
    moved = session.get(Dog, 50)
    assert moved is not None and (moved.name, moved.chip) == ("Rex", "123")


# What cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": mapped_column(sa.CHAR(5), primary_key=True)}, "pad"),
        ({"id": mapped_column(sa.Numeric, primary_key=True)}, "Decimal"),
        ({"id": mapped_column(sa.DateTime, primary_key=True)}, "datetime"),
        ({"a": mapped_column(EncryptedString(row="other"))}, "no column of"),
        ({"a": mapped_column(EncryptedString(row="b")), "b": mapped_column(sa.Integer)}, "NULL"),
        ({"a": mapped_column(EncryptedString(row="b")), "b": mapped_column(sa.Integer, nullable=False)}, "not unique"),
        ({"a": mapped_column(EncryptedString(row="b")), "b": mapped_column(sa.Uuid, server_default="x", unique=True, nullable=False)},
         "made by the database"),
        ({"a": mapped_column(EncryptedString(row="id"))}, "made by the database"),
        # A part of a key is no key: values would move between the rows that agree in it, and open.
        ({"b": mapped_column(sa.Integer, primary_key=True), "a": mapped_column(EncryptedString(row="b"))}, "not unique"),
        (
            {"b": mapped_column(sa.Integer, nullable=False), "c": mapped_column(sa.Integer, nullable=False),
             "a": mapped_column(EncryptedString(row="b")), "__table_args__": (sa.UniqueConstraint("b", "c"),)},
            "not unique",
        ),
        (
            {"b": mapped_column(sa.Integer, nullable=False), "a": mapped_column(EncryptedString(row="b")),
             "__table_args__": (sa.Index("u", "b", unique=True, sqlite_where=sa.text("b > 5")),)},
            "not unique",
        ),
        (
            {"b": mapped_column(sa.String, nullable=False), "a": mapped_column(EncryptedString(row="b")),
             "__table_args__": (sa.Index("u", sa.text("lower(b)"), "b", unique=True),)},
            "not unique",
        ),
        ({"__table_args__": (sa.Index("i", "a"),)}, "blind_index"),
        ({"a": mapped_column(EncryptedString(), default="x")}, "default"),
        ({"a": mapped_column(EncryptedString(), server_default="x")}, "default"),
        ({"a": mapped_column(EncryptedString(row=False), primary_key=True)}, "cannot be a key"),
        ({"i": blind_index("nothing")}, "no sealed attribute"),
        ({"a": mapped_column(EncryptedString(), unique=True)}, "blind_index"),
        ({"a": mapped_column(EncryptedString(row=False), index=True)}, "blind_index"),
        ({"__table_args__": (sa.UniqueConstraint("id", "a"),)}, "blind_index"),
        ({"c": composite(Text, "a")}, "composed of the sealed t.a"),
        (
            {"a": mapped_column(EncryptedString(bound_as="x")), "b": mapped_column(EncryptedString(bound_as="x"))},
            "open in both",
        ),
    ],
    ids=["char", "numeric", "datetime", "missing", "null", "not unique", "server", "auto", "half a key",
         "half a constraint", "partial", "expression", "in an index", "default", "server default",
         "key", "index", "unique", "indexed", "constraint", "composite", "bound_as"],
)  # fmt: skip
def test_what_cannot_bind_is_told_when_mappers_are_configured(columns: dict[str, Any], says: str) -> None:
    Base = base()
    body = {
        "__tablename__": "t",
        "id": mapped_column(sa.Integer, primary_key=True),
        "a": mapped_column(EncryptedString()),
    }
    held = type("T", (Base,), {**body, **columns})
    try:
        with pytest.raises(ConfigError, match=says):
            configure_mappers()
        assert held.__name__ == "T"
    finally:
        Base.registry.dispose()


def test_an_expression_of_a_sealed_column_is_no_property(session: Session) -> None:
    Base = base()

    class Place(Base):  # type: ignore[misc, valid-type]
        __tablename__ = "place"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(EncryptedString())

    Place.first = column_property(sa.select(User.email).where(User.id == 1).scalar_subquery())
    try:
        with pytest.raises(ConfigError, match=r"expression of the sealed user\.email"):
            configure_mappers()
    finally:
        Base.registry.dispose()
    user = User(email=sa.func.lower("X"))
    session.add(user)
    with pytest.raises(ConfigError, match="SQL expression"):
        session.flush()


def test_types_that_are_shared_by_mixins_annotations_and_dataclasses(engine: sa.Engine) -> None:
    given = vault()

    class Shared(MappedAsDataclass, DeclarativeBase, kw_only=True):
        type_annotation_map = {Text: EncryptedString(vault=given)}  # noqa: RUF012

    class Named(MappedAsDataclass, kw_only=True):
        name: Mapped[str] = mapped_column(EncryptedString(vault=given))

    class One(Named, Shared):
        __tablename__ = "one"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)
        x: Mapped[Text] = mapped_column(repr=False)
        x_index: Mapped[bytes | None] = blind_index("x", init=False)
        y: Mapped[Text] = mapped_column()

    class Two(Named, Shared):
        __tablename__ = "two"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)

    places = [
        column.type.place.label
        for column in (One.__table__.c.name, One.__table__.c.x, One.__table__.c.y, Two.__table__.c.name)
    ]
    assert places == ["one.name", "one.x", "one.y", "two.name"]
    Shared.metadata.create_all(engine)
    with Session(engine) as session:
        one, two = One(name="n", x=Text("x"), y=Text("y")), Two(name="t")
        session.add_all([one, two])
        session.commit()
        assert (one.name, one.x, one.y, two.name) == ("n", "x", "y", "t")
        assert session.scalars(sa.select(One).where(One.x_index == "x")).one() is one and "x='x'" not in repr(one)


def test_keys_of_a_type_that_gives_them_back_otherwise_are_refused(session: Session) -> None:
    class Lower(TypeDecorator[str]):
        impl = sa.String
        cache_ok = True

        def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
            return None if value is None else value.lower()

    class Guid(TypeDecorator[uuid.UUID]):
        """As they were written before SQLAlchemy 2."""

        impl = sa.String(32)
        cache_ok = True

        def process_bind_param(self, value: uuid.UUID | None, dialect: Any) -> str | None:
            return None if value is None else value.hex

        def process_result_value(self, value: str | None, dialect: Any) -> uuid.UUID | None:
            return None if value is None else uuid.UUID(value)

    Base = base()
    made = {}
    for name, kind in (("lower", Lower()), ("guid", Guid()), ("text", sa.Uuid(as_uuid=False))):
        body = {"__tablename__": f"of_{name}", "id": mapped_column(kind, primary_key=True)}
        made[name] = type(name, (Base,), {**body, "a": mapped_column(EncryptedString(vault=VAULT))})
    Base.metadata.create_all(session.connection())
    session.commit()
    key = uuid.uuid4()
    for name, fine, wrong in (("lower", "abc", "ABC"), ("guid", key, None), ("text", str(key), str(key).upper() + "0")):
        session.add(made[name](id=fine, a="read"))
        session.flush()
        session.expire_all()
        assert session.get(made[name], fine).a == "read"
        session.commit()
        if wrong is not None:
            # It would be sealed for a row that is never read, and be lost.
            session.add(made[name](id=wrong, a="lost"))
            with pytest.raises(ConfigError, match="otherwise than it is here"):
                session.flush()
            session.rollback()


def test_keys_that_a_statement_makes_are_waited_for(engine: sa.Engine) -> None:
    class Made(base()):  # type: ignore[misc]
        __tablename__ = "made"
        id: Mapped[int] = mapped_column(primary_key=True, default=lambda context: 7, autoincrement=False)
        text: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))

    Made.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Made(text="x"))
        session.commit()
        assert session.get(Made, 7).text == "x"


def test_mutable_dicts_of_sqlalchemy_are_refused_loudly(engine: sa.Engine) -> None:
    class Doc(base()):  # type: ignore[misc]
        __tablename__ = "doc"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[Any] = mapped_column(MutableDict.as_mutable(EncryptedJSON(vault=VAULT)))

    Doc.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Doc(id=1, body={"a": 1}))
        with pytest.raises(ValueError):
            session.commit()
            session.get(Doc, 1).body  # noqa: B018
