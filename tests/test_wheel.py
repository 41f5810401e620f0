"""``.ci/wheel``: a wheel does not say in which folder it was built."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LISTED = "own-1.0.dist-info/sboms/own.cyclonedx.json"
# Stands in for maturin: its document of the crates names the folder, as maturin's does.
BUILDER = """
import json, os, pathlib, sys, urllib.parse, zipfile
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(parents=True)
here = pathlib.Path.cwd()
(out.parent / "asked.json").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
with zipfile.ZipFile(out / "own-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("own/__init__.py", os.environ.get("LEFT_OVER", ""))
    # Cargo's addresses leave some letters as they are that Python's escape.
    address = "file://" + urllib.parse.quote(str(here), safe="/+@[]=&:;,")
    wheel.writestr("own-1.0.dist-info/sboms/own.cyclonedx.json", f"path+{address}#own@1.0 {here.as_uri()}")
    wheel.writestr("own-1.0.dist-info/RECORD", "own/__init__.py,sha256=abc,0\\n"
        "own-1.0.dist-info/sboms/own.cyclonedx.json,sha256=abc,1\\nown-1.0.dist-info/RECORD,,\\n")
"""


def built(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True)
    (folder / "builder.py").write_text(BUILDER)
    told = {**os.environ, "MATURIN": shlex.join([sys.executable, "builder.py"]), "SOURCE_DATE_EPOCH": "1796000000"}
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "wheel"), "dist"],
        cwd=folder,
        env={**told, "CARGO_HOME": str(folder / "cargo"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_two_folders_give_the_same_bytes_and_the_hashes_are_right(tmp_path: Path) -> None:
    wheels = []
    for name in ("one", "another/with a longer name", "c++ @ [1]/50%"):
        told = built(tmp_path / name)
        assert told.returncode == 0, told.stderr
        (wheel,) = (tmp_path / name / "dist").glob("*.whl")
        assert told.stdout.split()[0] == hashlib.sha256(wheel.read_bytes()).hexdigest()
        wheels.append(wheel)
    # Built one after the other: the times in them are those of the commit.
    assert len({wheel.read_bytes() for wheel in wheels}) == 1
    with zipfile.ZipFile(wheels[0]) as one:
        listed = one.read(LISTED)
        digest = base64.urlsafe_b64encode(hashlib.sha256(listed).digest()).rstrip(b"=").decode()
        record = one.read("own-1.0.dist-info/RECORD").decode().splitlines()
    assert listed == b"path+file:///src#own@1.0 file:///src"
    assert record == [
        "own/__init__.py,sha256=abc,0",
        f"{LISTED},sha256={digest},{len(listed)}",
        "own-1.0.dist-info/RECORD,,",
    ]


def test_the_compiler_is_told_to_name_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "cargo" / "registry" / "src" / "mirror-1").mkdir(parents=True)
    assert built(tmp_path / "a" / "b", CARGO_HOME=str(tmp_path / "a" / "cargo")).returncode == 0
    words, environ = json.loads((tmp_path / "a" / "b" / "asked.json").read_text())
    assert environ["CARGO_ENCODED_RUSTFLAGS"].split("\x1f") == [
        f"--remap-path-prefix={tmp_path}/a/b=/src",
        f"--remap-path-prefix={tmp_path}/a/cargo/registry/src/mirror-1=/crates",
    ]
    assert {"--release", "--locked", "--strip"} <= set(words) and environ["SOURCE_DATE_EPOCH"] == "1796000000"


@pytest.mark.parametrize("left", ["folder", ""])
def test_a_wheel_that_still_names_the_folder_is_an_error(tmp_path: Path, left: str) -> None:
    told = built(tmp_path / "here", LEFT_OVER=str(tmp_path / "here") if left else "")
    assert (told.returncode == 0) is not bool(left)
    assert ("names the folder" in told.stderr) is bool(left)
    # What names it is not there to be published.
    assert bool(list((tmp_path / "here" / "dist").glob("*.whl"))) is not bool(left)
