"""Which files are an app's own: those that are read for secrets.

1. Python files below the app's folder, and below the project that it is in: the nearest of the two folders above with
   a mark of one (``pyproject.toml``, ``.git``, ``wsgi.py`` and the like). Where there is no mark, those right beside
   the package. What the check was started in is read as well, if the app is in there.
2. Python files of every module that the app has loaded, wherever it is, unless it was installed or is Python's own.
3. Python files in the instance folder.
4. Texts in which settings are kept (``*.cfg``, ``*.json``, ``*.toml``, ``*.yaml``, ``*.sh``, ``.env*``, ``Dockerfile``,
   ``Procfile`` and the like), below the same folders, hidden ones such as ``.github`` too, and in those beside the
   package and one below: only for values that are in use.

Tests, environments, caches, the folders of version control and packages of others are not read, nor is Python in hidden
folders. A link to a folder is followed where that is in the project, and read once; one that leads out of it, to such
files however deep, is told; so is one to more folders than are looked at. So is what cannot be read: a folder that may
not be entered, a pipe or a device under a file's name (which might never end), more than the bounds allow.
"""

from __future__ import annotations

import errno
import os
import re
import site
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from .subject import Subject

MOST_FILES = 2000
MOST_FOLDERS = 5000
MOST_BYTES = 1024 * 1024
MOST_INSIDE = 1000
"""Folders in one folder: of data that is kept in many, the rest of the project is still read."""
MOST_OUTSIDE = 200
"""Folders behind a link that leads out of the project, which are looked at for the names of files alone."""
MOST_SETTINGS = 10_000
MOST_BYTES_OF_SETTINGS = 16 * 1024 * 1024
"""Of one file: it is searched for a few values, and never parsed."""
MOST_BYTES_TOGETHER = 256 * 1024 * 1024
DEEPEST = 16
"""Folders below a project, of which files of settings are read."""
_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", ".git", "wsgi.py", "manage.py")
_ABOVE = 2
SKIPPED = frozenset(
    ("__pycache__", "node_modules", "site-packages", "dist-packages", "tests", "test", "venv", "env", "build", "dist")
)
ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
"""What is in the folder of an environment."""
_SETTINGS = re.compile(
    r".+\.(?:cfg|ini|conf|json|toml|ya?ml|xml|env|properties|tf|tfvars|service|sh|bash|zsh|fish|ps1|bat|cmd)|"
    r".*\.env(?:rc|\..+)?|\.flaskenv|"
    r"(?:.+\.)?(?:Dockerfile|Containerfile)(?:\..+)?|Procfile(?:\..+)?|Makefile|Jenkinsfile",
    re.IGNORECASE,
)
# What tools have written: repositories of version control, and caches, most of which are marked as such as well.
_SKIPPED_OF_SETTINGS = SKIPPED.difference(("env", "venv")) | {
    *(".git", ".hg", ".svn", ".bzr", ".jj", ".tox", ".nox", ".eggs", ".cache", ".hypothesis", ".ipynb_checkpoints"),
    *(".npm", ".yarn", ".pnpm-store", ".next", ".nuxt", ".parcel-cache", ".turbo", ".gradle", ".m2", ".cargo"),
    *(".direnv", ".terraform", ".dvc"),
}
_OWN = Path(__file__).resolve().parent.parent


def python_files(root: Path, notes: list[str]) -> Iterator[Path]:
    """The Python files below a folder."""
    return walk(root, notes, _OWN_PYTHON, most=MOST_FILES, most_folders=MOST_FOLDERS)


class Wanted:
    """What a walk looks for.

    :param what: it, for a note on there being too much.
    :param is_read: tells a file by its name.
    :param skipped: names of folders that are left out, beside environments and hidden ones.
    :param large: gets the files that are too large, which are noted if there is none.
    :param tells_links: whether a link to a folder that is left out is noted.
    :param hidden: whether hidden folders are read, too.
    :param marks: files by which a folder is known that is left out.
    :param most_bytes: how large a file may be.
    """

    def __init__(
        self,
        what: str,
        is_read: Callable[[str], bool],
        skipped: frozenset[str],
        *,
        large: Callable[[Path], None] | None = None,
        tells_links: bool = False,
        hidden: bool = False,
        marks: tuple[str, ...] = ENVIRONMENTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.what = what
        self.is_read = is_read
        self.large = large
        self.tells_links = tells_links
        self.most_bytes = most_bytes
        self._skipped = skipped
        self._hidden = hidden
        self._marks = marks

    def skips(self, folder: Path) -> bool:
        """Whether a folder is left out."""
        return self.skips_name(folder.name) or any(os.path.exists(folder / mark) for mark in self._marks)

    def skips_name(self, name: str) -> bool:
        """Whether every folder of this name is left out."""
        return name in self._skipped or (name.startswith(".") and not self._hidden)


def walk(
    root: Path, notes: list[str], wanted: Wanted, *, most: int, most_folders: int, deepest: int | None = None
) -> Iterator[Path]:
    """The files below a folder that are wanted, and its own.

    :param deepest: how many folders down, if not all; what is left out is noted.
    """
    count = 0
    seen = {os.path.realpath(root)}

    def failed(error: OSError) -> None:
        _note(notes, error.filename, error.strerror)

    for visited, (folder, folders, files) in enumerate(os.walk(root, onerror=failed, followlinks=True)):
        if visited == most_folders:
            _tell(notes, f"only the first {most_folders} folders below {root} are read.")
            return
        if deepest is not None and len(Path(folder).relative_to(root).parts) >= deepest:
            deeper = [Path(folder, name) for name in folders if not wanted.skips(Path(folder, name))]
            if any(_may_have(str(each), "", wanted) for each in deeper):
                _tell(notes, f"of {wanted.what} below {root}, those more than {deepest} folders down are not read.")
            folders.clear()
        inside = sorted(name for name in folders if not wanted.skips_name(name))
        if len(inside) > MOST_INSIDE:
            _tell(notes, f"of the {len(inside)} folders in {folder}, only the first {MOST_INSIDE} are read.")
        folders[:] = [
            name
            for name in inside[:MOST_INSIDE]
            if not wanted.skips(Path(folder, name)) and _is_entered(Path(folder, name), root, seen, notes, wanted)
        ]
        for name in sorted(files):
            if not wanted.is_read(name):
                continue
            if count == most:
                _tell(notes, f"only the first {most} {wanted.what} below {root} are read.")
                return
            count += 1
            path = Path(folder, name)
            if _fits(path, notes, wanted.large, most=wanted.most_bytes):
                yield path


def sources(subject: Subject) -> Iterator[Path]:
    """All Python files of the app's own, each once."""
    seen: set[str] = set()
    for path in _sources(subject):
        full = os.path.realpath(path)
        if full not in seen and not Path(full).is_relative_to(_OWN):
            seen.add(full)
            yield path


def _sources(subject: Subject) -> Iterator[Path]:
    root = Path(subject.app.root_path)
    for folder in folders_of(subject):
        # A folder inside another is read with it; what was too much there is read here.
        yield from python_files(folder, subject.notes)
    beside = [root.parent] if (root / "__init__.py").is_file() and not _is_of_others(root) else []
    for folder in (*beside, Path(subject.app.instance_path)):
        yield from (path for path in _listed(folder, subject.notes, _is_read) if _fits(path, subject.notes))
    for path in loaded_files():
        inside = next((path.relative_to(at) for at in folders_of(subject) if path.is_relative_to(at)), None)
        is_test = not _is_read(path.name) or (inside is not None and not SKIPPED.isdisjoint(inside.parts))
        if not is_test and _fits(path, subject.notes):
            yield path


def settings_files(subject: Subject) -> Iterator[Path]:
    """The files in which an app's settings may be kept, each once."""
    seen: set[str] = set()
    together = 0
    for path in _settings_files(subject):
        full = os.path.realpath(path)
        if full in seen or Path(full).is_relative_to(_OWN):
            continue
        seen.add(full)
        together += path.stat().st_size
        if together > MOST_BYTES_TOGETHER:
            subject.notes.append(f"only the first {MOST_BYTES_TOGETHER} bytes of files with settings are read.")
            return
        yield path


def _settings_files(subject: Subject) -> Iterator[Path]:
    for folder in folders_of(subject):
        if not _is_of_others(folder):
            yield from _walk_settings(folder, subject.notes, DEEPEST)
    # Not the whole of what may be anything: a home, or what the app's users have put there.
    for folder in (Path(subject.app.root_path).parent, Path(subject.app.instance_path)):
        if folder.is_dir() and not _is_of_others(folder):
            inner = _listed(folder, subject.notes, lambda name: not name.startswith("."), files=False)
            for each in (folder, *(each for each in inner if not _SETTINGS_FILES.skips(each))):
                found = _listed(each, subject.notes, _SETTINGS_FILES.is_read)
                yield from (path for path in found if _fits(path, subject.notes, most=MOST_BYTES_OF_SETTINGS))


def _walk_settings(folder: Path, notes: list[str], deepest: int) -> Iterator[Path]:
    return walk(folder, notes, _SETTINGS_FILES, most=MOST_SETTINGS, most_folders=MOST_FOLDERS, deepest=deepest)


def folders_of(subject: Subject) -> list[Path]:
    """The app's folder, the project's, and where the check was started, if the app is in there."""
    root = Path(subject.app.root_path).absolute()
    found = [root]
    above = root
    for _ in range(_ABOVE):
        if _is_project(above) or _is_of_others(above):
            break
        above = above.parent
    if _is_project(above) and not _is_of_others(above) and not _is_of_all(above):
        found.append(above)
    if root.is_relative_to(subject.here) and not _is_of_all(subject.here):
        found.append(subject.here)
    return list(dict.fromkeys(found))


def loaded_files() -> list[Path]:
    """The files of the modules that are loaded, without what was installed, and Python's own."""
    names = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    paths = dict.fromkeys(Path(name) for name in names if isinstance(name, str) and name.endswith(".py"))
    return [path for path in paths if not _is_of_others(path)]


def _is_project(folder: Path) -> bool:
    return any((folder / name).exists() for name in _MARKS)


def _is_of_all(folder: Path) -> bool:
    """Whether it is a home, the root, or a folder for everybody's temporary files: no project, whatever lies there."""
    return folder in (Path.home(), Path(folder.anchor)) or bool(folder.stat().st_mode & stat.S_ISVTX)


def _is_of_others(path: Path) -> bool:
    full = os.path.realpath(path)
    if {"site-packages", "dist-packages"}.intersection(Path(full).parts):
        return True
    paths = sysconfig.get_paths()
    folders = (paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], site.getusersitepackages())
    return any(full.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


def _is_read(name: str) -> bool:
    return name.endswith(".py") and not name.startswith("test_") and name != "conftest.py"


_OWN_PYTHON = Wanted("Python files", _is_read, SKIPPED)
_SETTINGS_FILES = Wanted(
    "files with settings",
    lambda name: _SETTINGS.fullmatch(name) is not None,
    _SKIPPED_OF_SETTINGS,
    hidden=True,
    marks=(*ENVIRONMENTS, "CACHEDIR.TAG"),  # bford.info/cachedir
    most_bytes=MOST_BYTES_OF_SETTINGS,
)


def _is_entered(folder: Path, root: Path, seen: set[str], notes: list[str], wanted: Wanted) -> bool:
    """Whether a folder is read: each once, by whatever links it is reached."""
    full = os.path.realpath(folder)
    if folder.is_symlink() and not Path(full).is_relative_to(os.path.realpath(root)):
        if not _is_of_others(Path(full)) and _may_have(full, os.path.realpath(root), wanted):
            _note(notes, folder, "it is a link that leads out of the folder that is read")
        return False
    if folder.is_symlink():
        # Not what is not read where it lies: an environment, or tests.
        parts = Path(full).relative_to(os.path.realpath(root)).parts
        below = [Path(os.path.realpath(root), *parts[: number + 1]) for number in range(len(parts))]
        if _is_of_others(Path(full)) or any(map(wanted.skips, below)):
            if wanted.tells_links and _may_have(full, os.path.realpath(root), wanted):
                _note(notes, folder, "it is a link into a folder that is left out")
            return False
    is_new = full not in seen
    seen.add(full)
    return is_new


def _may_have(folder: str, root: str, wanted: Wanted) -> bool:
    """Whether there are wanted files below a folder, or more than is looked at. What *root* has is read there."""
    seen = {root}
    for visited, (inside, folders, files) in enumerate(os.walk(folder, followlinks=True)):
        if visited == MOST_OUTSIDE or any(map(wanted.is_read, files)):
            return True
        if len(folders) > MOST_OUTSIDE:
            return True
        found = {os.path.realpath(Path(inside, name)): name for name in folders}
        folders[:] = [name for full, name in found.items() if full not in seen and not wanted.skips(Path(inside, name))]
        seen.update(found)
    return False


def _fits(path: Path, notes: list[str], large: Callable[[Path], None] | None = None, *, most: int = MOST_BYTES) -> bool:
    try:
        about = path.stat()
    except OSError as error:
        # A link to nothing, or to itself, hides nothing.
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            _note(notes, path, error.strerror)
        return False
    if not stat.S_ISREG(about.st_mode):
        _note(notes, path, "it is a pipe, a socket or a device")
        return False
    if about.st_size > most:
        if large is not None:
            large(path)
        else:
            size = "a megabyte" if most == MOST_BYTES else f"{most // MOST_BYTES} megabytes"
            _note(notes, path, f"it is larger than {size}")
        return False
    return True


def _note(notes: list[str], path: str | os.PathLike[str], why: str | None) -> None:
    full, here = Path(path).absolute(), Path.cwd()
    _tell(
        notes, f"{full.relative_to(here) if full.is_relative_to(here) else full} is not read: {why or 'it cannot be'}."
    )


def _tell(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _listed(folder: Path, notes: list[str], is_wanted: Callable[[str], bool], *, files: bool = True) -> list[Path]:
    """What is in a folder under names that are wanted: files, or else folders."""
    try:
        paths = [folder / name for name in sorted(os.listdir(folder)) if is_wanted(name)]
        found = [path for path in paths if (path.is_file() if files else path.is_dir())]
    except OSError:
        return []
    most = MOST_FILES if files else MOST_INSIDE
    if len(found) > most:
        kind = "files" if files else "folders"
        _tell(notes, f"of the {len(found)} {kind} in {folder} that may be the app's, only the first {most} are read.")
    return found[:most]
