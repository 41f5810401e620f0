"""A project's move from Flask-JWT-Extended, Flask-Limiter, Flask-Talisman, Flask-Cors and Flask-WTF's CSRF protection
to the faces in :mod:`flask_rampart.compat`: what is imported, what can be changed, and what then behaves otherwise.

:func:`look` reads a project and writes nothing; :func:`write` replaces one file, whole or not at all. Nothing of the
project is imported or run, so it need not work, nor have its requirements installed.

What it promises: only import statements change; every other byte of a file stays. A second look finds nothing more to
change. What it could not change, or not read, is told with its file and line.
What it does not do: change settings, files of requirements, or texts that name modules.

Imports are rewritten by LibCST (``pip install flask-rampart[migrate]``); :func:`is_ready` says whether it is there.
"""

from __future__ import annotations

from importlib.util import find_spec

from .looking import Changed as Changed
from .looking import Report as Report
from .looking import look as look
from .writing import NotWritten as NotWritten
from .writing import write as write


def is_ready() -> bool:
    """Whether LibCST is installed, without which no import is changed."""
    return find_spec("libcst") is not None
