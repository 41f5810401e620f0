"""Lines of files of requirements that name an incumbent. None is changed: which file is written by hand, and which by a
tool, is the project's to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .facts import Place
from .incumbents import INCUMBENTS, Incumbent

FILES = re.compile(
    r"(?:.*requirements.*|.*constraints.*)\.(?:txt|in)|Pipfile|pyproject\.toml|setup\.(?:py|cfg)|environment\.ya?ml",
    re.IGNORECASE,
)
"""Names of files in which requirements are written. In a folder ``requirements``, each ``.txt`` and ``.in`` is one."""
_NAME = re.compile(r"(?<![\w.-])(flask[-_.](?:jwt[-_.]extended|limiter|talisman|cors|wtf))(?![\w-])", re.IGNORECASE)
_OF_IT = re.compile(
    r"\s*(?:\[[\w\s,.-]*\])?\s*(?:(?:===?|~=|!=|[<>]=?)\s*v?\d[\w.*+!]{0,30}(?:\s*,\s*(?=[=~!<>])|(?![\w:@/])))*"
)
"""What may follow a name and is shown: extras and versions. An address, which may hold a password, is neither."""
_OWN = re.compile(r"(?<![\w.-])flask[-_.]rampart(?![\w-])", re.IGNORECASE)
_BY_NAME = {each.name.lower(): each for each in INCUMBENTS}


@dataclass(frozen=True)
class Required:
    """A line that names an incumbent."""

    incumbent: Incumbent
    place: Place
    line: str
    """What is shown of the line: its name and version."""


def is_file(name: str, folder: str) -> bool:
    """Whether a file is one of requirements.

    >>> is_file("requirements-dev.txt", "shop"), is_file("base.in", "requirements"), is_file("notes.txt", "shop")
    (True, True, False)
    """
    in_folder = folder == "requirements" and name.endswith((".txt", ".in"))
    return in_folder or FILES.fullmatch(name) is not None


def required(text: str, file: str) -> Iterator[Required]:
    """The lines that name an incumbent, each once for each, without what might be a secret: addresses, options, hashes.

    >>> [found.line for found in required("flask_limiter[redis]==3.8  # limits\\n# Flask-Cors\\n", "requirements.txt")]
    ['flask_limiter[redis]==3.8']
    >>> [found.line for found in required("flask-cors @ git+https://me:hunter2@git.example/a/b.git", "base.in")]
    ['flask-cors']
    """
    for number, line in enumerate(text.splitlines(), 1):
        said = (line.partition("#")[0] if line.lstrip().startswith("#") else line.partition(" #")[0])[:2000]
        shown: dict[str, str] = {}
        for found in _NAME.finditer(said):
            after = _OF_IT.match(said, found.end())
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            shown.setdefault(name, said[found.start() : after.end() if after else found.end()].strip().rstrip(", "))
        for name, about in shown.items():
            yield Required(_BY_NAME[name], Place(file, number), about)


def names(package: str, text: str) -> bool:
    """Whether a package is among them, for one whose name is a word.

    >>> names("PyJWT", "pyjwt[crypto]>=2\\n"), names("PyJWT", "# PyJWT\\nother\\n")
    (True, False)
    """
    return re.search(rf"^[^#\n]*(?<![\w.-]){package}(?![\w-])", text, re.IGNORECASE | re.MULTILINE) is not None


def names_rampart(text: str) -> bool:
    """Whether Flask-Rampart is among them."""
    return _OWN.search(text) is not None
