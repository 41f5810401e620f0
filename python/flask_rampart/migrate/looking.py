"""A project, read: which files change, what stays, what its settings come to.

1. Read are Python files (tests as well), files of settings and files of requirements below a folder, or one file. Left
   out are hidden folders, environments, ``node_modules`` and what is built.
2. A link that leads out of the folder is not followed, and told. A link within it is not read twice.
3. A file that cannot be read is told if it names an incumbent. One without any is passed over.
4. A module of the project's own that has an incumbent's name is none: what is imported by that name stays.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..check.project import SKIPPED, Wanted, walk
from .concerns import VOCABULARY
from .facts import Facts, Place, read_lines, read_python
from .imports import Imports, Left, imports_of, parsed
from .incumbents import BY_MODULE, INCUMBENTS, NAMED, Incumbent
from .requirements import FILES, Required, is_file, names_rampart, required
from .sources import NotRead, Source

MOST_FILES = 20_000
MOST_FOLDERS = 20_000
_PYTHON = (".py", ".pyi", ".pyw")
_SETTINGS = re.compile(
    r"\.env(?:\..+)?|.+\.env|\.flaskenv|.+\.(?:cfg|ini|conf|toml)|"
    r"(?:.*(?:config|settings|compose|deploy|values|env).*)\.(?:json|ya?ml)",
    re.IGNORECASE,
)
_SKIPPED = SKIPPED - {"tests", "test"}
_WORDS = {re.sub(r"\A(?:def |\.)|[.=].*\Z", "", word) for word in VOCABULARY}
_WORTH_READING = re.compile(
    rf"{NAMED.pattern}|flask_rampart\.compat|{'|'.join(each.prefix for each in INCUMBENTS if each.prefix)}|"
    rf"\b(?:{'|'.join(sorted(map(re.escape, _WORDS)))})\b"
)


@dataclass(frozen=True)
class Changed:
    """A file whose imports change."""

    path: Path
    shown: str
    source: Source
    imports: Imports

    @property
    def before(self) -> bytes:
        return self.source.encoded(self.source.text)

    @property
    def after(self) -> bytes:
        return self.source.encoded(self.source.with_edits(self.imports.edits))

    def diff(self) -> Iterator[str]:
        """A unified diff, without the ends of its lines."""
        yield f"--- a/{self.shown}"
        yield f"+++ b/{self.shown}"
        for hunk in self.source.hunks(self.imports.edits):
            yield from hunk


@dataclass
class Report:
    """What was found in a project."""

    changed: list[Changed] = field(default_factory=list)
    left: list[tuple[Place, Left]] = field(default_factory=list)
    """What stays, for somebody to change by hand."""
    facts: Facts = field(default_factory=Facts)
    required: list[Required] = field(default_factory=list)
    names_rampart: bool = False
    """Whether a file of requirements names Flask-Rampart."""
    has_requirements: bool = False
    not_read: list[tuple[str, str]] = field(default_factory=list)
    """Files that name an incumbent and cannot be read, and why."""
    notes: list[str] = field(default_factory=list)
    needed: dict[Incumbent, Place] = field(default_factory=dict)
    """Who is imported still, and where."""

    @property
    def statements(self) -> int:
        """How many statements change."""
        return sum(len(each.imports.edits) for each in self.changed)

    def moved(self) -> list[Incumbent]:
        """Whose imports change."""
        return [each for each in INCUMBENTS if any(each in changed.imports.moved for changed in self.changed)]


def look(path: Path) -> Report:
    """Reads a project, or one file of it; writes nothing.

    :param path: a folder or a file.
    :raises FileNotFoundError: if there is neither.
    """
    root = Path(os.path.realpath(path, strict=True))
    report = Report()
    own = frozenset(_own(root))
    for module in sorted(own):
        report.notes.append(f"{module} is a module of this project's own: what is imported from it stays.")
    for file in _files(root, report.notes):
        _read(file, report, own)
    report.notes = list(dict.fromkeys(report.notes))
    return report


def _files(root: Path, notes: list[str]) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    seen: set[str] = set()
    wanted = Wanted("files", _is_wanted, _SKIPPED)
    for path in walk(root, notes, wanted, most=MOST_FILES, most_folders=MOST_FOLDERS):
        real = os.path.realpath(path)
        if path.is_symlink():
            if not Path(real).is_relative_to(root):
                notes.append(f"{_shown(path)} is not read: it is a link that leads out of the folder that is read.")
            continue  # what lies in the folder is read where it lies
        if real not in seen:
            seen.add(real)
            yield Path(real)


def _is_wanted(name: str) -> bool:
    return name.endswith((*_PYTHON, ".txt", ".in")) or bool(_SETTINGS.fullmatch(name) or FILES.fullmatch(name))


def _own(root: Path) -> Iterator[str]:
    """Modules of the project's that have an incumbent's name."""
    folder = root if root.is_dir() else root.parent
    for module in BY_MODULE:
        for at in (folder / module, folder / "src" / module):
            if at.with_suffix(".py").is_file() or (at / "__init__.py").is_file():
                yield module


def _read(path: Path, report: Report, own: frozenset[str]) -> None:
    shown = _shown(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        report.notes.append(f"{shown} is not read: {error.strerror}.")
        return
    if is_file(path.name, path.parent.name):
        text = raw.decode("utf-8", "replace")
        report.has_requirements = True
        report.required += required(text, shown)
        report.names_rampart = report.names_rampart or names_rampart(text)
    if path.suffix in _PYTHON:
        _python(path, shown, raw, report, own)
    elif path.suffix == ".cfg":
        _configuration(shown, raw, report)
    elif path.suffix not in (".txt", ".in"):
        is_typed = path.suffix in (".toml", ".json", ".yaml", ".yml") and "compose" not in path.name
        read_lines(raw.decode("utf-8", "replace"), shown, report.facts, is_typed=is_typed)


def _python(path: Path, shown: str, raw: bytes, report: Report, own: frozenset[str]) -> None:
    try:
        source = Source(raw)
        if not _WORTH_READING.search(source.text):
            return
        tree = parsed(source)
        read_python(tree, shown, report.facts)
        imports = imports_of(source, tree, own)
    except NotRead as error:
        if NAMED.search(raw.decode("latin-1")):
            report.not_read.append((shown, str(error)))
            for module in dict.fromkeys(NAMED.findall(raw.decode("latin-1"))):
                report.needed.setdefault(BY_MODULE[module], Place(shown, 1))
        return
    report.left += [(Place(shown, each.line), each) for each in imports.left]
    for incumbent, line in imports.needed.items():
        report.needed.setdefault(incumbent, Place(shown, line))
    if imports.edits:
        report.changed.append(Changed(path, shown, source, imports))


def _configuration(shown: str, raw: bytes, report: Report) -> None:
    """Flask's own ``settings.cfg`` is Python; others are not."""
    text = raw.decode("utf-8", "replace")
    try:
        tree = parsed(Source(raw))
    except NotRead:
        read_lines(text, shown, report.facts, is_typed=False)
        return
    if isinstance(tree, ast.Module):
        read_python(tree, shown, report.facts)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
