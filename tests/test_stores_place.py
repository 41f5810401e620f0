"""Where the files of a store are: nobody else may write there, nor put another folder in its place."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from flask_rampart import ConfigError
from flask_rampart.stores import SqliteStore, place
from flask_rampart.stores.place import own_folder


@pytest.mark.parametrize(
    ("mode", "taken"),
    [(0o700, True), (0o755, True), (0o775, False), (0o757, False), (0o777, False), (0o1777, True), (0o1775, True)],
)
def test_a_folder_above_that_others_may_write_to_is_refused_unless_it_is_sticky(
    mode: int, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_is_private", lambda group, user: False)
    above = tmp_path / "above"
    folder = above / "middle" / "own"
    folder.mkdir(parents=True, mode=0o700)
    for each in (folder, folder.parent):
        each.chmod(0o755)
    above.chmod(mode)
    if taken:
        SqliteStore(folder / "x.sqlite3").close()
    else:
        with pytest.raises(ConfigError, match=rf"others may write to {above}[.]"):
            SqliteStore(folder / "x.sqlite3")
        # Nor is one made there.
        with pytest.raises(ConfigError, match="others may write"):
            own_folder(above / "new")
        assert not (above / "new").exists()


def test_the_folder_itself_is_not_saved_by_being_sticky(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(ConfigError, match="others may write"):
        own_folder(folder)


def test_a_link_is_followed_and_both_ways_are_looked_at(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name / "own").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "own")
    own_folder(tmp_path / "link")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        own_folder(tmp_path / "link")
    (tmp_path / "open" / "way").symlink_to(tmp_path / "closed" / "own")
    with pytest.raises(ConfigError, match="others may write"):
        own_folder(tmp_path / "open" / "way")
    own_folder(tmp_path / "closed" / "own")


def test_a_folder_above_that_is_another_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "theirs" / "own"
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(folder.parent, 1234, -1)
    else:
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(ConfigError, match="others may write"):
        own_folder(folder)


def test_a_group_of_the_user_alone_is_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine" / "own"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o775)
    about = folder.parent.stat()
    user = pwd.struct_passwd(("ada", "x", about.st_uid, about.st_gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: user)
    for name, members, taken in (("ada", [], True), ("ada", ["ada"], True), ("ada", ["bob"], False), ("x", [], False)):
        group = grp.struct_group((name, "x", about.st_gid, members))
        monkeypatch.setattr(grp, "getgrgid", lambda number, group=group: group)
        if taken:
            own_folder(folder)
        else:
            with pytest.raises(ConfigError, match="others may write"):
                own_folder(folder)
    folder.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        own_folder(folder)
