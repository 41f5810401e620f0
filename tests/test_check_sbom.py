"""``flask rampart sbom``: the packages, what depends on what, and what is compiled into them, as CycloneDX 1.6."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from flask_rampart.cli import commands
from flask_rampart.dependencies import CannotCheck, bill_of_materials, installed
from flask_rampart.dependencies.sbom import has_inside

from .advising import install

CRATES = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": {"type": "library", "name": "own", "version": "1.0", "bom-ref": "path+own"}},
    "components": [
        {
            "type": "library",
            "bom-ref": "registry+ring",
            "name": "ring",
            "version": "0.17.14",
            "purl": "pkg:cargo/ring@0.17.14",
            "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
            "licenses": [{"expression": "Apache-2.0 AND ISC"}],
            "externalReferences": [{"type": "website", "url": "https://ring.example"}],
        },
        {"type": "library", "bom-ref": "registry+cfg", "name": "cfg-if", "version": "1.0.4"},
    ],
    "dependencies": [
        {"ref": "path+own", "dependsOn": ["registry+ring"]},
        {"ref": "registry+ring", "dependsOn": ["registry+cfg"]},
    ],
}


def run(*words: object) -> Result:
    return CliRunner().invoke(commands, ["sbom", *map(str, words)])


def made(site: Path, **more: Any) -> dict[str, Any]:
    return bill_of_materials(installed([str(site)]), name="shop", time=0, **more)


def named(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (component for component in document["components"] if component["name"] == name)
    return found


def edges(document: dict[str, Any]) -> dict[str, list[str]]:
    return {each["ref"]: each["dependsOn"] for each in document["dependencies"]}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    install(
        site,
        "Flask",
        "3.1.3",
        "Summary: A framework.",
        "License-Expression: BSD-3-Clause",
        "Requires-Dist: werkzeug>=3.1",
        'Requires-Dist: importlib-metadata>=3.6; python_version < "3.0"',
        'Requires-Dist: asgiref>=3.2; extra == "async"',
    )
    install(site, "Werkzeug", "3.1.6", "Classifier: License :: OSI Approved :: BSD License")
    install(site, "importlib_metadata", "8.0", "License: Apache\n        and much more text")
    install(site, "asgiref", "3.8")
    install(
        site,
        "own",
        "1.0+build.7",
        "Requires-Dist: Flask[async]>=3",
        files={
            "DIST-INFO/sboms/own.cyclonedx.json": json.dumps(CRATES),
            "own/__init__.py": "x = 1\n",
        },
    )
    return site


def test_each_package_is_a_component_with_its_address_and_licence(site: Path) -> None:
    document = made(site)
    assert [each["purl"] for each in document["components"]] == [
        "pkg:pypi/asgiref@3.8",
        "pkg:pypi/flask@3.1.3",
        "pkg:pypi/importlib-metadata@8.0",
        "pkg:pypi/own@1.0%2Bbuild.7",
        "pkg:pypi/werkzeug@3.1.6",
    ]
    flask = named(document, "Flask")
    assert flask["description"] == "A framework." and flask["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert named(document, "Werkzeug")["licenses"] == [{"license": {"name": "BSD License"}}]
    assert named(document, "importlib_metadata")["licenses"] == [{"license": {"name": "Apache"}}]
    assert "licenses" not in named(document, "asgiref")


def test_the_graph_knows_markers_and_the_extras_that_somebody_asks_for(site: Path) -> None:
    found = edges(made(site))
    assert found["pkg:pypi/flask@3.1.3"] == ["pkg:pypi/asgiref@3.8", "pkg:pypi/werkzeug@3.1.6"]
    # importlib-metadata is installed, and nothing needs it on this Python.
    assert found["application"] == ["pkg:pypi/importlib-metadata@8.0", "pkg:pypi/own@1.0%2Bbuild.7"]


def test_an_extra_that_nobody_asks_for_is_no_dependency(tmp_path: Path) -> None:
    install(tmp_path, "flask", "3.1.3", 'Requires-Dist: asgiref; extra == "async"')
    install(tmp_path, "asgiref", "3.8")
    assert edges(made(tmp_path))["pkg:pypi/flask@3.1.3"] == []


def test_what_is_compiled_into_a_package_is_in_it(site: Path) -> None:
    # PEP 770: maturin and auditwheel put such lists into wheels.
    document = made(site)
    ring, cfg = named(document, "own")["components"]
    assert ring == {
        "bom-ref": "pkg:pypi/own@1.0%2Bbuild.7#registry+ring",
        "type": "library",
        "name": "ring",
        "version": "0.17.14",
        "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
        "licenses": [{"expression": "Apache-2.0 AND ISC"}],
        "purl": "pkg:cargo/ring@0.17.14",
    }
    found = edges(document)
    assert found["pkg:pypi/own@1.0%2Bbuild.7"] == ["pkg:pypi/flask@3.1.3", ring["bom-ref"]]
    assert found[ring["bom-ref"]] == [cfg["bom-ref"]]


def test_every_reference_is_made_once_and_leads_somewhere(site: Path) -> None:
    document = made(site, files=True)
    refs = [document["metadata"]["component"]["bom-ref"]]
    for component in document["components"]:
        refs += [component["bom-ref"], *(each["bom-ref"] for each in component.get("components", ()))]
    assert len(refs) == len(set(refs))
    listed = [each["ref"] for each in document["dependencies"]]
    assert len(listed) == len(set(listed))
    assert {each for link in document["dependencies"] for each in (link["ref"], *link["dependsOn"])} <= set(refs)


def test_cyclonedxs_own_validator_lets_it_through(site: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    document = made(site, files=True, version="7")
    assert validator.validate_str(json.dumps(document)) is None
    document["components"][0]["licenses"] = ["MIT"]
    assert validator.validate_str(json.dumps(document)) is not None
    # Some of what is installed here, with whatever metadata it has.
    some = [package for package in installed() if not has_inside(package)][:30]
    assert validator.validate_str(json.dumps(bill_of_materials(some, name="tests", time=0))) is None


def test_files_have_the_hashes_of_the_record(site: Path) -> None:
    files = {
        each["name"]: each for each in named(made(site, files=True), "own")["components"] if each["type"] == "file"
    }
    assert files["own/__init__.py"]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"x = 1\n").hexdigest()}]
    assert "hashes" not in files["own-1.0+build.7.dist-info/RECORD"]


def test_the_archive_that_it_came_from_is_named_by_its_hash(tmp_path: Path) -> None:
    url = {"url": "https://example.com/shop-1.0.whl", "archive_info": {"hashes": {"sha256": "AB" * 32, "crc": "1"}}}
    install(tmp_path, "shop", "1.0", files={"DIST-INFO/direct_url.json": json.dumps(url)})
    install(tmp_path, "till", "1.0", files={"DIST-INFO/direct_url.json": '{"archive_info": {"hash": "broken'})
    document = made(tmp_path)
    assert named(document, "shop")["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert "hashes" not in named(document, "till")


@pytest.mark.parametrize(
    "direct, references, place",
    [
        (
            {
                "url": "https://user:word@git.example/shop.git?token=word",
                "vcs_info": {"vcs": "git", "commit_id": "0a1b2c"},
            },
            [{"type": "vcs", "url": "git+https://git.example/shop.git@0a1b2c"}],
            "repository",
        ),
        ({"url": "file:///home/someone/shop", "dir_info": {"editable": True}}, None, "editable folder"),
        ({"url": "file:///home/someone/shop", "dir_info": {}}, None, "folder"),
        (
            {"url": "https://example.com/a b/shop-1.0.whl#sha256=1", "archive_info": {}},
            [{"type": "distribution", "url": "https://example.com/a%20b/shop-1.0.whl"}],
            None,
        ),
        # Where a password ends that has such a letter, nobody can say.
        *(
            ({"url": f"https://user:{password}@git.example/shop", "archive_info": {}}, None, None)
            for password in (
                "wo/word",
                "/word",
                "?word",
                "w?/word",
                "#word",
                "w@x/word",
                "w@8/word",
                "9/word",
                "\\\\word",
            )
        ),
        ({"url": "https://token/word@git.example/shop", "archive_info": {}}, None, None),
        ({"url": "https://user:word/shop", "archive_info": {}}, None, None),
        (
            {"url": "https://user:w@rd@git.example:8443/shop[1]?of=word", "archive_info": {}},
            [{"type": "distribution", "url": "https://git.example:8443/shop%5B1%5D"}],
            None,
        ),
        ({"url": "https://[2001:db8::1]/shop", "archive_info": {}}, None, None),
        ({"url": 7, "vcs_info": []}, None, "folder"),
        ([], None, None),
    ],
)
def test_what_came_from_a_repository_a_folder_or_an_address_says_so(
    tmp_path: Path, direct: Any, references: Any, place: str | None
) -> None:
    install(tmp_path, "shop", "1.0", files={"DIST-INFO/direct_url.json": json.dumps(direct)})
    document = made(tmp_path)
    shop = named(document, "shop")
    assert shop.get("externalReferences") == references
    assert [each["value"] for each in shop.get("properties", [])] == ([place] if place else [])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert "word" not in json.dumps(document) and "someone" not in json.dumps(document)


@pytest.mark.parametrize(
    "lines, licences",
    [
        (["License-Expression: mit OR apache-2.0"], [{"expression": "MIT OR Apache-2.0"}]),
        (["License-Expression: do what you like"], [{"license": {"name": "do what you like"}}]),
        (["License: mit", "Classifier: License :: OSI Approved :: MIT License"], [{"expression": "MIT"}]),
        (["License: BSD", "Classifier: License :: OSI Approved"], [{"license": {"name": "BSD"}}]),
        (["License: UNKNOWN"], None),
        ([], None),
    ],
)
def test_a_licence_is_an_expression_where_it_is_one_and_a_name_otherwise(
    tmp_path: Path, lines: list[str], licences: Any
) -> None:
    install(tmp_path, "shop", "1.0", *lines)
    document = made(tmp_path)
    assert named(document, "shop").get("licenses") == licences
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_what_lies_twice_on_the_path_is_one_and_every_address_is_encoded(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        install(tmp_path / folder, "Some.Shop_Parts", "1!2.0+local.1")
    document = bill_of_materials(installed([str(tmp_path / "one"), str(tmp_path / "two")]), name="shop", time=0)
    assert [each["purl"] for each in document["components"]] == ["pkg:pypi/some-shop-parts@1%212.0%2Blocal.1"]


def test_the_same_packages_give_the_same_document(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    words = ("--path", site, "--name", "shop", "--app-version", "7")
    first, second = run(*words), run(*words)
    assert first.output == second.output
    document = json.loads(first.stdout)
    assert document["metadata"]["timestamp"] == "2026-11-30T00:53:20Z"
    assert document["metadata"]["component"]["version"] == "7"
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", document["serialNumber"]
    )
    install(site, "one-more", "1.0")
    assert json.loads(run(*words).stdout)["serialNumber"] != document["serialNumber"]


def test_it_is_written_to_a_file_and_what_is_in_it_is_told(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "bom.json"
    told = run("--path", site, "-o", out)
    assert (told.exit_code, told.output) == (0, f"{out}: 5 packages, 2 components inside them\n")
    document = json.loads(out.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_our_own_crates_are_missed_where_the_installation_has_no_list_of_them(tmp_path: Path) -> None:
    install(tmp_path, "flask-rampart", "0.1.0")
    told = run("--path", tmp_path)
    assert told.exit_code == 0 and told.stderr.startswith("The crates inside flask-rampart are not listed")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bomFormat": "CycloneDX", "components": [7]}'])
def test_a_list_of_parts_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    install(tmp_path, "own", "1.0", files={"DIST-INFO/sboms/own.json": text})
    told = run("--path", tmp_path)
    assert told.exit_code == 2 and told.stdout == ""
    assert told.stderr.startswith("Not written: own: own.json, which lists its parts, cannot be read")


def test_a_requirement_that_is_none_is_an_error(tmp_path: Path) -> None:
    install(tmp_path, "own", "1.0", "Requires-Dist: ???")
    with pytest.raises(CannotCheck, match="own has a requirement that is none"):
        made(tmp_path)


def test_a_list_in_another_format_has_no_place_here(tmp_path: Path) -> None:
    install(tmp_path, "own", "1.0", files={"DIST-INFO/sboms/own.spdx.json": '{"spdxVersion": "SPDX-2.3"}'})
    assert "components" not in named(made(tmp_path), "own")
