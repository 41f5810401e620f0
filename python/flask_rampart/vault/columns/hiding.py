"""Keeps what was to be sealed out of SQLAlchemy's errors.

A statement's values are sealed after the statement was begun. Where the value of another column cannot be converted (a
text for a date, say), SQLAlchemy raises ``StatementError`` with the parameters as they were given: with plaintext for
columns of ``row=False``. Such an error of a statement that names a table with a sealed column loses its parameters
here: the table, for a value may be compared with no column, and a schema may be told only later.

Errors of the database itself come later: their parameters are what was sent, and are left as they are.

It is one listener for all engines, called where an error is raised, and nowhere else.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

if TYPE_CHECKING:
    from .types import Bound

_lock = threading.Lock()
_sealed: WeakSet[Bound] = WeakSet()
_installed = False


def install() -> None:
    """Begins to listen, once."""
    global _installed
    with _lock:
        if not _installed:
            event.listen(Engine, "handle_error", _hide)
            _installed = True


def remember(bound: Bound) -> None:
    """That this column is sealed: when it is declared, for a first statement may fail before its types are asked."""
    with _lock:
        _sealed.add(bound)


def _hide(context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if error is None or context.execution_context is not None:
        return
    text = context.statement or ""
    with _lock:
        columns = [bound.column for bound in _sealed]
    tables = {column.table.name for column in columns if column is not None and column.table is not None}
    # Not a part of a name: `user` is not in `user_agents`.
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in tables):
        error.hide_parameters = True
        error.params = None
