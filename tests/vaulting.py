"""Runs ``flask rampart vault`` for its tests, within this process or in one of its own; and what it is run on."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from flask import Flask
from flask.cli import ScriptInfo

from flask_rampart import Keyset, Rampart
from flask_rampart.cli import commands
from flask_rampart.vault import write_keyset

SMALL = "AES256_GCM_HKDF_4KB"
BOUND = ("--associated-data", "backup/{path}")


class Told(NamedTuple):
    """What a command has said."""

    code: int
    out: str
    err: str
    data: bytes


def run(app: Flask, *words: str, given: bytes = b"") -> Told:
    """The command in this process; no terminal is there."""
    done = app.test_cli_runner().invoke(commands, ["vault", *words], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Told(done.exit_code, done.stdout_bytes.decode(errors="replace"), done.stderr, done.stdout_bytes)


def typed(lines: list[str], *words: str) -> tuple[int, str]:
    """The command on a terminal, without an app, and what that shows while these lines are typed as they are asked for."""
    child, terminal = pty.fork()
    if child == 0:
        _run_and_exit(lambda: None, words)
    shown, waiting = "", list(lines)
    # The other side's end is an error here (EIO).
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 4096):
            shown += part.decode()
            if waiting and shown.rstrip(" ").endswith(":"):
                os.write(terminal, f"{waiting.pop(0)}\n".encode())
                shown += "<typed>"
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def alone(*words: str, before: Callable[[], object] = lambda: None, out: str = os.devnull) -> tuple[int, str]:
    """The command in a process of its own, without an app and a terminal: its exit code, and what it has told.

    :param before: called there first.
    :param out: where its standard output goes, as well as what it tells if there is none.
    """
    with tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(out, os.O_WRONLY) if out != os.devnull else told.fileno(), 1)
            os.dup2(told.fileno(), 2)
            _run_and_exit(before, words)
        _, status = os.waitpid(child, 0)
        told.seek(0)
        return os.waitstatus_to_exitcode(status), told.read().decode()


def _run_and_exit(before: Callable[[], object], words: tuple[str, ...]) -> NoReturn:
    code = 99
    try:
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        before()
        commands.main(["vault", *words], obj=ScriptInfo())
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def dying_at(number: int, *names: str, by: int = signal.SIGKILL) -> Callable[[], None]:
    """What lets a process be killed at this one of its calls to the system, the first of which is 0."""

    def begin() -> None:
        left = [number]

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                left[0] -= 1
                if left[0] == -1:
                    os.kill(os.getpid(), by)
                return real(*given, **named)

            return call

        for name in names or ("open", "write", "fchmod", "fsync", "replace", "close"):
            setattr(os, name, dying(getattr(os, name)))

    return begin


@pytest.fixture(name="run")
def run_vault(make_app: Callable[..., Flask], keys: Path) -> Callable[..., Told]:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_VAULT_KEYSET=str(keys))
    Rampart(app)
    return lambda *words, **more: run(app, *map(str, words), **more)


@pytest.fixture(name="keys")
def keys_of_files(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "files.json"
    path.parent.mkdir()
    write_keyset(path, Keyset.generate(SMALL), cleartext=True)
    return path


@pytest.fixture(name="tree")
def some_tree(tmp_path: Path) -> Path:
    """Files of all sizes, and names that are not plain."""
    root, dice = tmp_path / "tree", random.Random(5)
    (root / "a" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    for name, size in (("a/big", 300_000), ("a/deep/x", 1), ("a/none", 0), ("z", 5000), ("-r", 3), ("a b\n{c}", 7)):
        (root / name).write_bytes(dice.randbytes(size))
    with open(os.path.join(os.fsencode(root), b"\xff\xfe"), "wb") as file:
        file.write(b"a name that is no text")
    return root


def content(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if not path.name.startswith(".vault-")
    }


def leftovers(root: Path) -> list[Path]:
    return list(root.rglob(".vault-*"))
