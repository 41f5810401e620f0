"""Mapped classes with sealed columns, of one vault: keys of each kind, inheritance, relationships."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
)

from flask_rampart.vault.columns import (
    EncryptedBytes,
    EncryptedJSON,
    EncryptedString,
    blind_index,
)

from .sealing import engine, engines, vault

__all__ = ["engine", "engines"]

VAULT = vault()


class Text(str):
    """What an annotation map knows."""


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
    email_index: Mapped[bytes | None] = blind_index("email", normalise=str.casefold)
    settings: Mapped[Any] = mapped_column(EncryptedJSON(vault=VAULT), nullable=True)
    options: Mapped[Any] = mapped_column(EncryptedJSON(row=False, vault=VAULT), nullable=True)
    changed: Mapped[int] = mapped_column(default=0, onupdate=1)
    notes: Mapped[list[Note]] = relationship(back_populates="user", cascade="all, delete-orphan")


class Note(Base):
    __tablename__ = "note"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"))
    text: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
    user: Mapped[User] = relationship(back_populates="notes")


class Cell(Base):
    __tablename__ = "cell"
    sheet: Mapped[str] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[datetime.date] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(EncryptedBytes(vault=VAULT))


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012


class Dog(Animal):
    __tablename__ = "dog"
    id: Mapped[int] = mapped_column(sa.ForeignKey("animal.id", onupdate="CASCADE"), primary_key=True)
    chip: Mapped[str] = mapped_column(EncryptedString(vault=VAULT))
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Cat(Animal):
    mood: Mapped[str | None] = mapped_column(EncryptedString(vault=VAULT))
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Parcel(Base):
    """Of a key that the database makes, bound by another that Python makes."""

    __tablename__ = "parcel"
    id: Mapped[int] = mapped_column(primary_key=True)
    public: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4, unique=True)
    address: Mapped[str] = mapped_column(EncryptedString(row="public", vault=VAULT))
