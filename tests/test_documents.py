"""Documents run: the README's code, every docstring's example, and the stubs against the built module."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import flask_rampart
from flask_rampart import _native, tables

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "flask_rampart"
MODULES = ["flask_rampart", *(m.name for m in pkgutil.walk_packages(flask_rampart.__path__, "flask_rampart."))]


def test_the_readmes_code_runs_as_one_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "private_directory", lambda: str(tmp_path / "counters"))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) >= 2
    exec(compile("\n".join(blocks), "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # An example that checks its app would read all of this project.
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_examples_in_the_native_docstrings_run() -> None:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    names = {name: getattr(_native, name) for name in dir(_native)}
    ran = 0
    for name, item in names.items():
        texts = [(name, item.__doc__)]
        if inspect.isclass(item):
            texts += [(f"{name}.{key}", getattr(value, "__doc__", None)) for key, value in vars(item).items()]
        for label, text in texts:
            if text and ">>>" in text and not label.endswith("__doc__"):
                test = parser.get_doctest(text, dict(names), label, None, 0)
                runner.run(test)
                ran += len(test.examples)
    assert ran > 5
    assert runner.failures == 0


def stub_names() -> dict[str, set[str]]:
    """What the stub says: names of the module, and the members of each class."""
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            members = {n.name for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
            members |= {
                n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
            }
            found[node.name] = members
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = set()
    return found


def test_the_stub_names_what_the_built_module_has_and_nothing_else() -> None:
    stub = stub_names()
    public = {name for name in dir(_native) if not name.startswith("__")}
    assert set(stub) == public
    for name, members in stub.items():
        item = getattr(_native, name)
        if inspect.isclass(item):
            built = {key for key in vars(item) if not key.startswith("__")}
            written = {member for member in members if not member.startswith("__")}
            # What an exception carries may be set on each instance.
            assert built <= written if issubclass(item, Exception) else built == written, name


def test_signatures_of_the_stub_are_those_of_the_built_module() -> None:
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    checked = 0
    for node in tree.body:
        functions = node.body if isinstance(node, ast.ClassDef) else [node]
        for function in functions:
            if not isinstance(function, ast.FunctionDef) or any(
                getattr(d, "id", "") == "property" for d in function.decorator_list
            ):
                continue
            holder: Any = getattr(_native, node.name) if isinstance(node, ast.ClassDef) else _native
            item = holder if function.name in ("__new__", "__init__") else getattr(holder, function.name, None)
            if function.name == "__call__":
                continue  # a slot, which has no signature
            try:
                signature = inspect.signature(item)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                continue
            built = [p for p in signature.parameters if p not in ("self", "cls")]
            written = [a.arg for a in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]]
            if not function.args.vararg:
                assert [w for w in written if w not in ("self", "cls")] == built, f"{node}.{function.name}"
                checked += 1
    assert checked > 10
