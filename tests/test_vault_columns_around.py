"""Sealed columns in an app: its vault, what is told of failures, Flask-SQLAlchemy, Alembic, threads and forks."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.schema import CreateTable

from flask_rampart import ConfigError, IntegrityError, Keyset, Vault, signals
from flask_rampart.vault import write_keyset
from flask_rampart.vault.columns import (
    BlindIndex,
    EncryptedJSON,
    EncryptedString,
    SealingError,
    blind_index,
    reencrypt,
    render_item,
    sealed_values,
)

from .sealing import base, engine, engines, put, stored, vault

__all__ = ["engine", "engines"]

ROOT = Path(__file__).parent.parent


class Base(DeclarativeBase):
    pass


class Person(Base):
    """Of the current app's vault."""

    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(EncryptedString())
    name_index: Mapped[bytes] = blind_index("name", normalise=str.casefold)


class Named(Base):
    """Of a key that is somebody's name."""

    __tablename__ = "named"
    id: Mapped[str] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(EncryptedString())


@pytest.fixture
def app(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    for name, template in (("default", "AES256_GCM"), ("index", "HKDF_SHA256"), ("files", "AES256_GCM_HKDF_4KB")):
        write_keyset(tmp_path / f"{name}.json", Keyset.generate(template), cleartext=True)
    keysets = {name: str(tmp_path / f"{name}.json") for name in ("default", "index", "files")}
    return make_app(RAMPART_VAULT_KEYSET=keysets, TESTING=True)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/app.sqlite3")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


class Ears:
    """What was told of failures."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        signals.integrity_failed.connect(self.hear)

    def hear(self, app: Flask, **facts: Any) -> None:
        self.heard.append({"app": app.name, **facts})


# An app's vault -----------------------------------------------------------------------------------------------------


def test_the_vault_is_the_current_apps_and_is_asked_for_when_it_is_needed(app: Flask, database: sa.Engine) -> None:
    with Session(database) as session:
        session.add(Person(name="Ada"))
        with pytest.raises(SealingError, match="no app context"):
            session.flush()
    with Session(database) as session, Flask("bare").app_context():
        session.add(Person(name="Ada"))
        with pytest.raises(SealingError, match="RAMPART_VAULT_KEYSET"):
            session.flush()
    with app.app_context(), Session(database) as session:
        session.add(Person(name="Ada"))
        session.commit()
        assert session.scalars(sa.select(Person).where(Person.name_index == "ADA")).one().name == "Ada"
        assert reencrypt(database, Person).rows == 1
    with Session(database) as session:
        person = session.scalars(sa.select(Person)).one()  # nothing is opened: nothing is needed
        with pytest.raises(SealingError, match="no app context"):
            person.name  # noqa: B018

    @app.get("/names")
    def names() -> list[str]:
        with Session(database) as session:
            return [person.name for person in session.scalars(sa.select(Person))]

    assert app.test_client().get("/names").json == ["Ada"]


def test_a_vault_may_be_given_by_a_function() -> None:
    given = vault()
    assert EncryptedString(vault=lambda: given).vault is given
    assert EncryptedString(vault=given).vault is given


def test_a_broken_value_is_an_answer_500_that_says_nothing_and_an_alarm(app: Flask, database: sa.Engine) -> None:
    with app.app_context(), Session(database) as session:
        session.add_all([Person(id=7, name="Lovelace"), Named(id="ada@example.com", note="Lovelace")])
        session.commit()
    app.testing = False

    def read(model: Any, key: Any, name: str) -> str:
        with Session(database) as session:
            return str(getattr(session.get(model, key), name))

    app.get("/<int:key>")(lambda key: read(Person, key, "name"))
    app.get("/named")(lambda: read(Named, "ada@example.com", "note"))
    put(database, "person", "name", 7, stored(database, "person", "name", 7)[:-1] + b"\0")
    put(database, "named", "note", "ada@example.com", b"\1" + bytes(60))
    ears = Ears()
    answers = [app.test_client().get(path) for path in ("/7", "/named")]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert all("Lovelace" not in answer.text and "person" not in answer.text for answer in answers)
    # A key that may be somebody's name is not told, a number is.
    assert ears.heard == [
        {"app": app.name, "code": "vault.altered", "place": "person.name:7"},
        {"app": app.name, "code": "vault.no_key", "place": "named.note"},
    ]


# The vault itself tells -----------------------------------------------------------------------------------------------


def test_each_failure_of_the_vault_is_told_once_with_its_place_and_no_value(app: Flask, tmp_path: Path) -> None:
    ears = Ears()
    with app.app_context():
        mine: Vault = app.extensions["rampart"].services[Vault]
        sealed = mine.seal(b"a secret", associated_data="users.address:7")
        assert mine.open(sealed, associated_data="users.address:7") == b"a secret" and ears.heard == []
        for place in ("users.address:8", b"\xff\0", "a\nb", "x" * 500):
            with pytest.raises(IntegrityError):
                mine.open(sealed, associated_data=place)
        with pytest.raises(IntegrityError):
            mine.open(b"a secret", associated_data="users.address:7")
    places = [fact["place"] for fact in ears.heard]
    assert places == ["users.address:8", "ff00", "610a62", "x" * 200 + "...", "users.address:7"]
    assert [fact["code"] for fact in ears.heard] == ["vault.altered"] * 4 + ["vault.no_key"]
    assert "secret" not in repr(ears.heard)
    # Outside of a context, the app whose vault it is; and files, also where they are read later.
    ears.heard.clear()
    path = tmp_path / "sealed"
    with mine.open_file(path, "wb", associated_data="report") as file:
        file.write(bytes(100_000))
    with pytest.raises(IntegrityError):
        mine.open_file(path, associated_data="other")
    data = bytearray(path.read_bytes())
    data[50_000] ^= 1
    path.write_bytes(data)
    with mine.open_file(path, associated_data="report") as file:
        assert file.read(10) == bytes(10) and len(ears.heard) == 1
        with pytest.raises(IntegrityError):
            file.read()
    with pytest.raises(IntegrityError):
        mine.decrypt_file(path, tmp_path / "plain", associated_data="report")
    with pytest.raises(IntegrityError):
        mine.load_safetensors(path, associated_data="another")
    assert [fact["place"] for fact in ears.heard] == ["other", "report", "report", "another"]
    assert {fact["app"] for fact in ears.heard} == {app.name}


def test_a_receiver_that_fails_changes_nothing_and_a_vault_without_an_app_tells_nobody(app: Flask) -> None:
    def fails(sender: Flask, **_: Any) -> None:
        raise ZeroDivisionError

    signals.integrity_failed.connect(fails)
    with app.app_context(), pytest.raises(IntegrityError):
        app.extensions["rampart"].services[Vault].open(b"x", associated_data="")
    ears = Ears()
    alone = Vault({"default": Keyset.generate("AES128_GCM"), "search": Keyset.generate("AES256_SIV")})
    with pytest.raises(IntegrityError) as error:
        alone.open_deterministic(b"x" * 40, associated_data="here")
    assert ears.heard == [] and error.value.place == "here" and error.value.code == "vault.no_key"
    with app.app_context(), pytest.raises(IntegrityError):
        alone.open(b"x", associated_data="here")
    assert ears.heard == [{"app": app.name, "code": "vault.no_key", "place": "here"}]


# Around ----------------------------------------------------------------------------------------------------------------


def test_flask_sqlalchemy_has_sealed_columns(app: Flask, tmp_path: Path) -> None:
    class Mine(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Mine)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/fsa.sqlite3"
    db.init_app(app)

    class Reader(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column(EncryptedString())
        email_index: Mapped[bytes] = blind_index("email", normalise=str.casefold)

    class Old(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        text = db.Column(EncryptedJSON(row=False))

    with app.app_context():
        db.create_all()
        db.session.add_all([Reader(email="Ada@example.com"), Old(text={"a": 1})])
        db.session.commit()
        assert (
            db.session.execute(db.select(Reader).filter_by(email_index="ada@example.com")).scalar_one().email
            == "Ada@example.com"
        )
        assert Reader.query.filter(Reader.email_index == "ada@example.com").one().id == 1
        assert Old.query.one().text == {"a": 1}
        assert Reader.query.paginate(page=1).items[0].email == "Ada@example.com"
        assert reencrypt(db.session, Reader).rows == 1
        assert repr(db.session.get(Reader, 1)) == "<Reader 1>"
        db.session.remove()  # its connection would outlive the engine
        db.engine.dispose()


def test_migrations_of_alembic_are_bytes_and_find_nothing_to_change(engine: sa.Engine) -> None:
    class Note(base()):  # type: ignore[misc]
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(EncryptedString(max_length=9, vault=vault()))
        data: Mapped[Any] = mapped_column(EncryptedJSON(row=False, bound_as="n.d"))
        text_index: Mapped[bytes] = blind_index("text")

    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"render_item": render_item})
        code = render_python_code(produce_migrations(context, Note.metadata).upgrade_ops, render_item=render_item)
        assert (
            code.count("sa.LargeBinary()") == 2
            and code.count("sa.LargeBinary(length=16)") == 1
            and "rampart" not in code
        )
        # Without it, what is written can be evaluated where the module is imported, and knows no vault.
        code = render_python_code(produce_migrations(context, Note.metadata).upgrade_ops)
        assert "flask_rampart.vault.columns.types.EncryptedString(max_length=9)" in code
        assert "flask_rampart.vault.columns.types.EncryptedJSON(row=False, bound_as='n.d')" in code
        assert "flask_rampart.vault.columns.blind.BlindIndex('text')" in code
        assert eval("EncryptedJSON(row=False, bound_as='n.d')").bound_as == "n.d"
        Note.metadata.create_all(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Note.metadata) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_batch_migration_of_alembic_copies_what_is_sealed(engine: sa.Engine) -> None:
    class Note(base()):  # type: ignore[misc]
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(EncryptedString(vault=vault()))
        text_index: Mapped[bytes] = blind_index("text")

    Note.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Note(id=1, text="Ada"))
        session.commit()
    for n, known in enumerate(({"copy_from": Note.__table__}, {})):
        with engine.begin() as connection:
            operations = Operations(MigrationContext.configure(connection))
            with operations.batch_alter_table("note", recreate="always", **known) as batch:
                batch.add_column(sa.Column(f"more{n}", sa.String))
    with Session(engine) as session:
        assert session.scalars(sa.select(Note).where(Note.text_index == "Ada")).one().text == "Ada"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_column_that_was_copied_to_another_table_does_not_open_there(engine: sa.Engine) -> None:
    Base_, shared = base(), vault()

    class Note(Base_):  # type: ignore[misc,valid-type]
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(EncryptedString(vault=shared))

    class Copy(Base_):  # type: ignore[misc,valid-type]
        __tablename__ = "copy"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(EncryptedString(vault=shared))

    Base_.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Note(id=1, text="Ada"))
        session.flush()
        session.execute(sa.insert(Copy).from_select(["id", "text"], sa.select(Note.id, Note.text)))
        session.commit()
        with pytest.raises(IntegrityError):
            _ = session.get_one(Copy, 1).text


def test_mysql_has_types_that_cut_nothing_and_can_be_indexed() -> None:
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("a", EncryptedString()),
        sa.Column("i", BlindIndex("a"), index=True),
    )
    ddl = str(CreateTable(table).compile(dialect=mysql.dialect()))
    assert "a LONGBLOB" in ddl and "i VARBINARY(16)" in ddl


def test_threads_share_types_and_keep_their_values_apart(engine: sa.Engine) -> None:
    given, failed = vault(), []

    class Row(base()):  # type: ignore[misc]
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        text: Mapped[str] = mapped_column(EncryptedString(vault=given))

    Row.metadata.create_all(engine)

    def work(start: int) -> None:
        try:
            for number in range(start, start + 10):
                with Session(engine) as session:
                    session.add(Row(id=number, text=str(number)))
                    session.commit()
                    assert session.get(Row, number).text == str(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 60, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Session(engine) as session:
        assert {row.id: row.text for row in session.scalars(sa.select(Row))} == {n: str(n) for n in range(60)}


def test_a_child_of_a_fork_opens_what_its_parent_has_loaded(tmp_path: Path) -> None:
    program = """
import os, sys
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from flask_rampart import Keyset, Vault
from flask_rampart.vault.columns import EncryptedString
class Base(DeclarativeBase):
    pass
class Row(Base):
    __tablename__ = "row"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(EncryptedString(vault=Vault(Keyset.generate("AES256_GCM"))))
engine = sa.create_engine(f"sqlite:///{sys.argv[1]}/f.sqlite3")
Base.metadata.create_all(engine)
session = Session(engine)
session.add_all([Row(id=n, text=f"row {n}") for n in range(3)])
session.commit()
session.expunge_all()
rows = session.scalars(sa.select(Row)).all()
engine.dispose()
child = os.fork()
if child == 0:
    own = Session(sa.create_engine(f"sqlite:///{sys.argv[1]}/f.sqlite3"))
    own.add(Row(id=9, text="by the child"))
    own.commit()
    os._exit(0 if [row.text for row in rows] == ["row 0", "row 1", "row 2"] else 1)
assert os.waitpid(child, 0)[1] == 0
assert Session(engine).get(Row, 9).text == "by the child"
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, env={**os.environ}
    )
    assert done.stdout == "fine\n", done.stderr


def test_a_schema_is_part_of_the_place(engines: Any) -> None:
    given = vault()
    tables = [
        sa.Table(
            "t",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("a", EncryptedString(vault=given)),
            schema=s,
        )
        for s in (None, "one", 't".x')
    ]
    places = [table.c.a.type.place.associated_data((1,)) for table in tables]
    assert places == [
        b'["column",null,"t","a",[1]]', b'["column","one","t","a",[1]]', b'["column","t\\".x","t","a",[1]]'
    ]  # fmt: skip
    assert tables[1].c.a.type.label == "one.t.a"


def test_types_are_pickled_without_a_vault_or_refuse() -> None:
    metadata = sa.MetaData()
    sa.Table(
        "t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", EncryptedString(max_length=5))
    )
    again = pickle.loads(pickle.dumps(metadata)).tables["t"].c.a
    assert again.type.place.label == "t.a" and again.type.max_length == 5
    assert again.type._static_cache_key != metadata.tables["t"].c.a.type._static_cache_key
    with pytest.raises(TypeError, match="vault cannot be pickled"):
        pickle.dumps(EncryptedString(vault=vault()))


def test_without_sqlalchemy_the_import_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("flask_rampart.vault.columns")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"pip install 'flask-rampart\[sqlalchemy\]'"):
        importlib.import_module("flask_rampart.vault.columns")


def test_the_guides_code_runs_as_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "vault-sqlalchemy.md").read_text(), re.S)
    assert len(blocks) >= 6
    guide: dict[str, Any] = {"__name__": "guide"}
    exec(compile("\n".join(blocks), "docs/vault-sqlalchemy.md", "exec", dont_inherit=True), guide)
    guide["engine"].dispose()


def test_sealed_values_make_keys_as_a_flush_does() -> None:
    class Made(base()):  # type: ignore[misc]
        __tablename__ = "made"
        id: Mapped[str] = mapped_column(primary_key=True, default=lambda: "made")
        kind: Mapped[int] = mapped_column(primary_key=True, default=7)
        text: Mapped[str] = mapped_column(EncryptedString(vault=vault()))

    values = sealed_values(Made, {"text": "x"})
    assert (values["id"], values["kind"], values["text"].row) == ("made", 7, ("made", 7))
