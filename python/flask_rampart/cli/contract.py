"""``flask rampart contract``: an OpenAPI document beside the app, operation by operation."""

from __future__ import annotations

import json as json_module
from pathlib import Path

import click

from ..contract import Contract, Contracts
from .layout import counted, print_table
from .telling import works_on


@click.command(
    "contract",
    help="Compare the app with its OpenAPI documents, or with FILE; exit with 1 if they differ.",
    short_help="Compare the app with its OpenAPI documents, or with a file.",
)
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--base-path", default=None, help="The path under which FILE's paths are served, such as /v1.")
@works_on(Contracts, "this app has no Rampart(app)", looks=True)
def contract(contracts: Contracts, file: Path | None, as_json: bool, base_path: str | None) -> None:
    given = None if file is None else Contract(file.resolve(), base_path=base_path)
    if given is None and base_path is not None:
        raise click.ClickException("--base-path is about FILE; give rampart.contract(base_path=...) for the app's own.")
    reports = contracts.reports(given)
    if not reports:
        raise click.ClickException("this app has no rampart.contract(...): name a FILE to compare it with.")
    if as_json:
        click.echo(json_module.dumps([report.as_dict() for report in reports], indent=2))
    for report in reports if not as_json else ():
        click.echo(report.document)
        print_table(report.rows())
        for note in report.notes:
            click.echo(f"not checked: {note}")
        mismatches = counted(len(report.mismatches), "mismatch", "mismatches")
        unchecked = counted(len(report.notes), "thing")
        click.echo(f"{counted(len(report.matched), 'operation')}, {mismatches}, {unchecked} not checked")
    if not all(report.agrees for report in reports):
        raise SystemExit(1)
