"""Sealed columns where others act too: listeners in a flush, other sessions, several databases, statements beside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.horizontal_shard import ShardedSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    object_session,
    relationship,
)
from sqlalchemy.orm.attributes import flag_modified

from flask_rampart import ConfigError, IntegrityError
from flask_rampart.vault.columns import (
    EncryptedJSON,
    EncryptedString,
    SealingError,
    blind_index,
    open_value,
    seal_value,
    sealed_values,
)

from .sealing import base, engine, engines, statements, stored, vault

__all__ = ["engine", "engines"]

VAULT = vault()


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[int | None]
    name: Mapped[str | None]
    email: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    email_index: Mapped[bytes | None] = blind_index("email", normalise=str.casefold)
    settings: Mapped[Any] = mapped_column(EncryptedJSON(vault=VAULT), nullable=True)


class Profile(Base):
    __tablename__ = "profile"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    person: Mapped[Person] = relationship()
    shown: Mapped[str | None]


class Account(Base):
    __tablename__ = "account"
    name: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    email_index: Mapped[bytes | None] = blind_index("email", normalise=str.casefold)


class Both(Base):
    __tablename__ = "both"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    one: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    other: Mapped[str | None] = mapped_column(EncryptedString(row="number", vault=VAULT))


@pytest.fixture
def session(engine: sa.Engine) -> Any:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


@contextmanager
def listening(target: Any, name: str, listener: Callable[..., Any], **given: Any) -> Iterator[None]:
    sa.event.listen(target, name, listener, **given)
    try:
        yield
    finally:
        sa.event.remove(target, name, listener)


def found(session: Session, model: Any, email: str) -> list[Any]:
    return list(session.scalars(sa.select(model).where(model.email_index == email)))


# Listeners ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before_insert", "after_insert", "before_update", "after_update"])
@pytest.mark.parametrize("first", [False, True], ids=["after", "before"])
def test_what_a_listener_reads_during_a_flush_is_still_written_sealed(
    session: Session, engine: sa.Engine, when: str, first: bool
) -> None:
    seen: list[Any] = []

    def reads(mapper: Any, connection: Any, target: Any) -> None:
        # Its own and those of others in the same flush.
        for one in [target, *object_session(target).new, *object_session(target).dirty]:
            seen.append((one.email, one.settings))

    configure_mappers()
    with listening(Person, when, reads, insert=first):
        people = [Person(email=f"p{n}@example.com", settings={"n": n}) for n in (1, 2)]
        session.add_all(people)
        session.commit()
        people[0].email, people[1].settings["m"] = "new@example.com", 1
        session.commit()
    assert ("p1@example.com" if when.endswith("insert") else "new@example.com") in [email for email, _ in seen]
    assert [(p.email, p.settings) for p in session.scalars(sa.select(Person).order_by(Person.id))] == [
        ("new@example.com", {"n": 1}), ("p2@example.com", {"n": 2, "m": 1})
    ]  # fmt: skip
    for row in (1, 2):
        assert b"example" not in stored(engine, "person", "email", row)


def test_a_child_reads_its_new_parent_before_both_have_keys(session: Session) -> None:
    def shows(mapper: Any, connection: Any, target: Profile) -> None:
        target.shown = target.person.email[:1] if target.person.settings["public"] else None  # type: ignore[index]

    with listening(Profile, "before_insert", shows):
        session.add(Profile(person=Person(email="Ada", settings={"public": True})))
        session.commit()
    profile = session.scalars(sa.select(Profile)).one()
    assert (profile.shown, profile.person.email, profile.person.settings) == ("A", "Ada", {"public": True})


@pytest.mark.parametrize("name", ["after_flush", "pending_to_persistent"])
def test_events_of_a_session_read_what_was_written(session: Session, name: str) -> None:
    def reads(session: Session, given: Any) -> None:
        for one in session.new if name == "after_flush" else [given]:
            assert one.email == "x"

    with listening(session, name, reads, **({"insert": True} if name == "after_flush" else {})):
        session.add(Person(email="x"))
        session.commit()
    assert session.get(Person, 1).email == "x"  # type: ignore[union-attr]


@pytest.mark.parametrize("when", ["before_insert", "before_update"])
def test_a_listener_that_changes_a_key_after_it_was_sealed_for_is_told(session: Session, when: str) -> None:
    def late(mapper: Any, connection: Any, target: Account) -> None:
        target.name = target.name + " the second"

    configure_mappers()
    account = Account(name="ada", email="x")
    session.add(account)
    if when == "before_update":
        session.commit()
        account.email = "y"
    with listening(Account, when, late), pytest.raises(ConfigError, match=r"account\.email.*before_flush"):
        session.flush()
    session.rollback()
    if when == "before_update":
        assert account.email == "x"


# Other sessions -------------------------------------------------------------------------------------------------------


def test_a_value_is_written_with_its_index_also_where_that_seems_unchanged(session: Session, engine: sa.Engine) -> None:
    session.add(Person(id=1, email="ada@x"))
    session.commit()
    with Session(engine) as one, Session(engine) as other:
        mine, theirs = one.get(Person, 1), other.get(Person, 1)
        assert mine is not None and theirs is not None
        one.rollback()
        one.refresh(mine)
        one.expunge(mine)  # loaded, and without a transaction: databases lock otherwise
        one.rollback()
        one.add(mine)
        theirs.email = "bob@x"
        other.commit()
        mine.email = "Ada@x"  # the same for the index, as far as it was loaded
        one.commit()
    assert [p.email for p in found(session, Person, "ada@x")] == ["Ada@x"] and found(session, Person, "bob@x") == []


def test_what_is_set_to_what_it_was_is_not_written_whether_it_was_read_or_not(
    session: Session, engine: sa.Engine
) -> None:
    for read_mine, read_theirs in ((False, False), (False, True), (True, False), (True, True)):
        session.merge(Person(id=1, email="ada@x", settings={"a": 1}))
        session.commit()
        detached = session.get(Person, 1)
        assert detached is not None and (not read_theirs or (detached.email and detached.settings))
        session.expunge(detached)
        target = session.get(Person, 1)
        assert target is not None and (not read_mine or (target.email and target.settings))
        with statements(engine) as seen:
            merged = session.merge(detached)
            merged.email = merged.email
            session.commit()
        assert not [s for s in seen if s.startswith("UPDATE")], (read_mine, read_theirs)
        assert (merged.email, merged.settings) == ("ada@x", {"a": 1})
    with statements(engine) as seen:
        target = session.get(Person, 1)
        assert target is not None
        target.email = "ada@x"
        target.name = "another"
        session.commit()
    assert [s for s in seen if s.startswith("UPDATE") and "email" not in s]


def test_an_object_whose_key_changes_takes_along_what_others_wrote_meanwhile(
    session: Session, engine: sa.Engine
) -> None:
    session.add(Account(name="a", email="one"))
    session.commit()
    account = session.get(Account, "a")
    assert account is not None and account.email == "one"
    session.expunge(account)
    session.rollback()
    with Session(engine) as other:
        other.get(Account, "a").email = "two"  # type: ignore[union-attr]
        other.commit()
    session.add(account)
    account.name = "z"
    session.commit()
    assert (
        account.email == "two" and found(session, Account, "two") == [account] and found(session, Account, "one") == []
    )
    account.name = "y"
    session.execute(
        sa.update(Account).values(email=None, email_index=None).execution_options(synchronize_session=False)
    )
    session.commit()
    assert account.email is None


def test_each_database_of_a_session_gets_what_was_sealed_for_its_rows(engines: Any) -> None:
    class Row(base()):  # type: ignore[misc]
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True)
        area: Mapped[str]
        email: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))

    shards = {"a": engines("sqlite"), "b": engines("sqlite")}
    for one in shards.values():
        Row.metadata.create_all(one)
    with ShardedSession(
        shards=shards,
        shard_chooser=lambda mapper, instance, clause=None: "a" if instance is None else instance.area,
        identity_chooser=lambda mapper, primary_key, **_: list(shards),
        execute_chooser=lambda context: list(shards),
    ) as session:
        session.add_all([Row(area=area, email=f"in {area}") for area in "abab"])
        session.commit()
    for area, one in shards.items():
        with Session(one) as session:
            assert [row.email for row in session.scalars(sa.select(Row))] == [f"in {area}"] * 2


def test_rows_of_a_table_without_a_primary_key_are_told_apart_by_the_mappers(engines: Any) -> None:
    engine = engines("sqlite")
    Base = base()
    table = sa.Table(
        "bare", Base.metadata, sa.Column("id", sa.Integer, sa.FetchedValue(), nullable=False),
        sa.Column("v", EncryptedString(vault=VAULT)),
    )  # fmt: skip

    class Bare(Base):  # type: ignore[misc, valid-type]
        __table__ = table
        __mapper_args__ = {"primary_key": [table.c.id], "eager_defaults": True}  # noqa: RUF012

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE bare (id INTEGER PRIMARY KEY, v BLOB)"))
    for text in ("one", "two"):
        with Session(engine) as session:
            session.add(Bare(v=text))
            session.commit()
    with Session(engine) as session:
        assert [session.get(Bare, n).v for n in (1, 2)] == ["one", "two"]


# Statements -----------------------------------------------------------------------------------------------------------


def test_a_statement_that_leaves_an_index_behind_is_refused(session: Session, engine: sa.Engine) -> None:
    session.add(Person(id=1, email="five", name="n"))
    session.commit()
    sealed = seal_value(Person.email, "six", row=1)
    insert = __import__(f"sqlalchemy.dialects.{engine.dialect.name}", fromlist=["insert"]).insert(Person)
    table = Person.__table__
    for statement, values in (
        (sa.update(Person).values(email=None), None), (sa.update(Person).values(email=sealed), None),
        (sa.update(Person).values({Person.email: sa.null()}), None), (sa.update(Person), [{"id": 1, "email": sealed}]),
        (sa.update(table).where(table.c.id == 1), {"email": sealed}), (sa.update(table).values(email=None), None),
        (sa.update(table).ordered_values((table.c.email, None)), None),
        (insert.on_conflict_do_update(index_elements=["id"], set_={"email": insert.excluded.email}),
         [sealed_values(Person, {"id": 1, "email": "seven"})]),
    ):  # fmt: skip
        with pytest.raises(SealingError, match="email_index"):
            session.execute(statement, values, execution_options={"synchronize_session": False})
        session.rollback()
    both = {"email": insert.excluded.email, "email_index": insert.excluded.email_index}
    rows = [sealed_values(Person, {"id": 1, "email": "eight"})]
    session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=both), rows)
    session.execute(sa.update(Person).values(name="other"))
    session.commit()
    assert [person.id for person in found(session, Person, "eight")] == [1] and found(session, Person, "five") == []


def test_sealed_values_take_the_row_that_the_values_say(session: Session) -> None:
    rows = [sealed_values(Both, {"id": 1, "number": 900, "one": "a", "other": "b"})]
    rows.append(sealed_values(Both, {"id": 2, "number": 901, "one": "c", "other": "d"}, row=2))
    session.execute(sa.insert(Both), rows)
    session.execute(sa.update(Both).where(Both.id == 2).values(sealed_values(Both, {"one": "e"}, row=2)))
    session.execute(
        sa.update(Both)
        .where(Both.id == 2)
        .values(sealed_values(Both, {"number": 901, "other": "f", "one": "g"}, row=2))
    )
    session.commit()
    assert [(b.one, b.other) for b in session.scalars(sa.select(Both).order_by(Both.id))] == [("a", "b"), ("g", "f")]
    for values, row in (({"id": 3, "one": "x"}, 4), ({"id": 3, "number": 5, "one": "x", "other": "y"}, 4)):
        with pytest.raises(ConfigError, match="another row"):
            sealed_values(Both, values, row=row)
    with pytest.raises(ConfigError, match="bound by id and by number"):
        sealed_values(Both, {"one": "x", "other": "y"}, row=2)


@pytest.mark.parametrize("key", ["2", (2, 5), 2.0, True, None], ids=["text", "two", "float", "bool", "none"])
def test_a_key_that_no_row_has_is_refused_where_it_is_given(key: Any) -> None:
    metadata = sa.MetaData()
    table = sa.Table(
        "t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", EncryptedString(vault=VAULT))
    )
    configure_mappers()
    for column in (Person.email, table.c.v):
        sealed = seal_value(column, "x", row=2)
        assert open_value(column, sealed, row=2) == "x"
        with pytest.raises(ConfigError, match="bound to its row"):
            seal_value(column, "x", row=key)
        with pytest.raises(ConfigError, match="bound to its row"):
            open_value(column, sealed, row=key)


def test_a_text_binds_one_column_of_a_metadata(engines: Any) -> None:
    Base = base()

    class Mixin:
        email: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT, bound_as="people.email"))

    made = [
        type(name, (Mixin, Base), {"__tablename__": name, "id": mapped_column(sa.Integer, primary_key=True)})
        for name in "ab"
    ]
    try:
        with pytest.raises(ConfigError, match=r"bound as 'people\.email', as a\.email is"):
            configure_mappers()
        assert len(made) == 2
    finally:
        Base.registry.dispose()


def test_a_first_statement_that_fails_quotes_nothing(tmp_path: Path) -> None:
    # SQLAlchemy looks at which parameters there are before it asks types how to send them: so in a process of its own.
    program = tmp_path / "first.py"
    program.write_text(
        """
import sqlalchemy as sa
from flask_rampart import Keyset, Vault
from flask_rampart.vault.columns import EncryptedString

table = sa.Table(
    "notes", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("d", sa.Date),
    sa.Column("v", EncryptedString(row=False, vault=Vault(Keyset.generate("AES256_GCM")))),
)
engine = sa.create_engine("sqlite://")
table.metadata.create_all(engine)
typed = sa.bindparam("s", type_=table.c.v.type)
for statement, values in (
    (sa.insert(table), [{"id": 1, "v": "SECRETVALUE"}, {"id": 2}]),
    (sa.select(table.c.id).where(table.c.d == sa.bindparam("d"), typed == sa.null()), {"d": "x", "s": "SECRETVALUE"}),
    (sa.text("INSERT INTO notes (v, d) VALUES (:s, :d)").bindparams(typed, sa.bindparam("d", type_=sa.Date())),
     {"s": "SECRETVALUE", "d": "x"}),
):
    with engine.connect() as connection:
        try:
            connection.execute(statement, values)
        except sa.exc.StatementError as error:
            print("told:", error, error.params)
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count("told:") == 3 and "SECRETVALUE" not in done.stdout + done.stderr


def test_a_sealed_value_is_not_compared_by_mistake(session: Session) -> None:
    session.add(Person(id=1, email="five"))
    session.commit()
    sealed = session.execute(sa.select(Person.email)).scalar_one()
    with pytest.raises(TypeError, match="open_value"):
        sealed == "five"  # noqa: B015
    with pytest.raises(TypeError, match="open_value"):
        sealed in ["five"]  # noqa: B015
    assert sealed == sealed and sealed != None  # noqa: E711
    person = session.get(Person, 1)
    assert person is not None
    flag_modified(person, "email")
    session.commit()
    assert person.email == "five"


def test_tenants_of_one_table_need_keysets_of_their_own() -> None:
    # `schema_translate_map` renames a table on its way: to a column, both are the same place.
    current = ["one"]
    vaults = {"one": vault(), "two": vault()}
    Base = base()

    class Shared(Base):  # type: ignore[misc, valid-type]
        __tablename__ = "shared"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        open_to_both: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
        own: Mapped[str] = mapped_column(EncryptedString(vault=lambda: vaults[current[0]]))

    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        for name in vaults:
            connection.execute(sa.text(f"ATTACH ':memory:' AS {name}"))
    tenants = {name: engine.execution_options(schema_translate_map={None: name}) for name in vaults}
    for name, tenant in tenants.items():
        current[0] = name
        Base.metadata.create_all(tenant)
        with Session(tenant) as session:
            session.add(Shared(id=7, open_to_both=name, own=name))
            session.commit()
    with engine.begin() as connection:
        columns = "(SELECT open_to_both FROM one.shared), own = (SELECT own FROM one.shared)"
        connection.execute(sa.text(f"UPDATE two.shared SET open_to_both = {columns}"))
    with Session(tenants["two"]) as session:
        row = session.get(Shared, 7)
        assert row.open_to_both == "one"
        with pytest.raises(IntegrityError):
            row.own  # noqa: B018
    engine.dispose()
