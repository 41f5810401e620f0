"""Where sealed files are put: whose they are, who may read them, and what is not written through."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from flask_rampart.vault import decrypt_file, encrypt_file, open_file

from .sealed_files import KEYSET, leftovers, read, write


def test_permissions_are_the_owners_alone_or_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old = os.umask(0)
    try:
        write(path, b"text")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
        (unfinished,) = leftovers(tmp_path)
        assert stat.S_IMODE((tmp_path / unfinished).stat().st_mode) == 0o600
        file.close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(old)


def group_of_what_is_there(monkeypatch: pytest.MonkeyPatch, path: Path, *later: int) -> int:
    """Lets *path* be of another group, and of the *later* ones (above it) at each further look. Its number."""
    really, group = os.lstat, path.lstat().st_gid + 1
    groups = [group, *(group + more for more in later)]

    def lstat(given: Any, **more: Any) -> os.stat_result:
        found = really(given, **more)
        if os.fspath(given) != os.fspath(path):
            return found
        values = list(found)
        values[stat.ST_GID] = groups.pop(0) if len(groups) > 1 else groups[0]
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", lstat)
    return group


def test_what_is_replaced_keeps_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, given = tmp_path.resolve() / "file", []
    write(path, b"old")
    path.chmod(0o640)
    with monkeypatch.context() as patch:
        group = group_of_what_is_there(patch, path)
        # Before the mode: between the two, the writer's own group could read it.
        patch.setattr(os, "fchown", lambda file, *to: given.append((stat.S_IMODE(os.fstat(file).st_mode), *to)))
        write(path, b"new")
    assert given == [(0o600, -1, group)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("before", "after"), [(0o640, 0o600), (0o660, 0o600), (0o644, 0o604), (0o654, 0o604), (0o604, 0o600)]
)
def test_where_its_group_cannot_be_given_another_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    def fchown(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path.resolve() / "file"
    write(path, b"old")
    path.chmod(before)
    with monkeypatch.context() as patch:
        group_of_what_is_there(patch, path)
        patch.setattr(os, "fchown", fchown)
        write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == after
    assert read(path) == b"new"


def test_permissions_that_are_taken_away_meanwhile_do_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path.resolve() / "file"
    write(path, b"old")
    path.chmod(0o644)
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    path.chmod(0o640)
    file.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with monkeypatch.context() as patch:
        group_of_what_is_there(patch, path, 1)
        patch.setattr(os, "fchown", lambda *_: None)
        write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_became_a_symbolic_link_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    write(path, b"old")
    write(other, b"other")
    file = open_file(path, "wb", keyset=KEYSET, associated_data="where")
    path.unlink()
    path.symlink_to("other")
    with pytest.raises(OSError) as caught:
        file.close()
    assert caught.value.errno == errno.ELOOP
    assert path.is_symlink() and read(other) == b"other"
    assert leftovers(tmp_path) == []


def test_what_is_written_is_what_the_system_finds_under_the_name(tmp_path: Path) -> None:
    # os.path.abspath takes "link/.." for nothing; the system goes to where the link leads, and then up.
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "c")
    name = tmp_path / "a" / "link" / ".." / "f"
    write(tmp_path / "a" / "f", b"a's")
    write(name, b"b's")
    assert read(name) == read(tmp_path / "b" / "f") == b"b's"
    assert read(tmp_path / "a" / "f") == b"a's"
    for work in (encrypt_file, decrypt_file):
        before = (tmp_path / "a" / "f").read_bytes()
        work(tmp_path / "a" / "f", name, keyset=KEYSET, associated_data="where", replace=True)
        assert (tmp_path / "a" / "f").read_bytes() == before
    with pytest.raises(shutil.SameFileError):
        encrypt_file(tmp_path / "b" / "f", name, keyset=KEYSET, associated_data="where", replace=True)
    (tmp_path / "b" / "f").unlink()
    (tmp_path / "b" / "f").symlink_to(tmp_path / "a" / "f")
    with pytest.raises(OSError) as caught:
        write(name, b"new")
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "a" / "none" / ".." / "f", b"new")
    assert read(tmp_path / "a" / "f") == b"a's"


def test_a_folder_that_cannot_be_made_sure_of_is_refused_before_anything_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of mode 0300, say: the file had its name when the folder was found not to open.
    really, folder = os.open, tmp_path.resolve()

    def refused(path: Any, *more: Any, **named: Any) -> int:
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(PermissionError):
            write(folder / "file", b"text")
    assert os.listdir(folder) == []


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    write(tmp_path / "file", b"old")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(OSError) as caught:
            open_file(tmp_path / name, "wb", keyset=KEYSET, associated_data="where")
        assert caught.value.errno == errno.ELOOP
        with pytest.raises(FileExistsError):
            open_file(tmp_path / name, "xb", keyset=KEYSET, associated_data="where")
    assert read(tmp_path / "link") == b"old"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "link"]


def test_another_folder_meanwhile_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    file = open_file("file", "wb", keyset=KEYSET, associated_data="where")
    file.write(b"text")
    monkeypatch.chdir(tmp_path / "other")
    file.close()
    assert read(tmp_path / "file") == b"text"
