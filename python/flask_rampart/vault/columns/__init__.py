"""Sealed columns for SQLAlchemy 2: what a database holds is bound to its table, column and row.

``docs/vault-sqlalchemy.md`` is the guide. The rooms within:

``places`` what a value is bound to · ``types`` what goes to the database and comes from it · ``blind`` look-ups ·
``plans`` what of a class is sealed · ``objects`` when objects seal and open · ``values`` for statements · ``guards``
statements that would leave something behind · ``rotation`` sealing anew · ``hiding`` errors without values ·
``migrations`` Alembic.

A value that was moved to another row, column or table, changed in one bit, cut, or put there unsealed raises
:class:`~flask_rampart.errors.IntegrityError` where it is read. It is in no log, no error and no repr.

It does not notice an older value that was put back into its own place, nor a row that was copied with its key, nor one
that was deleted. It hides neither lengths nor NULL.
"""

from __future__ import annotations

from ...errors import ConfigError

try:
    import sqlalchemy
except ImportError as error:
    raise ConfigError(
        "flask_rampart.vault.columns needs SQLAlchemy 2: pip install 'flask-rampart[sqlalchemy]'."
    ) from error

if int(sqlalchemy.__version__.partition(".")[0]) < 2:
    raise ConfigError(f"flask_rampart.vault.columns needs SQLAlchemy 2, and this is {sqlalchemy.__version__}.")

from .blind import BlindIndex as BlindIndex
from .blind import blind_index as blind_index
from .migrations import render_item as render_item
from .objects import SealedAttribute as SealedAttribute
from .places import IndexBytes as IndexBytes
from .places import Sealed as Sealed
from .rotation import Reencrypted as Reencrypted
from .rotation import reencrypt as reencrypt
from .rotation import seal_column as seal_column
from .types import EncryptedBytes as EncryptedBytes
from .types import EncryptedJSON as EncryptedJSON
from .types import EncryptedString as EncryptedString
from .types import SealingError as SealingError
from .values import open_value as open_value
from .values import seal_value as seal_value
from .values import sealed_values as sealed_values

__all__ = [
    "BlindIndex",
    "EncryptedBytes",
    "EncryptedJSON",
    "EncryptedString",
    "IndexBytes",
    "Reencrypted",
    "Sealed",
    "SealingError",
    "blind_index",
    "open_value",
    "reencrypt",
    "render_item",
    "seal_column",
    "seal_value",
    "sealed_values",
]
