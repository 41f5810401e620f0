"""Which extensions a project moves from, and what stands in for what of theirs.

What a face offers is asked of the face itself, so a name that is added there is offered here. The incumbents need not
be installed, and are never imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from ..compat.cors.core import CONFIG_OPTIONS
from ..compat.jwt_extended.config import DEFAULTS
from ..compat.limiter.constants import ON_STORE_ERROR, ConfigVars
from ..compat.wtf_csrf.config import DEFAULTS as CSRF_DEFAULTS
from ..compat.wtf_csrf.config import OWN_KEY

_COMPAT = "flask_rampart.compat"


@dataclass(frozen=True)
class Incumbent:
    """An extension that a face stands in for."""

    name: str
    """As package indexes write it."""
    module: str
    face: str
    page: str
    """Its page in ``docs/migrate``, without the ending."""
    settings: frozenset[str]
    """What it and its face read of an app's settings."""
    prefix: str = ""
    """How its settings begin."""
    brings: tuple[str, str] | None = None
    """A module that its package alone may have brought, and that module's package."""
    is_part: bool = False
    """Whether the face stands in for some modules only, so that the package may still be needed for the rest."""

    @property
    def docs(self) -> str:
        return f"docs/migrate/{self.page}.md"


@dataclass(frozen=True)
class Moved:
    """Where a name that is imported is had instead."""

    module: str
    name: str
    binds: str
    """The name that the import gave it."""


INCUMBENTS: tuple[Incumbent, ...] = (
    Incumbent(
        "Flask-JWT-Extended",
        "flask_jwt_extended",
        f"{_COMPAT}.jwt_extended",
        "jwt-extended",
        frozenset(DEFAULTS),
        "JWT_",
        ("jwt", "PyJWT"),
    ),
    Incumbent(
        "Flask-Limiter",
        "flask_limiter",
        f"{_COMPAT}.limiter",
        "limiter",
        frozenset(value for name, value in vars(ConfigVars).items() if name.isupper()) | {ON_STORE_ERROR},
        "RATELIMIT_",
    ),
    Incumbent("Flask-Talisman", "flask_talisman", f"{_COMPAT}.talisman", "talisman", frozenset()),
    Incumbent("Flask-Cors", "flask_cors", f"{_COMPAT}.cors", "cors", frozenset(CONFIG_OPTIONS), "CORS_"),
    Incumbent(
        "Flask-WTF",
        "flask_wtf",
        f"{_COMPAT}.wtf_csrf",
        "wtf-csrf",
        frozenset((*CSRF_DEFAULTS, OWN_KEY)),
        "WTF_CSRF_",
        ("wtforms", "WTForms"),
        is_part=True,
    ),
)
BY_MODULE = {each.module: each for each in INCUMBENTS}
NAMED = re.compile("|".join(each.module for each in INCUMBENTS))
"""What a source has in it that is concerned at all."""


def incumbent_of(module: str) -> Incumbent | None:
    """Whose module it is.

    >>> incumbent_of("flask_limiter.util").name
    'Flask-Limiter'
    >>> incumbent_of("flask_limiter_extras") is None
    True
    """
    return BY_MODULE.get(module.partition(".")[0])


def face_of(module: str) -> str | None:
    """The module that stands in for one of an incumbent's, if there is one.

    >>> face_of("flask_limiter.util"), face_of("flask_limiter.contrib")
    ('flask_rampart.compat.limiter.util', None)
    """
    incumbent = incumbent_of(module)
    if incumbent is None:
        return None
    rest = module.split(".")[1:]
    if incumbent.is_part:
        # `flask_wtf` is forms; `flask_wtf.csrf` alone has a face.
        if rest[:1] != ["csrf"]:
            return None
        rest = rest[1:]
    face = ".".join((incumbent.face, *rest))
    return face if _loaded(face) is not None else None


def moved(module: str, name: str) -> Moved | None:
    """Where ``from module import name`` finds it, if anywhere.

    >>> moved("flask_cors", "cross_origin").module
    'flask_rampart.compat.cors'
    >>> moved("flask_cors.core", "parse_resources") is None
    True
    """
    face = face_of(module)
    incumbent = incumbent_of(module)
    if face is None and incumbent is not None and module == incumbent.module and incumbent.is_part:
        if name == "csrf":
            package, _, last = incumbent.face.rpartition(".")
            return Moved(package, last, name) if _loaded(incumbent.face) is not None else None
        face = incumbent.face if name in _EXPORTED_OF_PARTS else None
    if face is None or not has(face, (name,)):
        return None
    return Moved(face, name, name)


def has(face: str, path: tuple[str, ...]) -> bool:
    """Whether what ``face.a.b`` names is there: as far as modules go, and one name in them."""
    at: Any = _loaded(face)
    for name in path:
        if type(at) is not ModuleType:
            return at is not None
        at = vars(at).get(name)
        if at is None:
            return False
        # What a face's module imports for itself was never the incumbent's.
        if type(at) is type(annotations) or (type(at) is ModuleType and not at.__name__.startswith(_COMPAT)):
            return False
    return at is not None


def is_module(face: str) -> bool:
    """Whether a face's dotted name is a module's.

    >>> is_module("flask_rampart.compat.cors.core"), is_module("flask_rampart.compat.cors.CORS")
    (True, False)
    """
    return _loaded(face) is not None


def is_of_forms(module: str, name: str) -> bool:
    """Whether a name of Flask-WTF's is none of its protection, and stays where it is."""
    incumbent = incumbent_of(module)
    if incumbent is None or not incumbent.is_part or module.startswith(f"{incumbent.module}.csrf"):
        return False
    return module != incumbent.module or name not in ("csrf", "*", "CsrfProtect", *_EXPORTED_OF_PARTS)


@lru_cache(maxsize=256)
def _loaded(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None


_EXPORTED_OF_PARTS = ("CSRFProtect",)
"""Names of a face that the incumbent's package has itself, beside what stays there."""
