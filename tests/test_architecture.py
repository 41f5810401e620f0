"""The arrows of the house: who may import whom, read from the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "flask_rampart"

# Lower floors first. A module imports from floors below its own; rooms never import each other.
FLOORS: list[set[str]] = [
    {"_native"},
    {"addresses", "errors", "locks", "regular", "sse", "waiting", "weburl"},
    {"hostnames"},
    {"dialing", "readers", "signals"},
    {"sinks"},
    {"setting_types"},
    {"config", "exchange", "refusals"},
    {"assigning", "bound", "inputs", "layers", "stages", "stores", "tables"},
    {"view_classes"},
    {"hidden"},
    {"declarations"},
    {"checks", "opening", "options", "uninitialised"},
    {"answering", "guards"},
    {"clearing", "uploads"},
    {
        "access",
        "anonymize",
        "apikeys",
        "audit",
        "codings",
        "cookies",
        "delegation",
        "dependencies",
        "headers",
        "hygiene",
        "issuers",
        "limits",
        "metrics",
        "monitor",
        "network",
        "origins",
        "outbound",
        "redaction",
        "reports",
        "resource_metadata",
        "sanitize",
        "tokens",
        "validation",
        "vault",
    },
    {"ai", "check", "closed", "contract", "coverage", "edge", "monitored", "neighbours", "openapi"},
    {"assembling"},
    {"extension"},
    {"dashboard"},
    {"compat", "testing"},
    {"migrate"},
    {"cli"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The modules of ours that a module needs to run; what only types need may point anywhere."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in typing_only:
            depth = len(path.relative_to(PACKAGE).parts)
            if node.level == depth:
                name = (node.module or "").split(".")[0]
                found |= {name} if name else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} has no floor: give it one"
    for name in imported(path):
        assert FLOOR[name] < FLOOR[room], f"{room} imports {name}"


def test_every_floor_exists() -> None:
    rooms = {room_of(path) for path in modules()} | {"_native"}
    assert rooms == set(FLOOR)


def test_the_core_keeps_pyo3_and_unsafe_in_their_places() -> None:
    for path in sorted((ROOT / "src").rglob("*.rs")):
        text = path.read_text()
        code = re.sub(r"//.*", "", text)
        place = path.relative_to(ROOT / "src")
        if place.parts[0] != "bindings":
            assert "pyo3" not in code, place
        if re.search(r"\bunsafe\s*(\{|fn|impl)", code):
            assert place.parts == ("shared", "file.rs"), f"{place} has unsafe code"
            assert len(re.findall(r"\bunsafe\s*(?:\{|impl)", code)) <= text.count("SAFETY:"), place


def test_rust_rooms_do_not_import_rooms() -> None:
    rooms = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()} - {"bindings", "crypto", "shared"}
    for room in rooms:
        for path in (ROOT / "src" / room).rglob("*.rs"):
            for other in re.findall(r"\bcrate::(\w+)", re.sub(r"//.*", "", path.read_text())):
                assert other == room or other not in rooms, f"{path.name} imports {other}"


def test_faces_do_not_import_what_they_stand_in_for() -> None:
    for path in (PACKAGE / "compat").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                assert not name.startswith("flask_") or name.startswith("flask_rampart"), f"{path} imports {name}"


def test_one_name_through_the_whole_house() -> None:
    for room in (
        "anonymize",
        "apikeys",
        "audit",
        "codings",
        "cookies",
        "headers",
        "limits",
        "metrics",
        "monitor",
        "origins",
        "redaction",
        "sanitize",
        "tokens",
        "uploads",
        "validation",
        "vault",
    ):
        for place in (
            f"src/{room}/mod.rs",
            f"src/bindings/{room}.rs",
            f"python/flask_rampart/{room}.py",
            f"tests/test_{room}.py",
        ):
            # A room that is a package has its name as folder.
            assert (ROOT / place).exists() or (ROOT / place).with_suffix("").is_dir(), place


def test_the_lock_of_the_fuzz_targets_knows_what_the_core_is_built_of() -> None:
    table = (ROOT / "Cargo.toml").read_text().partition("\n[dependencies]\n")[2].partition("\n[")[0]
    named = set(re.findall(r"^([\w-]+) = (?!.*optional = true)", table, re.MULTILINE))
    locks = {
        folder: dict(re.findall(r'name = "([\w-]+)"\nversion = "([^"]+)"', (ROOT / folder / "Cargo.lock").read_text()))
        for folder in (".", "fuzz")
    }
    own = (
        (ROOT / "fuzz" / "Cargo.lock").read_text().partition('name = "flask-rampart"\n')[2].partition("[[package]]")[0]
    )
    assert set(re.findall(r'^ "([\w-]+)(?: .*)?",$', own, re.MULTILINE)) == named
    # What is fuzzed is what is shipped.
    assert {name: locks["fuzz"][name] for name in named} == {name: locks["."][name] for name in named}


def test_sources_are_ascii_but_for_strings_that_need_more() -> None:
    # Trojan Source, CVE-2021-42574: code that reads otherwise than it runs.
    bidi = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
    for folder in ("src", "python", "examples", "benches"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".pyi", ".rs"}:
                assert not bidi.search(path.read_text()), path
