"""A project, read: which files change, what stays, what its settings come to.

1. Read are Python files (tests as well), files of settings and files of requirements below a folder, or one file. Left
   out are hidden folders, environments, ``node_modules`` and what is built.
2. A link that leads out of the folder, or to what is left out of it, is not followed, and told. A link within it is not
   read twice.
3. A file that is no Python, or is larger than a megabyte, is told if it names an incumbent. One without any is passed
   over. One of which nothing can be read is told: what it names, nobody knows.
4. A module of the project's own that has an incumbent's name, beside the importing file or one of the folders that it
   is in, is none: what is imported by that name stays.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..check.project import MOST_BYTES, SKIPPED, Wanted, walk
from .concerns import VOCABULARY
from .facts import Facts, Place, read_lines, read_python
from .imports import Imports, Left, imports_of, parsed
from .incumbents import BY_MODULE, INCUMBENTS, NAMED, Incumbent
from .requirements import FILES, Required, is_file, names, names_rampart, required
from .sources import NotRead, Source

MOST_FILES = 20_000
MOST_FOLDERS = 20_000
_BROUGHT = {each: each.brings for each in INCUMBENTS if each.brings is not None}
_LARGE = "it is larger than a megabyte"
_OUT = "it is a link that leads out of the folder that is read"
_LONGEST_NAME = max(map(len, BY_MODULE))
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
    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Files of Python of which nothing can be read, and why: they may name one."""
    notes: list[str] = field(default_factory=list)
    needed: dict[Incumbent, Place] = field(default_factory=dict)
    """Who is imported still, and where."""
    brought: dict[Incumbent, Place] = field(default_factory=dict)
    """Whose package brings what is imported, and where that is."""
    named: set[str] = field(default_factory=set)
    """Of the packages that are brought, those that a file of requirements names itself."""

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
    if root.is_file() and path.is_symlink() and not root.is_relative_to(os.path.realpath(path.parent)):
        _not_read(Path(os.path.abspath(path)), _OUT, report)
        return report
    own = _Own(root)
    for file in _files(root, report):
        _read(file, report, own)
    report.notes = list(dict.fromkeys(report.notes))
    return report


def _files(root: Path, report: Report) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    seen: set[str] = set()
    links: dict[Path, str] = {}
    wanted = Wanted("files", _is_wanted, _SKIPPED, large=lambda path: _not_read(path, _LARGE, report), tells_links=True)
    for path in walk(root, report.notes, wanted, most=MOST_FILES, most_folders=MOST_FOLDERS):
        real = os.path.realpath(path)
        if path.is_symlink():
            if not Path(real).is_relative_to(root):
                report.notes.append(f"{_shown(path)} is not read: {_OUT}.")
            else:
                links[path] = real
        elif real not in seen:
            seen.add(real)
            yield Path(real)
    # What lies in the folder is read where it lies, unless it is left out there.
    for path, real in links.items():
        if real not in seen:
            _not_read(path, "it is a link to what is left out", report)


def _unread(path: Path, why: str, report: Report) -> None:
    """Tells a file of which nothing could be read: of Python, nobody knows what it names."""
    if path.suffix in _PYTHON:
        report.unknown.append((_shown(path), why))
    else:
        report.notes.append(f"{_shown(path)} is not read: {why}.")


def _not_read(path: Path, why: str, report: Report) -> None:
    """Tells a file that is not read: as one that names incumbents, if it is Python and does."""
    named: set[str] = set()
    if path.suffix in _PYTHON:
        try:
            with path.open("rb") as file:
                before = ""
                while len(named) < len(INCUMBENTS) and (part := file.read(MOST_BYTES)):
                    text = before + part.decode("latin-1")
                    named.update(NAMED.findall(text))
                    before = text[-_LONGEST_NAME:]
        except OSError as error:
            if not named:
                _unread(path, error.strerror or why, report)
                return
            why = error.strerror or why
    if not named:
        report.notes.append(f"{_shown(path)} is not read: {why}.")
        return
    report.not_read.append((_shown(path), why))
    for module in sorted(named):
        report.needed.setdefault(BY_MODULE[module], Place(_shown(path), 1))


def _is_wanted(name: str) -> bool:
    return name.endswith((*_PYTHON, ".txt", ".in")) or bool(_SETTINGS.fullmatch(name) or FILES.fullmatch(name))


class _Own:
    """Modules of a project's own: where a file would find one by its name alone."""

    def __init__(self, root: Path) -> None:
        here = Path(os.path.realpath(os.curdir))
        folder = root if root.is_dir() else root.parent
        # Of a part, the project is where the command is run, if the part is in there.
        self._top = here if folder.is_relative_to(here) else folder
        self._known: dict[tuple[Path, str], Path | None] = {}

    def module(self, file: Path, name: str) -> Path | None:
        """The folder or file of a module that lies beside a file, or beside a folder of the project that it is in."""
        folder = file.parent
        while True:
            found = self._beside(folder, name)
            if found is not None or folder == self._top or not folder.is_relative_to(self._top):
                return found
            folder = folder.parent

    def _beside(self, folder: Path, name: str) -> Path | None:
        if (folder, name) not in self._known:
            found = None
            for at in (folder / name, folder / "src" / name):
                # With an __init__.py or without: which one Python would take is not guessed.
                if next(at.glob("*.py"), None) is not None:
                    found = at
                elif at.with_suffix(".py").is_file():
                    found = at.with_suffix(".py")
            self._known[folder, name] = found
        return self._known[folder, name]


def _read(path: Path, report: Report, own: _Own) -> None:
    shown = _shown(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        _unread(path, error.strerror or "it cannot be read", report)
        return
    if is_file(path.name, path.parent.name):
        text = raw.decode("utf-8", "replace")
        report.has_requirements = True
        report.required += required(text, shown)
        report.named |= {name for _, name in _BROUGHT.values() if names(name, text)}
        report.names_rampart = report.names_rampart or names_rampart(text)
    if path.suffix in _PYTHON:
        _python(path, shown, raw, report, own)
    elif path.suffix == ".cfg":
        _configuration(shown, raw, report)
    elif path.suffix not in (".txt", ".in"):
        is_typed = path.suffix in (".toml", ".json", ".yaml", ".yml") and "compose" not in path.name
        read_lines(raw.decode("utf-8", "replace"), shown, report.facts, is_typed=is_typed)


def _python(path: Path, shown: str, raw: bytes, report: Report, own: _Own) -> None:
    try:
        source = Source(raw)
        _brought(path, source, report, own)
        if not _WORTH_READING.search(source.text):
            return
        tree = parsed(source)
        read_python(tree, shown, report.facts)
        named = dict.fromkeys(NAMED.findall(source.text))
        ours = {module: at for module in named if (at := own.module(path, module)) is not None}
        imports = imports_of(source, tree, frozenset(ours))
    except NotRead as error:
        if NAMED.search(raw.decode("latin-1")):
            report.not_read.append((shown, str(error)))
            for module in dict.fromkeys(NAMED.findall(raw.decode("latin-1"))):
                report.needed.setdefault(BY_MODULE[module], Place(shown, 1))
        return
    for at in ours.values():
        report.notes.append(f"{_shown(at)} is a module of this project's own: what is imported from it stays.")
    report.left += [(Place(shown, each.line), each) for each in imports.left]
    for incumbent, line in imports.needed.items():
        report.needed.setdefault(incumbent, Place(shown, line))
    if imports.edits:
        report.changed.append(Changed(path, shown, source, imports))


def _brought(path: Path, source: Source, report: Report, own: _Own) -> None:
    for incumbent, (module, _) in _BROUGHT.items():
        if incumbent in report.brought or module not in source.text:
            continue
        pattern = rf"^[ \t]*(?:from[ \t]+|import[ \t](?:[^#\n]*,)?[ \t]*){module}\b"
        found = re.search(pattern, source.text, re.MULTILINE)
        if found is not None and own.module(path, module) is None:
            report.brought[incumbent] = Place(_shown(path), source.line_at(found.start()) + 1)


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
