"""``flask limiter``: what the limits are, and what one caller has spent."""

from __future__ import annotations

from collections.abc import Sequence

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.routing import Rule

from .definitions import Limit
from .face import FACES, Face


@click.group("limiter", help="Shows and clears the limits of an app.")
def cli() -> None:
    """The limits of an app."""


@cli.command("config")
@with_appcontext
def config() -> None:
    """What each extension goes by."""
    for face in _faces():
        rules = face.rules
        click.echo(f"Enabled            {face.limiter.enabled}")
        click.echo(f"Key function       {_named(face.limiter.key_func)}")
        click.echo(f"Key prefix         {rules.prefix or '-'}")
        click.echo(f"Strategy           {rules.strategy}")
        click.echo(f"Counters           {face.counters.place()}")
        click.echo(f"Headers            {rules.headers_enabled}")
        for name, limits in (("Application limits", rules.application), ("Default limits", rules.defaults)):
            click.echo(f"{name:18} {'; '.join(_texts(limits)) or '-'}")
        click.echo(f"Meta limits        {'; '.join(_texts(rules.metas)) or '-'}")


@cli.command("limits")
@click.option("--endpoint", help="Of this endpoint.")
@click.option("--path", help="Of the endpoint of this path.")
@click.option("--method", help="Of this method.")
@click.option("--key", help="What is left to this caller.")
@with_appcontext
def limits(endpoint: str | None, path: str | None, method: str | None, key: str | None) -> None:
    """Each route's limits."""
    for face, rule, word in _routes(endpoint, path, method):
        for limit in face.limits_of(rule.endpoint, word):
            left = ""
            if key is not None:
                window = face.counters.window(face.line_of(limit, rule.endpoint, word, key))
                left = f"  {window.remaining} left"
            click.echo(f"{rule.rule}  {word}  {rule.endpoint}  {limit.limit}{left}")


@cli.command("clear")
@click.option("--endpoint", help="Of this endpoint.")
@click.option("--path", help="Of the endpoint of this path.")
@click.option("--method", help="Of this method.")
@click.option("--key", required=True, help="Whose counters are cleared.")
@click.option("-y", "yes", is_flag=True, help="Do not ask.")
@with_appcontext
def clear(endpoint: str | None, path: str | None, method: str | None, key: str, yes: bool) -> None:
    """Forgets what a caller has spent."""
    if not yes:
        click.confirm(f"Forget what {key} has spent?", abort=True)
    for face, rule, word in _routes(endpoint, path, method):
        for limit in face.limits_of(rule.endpoint, word):
            face.clear(face.line_of(limit, rule.endpoint, word, key))
            click.echo(f"{rule.rule}  {word}  {rule.endpoint}  {limit.limit}  cleared")


def _routes(endpoint: str | None, path: str | None, method: str | None) -> list[tuple[Face, Rule, str]]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if path is not None:
        endpoint = app.url_map.bind("localhost").match(path, method=method)[0]
    return [
        (face, rule, word)
        for face in _faces()
        for rule in app.url_map.iter_rules()
        if endpoint is None or rule.endpoint == endpoint
        for word in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if method is None or word == method.upper()
    ]


def _faces() -> list[Face]:
    return list(current_app.extensions.get(FACES, {}).values())


def _texts(limits: Sequence[Limit]) -> list[str]:
    found = []
    for limit in limits:
        text = limit.limit_provider
        found.append(text if isinstance(text, str) else _named(text))
    return found


def _named(function: object) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
