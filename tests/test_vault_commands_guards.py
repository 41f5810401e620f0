"""What ``flask rampart vault`` refuses though nobody has done anything wrong yet: folders of others, sources that move."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import ConfigError, Keyset
from flask_rampart.cli.vault import choosing, files
from flask_rampart.vault import replacing, write_keyset

from .vaulting import SMALL
from .vaulting import run as run_on


@pytest.fixture
def run(make_app: Callable[..., Flask], tmp_path: Path) -> Callable[..., Any]:
    """The command, with a keyset for files."""
    keys = tmp_path / "keys.json"
    write_keyset(keys, Keyset.generate(SMALL), cleartext=True)
    app = make_app(rampart=False)
    return lambda verb, *words, given=b"": run_on(app, verb, "--keyset", str(keys), *map(str, words), given=given)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "folder"
    made.mkdir()
    yield made
    made.chmod(0o700)


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o702])
def test_no_keyset_is_made_where_everybody_can_replace_it(
    make_app: Callable[..., Flask], folder: Path, mode: int
) -> None:
    app = make_app(rampart=False)
    folder.chmod(mode)
    told = run_on(app, "keygen", str(folder / "new"), "--cleartext")
    assert (told.code, f"mode {mode:04o}" in told.err, os.listdir(folder)) == (1, True, [])
    # In /tmp, say, others put in what is new and replace nothing.
    folder.chmod(0o1777)
    assert run_on(app, "keygen", str(folder / "new"), "--cleartext").code == 0


def test_no_folder_is_written_where_everybody_can_replace_what_is_in_it(run: Any, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"text")
    folder.chmod(0o777)
    told = run("encrypt", source, folder, "--associated-data", "{path}")
    assert (told.code, "Everybody can write in" in told.err, os.listdir(folder)) == (1, True, [])


class Owned:
    """A status, with another owner."""

    def __init__(self, status: os.stat_result, owner: int) -> None:
        self._status, self.st_uid = status, owner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)


def test_no_keyset_is_made_in_a_folder_of_somebody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really, us = os.stat, os.geteuid()
    monkeypatch.setattr(os, "stat", lambda path: Owned(really(path), us + 4711))
    with pytest.raises(ConfigError, match="belongs to another user"):
        choosing.mode_of(str(folder), keys=True)
    # What is root's is nobody's who would have to ask.
    monkeypatch.setattr(os, "stat", lambda path: Owned(really(path), 0))
    choosing.mode_of(str(folder), keys=True)


@pytest.mark.parametrize("when", ["read", "end"])
def test_a_source_that_is_changed_while_it_is_piped_ends_without_an_end(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    source, sealed = tmp_path / "source", tmp_path / "sealed"
    source.write_bytes(b"old" * 10_000)
    before = source.stat()
    really = files._pieces

    def pieces(file: Any, progress: Any) -> Iterator[bytes]:
        for piece in really(file, progress):
            if when == "read":
                written()
            yield piece
        written()

    def written() -> None:
        # Of the same length, and with the time that it had: of the change alone there is a trace.
        while source.stat().st_ctime_ns == before.st_ctime_ns:
            source.write_bytes(b"new" * 10_000)
            os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))

    with monkeypatch.context() as patch:
        patch.setattr(files, "_pieces", pieces)
        told = run("encrypt", source, "-", "--associated-data", "x")
    assert (told.code, "changed by another program meanwhile" in told.err) == (1, True)
    # Who has kept it in spite of the exit code is told when it is opened.
    sealed.write_bytes(told.data)
    assert run("decrypt", sealed, tmp_path / "back", "--associated-data", "x").code == 3
    assert run("encrypt", source, "-", "--associated-data", "x").code == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_pipe_with_a_name_has_no_times_to_be_looked_at(run: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = os.fork()
    if child == 0:
        with open(pipe, "wb") as file:
            file.write(b"text" * 1000)
        os._exit(0)
    told = run("encrypt", pipe, "-", "--associated-data", "x")
    os.waitpid(child, 0)
    assert told.code == 0
    opened = run("decrypt", "-", "-", "--associated-data", "x", given=told.data)
    assert opened.data == b"text" * 1000


def test_what_another_user_has_not_completed_is_told_and_not_to_be_removed(
    run: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_bytes(b"text")
    (folder / ".vault-ours.part").write_bytes(b"")
    (folder / ".vault-theirs.part").write_bytes(b"")
    is_own = replacing.is_own
    theirs = (folder / ".vault-theirs.part").stat().st_ino
    for module in ("flask_rampart.vault.replacing", "flask_rampart.vault.folders"):
        monkeypatch.setattr(f"{module}.is_own", lambda status: is_own(status) and status.st_ino != theirs)
    told = run("encrypt", folder / "file", folder / "sealed", "--associated-data", "x")
    lines = {line.split("/")[-1].split()[0]: line for line in told.err.splitlines() if ".part" in line}
    assert lines[".vault-ours.part"].endswith("Remove it.")
    assert "belongs to another user" in lines[".vault-theirs.part"] and "emove" not in lines[".vault-theirs.part"]
    told = run("encrypt", folder, tmp_path / "sealed", "--associated-data", "{path}", "--skip-special")
    lines = {line.split(":")[0]: line for line in told.err.splitlines() if ".part" in line}
    assert lines[".vault-ours.part"].endswith("It can be removed")
    assert "a run of another user" in lines[".vault-theirs.part"] and "emove" not in lines[".vault-theirs.part"]
