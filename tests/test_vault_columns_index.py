"""Blind indexes of sealed columns: found by value, kept in step, through rotations."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    configure_mappers,
    mapped_column,
    with_loader_criteria,
)

from flask_rampart import ConfigError, Keyset, Vault
from flask_rampart.vault.columns import (
    BlindIndex,
    EncryptedBytes,
    EncryptedJSON,
    EncryptedString,
    IndexBytes,
    SealingError,
    blind_index,
    reencrypt,
    sealed_values,
)

from .sealing import base, engine, engines, put, statements, stored

__all__ = ["engine", "engines"]

VAULT = Vault({"default": Keyset.generate("AES256_GCM"), "index": Keyset.generate("HKDF_SHA256")})


def plain(email: str) -> str:
    return unicodedata.normalize("NFKC", email).strip().casefold()


class Base(DeclarativeBase):
    pass


class Member(Base):
    __tablename__ = "member"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    email_index: Mapped[bytes | None] = blind_index("email", normalise=plain, unique=True)
    exact: Mapped[bytes | None] = blind_index("email")
    shared: Mapped[bytes | None] = blind_index("email", purpose="email", index=False)
    card: Mapped[bytes | None] = mapped_column(EncryptedBytes(row=False, vault=VAULT))
    card_index: Mapped[bytes | None] = blind_index("card")
    tags: Mapped[Any] = mapped_column(EncryptedJSON(vault=VAULT), nullable=True)
    tags_index: Mapped[bytes | None] = blind_index("tags")


class Guest(Base):
    __tablename__ = "guest"
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
    shared: Mapped[bytes | None] = blind_index("address", purpose="email")


@pytest.fixture
def session(engine: sa.Engine) -> Any:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


def ids(session: Session, clause: Any) -> list[int]:
    return list(session.scalars(sa.select(Member.id).where(clause).order_by(Member.id)))


def test_a_value_is_found_in_each_form_that_is_the_same(session: Session, engine: sa.Engine) -> None:
    session.add_all([Member(email="Ada@Example.com"), Member(email="\uff22ob@example.com"), Member(email=None)])
    session.commit()
    assert ids(session, Member.email_index == " ada@EXAMPLE.com\n") == [1]
    assert ids(session, Member.email_index == "bob@example.com") == [2]
    assert ids(session, Member.email_index == "bob@example.com") == [2]
    assert ids(session, Member.email_index == "ada@example.co") == [] == ids(session, Member.exact == "ada@example.com")
    assert ids(session, Member.exact == "Ada@Example.com") == [1]
    assert ids(session, Member.email_index.in_(["ADA@example.com", "bob@example.com", "no"])) == [1, 2]
    assert ids(session, Member.email_index != "ada@example.com") == [2]
    assert ids(session, Member.email_index.not_in(["ada@example.com"])) == [2]
    assert ids(session, Member.email_index == None) == [3] == ids(session, Member.email_index.is_(None))  # noqa: E711
    assert session.scalars(sa.select(Member).filter_by(email_index="ada@example.com")).one().email == "Ada@Example.com"
    index = stored(engine, "member", "email_index", 1)
    assert len(index) == 16 and index == VAULT.blind_index(
        "ada@example.com", purpose='["index",null,"member","email_index"]'
    )
    assert len({index, stored(engine, "member", "exact", 1), stored(engine, "member", "shared", 1)}) == 3


def test_an_index_follows_its_value_wherever_an_object_goes(session: Session) -> None:
    member = Member(id=1, email="a@example.com", card=b"4111", tags={"b": 1, "a": [True]})
    session.add(member)
    session.commit()
    assert ids(session, Member.card_index == b"4111") == [1] == ids(session, Member.tags_index == {"a": [True], "b": 1})
    assert ids(session, Member.tags_index == {"a": [1], "b": 1}) == []
    member.email = "b@example.com"
    member.tags["c"] = None
    session.commit()
    assert ids(session, Member.email_index == "a@example.com") == []
    assert ids(session, Member.email_index == "B@example.com") == [1]
    assert ids(session, Member.tags_index == {"a": [True], "b": 1, "c": None}) == [1]
    member.email = "B@example.com"  # the same for one index, another for the other
    session.commit()
    assert ids(session, Member.email_index == "b@example.com") == [1] == ids(session, Member.exact == "B@example.com")
    member.id = 9
    session.commit()
    assert ids(session, Member.email_index == "b@example.com") == [9]
    member.email = None
    session.commit()
    assert member.email_index is None and ids(session, Member.email_index == "b@example.com") == []
    session.expunge_all()
    member = session.get(Member, 9)  # type: ignore[assignment]
    other = Member(id=10, email="c@example.com")
    session.add(other)
    session.commit()
    # What somebody writes into the index by hand is put right.
    other.email_index = IndexBytes(16)
    session.commit()
    assert ids(session, Member.email_index == "c@example.com") == [10]


def test_one_value_is_there_once_where_the_index_is_unique(session: Session) -> None:
    session.add(Member(email="ada@example.com"))
    session.commit()
    session.add(Member(email="ADA@example.com"))
    with pytest.raises(sa.exc.IntegrityError) as error:
        session.commit()
    assert "example.com" not in str(error.value)


def test_statements_bring_the_index_or_are_refused(session: Session) -> None:
    rows = [sealed_values(Member, {"id": n, "email": f"m{n}@example.com", "card": bytes([n])}) for n in range(1, 6)]
    session.execute(sa.insert(Member), rows)
    session.execute(
        sa.update(Member).where(Member.id == 2).values(sealed_values(Member, {"email": "new@example.com"}, row=2))
    )
    session.execute(
        sa.update(Member).where(Member.id == 3).values(sealed_values(Member, {"email": None, "card": None}, row=3))
    )
    session.commit()
    assert ids(session, Member.email_index == "NEW@example.com") == [2]
    assert ids(session, Member.email_index.is_(None)) == [3]
    assert ids(session, Member.card_index == b"\4") == [4] and ids(session, Member.card_index == b"\3") == []
    for values in ({"card": b"x"}, {"email_index": "x@example.com"}, {"email_index": b"0123456789abcdef"}):
        with pytest.raises(SealingError):
            session.execute(sa.update(Member).values(values).execution_options(synchronize_session=False))
        session.rollback()
    sealed = session.execute(sa.select(Member.email).where(Member.id == 4)).scalar_one()
    with pytest.raises(ConfigError, match="sealed already"):
        sealed_values(Member, {"email": sealed}, row=4)


def test_indexes_of_one_purpose_join_tables_and_others_do_not(session: Session) -> None:
    session.add_all(
        [Member(id=1, email="a@example.com"), Guest(id=7, address="a@example.com"), Guest(id=8, address="b")]
    )
    session.commit()
    pairs = session.execute(sa.select(Member.id, Guest.id).join(Guest, Guest.shared == Member.shared)).all()
    assert [tuple(pair) for pair in pairs] == [(1, 7)]
    one, two = aliased(Member), aliased(Member)
    assert session.execute(sa.select(one.id).join(two, one.exact == two.exact)).scalars().all() == [1]
    assert session.execute(sa.select(one.id).where(one.email_index == "A@example.com")).scalars().all() == [1]
    # An index that was read is looked for as it is.
    index = session.get(Member, 1).shared  # type: ignore[union-attr]
    assert isinstance(index, IndexBytes) and session.scalars(
        sa.select(Guest.id).where(Guest.shared == index)
    ).all() == [7]
    assert "IndexBytes" in repr(index)
    with pytest.raises(TypeError):
        Member.email_index == bytes(index)  # type: ignore[arg-type]  # noqa: B015


def test_rows_of_each_key_are_found_while_keys_are_rotated(engine: sa.Engine) -> None:
    index = Keyset.generate("HKDF_SHA256")
    given = Vault({"default": Keyset.generate("AES256_GCM"), "index": index})

    class Person(base()):  # type: ignore[misc]
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(EncryptedString(vault=given))
        email_index: Mapped[bytes] = blind_index("email", normalise=plain, nullable=False)

    Person.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Person(id=1, email="old@example.com"))
        session.commit()
        before = index.primary
        index.rotate("HKDF_SHA256")
        session.add(Person(id=2, email="new@example.com"))
        session.commit()
        find = lambda email: session.scalars(sa.select(Person.id).where(Person.email_index == email)).all()  # noqa: E731
        assert (find("OLD@example.com"), find("new@example.com")) == ([1], [2])
        assert str(Person.email_index == "x").count("IN") == 1
        index.disable(before)
        assert (find("old@example.com"), find("new@example.com")) == ([], [2])
        done = reencrypt(engine, Person)
        assert (done.rows, done.sealed, done.indexed) == (2, 0, 1)
        assert (find("old@example.com"), find("new@example.com")) == ([1], [2])
        assert reencrypt(engine, Person).indexed == 0


def test_a_cached_statement_looks_for_what_it_is_given(session: Session, engine: sa.Engine) -> None:
    session.add_all([Member(id=n, email=f"m{n}@example.com") for n in range(1, 6)])
    session.commit()
    with statements(engine) as seen:
        assert [ids(session, Member.email_index == f"m{n}@example.com") for n in range(1, 6)] == [
            [1],
            [2],
            [3],
            [4],
            [5],
        ]
    assert len(set(seen)) == 1


def test_an_index_finds_nothing_but_equal_values(session: Session) -> None:
    for wrong in (
        lambda: Member.email_index < "a", lambda: Member.email_index.like("a%"), lambda: Member.email_index + b"x",
        lambda: Member.email_index.startswith("a"), lambda: Member.email_index.in_(sa.select(Member.email_index)),
        lambda: Member.email_index.desc(),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="equal values alone"):
            wrong()
    # Expressions of SQL would take the value to the database, and into its logs, as it is.
    for wrong in (
        lambda: Member.email_index == sa.func.lower("ADA@x"), lambda: Member.email_index == sa.literal("ada@x"),
        lambda: Member.email_index != sa.bindparam("x"),
        lambda: Member.email_index == sa.select(Member.id).scalar_subquery(),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="expression of SQL is no index"):
            wrong()
    value = "ada@x"
    with pytest.raises(ConfigError, match="within a lambda"):
        sa.lambda_stmt(lambda: sa.select(Member.id).where(Member.email_index == value))
    with pytest.raises(ConfigError, match="within a lambda"):
        within = with_loader_criteria(Member, lambda model: model.email_index == value)
        session.execute(sa.select(Member.id).options(within))
    criteria = with_loader_criteria(Member, Member.email_index == value)
    assert session.scalars(sa.select(Member.id).options(criteria)).all() == []
    with pytest.raises(SealingError, match="not in a tuple_"):
        session.execute(sa.select(Member.id).where(sa.tuple_(Member.id, Member.email_index).in_([(1, "ada@x")])))
    of_another = sa.select(Member.email_index).where(Member.id == 1).scalar_subquery()
    assert "SELECT" in str(Member.email_index == of_another)
    for value in (7, b"bytes", ["a"]):
        with pytest.raises(TypeError) as error:
            Member.email_index == value  # noqa: B015
        assert "bytes'" not in str(error.value)


def test_what_no_row_can_have_is_looked_for_and_not_found(engine: sa.Engine) -> None:
    class Short(base()):  # type: ignore[misc]
        __tablename__ = "short"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(EncryptedString(vault=VAULT, max_length=4))
        name_index: Mapped[bytes] = blind_index("name", normalise=str.casefold, nullable=False)

    Short.metadata.create_all(engine)
    with Session(engine) as session:
        # Longer in its other form: the length is of what is kept, not of what is looked for.
        session.add(Short(id=1, name="\u00df" * 4))
        session.commit()
        find = lambda name: session.scalars(sa.select(Short.id).where(Short.name_index == name)).all()  # noqa: E731
        assert (find("s" * 8), find("x" * 5_000), find("\ud800")) == ([1], [], [])
        assert session.scalars(sa.select(Short.id).where(Short.name_index != "\ud800")).all() == [1]
        with pytest.raises(ValueError, match="4 characters"):
            Short.name.type.encode("x" * 5)


def test_what_was_moved_to_another_row_is_found_and_not_read(session: Session, engine: sa.Engine) -> None:
    # The index is bound to no row: whoever writes the table can make a look-up find another row, whose value opens.
    session.add_all([Member(id=1, email="a@example.com"), Member(id=2, email="b@example.com")])
    session.commit()
    index = stored(engine, "member", "email_index", 1)
    put(engine, "member", "email_index", 1, None)
    put(engine, "member", "email_index", 2, index)
    found = session.scalars(sa.select(Member).where(Member.email_index == "a@example.com")).one()
    assert found.id == 2 and found.email == "b@example.com"


@pytest.mark.parametrize(
    "make",
    [
        lambda: blind_index(7), lambda: blind_index("a", normalise="casefold"), lambda: blind_index("a", purpose=""),
        lambda: blind_index("a", vault=7),
    ],
    ids=["name", "normalise", "purpose", "vault"],
)  # fmt: skip
def test_arguments_of_an_index_are_checked_where_they_are_written(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_an_index_in_another_table_or_of_no_class_is_refused() -> None:
    Base = base()

    class Above(Base):  # type: ignore[misc, valid-type]
        __tablename__ = "above"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))

    class Below(Above):
        __tablename__ = "below"
        id: Mapped[int] = mapped_column(sa.ForeignKey("above.id"), primary_key=True)
        email_index: Mapped[bytes | None] = blind_index("email")

    try:
        with pytest.raises(ConfigError, match="another table"):
            configure_mappers()
    finally:
        Base.registry.dispose()
    assert Below.__name__ == "Below"
    table = sa.Table("t", sa.MetaData(), sa.Column("i", BlindIndex("email", vault=VAULT)))
    with pytest.raises(ConfigError, match="not mapped"):
        table.c.i == "x"  # noqa: B015
