"""``flask rampart migrate`` on a project's files: exit codes, bytes, links, modes, and files that mean no good."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask.cli import FlaskGroup

from flask_rampart import migrate as migration
from flask_rampart.cli import commands
from flask_rampart.migrate.writing import NotWritten, write

BEFORE = "from flask_cors import CORS\n"
AFTER = "from flask_rampart.compat.cors import CORS\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, in which the command is run."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def migrate(*words: object) -> Result:
    result = CliRunner().invoke(commands, ["migrate", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_it_shows_and_changes_nothing_unless_it_is_told_to(project: Path) -> None:
    app = put(project / "app.py", BEFORE)
    shown, checked = migrate(), migrate("--check")
    assert (shown.exit_code, checked.exit_code) == (0, 1)
    assert f"-{BEFORE}+{AFTER}" in shown.output
    assert checked.output == "app.py: 1 import to change\n1 import in 1 file to change.\n"
    assert app.read_text() == BEFORE
    written = migrate("--write", ".")
    assert written.exit_code == 0
    assert "To undo, with git: git restore app.py" in written.output
    assert app.read_text() == AFTER
    again, checked = migrate("--write"), migrate("--check")
    assert (again.exit_code, checked.exit_code) == (0, 0)
    assert again.output == checked.output == "Nothing to change.\n"


def test_one_file_can_be_moved_alone(project: Path) -> None:
    one, other = put(project / "one.py", BEFORE), put(project / "other.py", BEFORE)
    assert migrate("--write", "one.py").exit_code == 0
    assert (one.read_text(), other.read_text()) == (AFTER, BEFORE)


def test_what_is_left_is_told_by_a_check_that_finds_nothing_to_change(project: Path) -> None:
    put(project / "app.py", "\nfrom flask_limiter import *\n")
    checked = migrate("--check")
    assert checked.exit_code == 0
    assert "  app.py:2  from flask_limiter import * stays" in checked.output
    assert checked.output.endswith("Nothing to change. 1 place left to you.\n")


def test_check_and_write_are_two_wishes(project: Path) -> None:
    assert migrate("--check", "--write").exit_code == 2
    assert migrate("nowhere").exit_code == 2


def test_all_is_written_before_anything_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.py", "two.py"):
        put(project / name, BEFORE)

    def closed(*words: Any, **options: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(click, "echo", closed)
    CliRunner().invoke(commands, ["migrate", "--write"])
    assert all("flask_rampart.compat" in (project / name).read_text() for name in ("one.py", "two.py"))


def test_without_libcst_it_says_what_to_install_and_looks_at_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(project / "app.py", BEFORE)
    monkeypatch.setattr(migration, "find_spec", lambda name: None)
    result = migrate("--write")
    assert (result.exit_code, result.output) == (
        2,
        "Not looked at: LibCST is missing. pip install flask-rampart[migrate]\n",
    )
    assert importlib.util.find_spec("libcst") is not None


def test_no_app_is_imported(project: Path) -> None:
    put(project / "broken_app.py", f"raise SystemExit('imported')\n{BEFORE}")
    group = FlaskGroup()
    group.add_command(commands)
    ran = CliRunner().invoke(group, ["--app", "broken_app", "rampart", "migrate", "--check"])
    assert (ran.exit_code, ran.output.partition("\n")[0]) == (1, "broken_app.py: 1 import to change")
    assert "broken_app" not in sys.modules


LATIN = b"# coding: latin-1\nname = '\xe9\xa4'\n"
CYRILLIC = b"#!/usr/bin/env python\n# vim: set fileencoding=cp1251 :\ns = '\xcf\xf0'\n"
MARK = b"\xef\xbb\xbf"


# Python knows a coding line by its line feed alone.
@pytest.mark.parametrize(
    ("head", "end"),
    [(head, end) for head in (MARK, LATIN, CYRILLIC) for end in (b"\n", b"\r\n")] + [(MARK, b"\r")],
)
def test_codings_marks_tabs_and_ends_of_lines_stay(project: Path, head: bytes, end: bytes) -> None:
    tail = b"def f():\n\tx = 1   \n\t\n\x0c\n\treturn x # no end of line"
    app = put(project / "app.py", (head + BEFORE.encode() + tail).replace(b"\n", end))
    assert migrate("--write").exit_code == 0
    assert app.read_bytes() == (head + AFTER.encode() + tail).replace(b"\n", end)


def test_lines_that_end_in_several_ways_still_do(project: Path) -> None:
    app = put(project / "app.py", b"a = 1\r\nb = 2\rfrom flask_cors import CORS\nc = '''\r\n\r'''\r\n")
    assert migrate("--write").exit_code == 0
    assert app.read_bytes() == b"a = 1\r\nb = 2\rfrom flask_rampart.compat.cors import CORS\nc = '''\r\n\r'''\r\n"


HOSTILE = {
    "syntax": "from flask_cors import CORS\nprint 'python 2'\n",
    "nul": "from flask_cors import CORS\n\0",
    "utf-8": b"from flask_cors import CORS\n# \xff\n",
    "coding": "# coding: rot13\nfrom flask_cors import CORS\n",
    "no coding": "# coding: nonsense\nfrom flask_cors import CORS\n",
    "brackets": f"from flask_cors import CORS\nx = {'(' * 5000}{')' * 5000}\n",
    "blocks": "from flask_cors import CORS\n" + "".join(f"{' ' * n}if 1:\n" for n in range(200)) + " " * 200 + "1\n",
    "signs": f"from flask_cors import CORS\nx = {'-' * 200_000}1\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_read_is_told_and_left(project: Path, name: str) -> None:
    app = put(project / "app.py", HOSTILE[name])
    before = app.read_bytes()
    put(project / "requirements.txt", "Flask-Cors\n")
    put(project / "sound.py", BEFORE)
    result = migrate("--write")
    assert result.exit_code == 2
    assert "app.py names what this is about, and is not read: " in result.output
    assert "requirements.txt:1  Flask-Cors: stays: app.py:1 needs it" in result.output
    assert app.read_bytes() == before
    assert (project / "sound.py").read_text() == AFTER


def test_one_that_cannot_be_read_and_names_nothing_is_passed_over(project: Path) -> None:
    put(project / "old.py", "print 'python 2'\n")
    result = migrate("--check")
    assert (result.exit_code, result.output) == (0, "Nothing to change.\n")


@pytest.mark.parametrize("words", [["--check"], ["--write"], []])
def test_a_python_file_that_cannot_be_opened_is_no_nothing_to_change(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    closed, sound = put(project / "closed.py", BEFORE), put(project / "sound.py", AFTER)
    put(project / "notes.txt", "")
    whole, opened = Path.read_bytes, Path.open

    def refuse(path: Path) -> None:
        # As for a user who may not; root may.
        if path.name in (closed.name, "notes.txt"):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path) or whole(path))
    monkeypatch.setattr(Path, "open", lambda path, *given, **more: refuse(path) or opened(path, *given, **more))
    result = migrate(*words)
    assert result.exit_code == 2
    assert "closed.py cannot be read, and may name what this is about: Permission denied." in result.output
    assert "notes.txt is not read: Permission denied." in result.output
    assert "Nothing to change in what was read." in result.output
    closed.unlink()
    assert migrate(*words).exit_code == 0 and sound.read_text() == AFTER


def test_a_large_file_that_cannot_be_opened_is_told_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(project / "large.py", "#" * 1024 * 1025)

    def refuse(path: Path, *given: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    result = migrate("--check")
    assert result.exit_code == 2
    assert "large.py cannot be read, and may name what this is about: Permission denied." in result.output


def test_long_chains_and_long_lines_are_read(project: Path) -> None:
    chain = "x" + ".y" * 3000
    text = f"x = {'1 + ' * 500}1\n{chain if sys.version_info >= (3, 12) else 'x'}\ns = '{'flask_cors ' * 20_000}'\n"
    app = put(project / "app.py", f"{text}{BEFORE}")
    assert migrate("--write").exit_code in (0, 2)
    assert app.read_text() in (f"{text}{AFTER}", f"{text}{BEFORE}")


def test_more_than_a_megabyte_is_told_and_is_no_nothing_to_change_if_it_names_one(project: Path) -> None:
    put(project / "app.py", "#" * (1024 * 1024 - 8) + "\n" + BEFORE)
    result = migrate("--check")
    assert result.exit_code == 2
    assert "app.py names what this is about, and is not read: it is larger than a megabyte." in result.output
    assert result.output.endswith("Nothing to change in what was read.\n")
    put(project / "app.py", "#" * 1024 * 1025)
    result = migrate("--check")
    assert result.exit_code == 0
    assert "app.py is not read: it is larger than a megabyte." in result.output


def test_a_link_to_what_is_left_out_is_told(project: Path) -> None:
    put(project / "build" / "real.py", BEFORE)
    (project / "app.py").symlink_to("build/real.py")
    (project / "package").symlink_to("build")
    result = migrate("--write")
    assert result.exit_code == 2
    assert "app.py names what this is about, and is not read: it is a link to what is left out." in result.output
    assert "package is not read: it is a link into a folder that is left out." in result.output
    assert (project / "build" / "real.py").read_text() == BEFORE


def test_a_path_that_is_a_link_out_of_its_folder_is_not_written(project: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside.py", BEFORE)
    (project / "app.py").symlink_to(outside)
    result = migrate("--write", "app.py")
    assert result.exit_code == 2
    assert "app.py names what this is about, and is not read: it is a link that leads out" in result.output
    assert outside.read_text() == BEFORE


def test_environments_hidden_folders_and_packages_of_others_are_left_out(project: Path) -> None:
    for folder in (".venv", "node_modules/a", "build", "lib/site-packages", "__pycache__", ".git"):
        put(project / folder / "app.py", BEFORE)
    put(project / "own_env" / "pyvenv.cfg", "")
    put(project / "own_env" / "app.py", BEFORE)
    assert migrate("--check").output == "Nothing to change.\n"
    tests = put(project / "tests" / "test_app.py", BEFORE)
    put(project / "conftest.py", BEFORE)
    assert migrate("--write").exit_code == 0
    assert tests.read_text() == (project / "conftest.py").read_text() == AFTER


def test_links_are_not_followed_out_of_the_project_and_none_is_replaced_by_a_file(
    project: Path, tmp_path: Path
) -> None:
    outside = put(tmp_path / "outside" / "app.py", BEFORE)
    (project / "out").symlink_to(outside.parent)
    (project / "out.py").symlink_to(outside)
    inside = put(project / "inside" / "app.py", BEFORE)
    (project / "again").symlink_to(inside.parent)
    (project / "link.py").symlink_to(inside)
    (project / "loop").symlink_to(project)
    (project / "self.py").symlink_to(project / "self.py")
    (project / "nothing.py").symlink_to(project / "gone.py")
    result = migrate("--write")
    assert result.exit_code == 0
    assert outside.read_text() == BEFORE
    assert inside.read_text() == AFTER
    assert (project / "link.py").is_symlink()
    for name in ("out", "out.py"):
        assert f"{name} is not read: it is a link that leads out of the folder that is read." in result.output
    assert "1 file changed." in result.output


def test_a_module_of_the_projects_own_that_has_an_incumbents_name_is_left(project: Path) -> None:
    put(project / "flask_cors" / "__init__.py", "CORS = None\n")
    put(project / "app.py", BEFORE)
    result = migrate("--check")
    assert result.exit_code == 0
    assert "flask_cors is a module of this project's own" in result.output


def test_a_module_beside_a_folder_that_the_file_is_in_is_the_projects_own(project: Path) -> None:
    put(project / "backend" / "flask_cors" / "__init__.py", "CORS = None\n")
    put(project / "lib" / "flask_cors" / "core.py", "")
    put(project / "tools" / "flask_cors.py", "CORS = None\n")
    inside = [put(project / "backend" / name, BEFORE) for name in ("app.py", "api/views/one.py", "../lib/app.py")]
    beside = put(project / "frontend" / "app.py", BEFORE)
    alone = migrate("--write", "backend/api/views/one.py")
    result = migrate("--write")
    assert [path.read_text() for path in inside] == [BEFORE, BEFORE, BEFORE]
    assert beside.read_text() == AFTER
    for each in (alone, result):
        assert "backend/flask_cors is a module of this project's own" in each.output
    assert "tools" not in result.output


def test_a_mode_stays_and_a_read_only_file_does(project: Path) -> None:
    tool, locked = put(project / "tool.py", BEFORE), put(project / "locked.py", BEFORE)
    tool.chmod(0o2751)
    locked.chmod(0o444)
    result = migrate("--write")
    assert result.exit_code == 2
    assert "locked.py is not written: it is read-only." in result.output
    assert (tool.read_text(), locked.read_text()) == (AFTER, BEFORE)
    assert tool.stat().st_mode & 0o7777 == 0o2751
    assert sorted(path.name for path in project.iterdir()) == ["locked.py", "tool.py"]


def test_a_file_that_was_changed_meanwhile_is_left_and_a_full_disk_leaves_it_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = put(project / "app.py", BEFORE)
    with pytest.raises(NotWritten, match="changed since"):
        write(app, b"something else", AFTER.encode())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(NotWritten, match="No space left"):
        write(app, BEFORE.encode(), AFTER.encode())
    assert app.read_text() == BEFORE
    assert [path.name for path in project.iterdir()] == ["app.py"]


def test_what_would_move_a_terminals_cursor_is_shown_as_what_it_is(project: Path) -> None:
    put(project / "a\x1b[2Jb.py", "# \x1b[31m\u202e\n" + BEFORE)
    result = migrate()
    assert result.exit_code == 0
    assert "\x1b" not in result.output and "\u202e" not in result.output
    assert "a\\u001b[2Jb.py" in result.output


def test_a_diff_can_be_applied(project: Path) -> None:
    text = "".join(f"x{n} = {n}\n" for n in range(40))
    parts = text.splitlines(keepends=True)
    before = "".join((*parts[:2], BEFORE, *parts[2:20], "from flask_limiter import Limiter, HEADERS\n", *parts[20:]))
    app = put(project / "app.py", before)
    patch = "\n".join(line for changed in migration.look(project).changed for line in changed.diff()) + "\n"
    assert migrate("--write").exit_code == 0
    after = app.read_text()
    app.write_text(before)
    subprocess.run(["git", "apply", "-"], input=patch, text=True, check=True, timeout=60)
    assert app.read_text() == after
