"""The password in a store's address: in no error, log line, name of a file or printed object, also where it is misspelt."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_rampart import ConfigError, Rampart, Settings
from flask_rampart.stores import open_store
from flask_rampart.stores.urls import is_misplaced, without_password

from .servers import Postgres, own_redis

# Each with what no text may hold.
ADDRESSES = {
    "rediss://default:AbC/dEf==@redis.example:6379/0": ("AbC", "dEf"),
    "redis://:Qxw/Zvk@h.example": ("Qxw", "Zvk@"),
    "redis://:7799/Zvk@h.example": ("7799", "Zvk@"),
    "redis://ada:7799/Zvk@h.example": ("7799", "Zvk@"),
    "redis://:Qxw#Zvk@h.example": ("Qxw", "Zvk@"),
    "redis://:7799#Zvk": ("7799", "Zvk"),
    "redis://:Qxw?Zvk@127.0.0.1:1/0": ("Qxw", "Zvk@"),
    "redis://:Qxw@Zvk@127.0.0.1:1/0": ("Qxw", "Zvk@"),
    "redis://:Qxw?timeout=Zvk@127.0.0.1:1/0": ("Qxw", "Zvk@"),
    "redis://h.example/0?timeout=QxwZvk": ("QxwZvk",),
    "redis://h.example/0?Qxw.Zvk=1": ("Qxw", "Zvk="),
    "unix://:Qxw/Zvk@/tmp/x.sock": ("Qxw", "Zvk@"),
    "postgres://ada:Qxw/Zvk@h.example/d": ("Qxw", "Zvk@"),
    "postgres://h.example/d?password=QxwZvk": ("QxwZvk",),
    "redis+sentinel://:Qxw/Zvk@h.example/0": ("Qxw", "Zvk@"),
    "postgresql+psycopg://ada:Qxw/Zvk@h.example:abc/app": ("Qxw", "Zvk@"),
    "postgresql+psycopg://ada:Qxw@Zvk@127.0.0.1:1/app": ("Qxw", "Zvk"),
    "postgresql+psycopg://ada/Qxw:Zvk@127.0.0.1:1/app": ("Qxw", "Zvk"),
    "postgresql+psycopg://ada:Qxw?Zvk@127.0.0.1:1/app": ("Qxw", "Zvk@"),
    "postgresql+psycopg://ada:Qxw#Zvk@127.0.0.1:1/app": ("Qxw", "Zvk@"),
    "postgresql+nonsense://ada:Qxw/Zvk@h.example/app": ("Qxw", "Zvk@"),
    "redis://:QxwZvk\u2100@h.example/0": ("QxwZvk", "\u2100"),
    "redis://:Qxw[Zvk@h.example/0": ("Qxw", "Zvk@"),
    "redis:QxwZvk@h.example": ("QxwZvk",),
    "Qxw:Zvk@h.example": ("Qxw", "Zvk@"),
}


@pytest.mark.parametrize(("url", "parts"), ADDRESSES.items())
def test_no_part_of_a_password_is_said_wherever_it_ends_for_who_reads_the_address(
    url: str, parts: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def opened() -> None:
        app = Flask(__name__)
        app.config.update(RAMPART_STORE=url, RAMPART_ACCESS_LOG="off")
        Rampart(app)
        open_store(url, tmp_path / "own")

    with pytest.raises(ConfigError, match="RAMPART_STORE") as caught:
        opened()
    said = [str(caught.value), repr(caught.value), caplog.text, without_password(url), repr(Settings(store=url))]
    said += [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")]
    # What a server prints of it; not the lines of the program, which are those of this test.
    said += traceback.format_exception_only(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    for part in parts:
        assert not [text for text in said if part in text]


@pytest.mark.parametrize("url", ["redis://:secret@h.example/0", "redis:secret@h.example", "shm:secret@h.example"])
def test_the_password_of_an_address_that_is_not_of_limits_is_not_said(url: str) -> None:
    app = Flask(__name__)
    app.config.update(RAMPART_LIMIT_STORE=url, RAMPART_LIMITS="1/second", RAMPART_ACCESS_LOG="off")
    with pytest.raises(ConfigError, match="RAMPART_LIMIT_STORE") as caught:
        Rampart(app)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["AbC%2FdEf%3D%3D", "a%40b", "a%23b", "a%3Fb"])
def test_a_password_that_is_percent_encoded_is_taken(password: str, tmp_path: Path) -> None:
    from urllib.parse import unquote

    with own_redis() as server:
        server.stop()
        server.start("--requirepass", unquote(password))
        url = server.url.replace("//", f"//:{password}@")
        assert not is_misplaced(url)
        store: Any = open_store(url, tmp_path / "own")
        assert store.insert("kind", "a", b"1")
        assert store._name == server.url
        store.close()


def test_a_database_takes_a_password_with_a_slash_and_names_it_nowhere(
    postgres_server: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres_server.fresh().replace("postgres@/", "postgres:sec/ret@/")
    store: Any = open_store(url, tmp_path / "own")
    assert store.insert("kind", "a", b"1")
    assert "sec/" not in store._name and "ret" not in store._name and "sec/ret" not in repr(store._base)
    store.close()
    engine = sa.create_engine(url)
    assert "sec/ret" not in caplog.text + repr(engine)
    engine.dispose()
