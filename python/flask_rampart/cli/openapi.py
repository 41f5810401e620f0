"""``flask rampart openapi``: the document in a file, and whether the file still says what the app does."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..errors import ConfigError
from ..exchange import EXTENSION
from ..openapi import OpenApi
from .telling import only_looks

_MOST = 50


@click.command("openapi", help="Print the app's OpenAPI document, or check that a file has it.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("json", "yaml")),
    help="Not given: by the file's name, else JSON. yaml needs PyYAML.",
)
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Exit with 1 if this file has another document, and say where they differ.",
)
@only_looks
@with_appcontext
def openapi(output: Path | None, kind: str | None, check: Path | None) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state = app.extensions.get(EXTENSION)
    if state is None:
        raise click.ClickException("this app has no Rampart(app)")
    if output is not None and check is not None:
        raise click.UsageError("--output writes a file and --check reads one: one of both.")
    try:
        state.seal()
        service: OpenApi = state.services[OpenApi]
        document = service.document()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if check is not None:
        _check(document, check, kind)
        return
    text = _written(document, kind or _kind_of(output))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    click.echo(f"{output} is written.", err=True)


def _check(document: Any, file: Path, kind: str | None) -> None:
    try:
        found = _read(file.read_text(encoding="utf-8"), kind or _kind_of(file))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}") from None
    differences = list(_differences(found, document, ""))
    if not differences:
        click.echo(f"{file} is what the app declares.")
        return
    for line in differences[:_MOST]:
        click.echo(line)
    if len(differences) > _MOST:
        click.echo(f"... and {len(differences) - _MOST} more")
    click.echo(f"{file} differs from what the app declares; write it anew with -o {file}", err=True)
    raise SystemExit(1)


def _differences(old: Any, new: Any, pointer: str) -> Iterator[str]:
    """What is in *new* (``+``), in *old* alone (``-``), or another (``~``), each by its pointer (RFC 6901)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            place = f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
            if name not in new:
                yield f"- {place}"
            elif name not in old:
                yield f"+ {place}"
            else:
                yield from _differences(old[name], new[name], place)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{pointer}/{at}")
    elif type(old) is not type(new) or old != new:
        yield f"~ {pointer}: {_short(old)} is {_short(new)} now"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind_of(file: Path | None) -> str:
    return "yaml" if file is not None and file.suffix.lower() in (".yaml", ".yml") else "json"


def _written(document: Any, kind: str) -> str:
    if kind == "yaml":
        text: str = _yaml().safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
        return text
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _read(text: str, kind: str) -> Any:
    """
    :raises ValueError: if it is not of its kind.
    """
    if kind == "json":
        return json.loads(text)
    yaml = _yaml()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _yaml() -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError:
        raise click.ClickException("YAML needs PyYAML: pip install pyyaml") from None
