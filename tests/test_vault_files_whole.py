"""Whole files, sealed and opened; the memory that takes; and the guide."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_rampart.errors import IntegrityError
from flask_rampart.vault import Keyset, Vault, decrypt_file, encrypt_file, write_keyset

from .sealed_files import KEYSET, leftovers, read, text, write


def test_a_file_is_sealed_and_opened_again(tmp_path: Path) -> None:
    data = text(3_000_000)
    (tmp_path / "plain").write_bytes(data)
    encrypt_file(tmp_path / "plain", tmp_path / "sealed", keyset=KEYSET, associated_data="where")
    assert read(tmp_path / "sealed") == data
    decrypt_file(tmp_path / "sealed", tmp_path / "again", keyset=KEYSET, associated_data="where")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "plain").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "again").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["again", "plain", "sealed"]


@pytest.mark.parametrize("work", [encrypt_file, decrypt_file], ids=["encrypt", "decrypt"])
def test_nothing_is_replaced_unless_it_is_said(tmp_path: Path, work: Callable[..., None]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, b"text")
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        work(source, target, keyset=KEYSET, associated_data="where")
    assert target.read_bytes() == b"precious"
    work(source, target, keyset=KEYSET, associated_data="where", replace=True)
    assert target.read_bytes() != b"precious"
    assert read(source) == b"text"


@pytest.mark.parametrize("work", [encrypt_file, decrypt_file], ids=["encrypt", "decrypt"])
@pytest.mark.parametrize("replace", [False, True])
def test_source_and_target_are_never_the_same_file(tmp_path: Path, work: Callable[..., None], replace: bool) -> None:
    source = tmp_path / "source"
    write(source, b"text")
    (tmp_path / "soft").symlink_to(source)
    os.link(source, tmp_path / "hard")
    for given, target in [
        (source, source),
        (source, tmp_path / "." / "source"),
        (source, tmp_path / "soft"),
        (source, tmp_path / "hard"),
        (tmp_path / "soft", source),
        (tmp_path / "hard", source),
    ]:
        with pytest.raises(shutil.SameFileError):
            work(given, target, keyset=KEYSET, associated_data="where", replace=replace)
    assert read(source) == read(tmp_path / "soft") == b"text"
    assert leftovers(tmp_path) == []


def test_what_does_not_open_leaves_no_plaintext_and_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    sealed = bytearray(write(source, text(2_000_000)))
    sealed[1_900_000] ^= 1
    source.write_bytes(sealed)
    target.write_bytes(b"precious")
    with pytest.raises(IntegrityError):
        decrypt_file(source, target, keyset=KEYSET, associated_data="where", replace=True)
    assert target.read_bytes() == b"precious"
    with pytest.raises(IntegrityError):
        decrypt_file(source, tmp_path / "new", keyset=KEYSET, associated_data="where")
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    program = f"""
        import os
        from flask_rampart.vault import Keyset, decrypt_file, encrypt_file, open_file

        def peak():
            # Not by getrusage, which counts the process that started this one as well.
            with open("/proc/self/status") as status:
                return int(status.read().partition("VmHWM:")[2].split()[0])

        os.chdir({str(tmp_path)!r})
        for template in ("AES256_GCM_HKDF_1MB", "AES256_GCM_HKDF_4KB"):
            keyset = Keyset.generate(template)
            # The small one first: what that takes is the interpreter.
            for size in (100, 64 * 1024 * 1024):
                before = peak()
                with open("plain", "wb") as file:
                    file.truncate(size)
                encrypt_file("plain", "sealed", keyset=keyset, associated_data="", replace=True)
                decrypt_file("sealed", "again", keyset=keyset, associated_data="", replace=True)
                with open_file("sealed", keyset=keyset, associated_data="") as file:
                    while file.read(100_000):
                        pass
            print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=True, text=True)
    kib = [int(line) for line in done.stdout.split()]
    assert len(kib) == 2
    assert max(kib) < 16 * 1024


# The vault's own


def test_the_vault_finds_its_keyset_for_files(tmp_path: Path) -> None:
    vault = Vault({"default": Keyset.generate("AES256_GCM"), "files": KEYSET})
    with vault.open_file(tmp_path / "file", "xb", associated_data="where") as file:
        file.write(b"text")
    assert read(tmp_path / "file") == b"text"
    with vault.open_file(tmp_path / "file", associated_data="where", name="files") as file:
        assert file.read() == b"text"
    vault.decrypt_file(tmp_path / "file", tmp_path / "plain", associated_data="where")
    vault.encrypt_file(tmp_path / "plain", tmp_path / "file", associated_data="there", replace=True)
    with vault.open_file(tmp_path / "file", "r", associated_data="there", encoding="ascii") as file:
        assert file.read() == "text"
    with pytest.raises(ValueError, match="streaming AEAD"):
        vault.open_file(tmp_path / "file", associated_data="there", name="default")
    with pytest.raises(ValueError, match="AES256_GCM_HKDF_1MB"):
        Vault(Keyset.generate("AES256_GCM")).open_file(tmp_path / "file", associated_data="")


def test_the_guides_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "vault-files.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", guide, re.S)
    write_keyset(tmp_path / "files.json", KEYSET, cleartext=True)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "guide"}
    app = "app = Flask(__name__)"
    assert app in first
    # No module that could be found has this name.
    first = first.replace(app, f"app = Flask('guide', root_path={str(tmp_path)!r})")
    exec(compile(first.replace("/etc/myapp/files.json", "files.json"), "vault-files.md", "exec"), space)
    assert capsys.readouterr().out == "name,amount\n\n"
    with space["app"].app_context():
        header = b'{"layer.0.weight":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
        with space["rampart"].vault.open_file("model.safetensors", "wb", associated_data="models/7") as file:
            file.write(len(header).to_bytes(8, "little") + header + b"abc")
        exec(compile(second, "vault-files.md", "exec"), space)
    assert space["weights"].tolist() == list(b"abc")
