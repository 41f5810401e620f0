"""``flask rampart csp-hash``: the sources that let inline scripts and styles run by their hash."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from ..headers.hashes import csp_hash, inline_of
from .layout import counted
from .telling import only_looks

_PAGES = (".htm", ".html", ".j2", ".jinja", ".jinja2", ".xhtml")


@click.command(
    "csp-hash",
    help="Print CSP sources for inline scripts and styles: of files, or of all templates.",
    short_help="Print CSP sources for inline scripts and styles.",
)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--templates", is_flag=True, help="Look through all templates of the app and its blueprints.")
@click.option("--algorithm", type=click.Choice(("sha256", "sha384", "sha512")), default="sha256", show_default=True)
@only_looks
@with_appcontext
def csp_hash_command(files: tuple[str, ...], templates: bool, algorithm: str) -> None:
    """A page or template is searched for its elements; any other file, and ``-``, is one script or style."""
    if not files and not templates:
        raise click.UsageError("Name a file, - for the standard input, or --templates.")
    pages: list[tuple[str, str]] = []
    for file in files:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        if Path(file).suffix.lower() in _PAGES:
            pages.append((file, _text(file, data)))
        else:
            click.echo(csp_hash(data, algorithm))  # type: ignore[arg-type]
    if templates:
        pages.extend(_templates(current_app._get_current_object()))  # type: ignore[attr-defined]
    left = count = 0
    for name, page in pages:
        for found in inline_of(page):
            count += 1
            if found.text is None:
                left += 1
                click.echo(f"{name}:{found.line}: {found.directive}: no hash: {found.why}", err=True)
            else:
                source = csp_hash(found.text, algorithm)  # type: ignore[arg-type]
                click.echo(f"{found.directive} {source}  {name}:{found.line}")
    if pages and not count:
        click.echo(f"{counted(len(pages), 'page')}, and nothing inline in any of them", err=True)
    elif templates and not pages:
        click.echo("there are no templates", err=True)
    if left:
        raise SystemExit(1)


def _templates(app: Flask) -> Iterator[tuple[str, str]]:
    loader = app.jinja_env.loader
    for name in sorted(app.jinja_env.list_templates()):
        if loader is not None and Path(name).suffix.lower() in _PAGES:
            yield name, loader.get_source(app.jinja_env, name)[0]


def _text(file: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise click.ClickException(f"{file} is not UTF-8") from None
