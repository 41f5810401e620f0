"""Sealed columns: a value is read from its own table, column and row, and from nowhere else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import sqlalchemy as sa
import tink
from sqlalchemy.orm import Mapped, Session, mapped_column
from tink import aead, secret_key_access
from tink import json_proto_keyset_format as json_format

from flask_rampart import ConfigError, IntegrityError, Keyset, Vault
from flask_rampart.vault.columns import (
    EncryptedBytes,
    EncryptedJSON,
    EncryptedString,
    seal_value,
)

from .sealing import SECRET, Tables, base, engine, engines, everything_logged, put, stored, vault

__all__ = ["engine", "engines"]


@pytest.fixture
def tables(engine: sa.Engine) -> Tables:
    return Tables(engine)


def test_a_value_is_sealed_in_the_database_and_read_from_its_object(tables: Tables) -> None:
    assert (
        tables.read(1) == f"{SECRET} 1" and tables.read(2, "second") == "two 2" and tables.read(1, "loose") == "loose 1"
    )
    data = stored(tables.engine, "person", "address", 1)
    assert b"Main" not in data
    # Tink's prefix, a nonce and a tag: nothing else is there, and the length shows.
    assert data[0] == 1 and len(data) == len(f"{SECRET} 1") + 5 + 12 + 16
    with Session(tables.engine) as session:
        thing = tables.Thing(document={"a": [1, None, "\u00e9"]}, blob=b"\0\xff")
        session.add(thing)
        session.commit()
        assert thing.document == {"a": [1, None, "\u00e9"]} and thing.blob == b"\0\xff"


@pytest.mark.parametrize(
    "to", [("person", "address", 2), ("person", "second", 1), ("other", "address", 1), ("person", "loose", 1)],
    ids=["row", "column", "table", "unbound"],
)  # fmt: skip
def test_a_value_that_was_moved_is_an_integrity_error(tables: Tables, to: tuple[str, str, int]) -> None:
    # SQLAlchemy-Utils #166: AES-CBC without a MAC, under one IV: a value moved to another row is simply read there.
    table, column, row = to
    put(tables.engine, table, column, row, stored(tables.engine, "person", "address", 1))
    model = {"person": tables.Person, "other": tables.Other}[table]
    with Session(tables.engine) as session, pytest.raises(IntegrityError) as error:
        getattr(session.get(model, row), column)
    assert error.value.reason == "altered" and error.value.code == "vault.altered"
    assert "Main" not in f"{error.value!r} {error.value}"


def test_a_value_of_a_column_without_rows_moves_between_its_rows_and_not_further(tables: Tables) -> None:
    data = stored(tables.engine, "person", "loose", 1)
    put(tables.engine, "person", "loose", 2, data)
    assert tables.read(2, "loose") == "loose 1"
    for table, column in (("person", "address"), ("other", "loose")):
        put(tables.engine, table, column, 1, data)
    with pytest.raises(IntegrityError):
        tables.read(1)
    with Session(tables.engine) as session, pytest.raises(IntegrityError):
        session.get(tables.Other, 1).loose  # noqa: B018


def test_a_flipped_bit_anywhere_is_an_integrity_error(tables: Tables) -> None:
    data = stored(tables.engine, "person", "address", 1)
    chance = random.Random(20261129)
    places = {0, 1, 4, 5, 16, 17, len(data) - 16, len(data) - 1, *chance.sample(range(len(data)), 8)}
    for place in sorted(places):
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        put(tables.engine, "person", "address", 1, bytes(changed))
        with pytest.raises(IntegrityError):
            tables.read(1)
    put(tables.engine, "person", "address", 1, data)
    assert tables.read(1) == f"{SECRET} 1"


def test_a_truncated_or_continued_value_is_an_integrity_error(tables: Tables) -> None:
    data = stored(tables.engine, "person", "address", 1)
    for wrong in (b"", data[:1], data[:5], data[:17], data[:32], data[:33], data[:-1], data + b"\0", data * 2):
        put(tables.engine, "person", "address", 1, wrong)
        with pytest.raises(IntegrityError):
            tables.read(1)


def test_plaintext_where_a_ciphertext_was_expected_is_an_integrity_error(tables: Tables) -> None:
    # What unauthenticated modes, and libraries that fall back to the value itself, would give out.
    plain: list[Any] = [b"admin@example.com", b"\1" + b"x" * 60, b"\0" * 60]
    if tables.engine.dialect.name == "sqlite":
        plain += ["a text, which SQLite takes for bytes", 7, 1.5]
    for value in plain:
        for column in ("address", "loose"):
            put(tables.engine, "person", column, 1, value)
            with pytest.raises(IntegrityError):
                tables.read(1, column)
            put(tables.engine, "person", column, 1, None if column == "loose" else b"")


def test_a_value_of_another_key_is_an_integrity_error_that_says_so(tables: Tables) -> None:
    place = b'["column",null,"person","address",[1]]'
    put(tables.engine, "person", "address", 1, vault().seal(b"by a stranger", associated_data=place))
    with pytest.raises(IntegrityError) as error:
        tables.read(1)
    assert error.value.code == "vault.no_key"


def test_equal_values_are_sealed_to_other_bytes_and_no_block_repeats(tables: Tables) -> None:
    # SQLAlchemy-Utils #166: the IV is the first 16 bytes of the key, so equal beginnings show in every row.
    with Session(tables.engine) as session:
        session.add_all([tables.Person(id=n, address="A" * 64) for n in range(10, 30)])
        session.commit()
    found = [stored(tables.engine, "person", "address", n)[5:] for n in range(10, 30)]
    blocks = [data[start : start + 16] for data in found for start in range(len(data) - 15)]
    assert len(set(blocks)) == len(blocks)


def test_a_broken_value_can_be_written_over_and_spoils_nothing_else(tables: Tables) -> None:
    put(tables.engine, "person", "address", 1, b"broken")
    assert tables.read(1, "second") == "two 1"
    with Session(tables.engine) as session:
        person = session.get(tables.Person, 1)
        person.address = "mended"
        session.commit()
        assert person.address == "mended"


def test_tink_opens_what_a_column_holds_and_a_column_what_tink_sealed(tables: Tables) -> None:
    aead.register()
    keyset = tables.vault.keyset().to_cleartext_json()
    primitive = json_format.parse(keyset, secret_key_access.TOKEN).primitive(aead.Aead)
    place = b'["column",null,"person","address",[1]]'
    assert primitive.decrypt(stored(tables.engine, "person", "address", 1), place) == f"{SECRET} 1".encode()
    put(tables.engine, "person", "address", 1, primitive.encrypt(b"from Tink", place))
    assert tables.read(1) == "from Tink"
    loose = stored(tables.engine, "person", "loose", 1)
    assert primitive.decrypt(loose, b'["column",null,"person","loose",null]') == b"loose 1"
    with pytest.raises(tink.TinkError):
        primitive.decrypt(loose, place)
    with Session(tables.engine) as session:
        thing = tables.Thing(document={"a": 1})
        session.add(thing)
        session.commit()
        key = thing.id
    with tables.engine.connect() as connection:
        data = connection.execute(sa.select(tables.Thing.document)).scalar_one().data
    place = json.dumps(["column", None, "thing", "document", [{"uuid": str(key)}]], separators=(",", ":")).encode()
    assert primitive.decrypt(data, place) == b'{"a":1}'


# Nothing of a value is told ---------------------------------------------------------------------------------------


def test_no_value_is_in_a_log_a_repr_or_an_error(tables: Tables) -> None:
    Person = tables.Person
    errors: list[BaseException] = []
    with everything_logged(tables.engine) as lines, Session(tables.engine) as session:
        person = Person(id=50, address=SECRET, loose=SECRET)
        session.add(person)
        session.commit()
        assert person.address == SECRET
        person.address = SECRET + "!"
        session.flush()
        lines.append(repr(session.execute(sa.select(Person.address, Person.loose)).all()) + repr(person))
        lines.append(repr(session.identity_map) + repr(sa.inspect(person).dict.get("second")))
        session.commit()
        for wrong in (
            Person(id=50, address=SECRET, loose=SECRET),
            Person(id=51, loose=SECRET),
            Person(id="x", address=SECRET),
        ):
            session.expunge_all()
            session.add(wrong)
            with pytest.raises((sa.exc.SQLAlchemyError, ConfigError)) as caught:
                session.flush()
            errors.append(caught.value)
            session.rollback()
        for statement in (
            sa.insert(Person).values(id=60, address=SECRET),
            sa.update(Person).values(address=SECRET),
            sa.update(Person).values(loose=SECRET, id="no number"),
            sa.select(Person).where(Person.id == sa.bindparam("id", SECRET, type_=Person.address.type)),
        ):
            with pytest.raises((sa.exc.SQLAlchemyError, ConfigError)) as caught:
                session.execute(statement)
            errors.append(caught.value)
            session.rollback()
        for text in ({"address": SECRET}, {"loose": SECRET}):
            lines.append(
                str(sa.insert(Person).values(text).compile(tables.engine, compile_kwargs={"literal_binds": True}))
            )
        with pytest.raises(sa.exc.DBAPIError):
            session.execute(sa.text(lines[-1].replace(":", r"\:")))
    assert any("INSERT INTO person" in line for line in lines)
    for text in [*lines, *(f"{e!s} {e!r} {getattr(e, 'params', '')}" for e in errors)]:
        assert "Main Street" not in text and "Lovelace" not in text


def test_an_error_in_another_column_does_not_quote_what_was_to_be_sealed(tables: Tables) -> None:
    # SQLAlchemy puts the parameters, as they were given, into the error of a value that it cannot convert.
    metadata = sa.MetaData()
    dated = sa.Table(
        "dated", metadata,
        sa.Column("a", sa.Enum("x", "y", name="a_or_b", native_enum=False, validate_strings=True)),
        sa.Column("note", EncryptedString(row=False, vault=tables.vault)),
        sa.Column("id", sa.Integer, primary_key=True),
    )  # fmt: skip
    metadata.create_all(tables.engine)
    rows = [{"id": 1, "a": "x", "note": "fine"}, {"id": 2, "a": "wrong", "note": SECRET}]
    with tables.engine.begin() as connection, pytest.raises(sa.exc.StatementError) as error:
        connection.execute(dated.insert(), rows)
    assert "Main Street" not in str(error.value) and not error.value.params and "dated" in str(error.value)
    # A table without a sealed column is told of as before.
    plain = sa.Table(
        "plainly_dated", metadata, sa.Column("its_kind", dated.c.a.type.copy()), sa.Column("its_text", sa.String)
    )
    with tables.engine.begin() as connection, pytest.raises(sa.exc.StatementError, match="what it was"):
        connection.execute(plain.insert(), [{"its_kind": "wrong", "its_text": "what it was"}])


def test_values_that_a_type_does_not_take_are_refused_without_being_quoted(tables: Tables) -> None:
    limited = EncryptedString(max_length=5)
    wrong: list[tuple[Any, Any]] = [
        (limited, SECRET), (limited, b"Main"), (limited, 7), (EncryptedString(), "Main\ud800"), (EncryptedBytes(), "Main"),
        (EncryptedJSON(), {"Main": {1, 2}}), (EncryptedJSON(), {"Main": float("nan")}), (EncryptedJSON(), {(1, 2): "Main"}),
    ]  # fmt: skip
    for kind, value in wrong:
        with pytest.raises((TypeError, ValueError)) as error:
            kind.encode(value)
        assert "Main" not in str(error.value) and error.value.__context__ is None
    assert limited.encode("12345") == b"12345" and EncryptedString(max_length=1).encode("\U0001f600")


# What cannot be is told before the first row --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: EncryptedString(row=()), lambda: EncryptedString(row=(1,)), lambda: EncryptedString(bound_as=""),
        lambda: EncryptedString(max_length=0), lambda: EncryptedString(max_length=True), lambda: EncryptedString(vault="x"),
        lambda: EncryptedString(accept_plaintext=1), lambda: EncryptedBytes(accept_plaintext=True),
    ],
    ids=["no row", "row", "bound_as", "zero", "true", "vault", "accepts", "bytes"],
)  # fmt: skip
def test_arguments_are_checked_where_they_are_written(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_renamed_table_is_read_if_its_columns_say_what_they_were_bound_as(engine: sa.Engine) -> None:
    given = vault()
    made = []
    for name in ("before", "after"):

        class Named(base()):  # type: ignore[misc]
            __tablename__ = name
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str] = mapped_column(EncryptedString(vault=given, bound_as="notes.text"))

        made.append(Named)
    made[0].metadata.create_all(engine)
    with Session(engine) as session:
        session.add(made[0](text="it moved"))
        session.commit()
        session.execute(sa.text("ALTER TABLE before RENAME TO after"))
        session.commit()
        assert session.get(made[1], 1).text == "it moved"


def test_a_keyset_of_another_purpose_or_none_is_told() -> None:
    class Note(base()):  # type: ignore[misc]
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(EncryptedString(vault=Vault(Keyset.generate("HKDF_SHA256"))))
        other: Mapped[str] = mapped_column(EncryptedString())

    with pytest.raises(ConfigError, match="AEAD"):
        seal_value(Note.text, "x", row=1)
    with pytest.raises(ConfigError, match=r"app context.*vault=") as error:
        seal_value(Note.other, "x", row=1)
    assert "note.other" in str(error.value)
