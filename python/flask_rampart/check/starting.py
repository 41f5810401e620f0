"""The app as a whole: whether it starts, in which mode, and what it warns of."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import RampartError
from ..guards import unseen
from ..opening import TableAway
from ..regular import read
from ..stores import StoreError
from .findings import Finding, Place
from .subject import Subject, found, settings_found

_LAUNCHERS = (
    "Dockerfile",
    "Containerfile",
    "Procfile",
    "app.yaml",
    "fly.toml",
    "railway.toml",
    "render.yaml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
)
_WORD = re.compile(r"[^\s\"',\[\]=]+")
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*")
# run() of what is no app of Flask's: loops, commands, other servers.
_RUN = re.compile(r"(?<![\w.])(?!(?:asyncio|anyio|trio|subprocess|uvicorn|hypercorn|runpy)\b)[\w.()\[\]]{1,64}\.run\(")
_MOST_BYTES = 256 * 1024


def check(subject: Subject) -> Iterator[Finding]:
    """What is wrong with the app as a whole."""
    app, failure = subject.app, subject.failure
    if failure is not None:
        kind = "" if isinstance(failure, RampartError) else f"{type(failure).__name__}: "
        yield found(_rule_of(failure), f"{kind}{failure}")
    hidden = unseen(app)
    for text in hidden:
        # What to do about it stands in the rule.
        yield found("RMP-005", f"{text.partition('. Put ')[0]}.")
    for text in subject.told:
        if text not in hidden:
            yield found("RMP-004", text)
    if app.debug:
        yield settings_found("RMP-002", "Whoever sees the debugger's page can run code on this machine.", "DEBUG")
    if app.testing:
        yield settings_found(
            "RMP-003", "Errors go through to the server, and stores in memory are taken for enough.", "TESTING"
        )
    for name in ("PROPAGATE_EXCEPTIONS", "TRAP_HTTP_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"):
        if subject.config(name):
            yield settings_found("RMP-006", "What goes wrong in a view is not answered by the app's own 500.", name)
    yield from _launchers(subject)


def _rule_of(failure: Exception) -> str:
    # A shared table is away as records may be; it is none of theirs.
    return "RMP-505" if isinstance(failure, StoreError) and not isinstance(failure, TableAway) else "RMP-001"


def _launchers(subject: Subject) -> Iterator[Finding]:
    folders = dict.fromkeys((subject.here, Path(subject.app.root_path), Path(subject.app.root_path).parent))
    for path in (folder / name for folder in folders for name in _LAUNCHERS):
        try:
            lines = read(path, _MOST_BYTES).decode("utf-8", "replace").splitlines()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                subject.notes.append(f"{subject.shown(path)} is not read: {error.strerror}.")
            continue
        for number, line in enumerate(lines, 1):
            if not line.lstrip().startswith("#") and _is_development(line, (path.parent, *folders)):
                yield found(
                    "RMP-008",
                    "Werkzeug's server is made for one developer: it has no bounds on slow clients.",
                    Place(file=subject.shown(path), line=number),
                )


def _is_development(line: str, folders: Iterable[Path]) -> bool:
    """Whether a line has ``flask run``, also as ``["flask", "run"]`` and with options in between, or ``python FILE``
    where that file has ``app.run(``."""
    words = _WORD.findall(line)
    for at, word in enumerate(words):
        if word.rpartition("/")[2] == "flask" and _after_options(words, at + 1) == "run":
            return True
        if _PYTHON.fullmatch(word):
            rest = [each for each in words[at + 1 : at + 6] if each == "-m" or not each.startswith("-")]
            if rest[:2] == ["-m", "flask"]:
                if _after_options(words, words.index("flask", at) + 1) == "run":
                    return True
            else:
                name = f"{rest[1].replace('.', '/')}.py" if rest[:1] == ["-m"] and len(rest) > 1 else "".join(rest[:1])
                if name.endswith(".py") and any(_runs(folder, name) for folder in folders):
                    return True
    return False


def _after_options(words: list[str], at: int) -> str:
    """The first word that is no option, and no option's value."""
    while at < len(words) and words[at].startswith("-"):
        at += 1
        if at + 1 < len(words) and not words[at].startswith("-") and words[at] != "run":
            at += 1
    return words[at] if at < len(words) else ""


def _runs(folder: Path, name: str) -> bool:
    # A container has another root: /app/main.py is main.py here.
    path = folder / name if not name.startswith("/") else folder / name.rpartition("/")[2]
    try:
        text = read(path, _MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return any(_RUN.search(each) for each in text.splitlines() if not each.lstrip().startswith("#"))
