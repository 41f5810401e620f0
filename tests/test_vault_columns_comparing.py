"""Statements that would take a value to the database as it is, beside a sealed column or into it.

Each is refused before a cursor sees it: nothing of it is sent, logged or in an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, with_loader_criteria

from flask_rampart.vault.columns import EncryptedJSON, EncryptedString, SealingError, blind_index, sealed_values
from flask_rampart.vault.columns.comparing import _LOOKED, _Looking, sending

from .sealing import base, engine, engines, everything_logged, vault

__all__ = ["engine", "engines"]

VAULT = vault()
VALUE = "ada@example.com, in clear"


class Base(base()):  # type: ignore[misc]
    __abstract__ = True


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column()
    email: Mapped[str | None] = mapped_column("mail", EncryptedString(vault=VAULT))
    email_index: Mapped[bytes | None] = blind_index("email")
    loose: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT, row=False))
    document: Mapped[Any] = mapped_column(EncryptedJSON(vault=VAULT, row=False), nullable=True)


class Other(Base):
    __tablename__ = "others"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None] = mapped_column()
    loose: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT, row=False))


TABLE: sa.Table = User.__table__  # type: ignore[assignment]
f, lit = sa.func, sa.literal
Make = Callable[[], Any]


@pytest.fixture
def sent(engine: sa.Engine) -> Iterator[tuple[sa.Engine, list[str]]]:
    """An engine with a row, and all that its cursors are given and its loggers say."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(User(id=1, name="Ada", email=VALUE, loose=VALUE, document={"at": VALUE}))
        session.commit()
    with everything_logged(engine) as lines:

        @sa.event.listens_for(engine, "do_execute")
        def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
            lines.append(f"{statement} {parameters!r}")

        yield engine, lines


def values() -> Any:
    return sa.values(sa.column("given", sa.String), name="v").data([(VALUE,)])


def of_cte() -> Any:
    cte = sa.select(User).cte()
    return sa.select(cte.c.id).where(f.lower(cte.c.mail) == VALUE)


def of_alias() -> Any:
    alias = aliased(User)
    return sa.select(alias.id).where(f.lower(alias.email) == VALUE)


def recursive() -> Any:
    start = sa.select(User.id, User.email).cte(recursive=True)
    return sa.select(start.union_all(sa.select(start.c.id, start.c.email).where(f.lower(start.c.email) == VALUE)))


def of_made(made: Any) -> Any:
    made = sa.select(User.id, made.label("m")).subquery().alias()
    return sa.select(made.c.id).where(made.c.m == VALUE)


def beside(rows: Any, made: Callable[[Any], Any]) -> Any:
    return sa.select(made(rows)).select_from(User).join(rows, sa.true())


COMPARED: dict[str, Make] = {
    "a literal before the column": lambda: sa.select(User.id).where(lit(VALUE) == User.email),
    "not equal": lambda: sa.select(User.id).where(sa.not_(lit(VALUE) == User.email)),
    "distinct from": lambda: sa.select(User.id).where(lit(VALUE).is_distinct_from(User.email)),
    "a function": lambda: sa.select(User.id).where(f.lower(User.email) == VALUE),
    "functions of functions": lambda: sa.select(User.id).where(f.trim(f.lower(User.loose)) != VALUE),
    "a cast": lambda: sa.select(User.id).where(sa.cast(User.email, sa.String) == VALUE),
    "a cast to a number": lambda: sa.select(User.id).where(sa.cast(User.document, sa.Integer) == lit(VALUE)),
    "a type that is another": lambda: sa.select(User.id).where(sa.type_coerce(User.email, sa.String) == VALUE),
    "a list": lambda: sa.select(User.id).where(f.lower(User.email).in_([VALUE])),
    "like": lambda: sa.select(User.id).where(f.lower(User.email).like(VALUE)),
    "a regular expression": lambda: sa.select(User.id).where(f.lower(User.email).regexp_match(VALUE)),
    "between columns": lambda: sa.select(User.id).where(lit(VALUE).between(User.email, User.loose)),
    "in columns": lambda: sa.select(User.id).where(lit(VALUE).in_([User.email, User.loose])),
    "in a selection": lambda: sa.select(User.id).where(lit(VALUE).in_(sa.select(User.email))),
    "a scalar selection": lambda: sa.select(lit(VALUE) == sa.select(User.email).limit(1).scalar_subquery()),
    "a selection's column": lambda: sa.select(lit(VALUE) == sa.select(User.email).subquery().c.email),
    "a union's column": lambda: sa.select(
        lit(VALUE) == sa.union(sa.select(User.email), sa.select(User.loose)).subquery().c.email
    ),
    "a common table": of_cte,
    "a recursive table": recursive,
    "an alias": of_alias,
    "tuples": lambda: sa.select(User.id).where(sa.tuple_(User.id, User.loose).in_([(1, VALUE)])),
    "case of a value": lambda: sa.select(sa.case({VALUE: 1}, value=User.email)),
    "case that is searched": lambda: sa.select(sa.case((f.lower(User.email) == VALUE, 1))),
    "case that gives it": lambda: sa.select(User.id).where(lit(VALUE) == sa.case((User.id == 1, User.loose))),
    "case that gives a text instead": lambda: sa.select(sa.case((User.id == 1, User.email), else_=VALUE)),
    "case that gives a text before": lambda: sa.select(sa.case((User.name == "Ada", VALUE), else_=User.loose)),
    "case that gives one of three": lambda: sa.select(
        sa.case((User.id == 1, VALUE), (User.id == 2, User.document), else_=User.name)
    ),
    "case by a value that gives a text": lambda: sa.select(sa.case({1: User.email}, value=User.id, else_=VALUE)),
    "case that gives a text as a number": lambda: sa.select(
        sa.case((User.id == 1, sa.literal(VALUE, sa.Integer)), else_=User.email)
    ),
    "case that gives a text as a date": lambda: sa.select(
        sa.case((User.id == 1, sa.literal(VALUE, sa.Date().with_variant(sa.String(), "sqlite"))), else_=User.email)
    ),
    "case that gives bytes": lambda: sa.select(sa.case((User.id == 1, User.loose), else_=VALUE.encode())),
    "case that gives what is made of a text": lambda: sa.select(
        sa.case((User.id == 1, f.hex(User.email)), else_=f.upper(VALUE))
    ),
    "case within": lambda: sa.select(f.max(sa.case((User.email.is_(None), lit(VALUE)), else_=User.email))),
    "case of an order": lambda: sa.select(User.id).order_by(sa.case((User.id == 1, User.email), else_=VALUE)),
    "case that gives an index or a text": lambda: sa.select(sa.case((User.id == 1, User.email_index), else_=VALUE)),
    "concatenation": lambda: sa.select(lit(VALUE) + User.email),
    "an operator of its own": lambda: sa.select(lit(VALUE).op("||")(User.email)),
    "a join": lambda: sa.select(User.id).join(Other, f.lower(User.email) == Other.text),
    "rows of values": lambda: sa.select(User.id).join(values(), sa.column("given") == f.lower(User.email)),
    "a text of SQL": lambda: sa.select(User.id).where(f.lower(User.email) == sa.text(":x").bindparams(x=VALUE)),
    "what is grouped": lambda: sa.select(f.count()).group_by(User.name).having(f.lower(f.min(User.loose)) == VALUE),
    "an order": lambda: sa.select(User.id).order_by(lit(VALUE) == User.email),
    "a window": lambda: sa.select(f.row_number().over(order_by=f.lower(User.email) == VALUE)),
    "a filter": lambda: sa.select(f.count().filter(f.lower(User.email) == VALUE)),
    "existence": lambda: sa.select(sa.exists().where(f.lower(User.email) == VALUE)),
    "one of a union": lambda: sa.union(sa.select(User.id), sa.select(User.id).where(lit(VALUE) == User.email)),
    "criteria of options": lambda: sa.select(User).options(with_loader_criteria(User, f.lower(User.email) == VALUE)),
    "what is deleted": lambda: sa.delete(User).where(f.lower(User.email) == VALUE),
    "what is updated": lambda: sa.update(User).where(f.lower(User.email) == VALUE).values(name="x"),
    "what is returned": lambda: sa.update(User).values(name="x").returning(lit(VALUE) == User.email),
    "a function of an index": lambda: sa.select(User.id).where(f.lower(User.email_index) == VALUE),
    "a literal before an index": lambda: sa.select(User.id).where(lit(VALUE) == User.email_index),
    "case of an index": lambda: sa.select(sa.case({VALUE: 1}, value=User.email_index)),
    "a cast of an index": lambda: sa.select(User.id).where(sa.cast(User.email_index, sa.String) == VALUE),
    "instr": lambda: sa.select(User.id).where(f.instr(User.email, VALUE) > 0),
    "replace": lambda: sa.select(f.replace(User.email, VALUE, "")),
    "nullif": lambda: sa.select(f.nullif(User.email, sa.cast(VALUE, sa.String))),
    "concat": lambda: sa.select(f.concat(User.email, VALUE)),
    "a path of JSON": lambda: sa.select(f.json_extract(User.document, VALUE)),
    "a function's function": lambda: sa.select(f.instr(User.email, f.lower(VALUE))),
    "a function's sum": lambda: sa.select(f.instr(User.email, lit(VALUE) + lit("x"), type_=sa.Integer)),
    "a function's case": lambda: sa.select(f.instr(User.email, sa.case((User.id == 1, VALUE)))),
    "a function's selection": lambda: sa.select(f.instr(User.email, sa.select(lit(VALUE)).scalar_subquery())),
    "a function's subquery": lambda: beside(
        sa.select(lit(VALUE).label("m")).subquery(), lambda rows: f.instr(User.email, rows.c.m)
    ),
    "a function's rows": lambda: beside(values(), lambda rows: f.instr(User.email, rows.c.given)),
    "a function's length": lambda: sa.select(f.substr(User.email, f.length(VALUE))),
    "the first, or another": lambda: sa.select(f.coalesce(User.email, f.upper(VALUE))),
    "what is ordered": lambda: sa.select(f.rank(VALUE).within_group(User.email)),
    "several that are joined": lambda: sa.select(lit("x") + lit("y") + f.lower(User.email) + lit(VALUE)),
    "a subquery's cast": lambda: of_made(sa.cast(User.email, sa.String)),
    "a subquery's function": lambda: of_made(f.lower(User.email)),
    "a subquery's type": lambda: of_made(sa.type_coerce(User.email, sa.String)),
    "a subquery's index": lambda: of_made(f.hex(User.email_index)),
    "a common table's function": lambda: sa.select(
        sa.select(f.hex(User.email).label("m")).cte().alias().c.m.like(VALUE)
    ),
    "a union's second": lambda: sa.select(
        sa.union_all(sa.select(User.name.label("m")), sa.select(User.email)).subquery().c.m == VALUE
    ),
    "a scalar union's second": lambda: sa.select(
        sa.union_all(sa.select(User.name), sa.select(f.hex(User.email))).scalar_subquery() == VALUE
    ),
    "a function's rows of it": lambda: beside(
        f.json_each(User.document).table_valued("key", "value"), lambda rows: lit(VALUE) == rows.c.value
    ),
    "a function's column of it": lambda: sa.select(lit(VALUE) == f.unnest(User.document).column_valued("v")),
    "a number of times": lambda: sa.select(f.regexp_count(User.email, VALUE, type_=sa.Integer)),
}


@pytest.mark.parametrize("make", COMPARED.values(), ids=list(COMPARED))
def test_what_would_be_sent_as_it_is_is_refused(sent: tuple[sa.Engine, list[str]], make: Make) -> None:
    database, lines = sent
    with Session(database) as session, pytest.raises(SealingError, match=r"users\.|others\.") as refused:
        session.execute(make())
    assert VALUE not in str(refused.value)
    assert not any(VALUE in line for line in lines)


def upsert(insert: Any, **values: Any) -> Any:
    return insert(TABLE).values(id=1).on_conflict_do_update(index_elements=["id"], set_=values)


GIVEN: dict[str, Make] = {
    "a literal": lambda: sa.update(User).values(loose=lit(VALUE)),
    "by the attribute": lambda: sa.update(User).values({User.loose: lit(VALUE)}),
    "by another name": lambda: sa.update(User).values({User.email: lit(VALUE), User.email_index: None}),
    "ordered": lambda: sa.update(TABLE).ordered_values((TABLE.c.name, "x"), (TABLE.c.loose, lit(VALUE))),
    "a function": lambda: sa.update(User).values(loose=f.lower(VALUE)),
    "a parameter": lambda: sa.update(User).values(loose=sa.bindparam("given", VALUE, type_=sa.String)),
    "another column": lambda: sa.update(User).values(loose=User.name),
    "another sealed column": lambda: sa.update(User).values(loose=User.email),
    "of another table": lambda: sa.update(User).where(User.id == Other.id).values(loose=Other.loose),
    "one or the other": lambda: sa.update(User).values(loose=sa.case((User.id == 1, User.loose), else_=VALUE)),
    "a row": lambda: sa.insert(User).values(id=5, loose=lit(VALUE)),
    "rows": lambda: sa.insert(User).values([{"id": 5, "loose": lit(VALUE)}, {"id": 6, "loose": None}]),
    "rows that are tuples": lambda: sa.insert(TABLE).values([(5, "x", None, None, lit(VALUE), None)]),
    "a selection": lambda: sa.insert(TABLE).from_select(["id", "loose"], sa.select(lit(5), lit(VALUE))),
    "a selected column": lambda: sa.insert(TABLE).from_select(["id", "loose"], sa.select(User.id + 5, User.name)),
    "an index": lambda: sa.insert(TABLE).values(id=5, email_index=lit(VALUE)),
    "it, or a column": lambda: sa.update(User).values(loose=f.coalesce(User.loose, User.name)),
    "it, or a column, by another name": lambda: sa.update(User).values(loose=f.ifnull(User.loose, User.name)),
    "it, or a column, cast": lambda: sa.update(User).values(
        loose=sa.cast(f.coalesce(User.loose, User.name), sa.LargeBinary)
    ),
    "it, or a number": lambda: sa.update(User).values(loose=f.coalesce(User.loose, 1234)),
    "it, or an empty text": lambda: sa.update(User).values(loose=f.coalesce(User.loose, "")),
    "it, with a column in it": lambda: sa.update(User).values(loose=f.replace(User.loose, User.name, User.name)),
    "it, or a column, selected": lambda: sa.insert(TABLE).from_select(
        ["id", "loose"], sa.select(User.id + 5, f.coalesce(User.loose, User.name))
    ),
    "a union's second": lambda: sa.insert(TABLE).from_select(
        ["id", "loose"], sa.union_all(sa.select(User.id + 5, User.loose), sa.select(User.id + 6, User.name))
    ),
    "a subquery's column of its type": lambda: sa.update(User).values(
        loose=sa.select(
            sa.select(sa.type_coerce(lit(VALUE, sa.String), User.loose.type).label("m")).subquery().c.m
        ).scalar_subquery()
    ),
    "a column of another name": lambda: sa.insert(TABLE).from_select(["id", "loose"], sa.select(lit(5), User.email)),
    "a text of SQL": lambda: sa.update(User).values(loose=sa.text("name")),
    "what conflicts": lambda: upsert(sqlite.insert, loose=lit(VALUE)),
    "where it conflicts": lambda: sqlite.insert(TABLE).values(id=1).on_conflict_do_update(
        index_elements=["id"], set_={"name": "x"}, where=f.lower(TABLE.c.loose) == VALUE
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", GIVEN.values(), ids=list(GIVEN))
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_would_be_there_as_it_is_is_refused(sent: tuple[sa.Engine, list[str]], make: Make) -> None:
    database, lines = sent
    with Session(database) as session, pytest.raises(SealingError, match=r"users\.") as refused:
        session.execute(make())
    assert VALUE not in str(refused.value)
    assert not any(VALUE in line for line in lines)


@pytest.mark.parametrize(
    ("dialect", "make"),
    [
        (postgresql.dialect(), lambda: upsert(postgresql.insert, loose=lit(VALUE))),
        (mysql.dialect(), lambda: mysql.insert(TABLE).values(id=1).on_duplicate_key_update(loose=lit(VALUE))),
    ],
    ids=["postgresql", "mysql"],
)
def test_upserts_of_other_databases_are_looked_at(dialect: sa.Dialect, make: Make) -> None:
    # As a cursor's context has it: no server of either is needed.
    context = SimpleNamespace(compiled=make().compile(dialect=dialect), execution_options={})
    with pytest.raises(SealingError, match=r"users\.loose"):
        sending(None, None, "", None, context, False)


def by_subquery(rows: Any) -> Any:
    return sa.insert(Other).from_select(["id", "loose"], sa.select(rows.c.id + 5, rows.c.loose.label("x")))


HARMLESS: dict[str, Make] = {
    "how many": lambda: sa.select(f.count(User.email)).having(f.count(User.email) < 5),
    "how long": lambda: sa.select(User.id).where(f.length(User.email) > 10),
    "how long, in all": lambda: sa.select(User.id).where(f.coalesce(f.length(User.email), 0) + 1 > 10),
    "a measure of its own": lambda: sa.select(User.id).where(f.abs(f.length(User.loose), type_=sa.Integer) > 10),
    "whether there is one": lambda: sa.select(sa.case((User.email.is_(None), "none"), else_="some")),
    "beside other columns": lambda: sa.select(User).where(User.email.is_not(None), User.name == "Ada"),
    "one where another is": lambda: sa.select(sa.case((User.name == "Ada", User.email), else_=None)),
    "the first that there is": lambda: sa.select(f.coalesce(User.loose, User.email)),
    "a part": lambda: sa.select(f.substr(User.email, 1, 3)),
    "a literal of the program": lambda: sa.select(f.coalesce(f.substr(User.email, 1, 3), sa.literal_column("'x'"))),
    "ordered": lambda: sa.select(User).order_by(User.email, User.id).limit(5),
    "the latest of each": lambda: sa.select(
        sa.select(f.row_number().over(partition_by=User.name, order_by=User.email).label("n")).subquery()
    ).where(sa.column("n") == 1),
    "a selection beside": lambda: sa.select(User.id, sa.select(User.email).where(User.name == "x").scalar_subquery()),
    "existence": lambda: sa.select(sa.exists(sa.select(User.email).where(User.name == "Ada"))),
    "an index": lambda: sa.select(User.email).where(User.email_index == VALUE, User.name == "Ada"),
    "indexes": lambda: sa.select(User).where(User.email_index.in_([VALUE, "x"])),
    "itself": lambda: sa.update(User).values(loose=User.loose),
    "nothing": lambda: sa.update(User).values(loose=sa.null(), document=None),
    "sealed values": lambda: sa.insert(User).values(sealed_values(User, {"id": 7, "email": VALUE, "loose": VALUE})),
    "a value of its own": lambda: sa.insert(TABLE).values(id=8, loose=VALUE),
    "a parameter of the column": lambda: sa.update(User).values(loose=sa.literal(VALUE, User.loose.type)),
    "a row's own of several": lambda: sa.update(User).values(
        loose=sa.case({1: sa.literal(VALUE, User.loose.type)}, value=User.id, else_=User.loose)
    ),
    "the first, or nothing": lambda: sa.select(f.coalesce(User.email, None), f.coalesce(User.email, "")),
    "whether either is": lambda: sa.select(User.id).where(f.coalesce(User.email, User.name).is_(None)),
    "one, or a text of the program": lambda: sa.select(
        f.max(sa.case((User.email.is_(None), sa.literal_column("'none'")), else_=User.email))
    ),
    "one, or nothing": lambda: sa.select(
        sa.case((User.name == "x", User.email), else_=""), sa.case((User.name == "x", User.email), else_=lit(None))
    ),
    "one, or a number": lambda: sa.select(sa.case((User.email.is_(None), 0), else_=f.length(User.email))),
    "one, or another": lambda: sa.select(sa.case((User.name == "Ada", User.email), else_=User.loose)),
    "one, or a column": lambda: sa.select(sa.case((User.name == "Ada", User.email), else_=User.name)),
    "one, or its own value": lambda: sa.select(
        sa.case((User.id == 1, User.loose), else_=sa.literal(VALUE, User.loose.type))
    ),
    "where another is": lambda: sa.select(
        f.coalesce(User.email, sa.select(User.loose).where(User.name == "x").scalar_subquery())
    ),
    "a subquery's other columns": lambda: sa.select(
        sa.select(User, f.length(User.email).label("n")).subquery().alias("q")
    ).where(sa.column("name") == "Ada", sa.column("n") > 3),
    "how long, of a subquery": lambda: sa.select(sa.select(f.length(User.email).label("n")).subquery().c.n + 1 > 3),
    "a name in a function's rows": lambda: beside(
        f.json_each(User.name).table_valued("key", "value"), lambda rows: rows.c.value == "x"
    ).where(User.id == 99),
    "it, or nothing": lambda: sa.update(User).values(loose=f.coalesce(User.loose, sa.null())),
    "selected, or nothing": lambda: sa.insert(TABLE).from_select(
        ["id", "loose", "document"], sa.select(User.id + 5, lit(None), sa.cast(None, sa.LargeBinary))
    ),
    "all of it": lambda: sa.insert(Other).from_select(["id", "loose"], sa.select(User.id + 5, User.loose)),
    "all of it, by a subquery": lambda: by_subquery(sa.select(User).subquery()),
    "what was to be inserted": lambda: upsert(sqlite.insert, loose=sqlite.insert(TABLE).excluded.loose),
}


@pytest.mark.parametrize("make", HARMLESS.values(), ids=list(HARMLESS))
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_says_nothing_of_a_value_goes_through(sent: tuple[sa.Engine, list[str]], make: Make) -> None:
    database, lines = sent
    with Session(database) as session:
        session.execute(make())
        session.commit()
    assert not any(VALUE in line for line in lines)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_statement_is_looked_at_once_and_refused_each_time(sent: tuple[sa.Engine, list[str]]) -> None:
    database, lines = sent
    compiled: list[Any] = []

    @sa.event.listens_for(database, "after_cursor_execute")
    def executed(*given: Any) -> None:
        compiled.append(given[4].compiled)

    with Session(database) as session:
        for name in ("Ada", "Bob"):
            session.execute(sa.select(User.id).where(User.name == name))
        assert compiled[0] is compiled[1] and getattr(compiled[0], _LOOKED) is True
        for text in (VALUE, "other"):  # the second is in SQLAlchemy's cache of what is compiled
            with pytest.raises(SealingError):
                session.execute(sa.select(User.id).where(f.lower(User.email) == text))
    assert not any(VALUE in line for line in lines)


class Text(str):
    """A text that SQLAlchemy knows no type for, as that of a literal None."""


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_passed_as_nothing_is_refused_as_something_from_the_same_cache(sent: tuple[sa.Engine, list[str]]) -> None:
    database, lines = sent

    def selected(given: Any) -> Any:
        return sa.insert(TABLE).from_select(["id", "loose"], sa.select(f.max(User.id) + 1, lit(given)))

    for statement, nothing, something in (
        (selected, None, Text(VALUE)),
        (lambda given: sa.select(f.coalesce(User.email, given)), "", VALUE),
    ):
        with Session(database) as session:
            for _ in range(2):
                session.execute(statement(nothing))
                with pytest.raises(SealingError):
                    session.execute(statement(something))
            session.commit()
    # A name that anybody can give is never nothing.
    by_name = sa.insert(TABLE).from_select(["id", "loose"], sa.select(lit(9), sa.bindparam("given", None)))
    with Session(database) as session, pytest.raises(SealingError):
        session.execute(by_name, {"given": VALUE})
    assert not any(VALUE in line for line in lines)


class Own(sa.sql.functions.FunctionElement[Any]):
    """A function of an app's own, which has no name."""

    inherit_cache = True


def test_whatever_a_statement_is_made_of_can_be_looked_at() -> None:
    table, other = TABLE, Other.__table__
    items = f.json_each(other.c.text).table_valued("key", "value")
    written = sa.insert(other).values(text="x").returning(other.c.id).cte()
    values = sa.values(sa.column("n", sa.Integer), name="v").data([(1,), (2,)])
    sequence = sa.Sequence("numbers")
    for statement in (
        sa.select(items.c.value).select_from(other, items.lateral()),
        sa.select(f.unnest(sa.literal([1, 2], sa.ARRAY(sa.Integer))).column_valued("n")),
        sa.select(other.c.id).where(other.c.id == sa.any_(sa.literal([1], sa.ARRAY(sa.Integer)))),
        sa.select(written), sa.select(values), sa.select(sa.lateral(sa.select(other.c.id)).c.id),
        sa.select(f.percentile_cont(0.5).within_group(other.c.id), sa.extract("year", sa.func.now())),
        sa.select(other.tablesample(f.bernoulli(1)).c.id).with_for_update(of=other, skip_locked=True),
        sa.select(sa.cast(other.c.text, sa.JSON)["a"]["b"].as_string(), sa.literal_column("1"), sa.text("2")),
        sa.select(Own(other.c.id, table.c.mail)), sa.select(sequence.next_value(), sa.true(), sa.null()),
        sa.select(sa.column("x").op("@@")(5), sa.distinct(other.c.text), -other.c.id, other.c.text.collate("C")),
        sa.select(sa.func.array_agg(postgresql.aggregate_order_by(other.c.text, other.c.id.desc()))),
        sa.select(sa.tuple_(other.c.id, other.c.text).in_([(1, "a")]), other.c.id.between(1, 2).label("between")),
        sa.select(postgresql.array([1, 2])[1:2], sa.type_coerce(other.c.id, sa.String) + "x"),
        sa.text("SELECT mail FROM users WHERE mail = :x").columns(table.c.mail).bindparams(x="x").subquery().select(),
        sa.select(sa.union_all(sa.select(table.c.mail), sa.select(table.c.mail)).alias("u").c.mail).limit(1).offset(2),
        sa.insert(other).from_select(["text"], sa.select(f.lower(other.c.text))),
        sa.update(other).where(other.c.id == table.c.id).values({other.c.text: table.c.name}),
        sa.delete(other).where(other.c.id.in_(sa.select(table.c.id))), other.insert(), other.update(), other.delete(),
    ):  # fmt: skip
        _Looking().at(statement)
    # The columns of what was selected are still known for what they are.
    with pytest.raises(SealingError):
        _Looking().at(sa.select(f.lower(sa.select(table.c.mail).lateral().c.mail) == VALUE))


def test_a_long_statement_is_looked_at_in_a_time_that_grows_with_it() -> None:
    looks = 0

    class Counting(_Looking):
        def at(self, one: Any) -> Any:
            nonlocal looks
            looks += 1
            return super().at(one)

    # Each is in the next one twice: 2^20 ways lead to the first.
    selection = sa.select(User.id, User.email).subquery()
    for _ in range(20):
        a, b = selection.alias(), selection.alias()
        selection = sa.select(a.c.id, a.c.email).join(b, a.c.id == b.c.id).subquery()
    Counting().at(sa.select(selection))
    assert looks < 2000


@pytest.mark.parametrize("nested", [lambda x: f.abs(x), lambda x: sa.select(x.label("x")).subquery().c.x])
def test_what_is_not_too_deep_for_sqlalchemy_is_not_too_deep_here(nested: Callable[[Any], Any]) -> None:
    def deep(levels: int) -> Any:
        expression: Any = Other.__table__.c.id
        for _ in range(levels):
            expression = nested(expression)
        return sa.select(expression)

    least, most = 1, 500
    while least < most:
        level = (least + most + 1) // 2
        try:
            deep(level).compile()
            least = level
        except RecursionError:
            most = level - 1
    assert 10 < least < 500
    _Looking().at(deep(least))
