"""A real environment with known weaknesses (flask 0.12, requests 2.19 and what they need) is told of, package by package.

Its wheels are installed for real, by hash, from ``vulnerable/packages.txt``, as an installer leaves them. Nothing of it is
imported: Pythons of today cannot, and the check reads metadata. The advisories are ``vulnerable/advisories.json``: ids,
aliases and ranges of the PyPA's database, in words of our own, some of them of faults that these releases do not have.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from flask_rampart.cli import commands
from flask_rampart.dependencies import bill_of_materials, installed

from .checking import Place, place

__all__ = ["place"]

FOLDER = Path(__file__).parent / "vulnerable"
ROOT = FOLDER.parent.parent
ADVISORIES = FOLDER / "advisories.json"
KNOWN = {
    "certifi": {"PYSEC-2022-42986", "PYSEC-2023-135"},
    "flask": {"PYSEC-2018-66", "PYSEC-2019-179", "PYSEC-2023-62"},
    "idna": {"PYSEC-2024-60"},
    "jinja2": {"PYSEC-2019-217", "PYSEC-2021-66"},
    "requests": {"PYSEC-2018-28", "PYSEC-2023-74"},
    "urllib3": {
        "PYSEC-2019-132",
        "PYSEC-2019-133",
        "PYSEC-2020-148",
        "PYSEC-2021-108",
        "PYSEC-2023-192",
        "PYSEC-2023-207",
        "PYSEC-2023-212",
    },
    "werkzeug": {"PYSEC-2019-140", "PYSEC-2023-221", "PYSEC-2023-58"},
}
"""What these releases have, read off the advisories by hand."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment. The files are links into the installer's cache, which has them from the first time on."""
    folder = tmp_path_factory.mktemp("vulnerable") / "site"
    install = [_uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), "--no-deps"]
    install += ["--only-binary", ":all:", "--require-hashes", "-r", str(FOLDER / "packages.txt")]
    environ = {"UV_SYSTEM_CERTS": "1", **os.environ}
    run = subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=environ)
    if run.returncode != 0:
        pytest.fail(
            "The vulnerable environment could not be installed: a package index has to give what "
            f"tests/vulnerable/packages.txt names. Is this machine cut off? uv says:\n{run.stderr}"
        )
    return folder


def _uv() -> str:
    """The installer that the Makefile gets from its lock, and hands on as UV."""
    for found in (os.environ.get("UV"), str(ROOT / ".uv" / "bin" / "uv"), shutil.which("uv")):
        if found and (ROOT / found).is_file():
            return str(ROOT / found)
    pytest.fail("uv is missing: `make dev` installs it, as .uv/bin/uv; or name one by the environment's UV.")


def dependencies(site: Path, *words: object) -> Result:
    return CliRunner().invoke(commands, ["dependencies", "--path", str(site), *map(str, words)])


def check(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(commands, ["check", *map(str, words)])


def affected(told: Result) -> dict[str, set[str]]:
    """The advisories that are told of, by package."""
    found: dict[str, set[str]] = {}
    for finding in json.loads(told.output)["findings"]:
        if finding["id"] == "RMP-811":
            ids = re.findall(r"PYSEC-\d+-\d+", finding["message"])
            found.setdefault(finding["message"].partition(" ")[0], set()).update(ids)
    return found


def test_each_known_weakness_of_a_real_environment_is_told_of_and_none_that_it_has_not(site: Path) -> None:
    told = dependencies(site, "--advisories", ADVISORIES, "--json")
    assert told.exit_code == 1
    assert affected(told) == KNOWN
    # Some in the file are of faults that were repaired before, or came later.
    assert len(json.loads(ADVISORIES.read_text())) > sum(map(len, KNOWN.values()))


def test_it_is_told_with_the_releases_that_repair_it(site: Path) -> None:
    told = dependencies(site, "--advisories", ADVISORIES)
    assert told.exit_code == 1
    for line in (
        "flask 0.12, fixed in 0.12.3; PYSEC-2018-66, CVE-2018-1000656",
        "flask 0.12, fixed in 2.2.5, 2.3.2; PYSEC-2023-62, CVE-2023-30861, GHSA-m2qf-hxjv-5gpq",
        "requests 2.19.0, fixed in 2.20.0; PYSEC-2018-28, CVE-2018-18074",
        "requests 2.19.0, fixed in 2.31.0; PYSEC-2023-74, CVE-2023-32681, GHSA-j8r2-6x86-q33q",
        "urllib3 1.23, fixed in 1.24.2; PYSEC-2019-133, CVE-2019-11324",
        "jinja2 2.10, fixed in 2.10.1; PYSEC-2019-217, CVE-2019-10906",
    ):
        assert line in told.output
    assert "10 packages compared with" in told.output and "20 errors" in told.output


def test_the_check_of_an_app_tells_of_what_lies_on_its_path(
    site: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert affected(check(place.app(), "--advisories", ADVISORIES, "--json")) == {}
    # Behind the packages that the app runs with: which of two is imported depends on what the path is then.
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    told = check(place.app(), "--advisories", ADVISORIES, "--json")
    assert told.exit_code == 1
    assert affected(told) == KNOWN


def test_where_the_source_cannot_be_reached_it_is_an_error_and_never_green(site: Path, place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    for told in (
        dependencies(site, "--source", nobody, "--no-cache"),
        check(place.app(), "--dependencies", "--source", nobody, "--no-cache"),
        dependencies(site, "--advisories", FOLDER / "nowhere.json"),
        check(place.app(), "--advisories", FOLDER / "nowhere.json"),
    ):
        assert told.exit_code == 2 and told.stdout == "", told.output
        assert told.stderr


def test_its_bill_of_materials_lists_all_of_it(site: Path) -> None:
    listed = bill_of_materials(installed([str(site)]), name="shop", time=0.0)
    found = {part["purl"] for part in listed["components"]}
    pinned = re.findall(r"^(\w+)==([\w.]+)", (FOLDER / "packages.txt").read_text(), re.MULTILINE)
    assert {f"pkg:pypi/{name}@{version}" for name, version in pinned} == found and len(pinned) == 10
