"""Sealed attributes of objects: new and changed keys, inheritance, what is opened when, what a session may do."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    Mapped,
    Session,
    defer,
    make_transient,
    mapped_column,
    undefer,
)
from sqlalchemy.orm.attributes import get_history

from flask_rampart import IntegrityError, Keyset
from flask_rampart.vault.columns import (
    EncryptedString,
    Sealed,
    open_value,
    sealed_values,
)

from .sealed import Base, Note, User
from .sealing import Counting, base, engine, engines, statements

__all__ = ["engine", "engines"]


@pytest.fixture
def session(engine: sa.Engine) -> Any:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session


# What is opened when ------------------------------------------------------------------------------------------------


def test_a_query_opens_what_is_read_and_nothing_else(engine: sa.Engine) -> None:
    counting = Counting(Keyset.generate("AES256_GCM"))

    class Row(base()):  # type: ignore[misc]
        __tablename__ = "row"
        id: Mapped[int] = mapped_column(primary_key=True)
        a: Mapped[str] = mapped_column(EncryptedString(vault=counting))
        b: Mapped[str] = mapped_column(EncryptedString(row=False, vault=counting))

    Row.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(sa.insert(Row), [sealed_values(Row, {"id": n, "a": "a", "b": "b"}) for n in range(2_000)])
        session.commit()
        assert counting.count == 4_000
        rows = session.scalars(sa.select(Row)).all()
        assert len(rows) == 2_000 and counting.count == 0
        assert rows[77].a == "a" and rows[77].a == "a" and rows[78].b == "b"
        assert counting.count == 2
        session.refresh(rows[77])
        assert counting.count == 0 and rows[77].a == "a" and counting.count == 1
        rows[77].b = "new"
        session.flush()
        # What was there is opened to be compared, and what is set is sealed.
        assert counting.count == 2 and rows[77].b == "new" and counting.count == 0


def test_refresh_expire_and_deferred_columns(session: Session, engine: sa.Engine) -> None:
    session.add(User(id=1, email="first", settings={"a": 1}))
    session.commit()
    user = session.scalars(sa.select(User).options(defer(User.email))).one()
    assert "email" not in user.__dict__ and user.email == "first"
    user.email = "unsaved"
    session.expire(user, ["email"])
    assert user.email == "first"
    user.email = "unsaved"
    session.refresh(user)
    assert user.email == "first"
    session.execute(sa.update(User).values(sealed_values(User, {"email": "behind"}, row=1)))
    assert user.email == "behind"
    session.expire_all()
    assert [k for k in user.__dict__ if k != "_sa_instance_state"] == []
    again = session.scalars(sa.select(User).options(undefer("*")).execution_options(populate_existing=True)).one()
    assert again is user and user.email == "behind"


def test_histories_and_updates_of_what_did_not_change(session: Session, engine: sa.Engine) -> None:
    session.add(User(id=1, email="old", settings={"a": 1, "b": [1]}))
    session.commit()
    user = session.get(User, 1)
    assert user is not None
    user.email = "new"
    history = get_history(user, "email")
    assert history.added == ["new"] and isinstance(history.deleted[0], Sealed)
    assert open_value(User.email, history.deleted[0], row=1) == "old"
    session.rollback()
    assert user.email == "old"
    user.email = "new"
    assert tuple(get_history(user, "email")) == (["new"], (), ["old"])
    session.rollback()
    # Set to what it was, once it was read: nothing is written. So with JSON that is equal, in any order.
    assert (user.email, user.settings) == ("old", {"a": 1, "b": [1]})
    user.email, user.settings = "old", {"b": [1], "a": 1}
    with statements(engine) as seen:
        session.flush()
    assert not [s for s in seen if "UPDATE" in s]
    user.settings = {"a": True, "b": [1]}  # equal for Python, and not for JSON
    session.commit()
    assert user.settings["a"] is True


def test_changes_within_json_are_written(session: Session) -> None:
    user = User(email="x", settings={"a": 1}, options=[1])
    session.add(user)
    session.flush()
    held, options = user.settings, user.options
    held["b"] = 2
    options.append(2)
    session.flush()
    held["c"] = 3  # the same object, after a flush
    session.commit()
    assert user.settings == {"a": 1, "b": 2, "c": 3} and user.options == [1, 2]
    user.options.append(3)
    user.settings.pop("a")
    session.commit()
    session.expunge_all()
    user = session.scalars(sa.select(User)).one()
    assert user.settings == {"b": 2, "c": 3} and user.options == [1, 2, 3]
    old, user.settings = user.settings, {"z": 1}
    session.commit()
    old["lost"] = True
    assert not session.is_modified(user)
    for value in (None, "text", 7, [], {}, [{"deep": None}]):
        user.settings = value
        session.commit()
        assert user.settings == value and type(user.settings is None) is bool


def test_what_is_pickled_or_copied_is_what_an_object_shows_of_itself(session: Session) -> None:
    session.add(User(id=1, email="sealed in a pickle", settings={"a": 1}))
    session.commit()
    session.expunge_all()
    user = session.scalars(sa.select(User)).one()
    text = pickle.dumps(user)
    assert b"sealed in a pickle" not in text
    loaded = pickle.loads(text)
    assert loaded.email == "sealed in a pickle" and loaded.settings == {"a": 1}
    assert session.merge(loaded, load=True).email == "sealed in a pickle"
    # A flush leaves a sealed value with what it says beside it: which is not pickled.
    user.email = "sealed by a flush"
    session.flush()
    assert b"sealed by a flush" not in pickle.dumps(user)
    assert pickle.loads(pickle.dumps(user)).email == "sealed by a flush"
    merged = session.merge(pickle.loads(pickle.dumps(user)))
    merged.settings["b"] = 2
    session.commit()
    assert user.settings == {"a": 1, "b": 2}
    again = copy.deepcopy(session.execute(sa.select(User.email)).scalar_one())
    assert open_value(User.email, again, row=1) == "sealed by a flush"


def test_an_object_that_is_made_a_new_row_does_not_take_what_was_not_read(session: Session) -> None:
    session.add(User(id=1, email="mine"))
    session.commit()
    user = session.get(User, 1)
    assert user is not None
    session.expunge(user)
    make_transient(user)
    user.id = None  # type: ignore[assignment]
    session.add(user)
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    user = session.get(User, 1)
    assert user is not None and user.email == "mine"
    session.expunge(user)
    make_transient(user)
    user.id = 2
    session.add(user)
    session.commit()
    assert user.email == "mine"


def test_random_work_on_objects_reads_what_a_plain_table_would(session: Session, engine: sa.Engine) -> None:
    chance = random.Random(7)
    model: dict[int, tuple[str, Any]] = {}
    for _ in range(80):
        what = chance.choice(
            ["add", "add", "add", "set", "json", "key", "delete", "expire", "commit", "forget", "none", "rollback"]
        )
        one = chance.choice(sorted(model)) if model else None
        if what == "add" or one is None:
            user = User(email=f"e{chance.random()}", settings={"n": chance.random()})
            session.add(user)
            session.flush()
            model[user.id] = (user.email, dict(user.settings))
        elif what in ("expire", "commit", "forget", "rollback"):
            session.commit()
            getattr(session, {"expire": "expire_all", "forget": "expunge_all"}.get(what, what))()
        else:
            user = session.get(User, one)  # type: ignore[assignment]
            email, settings = model.pop(one)
            if what == "delete":
                session.delete(user)
                session.flush()
                continue
            if what == "set":
                user.email = email = f"s{chance.random()}"
            elif what == "json" and settings is not None:
                user.settings["m"] = settings["m"] = chance.random()
            elif what == "none":
                user.settings = settings = None
            elif what == "key":
                user.id = one = 1000 + len(model) + chance.randrange(10**8)
            session.flush()
            model[one] = (email, settings)
        found = {user.id: (user.email, user.settings) for user in session.scalars(sa.select(User))}
        assert found == model
        assert all(
            user.email_index == User.email_index.type.index(user.email) for user in session.scalars(sa.select(User))
        )
    assert len(model) > 5


# Asynchronous -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def test_asynchronous_sessions_seal_and_open(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/a.sqlite3"
    else:
        url = request.getfixturevalue("postgres_server").fresh()

    async def work() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            user = User(email="async@example.com", settings={"a": 1}, notes=[Note(text="n")])
            session.add(user)
            await session.commit()
            user.settings["b"] = 2
            await session.commit()
        async with AsyncSession(engine) as session:
            found = (await session.scalars(sa.select(User).where(User.email_index == "ASYNC@example.com"))).one()
            assert found.email == "async@example.com" and found.settings == {"a": 1, "b": 2}
            assert (await session.scalars(sa.select(Note))).one().text == "n"
        await engine.dispose()

    asyncio.run(work())
