"""Sealing tables anew: after a rotation, where it was never sealed, beside others who write."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Mapped, Session, configure_mappers, mapped_column

from flask_rampart import ConfigError, IntegrityError, Keyset, Vault
from flask_rampart.vault.columns import (
    EncryptedJSON,
    EncryptedString,
    Reencrypted,
    Sealed,
    blind_index,
    reencrypt,
    rotation,
    seal_column,
    sealed_values,
)
from flask_rampart.vault.columns.types import Encrypted

from .sealing import base, engine, engines, put, stored, vault

__all__ = ["engine", "engines"]


class Shop:
    """A table of customers, and its keys."""

    def __init__(self, engine: sa.Engine, prefix: str | None = None) -> None:
        self.engine = engine
        self.keys, self.index = Keyset.generate("AES256_GCM", prefix=prefix), Keyset.generate("HKDF_SHA256")
        given = {"vault": Vault({"default": self.keys, "index": self.index})}
        Base = base()

        class Customer(Base):  # type: ignore[misc, valid-type]
            __tablename__ = "customer"
            land: Mapped[str] = mapped_column(primary_key=True)
            id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            email: Mapped[str] = mapped_column(EncryptedString(**given))
            email_index: Mapped[bytes | None] = blind_index("email", normalise=str.casefold)
            data: Mapped[Any] = mapped_column(EncryptedJSON(row=False, **given), nullable=True)
            changed: Mapped[int] = mapped_column(default=0, onupdate=1)

        class Premium(Customer):
            __tablename__ = "premium"
            land: Mapped[str] = mapped_column(primary_key=True)
            id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            phone: Mapped[str] = mapped_column(EncryptedString(**given))
            __table_args__ = (sa.ForeignKeyConstraint(["land", "id"], ["customer.land", "customer.id"]),)

        self.Customer, self.Premium = Customer, Premium
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            rows = [
                sealed_values(Customer, {"land": land, "id": n, "email": f"{land}{n}@example.com", "data": [n] if n % 2 else None})
                for land in ("at", "de") for n in range(30)
            ]  # fmt: skip
            session.execute(sa.insert(Customer), rows)
            session.add_all([Premium(land="fr", id=n, email=f"fr{n}@example.com", phone=f"+33{n}") for n in range(5)])
            session.commit()

    def read(self) -> dict[tuple[str, int], tuple[str, Any]]:
        with Session(self.engine) as session:
            return {(c.land, c.id): (c.email, c.data) for c in session.scalars(sa.select(self.Customer))}

    def keys_used(self) -> set[int]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(self.Customer.email, self.Customer.data)).all()
        return {int.from_bytes(value.data[1:5], "big") for row in rows for value in row if value is not None}


@pytest.fixture
def shop(engine: sa.Engine) -> Shop:
    return Shop(engine)


@pytest.mark.parametrize("batch", [3, 65, 500])
def test_all_rows_are_sealed_by_the_new_key_which_then_suffices(shop: Shop, batch: int) -> None:
    before, old = shop.read(), shop.keys.primary
    assert reencrypt(shop.engine, shop.Premium, batch=batch) == Reencrypted(rows=65 + 5)
    assert reencrypt(shop.engine, shop.Customer, batch=batch) == Reencrypted(rows=65 + 5)
    shop.keys.rotate("AES256_GCM")
    done = reencrypt(shop.engine, shop.Customer, batch=batch)
    # With the table of the class below.
    assert done == Reencrypted(rows=65 + 5, sealed=65 + 30 + 5) and shop.keys_used() == {shop.keys.primary}
    shop.keys.destroy(old)
    assert shop.read() == before and len(before) == 65
    with Session(shop.engine) as session:
        assert {p.phone for p in session.scalars(sa.select(shop.Premium))} == {f"+33{n}" for n in range(5)}
        assert session.scalars(sa.select(shop.Customer.changed).distinct()).all() == [0]
    assert reencrypt(shop.engine, shop.Customer, batch=batch) == Reencrypted(rows=65 + 5)


def test_an_interrupted_run_goes_on_where_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shop.read()
    shop.keys.rotate("AES256_GCM")
    really, batches = rotation._Work.read, []

    def read(work: Any, connection: Any, after: Any, batch: int) -> list[Any]:
        batches.append(after)
        if len(batches) == 4:
            raise KeyboardInterrupt
        return really(work, connection, after, batch)

    monkeypatch.setattr(rotation._Work, "read", read)
    with pytest.raises(KeyboardInterrupt):
        reencrypt(shop.engine, shop.Customer, batch=10)
    monkeypatch.undo()
    done = reencrypt(shop.engine, shop.Customer, batch=10)
    assert done.rows == 70 and done.sealed == 100 - 45 and shop.read() == before
    # In a session's transaction, nothing stays that it does not commit.
    shop.keys.rotate("AES256_GCM")
    with Session(shop.engine) as session:
        assert reencrypt(session, shop.Customer).sealed == 100
        session.rollback()
    with shop.engine.connect() as connection:
        assert reencrypt(connection, shop.Customer).sealed == 100
        connection.commit()
    assert reencrypt(shop.engine, shop.Customer).sealed == 0 and shop.read() == before


def test_who_writes_meanwhile_is_not_written_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.keys.rotate("AES256_GCM")
    really, wrote = rotation._Work._change, []

    def change(work: Any, row: Any) -> Any:
        found = really(work, row)
        if (row["key_0"], row["key_1"]) == ("de", 3) and not wrote:
            # Between reading and writing. In SQLite nobody else writes within the transaction: so it is the same one.
            values = sealed_values(shop.Customer, {"email": "meanwhile@example.com", "data": {"b": 2}}, row=("de", 3))
            work_on.execute(sa.update(shop.Customer.__table__).where(*here).values(**values))
            wrote.append(1)
        return found

    here = [shop.Customer.__table__.c.land == "de", shop.Customer.__table__.c.id == 3]
    monkeypatch.setattr(rotation._Work, "_change", change)
    with shop.engine.begin() as work_on:
        done = reencrypt(work_on, shop.Customer)
    assert wrote and done.sealed == 100 - 2 and done.contended == 0
    assert shop.read()["de", 3] == ("meanwhile@example.com", {"b": 2}) and shop.keys_used() == {shop.keys.primary}


def test_a_row_that_is_gone_meanwhile_is_passed_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.keys.rotate("AES256_GCM")
    really, table = rotation._Work._change, shop.Customer.__table__

    def change(work: Any, row: Any) -> Any:
        if (row["key_0"], row["key_1"]) == ("at", 0):
            work_on.execute(table.delete().where(table.c.land == "at", table.c.id == 0))
        return really(work, row)

    monkeypatch.setattr(rotation._Work, "_change", change)
    with shop.engine.begin() as work_on:
        done = reencrypt(work_on, shop.Customer)
    assert done.contended == 0 and done.sealed == 99 and ("at", 0) not in shop.read()


def test_a_row_that_others_write_again_and_again_is_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    old = shop.keys.primary
    new = shop.keys.rotate("AES256_GCM")
    really = rotation._Work._change

    def change(work: Any, row: Any) -> Any:
        found = really(work, row)
        if (row["key_0"], row["key_1"]) == ("at", 0):
            shop.keys.promote(old)  # a process that does not know the new key yet
            values = sealed_values(shop.Customer, {"email": "again@example.com"}, row=("at", 0))
            shop.keys.promote(new)
            work_on.execute(sa.update(shop.Customer.__table__).where(shop.Customer.__table__.c.land == "at",
                                                                     shop.Customer.__table__.c.id == 0).values(**values))  # fmt: skip
        return found

    monkeypatch.setattr(rotation._Work, "_change", change)
    with shop.engine.begin() as work_on:
        done = reencrypt(work_on, shop.Customer)
    assert done.contended == 1 and shop.read()["at", 0][0] == "again@example.com"
    monkeypatch.undo()
    assert reencrypt(shop.engine, shop.Customer) == Reencrypted(rows=70, sealed=1)


@pytest.mark.servers
def test_writers_and_two_rotations_at_once_lose_nothing(engines: Any) -> None:
    shop = Shop(engines("postgresql"))
    expected = shop.read()
    shop.keys.rotate("AES256_GCM")
    stop, counted = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set() or number < 30:
            number += 1
            key = ("at", number % 30)
            with Session(shop.engine) as session:
                customer = session.get(shop.Customer, key)
                customer.email, customer.data = f"w{number}@example.com", [number]
                session.commit()
                expected[key] = (customer.email, list(customer.data))

    def turn() -> None:
        counted.append(reencrypt(shop.engine, shop.Customer, batch=8))

    writer = threading.Thread(target=write)
    turns = [threading.Thread(target=turn) for _ in range(2)]
    for thread in [writer, *turns]:
        thread.start()
    for thread in turns:
        thread.join()
    stop.set()
    writer.join()
    assert len(counted) == 2
    assert shop.read() == expected and shop.keys_used() == {shop.keys.primary}
    with Session(shop.engine) as session:
        for (land, number), (email, _) in expected.items():
            found = session.scalars(sa.select(shop.Customer).where(shop.Customer.email_index == email.upper())).all()
            assert (land, number) in {(one.land, one.id) for one in found}


def test_a_value_that_does_not_open_ends_it_or_is_counted(shop: Shop) -> None:
    shop.keys.rotate("AES256_GCM")
    data = stored(shop.engine, "customer", "email", 3, "AND land = 'de'")
    with shop.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE customer SET email = :v WHERE id = 3 AND land = 'de'"), {"v": data[:-1] + b"x"}
        )
    with pytest.raises(IntegrityError) as error:
        reencrypt(shop.engine, shop.Customer, batch=10)
    assert error.value.place == "customer.email"
    done = reencrypt(shop.engine, shop.Customer, skip_unreadable=True)
    assert done.unreadable == 1 and reencrypt(shop.engine, shop.Customer, skip_unreadable=True).sealed == 0


def test_keys_without_a_prefix_are_sealed_anew_each_time(engine: sa.Engine) -> None:
    shop = Shop(engine, prefix="RAW")
    before = shop.read()
    assert [reencrypt(engine, shop.Customer).sealed for _ in range(2)] == [100, 100] and shop.read() == before


def test_what_reencrypt_does_not_take_is_told(shop: Shop) -> None:
    class Bare(base()):  # type: ignore[misc]
        __tablename__ = "bare"
        id: Mapped[int] = mapped_column(primary_key=True)

    for wrong in (
        lambda: reencrypt(shop.engine, Bare), lambda: reencrypt(shop.engine, dict), lambda: reencrypt("sqlite://", shop.Customer),
        lambda: reencrypt(shop.engine, shop.Customer, batch=0), lambda: reencrypt(shop.engine, shop.Customer, batch=True),
        lambda: seal_column(shop.engine, shop.Customer.email), lambda: seal_column(shop.engine, shop.Customer.id),
        lambda: seal_column(shop.engine, shop.Customer.__table__.c.email),
        lambda: reencrypt(create_async_engine("sqlite+aiosqlite://"), shop.Customer),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            wrong()


def test_an_index_that_outlived_its_value_goes_and_a_duplicate_is_counted(engine: sa.Engine) -> None:
    index = Keyset.generate("HKDF_SHA256")
    given = Vault({"default": Keyset.generate("AES256_GCM"), "index": index})

    class Guest(base()):  # type: ignore[misc]
        __tablename__ = "guest"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str | None] = mapped_column(EncryptedString(vault=given))
        email_index: Mapped[bytes | None] = blind_index("email", unique=True)

    Guest.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Guest(id=n, email=f"g{n}") for n in range(1, 8)])
        session.commit()
        session.execute(sa.text("UPDATE guest SET email = NULL WHERE id = 2"))
        session.commit()
        assert session.scalars(sa.select(Guest.id).where(Guest.email_index == "g2")).all() == [2]
    assert reencrypt(engine, Guest) == Reencrypted(rows=7, indexed=1)
    with Session(engine) as session:
        assert session.scalars(sa.select(Guest.id).where(Guest.email_index == "g2")).all() == []
        # Until all indexes are of the new key, a value can come a second time.
        index.rotate("HKDF_SHA256")
        given.keyset().rotate("AES256_GCM")
        session.add(Guest(id=9, email="g3"))
        session.commit()
    assert reencrypt(engine, Guest, batch=2) == Reencrypted(rows=8, sealed=6, indexed=5, conflicts=1)
    with engine.connect() as connection, connection.begin() as transaction:
        again = reencrypt(connection, Guest)
        assert again == Reencrypted(rows=8, conflicts=1)
        transaction.rollback()
    with Session(engine) as session:
        assert [g.email for g in session.scalars(sa.select(Guest).order_by(Guest.id))] == [
            "g1", None, "g3", "g4", "g5", "g6", "g7", "g3"
        ]  # fmt: skip
        assert session.scalars(sa.select(Guest.id).where(Guest.email_index == "g3").order_by(Guest.id)).all() == [3, 9]
        session.get(Guest, 9).email = None  # type: ignore[union-attr]
        session.commit()
    assert reencrypt(engine, Guest) == Reencrypted(rows=8, indexed=1)


# From plaintext -------------------------------------------------------------------------------------------------------


def old_table(engine: sa.Engine) -> None:
    """A table as it was before, with texts that are no bytes."""
    metadata = sa.MetaData()
    old = sa.Table(
        "reader", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.Text),
        sa.Column("data", sa.Text), sa.Column("email_index", sa.LargeBinary),
    )  # fmt: skip
    metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"id": n, "email": f"r{n}@example.com", "data": f'{{"n": {n}}}'} for n in range(20)]
        connection.execute(
            old.insert(), [*rows, {"id": 20, "email": None, "data": None}, {"id": 21, "email": "", "data": "7"}]
        )
        if engine.dialect.name == "postgresql":
            for name in ("email", "data"):
                connection.execute(
                    sa.text(f"ALTER TABLE reader ALTER {name} TYPE bytea USING convert_to({name}, 'UTF8')")
                )


def reader_of(given: Vault, accepts: bool) -> Any:
    class Reader(base()):  # type: ignore[misc]
        __tablename__ = "reader"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str | None] = mapped_column(EncryptedString(vault=given, accept_plaintext=accepts))
        data: Mapped[Any] = mapped_column(EncryptedJSON(vault=given, accept_plaintext=accepts), nullable=True)
        email_index: Mapped[bytes | None] = blind_index("email")

    return Reader


def test_a_column_of_plaintext_is_read_both_ways_until_it_is_sealed(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    old_table(engine)
    given = Vault({"default": Keyset.generate("AES256_GCM"), "index": Keyset.generate("HKDF_SHA256")})
    strict, Reader = reader_of(given, False), reader_of(given, True)
    with Session(engine) as session, pytest.raises(IntegrityError):
        session.get(strict, 1).email  # noqa: B018
    assert "accepts plaintext" not in caplog.text
    configure_mappers()
    with Session(engine) as session:
        assert session.get(Reader, 1).email == "r1@example.com" and session.get(Reader, 2).data == {"n": 2}
        session.get(Reader, 1).email = "sealed@example.com"
        session.commit()
        assert session.get(Reader, 1).email == "sealed@example.com"
    assert [r.getMessage()[:32] for r in caplog.records] == [
        "reader.email accepts plaintext: ",
        "reader.data accepts plaintext: w",
    ]
    done = seal_column(engine, Reader.email, batch=6)
    assert done == Reencrypted(rows=22, sealed=20, plaintext=20, indexed=20)
    assert seal_column(engine, Reader.data, batch=6).plaintext == 21
    assert seal_column(engine, Reader.email).sealed == 0
    with Session(engine) as session:
        assert {r.id: r.email for r in session.scalars(sa.select(strict))} == {
            **{n: f"r{n}@example.com" for n in range(20)}, 1: "sealed@example.com", 20: None, 21: "",
        }  # fmt: skip
        assert [r.data for r in session.scalars(sa.select(strict).order_by(strict.id))] == [
            *({"n": n} for n in range(20)),
            None,
            7,
        ]
        assert session.scalars(sa.select(strict.id).where(strict.email_index == "r7@example.com")).all() == [7]


def test_a_number_that_was_plaintext_is_a_text_and_elsewhere_an_error(engines: Any) -> None:
    # SQLite keeps a text of digits as a number, where the column says so.
    engine = engines("sqlite")
    with engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE reader (id INTEGER PRIMARY KEY, email INTEGER, data JSON, email_index BLOB)")
        )
        connection.execute(
            sa.text("INSERT INTO reader (id, email, data) VALUES (1, '123456789', '5'), (2, 'AB', '{\"a\": 1}')")
        )
    given = vault()
    strict, Reader = reader_of(given, False), reader_of(given, True)
    with Session(engine) as session, pytest.raises(IntegrityError):
        session.get(strict, 1).email  # noqa: B018
    with Session(engine) as session:
        assert [(r.email, r.data) for r in session.scalars(sa.select(Reader).order_by(Reader.id))] == [
            ("123456789", 5), ("AB", {"a": 1})
        ]  # fmt: skip
    assert seal_column(engine, Reader.email).plaintext == seal_column(engine, Reader.data).plaintext == 2
    with Session(engine) as session:
        assert [(r.email, r.data) for r in session.scalars(sa.select(strict).order_by(strict.id))] == [
            ("123456789", 5), ("AB", {"a": 1})
        ]  # fmt: skip


def test_the_keysets_metadata_are_asked_for_plaintext_alone(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    # They take longer to say than a value to open.
    old_table(engine)
    Reader = reader_of(vault(), True)
    seal_column(engine, Reader.email)
    asked: list[int] = []
    kind = Encrypted
    keyset_of = kind.keyset_of
    monkeypatch.setattr(kind, "keyset_of", lambda self: asked.append(1) or keyset_of(self))
    with Session(engine) as session:
        assert session.get(Reader, 1).email == "r1@example.com" and asked == []
        assert session.get(Reader, 1).data == {"n": 1} and asked == [1]


def test_what_was_sealed_and_changed_is_no_plaintext(engine: sa.Engine) -> None:
    old_table(engine)
    keys = Keyset.generate("AES256_GCM")
    given = Vault({"default": keys, "index": Keyset.generate("HKDF_SHA256")})
    Reader = reader_of(given, True)
    seal_column(engine, Reader.email)
    data = stored(engine, "reader", "email", 1)
    other = Keyset.generate("AES256_GCM").seal(b"x", b"")
    for wrong in (data[:-1], data[:3], data[:1], data[:-1] + b"\0", other, b"\0abc", b"\xff\xfe"):
        put(engine, "reader", "email", 1, wrong)
        with Session(engine) as session, pytest.raises(IntegrityError):
            session.get(Reader, 1).email  # noqa: B018
    raw = Vault({"default": Keyset.generate("AES256_GCM", prefix="RAW"), "index": Keyset.generate("HKDF_SHA256")})
    with Session(engine) as session, pytest.raises(ConfigError, match="RAW"):
        session.get(reader_of(raw, True), 2).email  # noqa: B018


def test_rows_bound_by_another_key_are_sealed_anew(engine: sa.Engine) -> None:
    keys = Keyset.generate("AES256_GCM")

    class Parcel(base()):  # type: ignore[misc]
        __tablename__ = "parcel"
        id: Mapped[int] = mapped_column(primary_key=True)
        public: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4, unique=True)
        address: Mapped[str] = mapped_column(EncryptedString(row="public", vault=Vault(keys)))

    Parcel.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Parcel(address=str(n)) for n in range(5)])
        session.commit()
        old = keys.primary
        keys.rotate("XCHACHA20_POLY1305")
        assert reencrypt(engine, Parcel, batch=2).sealed == 5
        keys.destroy(old)
        session.expire_all()
        assert [p.address for p in session.scalars(sa.select(Parcel).order_by(Parcel.id))] == list("01234")
        assert isinstance(session.scalars(sa.select(Parcel.address)).first(), Sealed)


def test_columns_of_classes_in_one_table_are_sealed_anew_together(engine: sa.Engine) -> None:
    keys = Keyset.generate("AES256_GCM")
    kind = {"vault": Vault({"default": keys, "index": Keyset.generate("HKDF_SHA256")})}

    class Animal(base()):  # type: ignore[misc]
        __tablename__ = "animal"
        id: Mapped[int] = mapped_column(primary_key=True)
        type: Mapped[str]
        name: Mapped[str] = mapped_column(EncryptedString(**kind))
        __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "animal"}  # noqa: RUF012

    class Cat(Animal):
        mood: Mapped[str | None] = mapped_column("cat_mood", EncryptedString(**kind))
        mood_index: Mapped[bytes | None] = blind_index("mood")
        __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012

    class Dog(Animal):
        mood: Mapped[str | None] = mapped_column("dog_mood", EncryptedString(**kind))
        __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012

    Animal.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Cat(name="Tom", mood="sour"), Dog(name="Rex", mood="gay"), Animal(name="Eve")])
        session.commit()
        old = keys.primary
        keys.rotate("AES256_GCM")
        assert reencrypt(engine, Animal) == Reencrypted(rows=3, sealed=5)
        keys.destroy(old)
        session.expire_all()
        assert [(a.name, getattr(a, "mood", None)) for a in session.scalars(sa.select(Animal).order_by(Animal.id))] == [
            ("Tom", "sour"), ("Rex", "gay"), ("Eve", None),
        ]  # fmt: skip
        assert session.scalars(sa.select(Cat.id).where(Cat.mood_index == "sour")).all() == [1]
