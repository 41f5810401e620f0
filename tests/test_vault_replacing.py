"""What takes the place of a file lets nobody in who was not let in before: access lists, groups, and the last moment."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from flask_rampart import Keyset
from flask_rampart.vault import change_keyset, encrypt_file, reencrypt_file, write_keyset
from flask_rampart.vault.replacing import NewFile

LIST, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
SMALL = "AES256_GCM_HKDF_4KB"


def entries(*, user: int = 0o4, group: int = 0, mask: int = 0o4, others: int = 0) -> bytes:
    """A list of POSIX.1e as Linux keeps it: the owner, one user by name (4711), the group, the mask, the others."""
    nobody = 0xFFFFFFFF
    rows = ((0x01, 6, nobody), (0x02, user, 4711), (0x04, group, nobody), (0x10, mask, nobody), (0x20, others, nobody))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


def list_of(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, LIST)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return None


@pytest.fixture
def keyset(tmp_path: Path) -> Path:
    path = tmp_path / "keyset.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    return path


def rotate(path: Path) -> None:
    with change_keyset(path) as keyset:
        keyset.rotate("AES256_GCM")


def test_a_rotation_keeps_the_access_list_and_lets_the_group_in_by_none(keyset: Path) -> None:
    # setfacl -m u:4711:r: the mode is 0640 then, and the group has nothing.
    os.setxattr(keyset, LIST, entries())
    before = keyset.stat()
    assert stat.S_IMODE(before.st_mode) == 0o640
    rotate(keyset)
    assert keyset.stat().st_ino != before.st_ino
    assert list_of(keyset) == entries()


def test_what_is_sealed_anew_keeps_its_access_list(tmp_path: Path) -> None:
    path, keys = tmp_path / "sealed", Keyset.generate(SMALL)
    (tmp_path / "plain").write_bytes(b"text")
    encrypt_file(tmp_path / "plain", path, keyset=keys, associated_data="")
    os.setxattr(path, LIST, entries(user=6, mask=6))
    keys.rotate(SMALL)
    assert reencrypt_file(path, keyset=keys, associated_data="")
    assert list_of(path) == entries(user=6, mask=6)


def test_a_list_that_lets_write_is_masked_where_a_file_of_keys_is_written(keyset: Path) -> None:
    os.setxattr(keyset, LIST, entries(user=6, mask=6))
    write_keyset(keyset, Keyset.generate("AES256_GCM"), cleartext=True, replace=True)
    assert list_of(keyset) == entries(user=6, mask=4)


def test_a_list_that_cannot_be_kept_leaves_the_old_keys(keyset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.setxattr(keyset, LIST, entries())
    before = keyset.read_bytes()

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "setxattr", refused)
    with pytest.raises(OSError, match="not permitted"):
        rotate(keyset)
    assert keyset.read_bytes() == before
    assert [each.name for each in keyset.parent.iterdir()] == [keyset.name]


def test_a_list_that_the_folder_gives_lets_nobody_in(keyset: Path) -> None:
    # The old file has none: the mask that its group's permissions would become would let 4711 in.
    keyset.chmod(0o640)
    os.setxattr(keyset.parent, DEFAULT, entries(user=4, group=4))
    rotate(keyset)
    assert (list_of(keyset), stat.S_IMODE(keyset.stat().st_mode)) == (None, 0o640)


def test_a_file_system_without_lists_is_none_to_complain_of(keyset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: Any, **__: Any) -> bytes:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "getxattr", unsupported)
    monkeypatch.setattr(os, "removexattr", unsupported)
    rotate(keyset)
    assert stat.S_IMODE(keyset.stat().st_mode) == 0o600


def of_another_group(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """New files have another group than *path*, and it cannot be given to them."""
    real = os.fstat

    class Others:
        def __init__(self, status: os.stat_result) -> None:
            self.status = status

        def __getattr__(self, name: str) -> Any:
            return path.lstat().st_gid + 1 if name == "st_gid" else getattr(self.status, name)

    def refused(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fstat", lambda descriptor: Others(real(descriptor)))
    monkeypatch.setattr(os, "fchown", refused)


def test_a_group_that_cannot_be_kept_leaves_the_old_keys(keyset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Silently, the processes of the group could not read their keys any more.
    keyset.chmod(0o640)
    before = keyset.read_bytes()
    of_another_group(monkeypatch, keyset)
    with pytest.raises(OSError, match="not permitted"):
        rotate(keyset)
    assert (keyset.read_bytes(), stat.S_IMODE(keyset.stat().st_mode)) == (before, 0o640)


def test_of_another_group_there_is_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.setxattr(path, LIST, entries(group=4))
    of_another_group(monkeypatch, path)
    file = NewFile(path, replace=True)
    file.write(b"new")
    file.commit()
    assert (path.read_bytes(), list_of(path)) == (b"new", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_program_writes_while_the_disk_is_waited_for_stays(
    keyset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, theirs = os.fsync, keyset.with_name("theirs")
    write_keyset(theirs, Keyset.generate("AES256_GCM"), cleartext=True)
    content = theirs.read_bytes()

    def slow(descriptor: int) -> None:
        real(descriptor)
        if theirs.exists():
            theirs.replace(keyset)

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(OSError, match="by another program meanwhile"):
        rotate(keyset)
    assert keyset.read_bytes() == content


def test_what_a_kms_has_sealed_stays_readable_by_whom_it_was(tmp_path: Path) -> None:
    class Kms:
        def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
            return plaintext[::-1]

        def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
            return ciphertext[::-1]

    path = tmp_path / "keyset.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), kms=Kms())
    path.chmod(0o644)
    with change_keyset(path, kms=Kms()) as keyset:
        keyset.rotate("AES256_GCM")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with change_keyset(path, kms=Kms(), new_passphrase="correct horse battery"):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
