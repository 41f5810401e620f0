"""``flask rampart vault encrypt`` and ``decrypt`` of files and pipes: nothing is passed on unverified; and the guide."""

from __future__ import annotations

import io
import random
import re
import resource
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tink
from flask import Flask
from tink import aead, proto_keyset_format, secret_key_access, streaming_aead

from flask_rampart import IntegrityError, Keyset, Rampart
from flask_rampart.cli.vault import vault
from flask_rampart.cli.vault.progress import Progress
from flask_rampart.vault import decrypt_file, encrypt_file, read_keyset, write_keyset

from .vaulting import BOUND, SMALL, alone, keys_of_files, leftovers, run_vault, some_tree  # noqa: F401
from .vaulting import run as run_on

aead.register()
streaming_aead.register()


def test_tink_opens_what_the_command_seals_and_the_other_way_round(
    run: Any, tree: Path, tmp_path: Path, keys: Path
) -> None:
    clear = read_keyset(keys).to_cleartext_binary()
    theirs = proto_keyset_format.parse(clear, secret_key_access.TOKEN).primitive(streaming_aead.StreamingAead)
    data = (tree / "a" / "big").read_bytes()
    assert run("encrypt", tree / "a" / "big", tmp_path / "ours", "--associated-data", "x").code == 0
    with open(tmp_path / "ours", "rb") as file, theirs.new_decrypting_stream(file, b"x") as plain:
        assert plain.read() == data
    piped = run("encrypt", "-", "-", "--associated-data", "x", given=data)
    with theirs.new_decrypting_stream(io.BytesIO(piped.data), b"x") as plain:
        assert plain.read() == data
    with open(tmp_path / "theirs", "wb") as file, theirs.new_encrypting_stream(file, b"x") as stream:
        stream.write(data)
    assert run("decrypt", tmp_path / "theirs", tmp_path / "back", "--associated-data", "x").code == 0
    assert (tmp_path / "back").read_bytes() == data
    sealed = (tmp_path / "theirs").read_bytes()
    assert run("decrypt", "-", "-", "--associated-data", "x", given=sealed).data == data


@pytest.mark.parametrize("size", [0, 1, 4055, 4056, 4057, 8135, 8136, 8137, 300_000])
def test_pipes_of_every_length(run: Any, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    sealed = run("encrypt", "-", "-", "--associated-data", "pipe", given=data)
    assert sealed.code == 0
    opened = run("decrypt", "-", "-", "--associated-data", "pipe", given=sealed.data)
    assert (opened.code, opened.data) == (0, data)
    assert run("decrypt", "-", tmp_path / "file", "--associated-data", "pipe", given=sealed.data).code == 0
    assert (tmp_path / "file").read_bytes() == data
    assert run("encrypt", tmp_path / "file", "-", "--associated-data", "pipe").code == 0


def test_of_a_pipe_only_what_is_authentic_is_written_and_the_end_is_told(run: Any, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(20_000)
    sealed = run("encrypt", "-", "-", "--associated-data", "pipe", given=data).data
    segments = range(4096, len(sealed), 4096)
    cuts = [0, 10, 39, 4095, *segments, *(at + 5 for at in segments), len(sealed) - 1]
    damaged = [sealed[:at] for at in cuts]
    damaged += [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in (0, 30, 5000, len(sealed) - 1)]
    damaged += [sealed + b"x", sealed[:4096] + sealed[8192:12288] + sealed[4096:8192] + sealed[12288:]]
    for stream in damaged:
        told = run("decrypt", "-", "-", "--associated-data", "pipe", given=stream)
        assert told.code == 3
        assert data.startswith(told.data) and told.data != data
        assert "cannot be opened" in told.err
        if told.data:
            assert f"{len(told.data)} bytes were written before" in told.err
        told = run("decrypt", "-", tmp_path / "file", "--associated-data", "pipe", given=stream)
        assert (told.code, (tmp_path / "file").exists()) == (3, False)
    assert leftovers(tmp_path) == []


def test_a_file_that_was_cut_writes_nothing_to_standard_output(run: Any, tree: Path, tmp_path: Path) -> None:
    run("encrypt", tree / "a" / "big", tmp_path / "sealed", "--associated-data", "x")
    with open(tmp_path / "sealed", "r+b") as file:
        file.truncate(40_960)
    told = run("decrypt", tmp_path / "sealed", "-", "--associated-data", "x")
    assert (told.code, told.data) == (3, b"")


def test_a_single_file_is_replaced_only_if_that_is_said(run: Any, tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"of somebody")
    for source in (tree / "z", "-"):
        told = run("encrypt", source, target, "--associated-data", "x", given=b"new")
        assert (told.code, target.read_bytes()) == (1, b"of somebody")
    assert run("encrypt", tree / "z", target, "--associated-data", "x", "--replace").code == 0
    assert run("encrypt", tree / "z", tree / "z", "--associated-data", "x", "--replace").code == 1
    told = run("encrypt", tree / "nothing", tmp_path / "new", "--associated-data", "x")
    assert (told.code, "No such file" in told.err) == (1, True)
    assert run("encrypt", tree / "z", tmp_path / "new").code == 2  # what it is bound to is never left open


def test_a_keyset_for_something_else_is_told_with_the_cure(run: Any, tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    write_keyset(other, Keyset.generate("AES256_GCM"), cleartext=True)
    told = run("encrypt", tree, tmp_path / "sealed", *BOUND, "--keyset", other)
    assert (told.code, "--template AES256_GCM_HKDF_1MB" in told.err) == (1, True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_full_disk_leaves_nothing_behind(tree: Path, tmp_path: Path, keys: Path) -> None:
    # The system's own limit on a file's length; SIGXFSZ is ignored by Python, and write fails with EFBIG.
    words = ("encrypt", str(tree / "a" / "big"), str(tmp_path / "sealed"), "--associated-data", "x")
    limit = (resource.RLIMIT_FSIZE, (100_000, 100_000))
    code, told = alone(*words, "--keyset", str(keys), before=lambda: resource.setrlimit(*limit))
    assert (code, "File too large" in told) == (1, True), told
    assert not (tmp_path / "sealed").exists() and leftovers(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_output_that_is_full_is_an_error(tree: Path, tmp_path: Path, keys: Path) -> None:
    encrypt_file(tree / "z", tmp_path / "sealed", keyset=read_keyset(keys), associated_data="x")
    words = ("decrypt", str(tmp_path / "sealed"), "-", "--associated-data", "x", "--keyset", str(keys))
    code, told = alone(*words, out="/dev/full")
    assert (code, "No space left" in told) == (1, True), told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is_and_nothing_else_does() -> None:
    now = [0.0]
    out = Terminal()
    with Progress(4_000_000, out=out, clock=lambda: now[0]) as progress:
        for _ in range(128):
            now[0] += 1 / 64
            progress.add(7_813)
        progress.tell("link: left out")
        assert out.getvalue().count("\r\x1b[K") == 18 + 1
        assert progress.line(2.0) == " 25 %  1.0 MB of 4.0 MB  500.0 kB/s  6 s left"
        progress.add(2_999_936)
        assert progress.line(4.0) == "100 %  4.0 MB of 4.0 MB  1.0 MB/s"
    assert out.getvalue().endswith("link: left out\n\r\x1b[K")
    assert Progress(None, out=out).line(0.0) == "0 B  0 B/s"
    assert Progress(10**10, out=out).line(1.0) == "  0 %  0 B of 10.0 GB  0 B/s"
    quiet = io.StringIO()
    with Progress(10, out=quiet) as progress:
        progress.add(10)
    assert quiet.getvalue() == ""


def test_memory_does_not_grow_with_what_is_sealed_and_opened(tmp_path: Path) -> None:
    program = """
        import os, sys
        from flask.cli import ScriptInfo
        from flask_rampart.cli import commands
        from flask_rampart.vault import Keyset, write_keyset

        def peak():
            # Not by getrusage, which counts the process that started this one as well.
            with open("/proc/self/status") as status:
                return int(status.read().partition("VmHWM:")[2].split()[0])

        def run(*words, given, out):
            with open(given, "rb") as stdin, open(out, "wb") as stdout:
                os.dup2(stdin.fileno(), 0), os.dup2(stdout.fileno(), 1)
                words = ["vault", *words, "--associated-data", "x", "--keyset", "keys"]
                commands.main(words, obj=ScriptInfo(), standalone_mode=False)
                sys.stdout.flush()

        write_keyset("keys", Keyset.generate("AES256_GCM_HKDF_1MB"), cleartext=True)
        # The small one first: what that takes is the interpreter.
        for size in (100, 20 * 1024 * 1024):
            before = peak()
            with open("plain", "wb") as file:
                file.truncate(size)
            run("encrypt", "-", "-", given="plain", out="sealed")
            run("decrypt", "-", "-", given="sealed", out="again")
            assert os.path.getsize("again") == size
        print(peak() - before, file=sys.stderr)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stderr) < 16 * 1024


def test_an_old_keyset_opens_nothing_of_a_new_key(tmp_path: Path) -> None:
    keyset = Keyset.generate(SMALL)
    old = Keyset.from_cleartext_binary(keyset.to_cleartext_binary())
    (tmp_path / "plain").write_bytes(b"text")
    keyset.rotate(SMALL)
    encrypt_file(tmp_path / "plain", tmp_path / "sealed", keyset=keyset, associated_data="x")
    with pytest.raises(IntegrityError):
        decrypt_file(tmp_path / "sealed", tmp_path / "back", keyset=old, associated_data="x")
    assert not (tmp_path / "back").exists()


def test_the_guides_commands_run(
    make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "vault-commands.md").read_text().replace("/etc/shop", str(tmp_path))
    app = make_app(rampart=False)
    kms = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    keysets = {"default": str(tmp_path / "keyset.json"), "files": str(tmp_path / "files.json")}
    app.config.update(RAMPART_VAULT_KEYSET=keysets, RAMPART_VAULT_KMS=kms, RAMPART_ACCESS_LOG="off")
    app.config.update(RAMPART_LIMIT_STORE="memory://")
    Rampart(app)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uploads" / "2026").mkdir(parents=True)
    (tmp_path / "uploads" / "2026" / "a.pdf").write_bytes(b"%PDF")
    lines = re.findall(r"^\$ (?:pg_dump shop \| )?flask rampart (vault .*?)(?: > .*)?$", page, re.M)
    assert len(lines) == page.count("\n$ ") - page.count("\n$ set -o pipefail") == 8
    data = b""
    for line in lines:
        told = run_on(app, *shlex.split(line)[1:], given=b"a dump")
        assert told.code == 0, (line, told)
        data = told.data
    assert data == b"a dump"
    assert (tmp_path / "a.pdf").read_bytes() == b"%PDF"
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    exec(compile(block, "vault-commands.md", "exec"), {"__name__": "guide", "kms": kms})
    assert len(read_keyset(keysets["default"], kms=kms)) == 2


def test_the_guide_names_every_command_and_option() -> None:
    page = (Path(__file__).parent.parent / "docs" / "vault-commands.md").read_text()
    options: set[str] = set()
    for name, command in vault.commands.items():
        assert f"`{name}" in page, name
        options |= {option for each in command.params for option in each.opts if option.startswith("--")}
    assert len(options) > 12
    assert {option for option in options if option not in page} == set()
