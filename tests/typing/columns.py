"""Sealed columns have the types that a mapping says: checked by mypy, never run."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, Session, mapped_column
from typing_extensions import assert_type

from flask_rampart import IntegrityError, Keyset, Vault
from flask_rampart.vault.columns import (
    EncryptedBytes,
    EncryptedJSON,
    EncryptedString,
    Reencrypted,
    Sealed,
    blind_index,
    open_value,
    reencrypt,
    seal_column,
    seal_value,
    sealed_values,
)

vault = Vault(Keyset.generate("AES256_GCM"))


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(EncryptedString(max_length=254, vault=vault))
    email_index: Mapped[bytes] = blind_index("email", normalise=str.casefold, unique=True)
    phone: Mapped[str | None] = mapped_column(EncryptedString(row=("id",), vault=lambda: vault))
    settings: Mapped[dict[str, int] | None] = mapped_column(EncryptedJSON(row=False))
    photo: Mapped[bytes] = mapped_column(EncryptedBytes(bound_as="users.photo"))


assert_type(User.email, InstrumentedAttribute[str])
found = sa.select(User).where(User.email_index == "ada@example.com", User.email_index.in_(["a", "b"]))


def use(session: Session, engine: sa.Engine) -> None:
    user = session.scalars(found).one()
    assert_type(user.email, str)
    assert_type(user.phone, str | None)
    assert_type(user.settings, dict[str, int] | None)
    assert_type(user.photo, bytes)
    assert_type(sealed_values(User, {"email": "x"}, row=1), dict[str, Any])
    assert_type(seal_value(User.email, "x", row=1), Sealed)
    open_value(User.email, seal_value(User.email, "x", row=1), row=1)
    assert_type(reencrypt(engine, User, batch=100), Reencrypted)
    assert_type(seal_column(session, User.email).contended, int)


async def anew(engine: AsyncEngine) -> Reencrypted:
    async with engine.begin() as connection:
        return await connection.run_sync(reencrypt, User)


assert_type(IntegrityError("altered").place, str | None)
assert_type(IntegrityError("altered").code, str)
