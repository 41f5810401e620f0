"""``flask rampart sbom``: what is installed, as a CycloneDX document."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import click

from ..dependencies import CannotCheck, bill_of_materials, installed
from ..dependencies.sbom import has_inside


@click.command(
    "sbom",
    help="Write a software bill of materials (CycloneDX 1.6) of the installed packages. Needs no app.",
    short_help="Write a bill of materials of the installed packages.",
)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; without it, it is printed."
)
@click.option("--name", default=None, help="The application's name. Not given: that of the current folder.")
@click.option("--app-version", default=None, metavar="VERSION", help="The application's version.")
@click.option("--files", is_flag=True, help="List each package's files, with their hashes.")
@click.option("--path", multiple=True, metavar="FOLDER", help="Where packages are installed; may be repeated.")
def sbom(out: Path | None, name: str | None, app_version: str | None, files: bool, path: tuple[str, ...]) -> None:
    try:
        packages = installed(list(path) or None)
        document = bill_of_materials(
            packages, name=name or Path.cwd().name or "app", version=app_version, files=files, time=_time()
        )
    except (CannotCheck, ValueError) as error:
        click.echo(f"Not written: {error}", err=True)
        sys.exit(2)
    text = json.dumps(document, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        inner = sum(len(component.get("components", ())) for component in document["components"])
        click.echo(f"{out}: {len(packages)} packages, {inner} components inside them")
    own = next((package for package in packages if package.name == "flask-rampart"), None)
    if own is not None and not has_inside(own):
        click.echo("The crates inside flask-rampart are not listed: this installation has no list of them.", err=True)


def _time() -> float:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return time.time()
    if not given.isascii() or not given.isdigit() or len(given) > 11:
        raise ValueError(f"SOURCE_DATE_EPOCH is whole seconds, not {given!r}.")
    return float(given)
