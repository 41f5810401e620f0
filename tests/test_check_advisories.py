"""``flask rampart dependencies``: whether an installed version is affected, by advisories in files."""

from __future__ import annotations

import json
import os
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flask_rampart.cli import commands
from flask_rampart.dependencies import CannotCheck, Package, SourceFailed, advisories_in, ages, audit, installed
from flask_rampart.dependencies.osv import affects, fixes, read_record
from flask_rampart.dependencies.versions import version_of

from .advising import FROM_THE_FIRST, KNOWN, advisory, install, vulnerable, written

NOW = 1_796_000_000.0  # a day of November 2026


def run(*words: object) -> Result:
    return CliRunner().invoke(commands, ["dependencies", *map(str, words)])


def is_affected(version: str, *events: dict[str, str], **entry: Any) -> bool | None:
    record = read_record(advisory("X-1", "shop", *events, entry=entry), "here")
    (found,) = record.entries
    parsed = version_of(version)
    assert parsed is not None
    return affects(found, parsed)


# Versions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version, expected",
    [
        ("0.9", False),
        ("1.0", True),
        ("1.0.0", True),  # the same as 1.0
        ("1.9.9", True),
        ("2.0", False),
        ("2.0rc1", True),  # before the fix
        ("2.0.post1", False),
        ("2.0.dev3", True),
        ("1.0rc1", False),  # before what introduced it
        ("1.5+corp.3", True),  # a local build is judged as its release
        ("1!0.1", False),  # an epoch is after everything without one
    ],
)
def test_a_range_is_from_what_introduced_it_to_before_its_fix(version: str, expected: bool) -> None:
    assert is_affected(version, {"introduced": "1.0"}, {"fixed": "2.0"}) is expected


def test_the_last_affected_version_is_affected_and_the_next_is_not() -> None:
    events = (FROM_THE_FIRST, {"last_affected": "1.4"})
    assert [is_affected(version, *events) for version in ("1.4", "1.4+local", "1.4.1", "1.4.post1")] == [
        True,
        True,
        False,
        False,
    ]


def test_zero_is_before_every_version_and_events_come_in_any_order() -> None:
    assert is_affected("0.dev1", {"fixed": "1"}, FROM_THE_FIRST) is True
    ranges = ({"fixed": "2.3.2"}, {"introduced": "2.3.0"}, {"fixed": "2.2.5"}, FROM_THE_FIRST)
    assert [is_affected(each, *ranges) for each in ("2.2.4", "2.2.5", "2.3.0", "2.3.1", "2.3.2")] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_version_where_one_fix_ends_and_the_next_fault_begins_is_affected() -> None:
    assert is_affected("2.0", FROM_THE_FIRST, {"fixed": "2.0"}, {"introduced": "2.0"}) is True


def test_a_limit_ends_what_was_introduced() -> None:
    assert is_affected("2.5", FROM_THE_FIRST, {"limit": "2.0"}) is False
    assert is_affected("1.5", FROM_THE_FIRST, {"limit": "2.0"}) is True
    assert is_affected("9", FROM_THE_FIRST, {"limit": "*"}) is True


def test_listed_versions_are_compared_as_versions() -> None:
    assert is_affected("1.0", versions=["1.0.0"]) is True
    assert is_affected("1.0+corp", versions=["1.0"]) is True
    assert is_affected("1.1", versions=["1.0.0", "not a version"]) is False


def test_a_fix_that_is_no_version_leaves_it_open_and_never_says_not_affected() -> None:
    assert is_affected("1.0", FROM_THE_FIRST, {"fixed": "deadbeef"}) is None
    assert is_affected("1.0", ranges=[{"type": "GIT", "events": [{"introduced": "0"}]}]) is None


def test_the_fixes_told_are_later_than_the_version_that_is_there() -> None:
    record = read_record(KNOWN[2], "here")
    version = version_of("2.3.1")
    assert version is not None
    assert fixes(record.entries[0], version) == ["2.3.2"]


# An environment -----------------------------------------------------------------------------------------------------


def test_a_vulnerable_environment_is_told_of_with_ids_and_fixes(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    told = run("--path", site, "--advisories", written(tmp_path, *KNOWN))
    assert told.exit_code == 1
    assert "error RMP-811: an installed package has a known advisory" in told.output
    for line in (
        "flask 0.12, fixed in 0.12.3; PYSEC-2018-66, CVE-2018-1000656, GHSA-562c-5r94-xh97: Large amount of memory",
        "flask 0.12, fixed in 1.0; PYSEC-2019-179, CVE-2019-1010083, GHSA-5wv5-4vpf-pj6m",
        "flask 0.12, fixed in 2.2.5, 2.3.2; GHSA-m2qf-hxjv-5gpq, CVE-2023-30861, PYSEC-2023-62",
        "requests 2.19.0, fixed in 2.20.0; GHSA-x84v-xcm2-53pg, CVE-2018-18074",
        "requests 2.19.0, fixed in 2.31.0; GHSA-j8r2-6x86-q33q, CVE-2023-32681",
    ):
        assert line in told.output
    assert "werkzeug" not in told.output
    assert "3 packages compared with" in told.output and "(5 advisories)." in told.output
    assert "5 errors, 0 warnings, 0 notes." in told.output


def test_what_has_no_advisory_is_told_to_have_none_and_how_many_were_looked_at(tmp_path: Path) -> None:
    install(tmp_path / "site", "Werkzeug", "3.1.6")
    told = run("--path", tmp_path / "site", "--advisories", written(tmp_path, *KNOWN))
    assert told.exit_code == 0, told.output
    assert "1 package compared with" in told.output


def test_a_name_is_the_same_in_every_spelling(tmp_path: Path) -> None:
    install(tmp_path / "site", "My.Own_Package", "1.0")
    path = written(tmp_path, advisory("X-1", "my-own--package", FROM_THE_FIRST))
    assert run("--path", tmp_path / "site", "--advisories", path).exit_code == 1


def test_what_was_withdrawn_counts_for_nothing(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    path = written(tmp_path, {**KNOWN[0], "withdrawn": "2026-01-01T00:00:00Z"})
    assert run("--path", site, "--advisories", path).exit_code == 0


def test_an_advisory_of_another_ecosystem_is_about_another_package(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    other = advisory("X-1", "flask", FROM_THE_FIRST)
    other["affected"][0]["package"]["ecosystem"] = "npm"
    path = written(tmp_path, other, advisory("X-2", "something", FROM_THE_FIRST))
    told = run("--path", site, "--advisories", path)
    assert "RMP-811" not in told.output and "3 packages compared" in told.output


def test_aliases_of_one_fault_are_told_of_once(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    again = advisory("GHSA-562c-5r94-xh97", "flask", FROM_THE_FIRST, {"fixed": "0.12.3"}, aliases=["CVE-2018-1000656"])
    told = run("--path", site, "--advisories", written(tmp_path, again, KNOWN[0]), "--json")
    (finding,) = json.loads(told.output)["findings"]
    assert "PYSEC-2018-66, CVE-2018-1000656, GHSA-562c-5r94-xh97" in finding["message"]


def test_what_cannot_be_judged_is_told_and_never_taken_for_well(tmp_path: Path) -> None:
    install(tmp_path / "site", "shop", "1.0-is-no-version")
    install(tmp_path / "site", "till", "1.0")
    path = written(tmp_path, advisory("X-1", "till", FROM_THE_FIRST, {"fixed": "someday"}))
    told = run("--path", tmp_path / "site", "--advisories", path)
    assert told.exit_code == 1
    assert "warning RMP-812: it is not known whether a package is affected" in told.output
    assert "shop 1.0-is-no-version: its version, '1.0-is-no-version', is none by PEP 440." in told.output
    assert "till 1.0: X-1 names it, and no version that can be compared." in told.output


def test_an_advisory_may_be_ignored_by_its_package(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    path = written(tmp_path, *KNOWN)
    told = run("--path", site, "--advisories", path, "--ignore", "RMP-811:flask")
    assert told.exit_code == 1 and "2 errors, 0 warnings, 0 notes; 3 ignored." in told.output
    assert run("--path", site, "--advisories", path, "--ignore", "RMP-811").exit_code == 0


def test_old_advisories_are_told_to_be_old(tmp_path: Path) -> None:
    packages = installed([str(vulnerable(tmp_path / "site"))])
    old = {**KNOWN[0], "modified": "2026-01-01T00:00:00.123456Z"}
    outcome = audit(packages, written(tmp_path, old), now=NOW)
    assert outcome.age is not None and 320 < outcome.age / 86400 < 340
    told = run("--path", tmp_path / "site", "--advisories", written(tmp_path, old))
    assert "warning RMP-813: the advisories are old" in told.output


def test_one_record_of_the_future_makes_no_file_new(tmp_path: Path) -> None:
    packages = installed([str(vulnerable(tmp_path / "site"))])
    old = [{**record, "modified": "2020-01-01T00:00:00Z"} for record in KNOWN]
    path = written(tmp_path, *old, {**advisory("X-1", "other", FROM_THE_FIRST), "modified": "9999-01-01T00:00:00Z"})
    outcome = audit(packages, path, now=NOW)
    assert (outcome.age, outcome.ahead) == (None, "X-1 (9999-01-01)")
    told = run("--path", tmp_path / "site", "--advisories", path)
    assert "RMP-813" in told.output and "X-1 (9999-01-01)" in told.output and "dated in the future" in told.output
    # Clocks of two machines differ, and days begin earlier elsewhere.
    today = {**KNOWN[0], "modified": "2026-11-30T23:59:59Z"}
    assert audit(packages, written(tmp_path, today), now=NOW).age == 0.0


# Files that are none ------------------------------------------------------------------------------------------------


def test_a_folder_a_zip_a_list_an_answer_and_a_single_record_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for record in KNOWN:
        (folder / f"{record['id']}.json").write_text(json.dumps(record))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for record in KNOWN:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    (tmp_path / "answer.json").write_text(json.dumps({"vulns": KNOWN}))
    (tmp_path / "one.json").write_text(json.dumps(KNOWN[0]))
    wanted = sorted(record["id"] for record in KNOWN)
    for path in (folder, tmp_path / "all.zip", tmp_path / "answer.json", written(tmp_path, *KNOWN)):
        assert sorted(advisory.id for advisory in advisories_in(path)) == wanted
    assert [advisory.id for advisory in advisories_in(tmp_path / "one.json")] == ["PYSEC-2018-66"]


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "not JSON, or cut off"),
        (json.dumps(KNOWN)[:-30], "not JSON, or cut off"),
        ("<html><body>Please log in</body></html>", "HTML"),
        ("[]", "no advisory about a package of Python"),
        ("{}", "is no advisory in OSV's format"),
        ('{"vulns": []}', "no advisory about a package of Python"),
        (json.dumps({"vulns": KNOWN, "next_page_token": "x"}), "one page of an answer that has more"),
        ('[{"id": "X-1", "affected": {}}]', "'affected' of X-1 is no list"),
        ('[{"id": "X-1", "affected": [7]}]', "is no object"),
        ('[{"id": "\\u001b[2J"}]', "is no advisory in OSV's format"),
        (json.dumps([advisory("X-1", "flask", entry={"ranges": "all"})]), "where OSV's format has a list"),
        (json.dumps([advisory("X-1", "flask", entry={"ranges": [{"type": "ECOSYSTEM"}]})]), "has no events"),
        ("[" * 100_000, "not JSON, or cut off"),
    ],
)
def test_a_file_that_is_no_advisories_is_an_error_and_no_green(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "advisories.json"
    path.write_text(text)
    told = run("--path", vulnerable(tmp_path / "site"), "--advisories", path)
    assert told.exit_code == 2
    assert told.stderr.startswith("Not checked: ") and why in told.stderr
    assert "error" not in told.stdout and "compared" not in told.stdout


def test_an_empty_folder_and_a_broken_zip_are_errors(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(SourceFailed, match="no advisory about a package of Python: 0 records"):
        advisories_in(folder)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("one.json", json.dumps(KNOWN[0]))
    whole = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole.replace(b"PYSEC-2018-66", b"PYSEC-2018-67", 1))
    with pytest.raises(SourceFailed, match="broken"):
        advisories_in(tmp_path / "all.zip")


def test_a_pipe_of_advisories_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "advisories.json")
    install(tmp_path / "site", "flask", "0.12")
    told = run("--advisories", tmp_path / "advisories.json", "--path", tmp_path / "site")
    assert told.exit_code == 2 and "is a pipe or a device" in told.stderr


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A zip bomb: CWE-409.
    monkeypatch.setattr("flask_rampart.dependencies.files.MOST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.json", " " * 100_000)
    with pytest.raises(SourceFailed, match="unpacks to more"):
        advisories_in(tmp_path / "all.zip")


# Packages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first, second", [("3.1.3", "0.12"), ("0.12", "3.1.3")])
def test_of_two_packages_with_one_name_each_is_judged(tmp_path: Path, first: str, second: str) -> None:
    install(tmp_path / "first", "flask", first)
    install(tmp_path / "second", "Flask", second)
    found = installed([str(tmp_path / "first"), str(tmp_path / "second")])
    assert [(each.name, each.version) for each in found] == [("flask", "0.12"), ("flask", "3.1.3")]
    paths = ("--path", tmp_path / "first", "--path", tmp_path / "second")
    told = run(*paths, "--advisories", written(tmp_path, *KNOWN))
    assert told.exit_code == 1 and "flask 0.12, fixed in" in told.output and "flask 3.1.3," not in told.output


@pytest.mark.parametrize(
    "events",
    [
        [{"fixed": "2.0"}],
        [{"introduced": 0}, {"fixed": "2.0"}],
        [{"introduced": "0"}, {"ended": "1.0"}],
    ],
)
def test_a_range_that_is_malformed_leaves_it_open(events: list[dict[str, Any]]) -> None:
    assert is_affected("1.0", ranges=[{"type": "ECOSYSTEM", "events": events}]) is None
    assert is_affected("1.0", ranges=[{"type": "ANOTHER", "events": [{"introduced": "0"}]}]) is None


def test_the_first_version_that_is_affected_may_be_the_last() -> None:
    events = ({"introduced": "1.0"}, {"last_affected": "1.0"})
    assert [is_affected(version, *events) for version in ("0.9", "1.0", "1.1")] == [False, True, False]


def test_of_two_records_with_one_id_the_newer_counts(tmp_path: Path) -> None:
    site = vulnerable(tmp_path / "site")
    withdrawn = [
        {**record, "withdrawn": "2019-01-01T00:00:00Z", "modified": "2019-01-01T00:00:00Z"} for record in KNOWN
    ]
    for records in ([*KNOWN, *withdrawn], [*withdrawn, *KNOWN]):
        assert run("--path", site, "--advisories", written(tmp_path, *records)).exit_code == 1


def test_records_that_are_not_all_or_say_no_date_are_told(tmp_path: Path) -> None:
    install(tmp_path / "site", "own", "1.0")
    told = run("--path", tmp_path / "site", "--advisories", written(tmp_path, KNOWN[3]))
    assert told.exit_code == 1 and "has no advisory of flask 0.12.2" in told.output
    undated = [{**record, "modified": "lately"} for record in KNOWN]
    told = run("--path", tmp_path / "site", "--advisories", written(tmp_path, *undated))
    assert told.exit_code == 1 and "RMP-813" in told.output


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    path = written(tmp_path, *KNOWN)
    assert run("--advisories", path, "--source", "https://osv.example").exit_code == 2


def test_metadata_that_names_no_package_is_an_error(tmp_path: Path) -> None:
    folder = install(tmp_path, "flask", "0.12")
    (folder / "METADATA").write_text("Metadata-Version: 2.4\n")
    with pytest.raises(CannotCheck, match=r"flask-0.12.dist-info names no package"):
        installed([str(tmp_path)])


def test_no_packages_at_all_is_an_error(tmp_path: Path) -> None:
    told = run("--path", tmp_path, "--advisories", written(tmp_path, *KNOWN))
    assert told.exit_code == 2 and "no installed package was found" in told.stderr
    assert run("--path", tmp_path / "nowhere", "--advisories", written(tmp_path, *KNOWN)).exit_code == 2


# Ages ---------------------------------------------------------------------------------------------------------------


def test_a_python_has_ended_the_day_after_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = ages.PYTHON_ENDS[(3, 12)]
    assert ages.python_ended((3, 12), ends) is None
    assert ages.python_ended((3, 12), ends.replace(month=11, day=1)) == ends
    assert ages.python_ended((2, 7), ages.AS_OF) == ages.PYTHON_ENDS[min(ages.PYTHON_ENDS)]
    assert ages.python_ended((4, 0), ages.AS_OF) is None


def test_the_tables_know_how_old_they_are() -> None:
    assert not ages.is_stale(ages.AS_OF)
    assert ages.is_stale(ages.AS_OF.replace(year=ages.AS_OF.year + 1))


def test_a_package_below_its_least_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "version", {"gunicorn": "22.0.0", "flask": "2.3.3"}.__getitem__)
    monkeypatch.setattr(ages, "PackageNotFoundError", KeyError)
    assert [(old.name, old.least) for old in ages.outdated()] == [("flask", "3.1.3"), ("gunicorn", "23.0.0")]
    assert [(old.name, old.least) for old in ages.unsupported()] == [("flask", "3.1")]


def test_what_is_too_old_is_told_of_this_pythons_own_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "version", {"gunicorn": "22.0.0"}.__getitem__)
    monkeypatch.setattr(ages, "PackageNotFoundError", KeyError)
    monkeypatch.setattr(import_module("flask_rampart.cli.check"), "installed", lambda path: [])
    told = run("--advisories", written(tmp_path, *KNOWN))
    assert told.exit_code == 1
    assert "    gunicorn 22.0.0 has CVE-2024-6827: 23.0.0 is the least version.\n" in told.output
    # What is in a folder may be another Python's.
    assert "RMP-801" not in run("--path", tmp_path, "--advisories", written(tmp_path, *KNOWN)).output


def test_every_least_version_is_one() -> None:
    for name, (least, id) in ages.LEAST.items():
        assert version_of(least) is not None and name == name.lower() and id.startswith("CVE-")


def test_a_package_is_told_apart_by_its_normalised_name(tmp_path: Path) -> None:
    install(tmp_path, "Flask_SQLAlchemy", "3.1.1")
    (found,) = installed([str(tmp_path)])
    assert isinstance(found, Package) and (found.name, found.written) == ("flask-sqlalchemy", "Flask_SQLAlchemy")
