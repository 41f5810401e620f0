"""``flask limiter``: what the limits are, and what one caller has spent."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect, Rule

from ...errors import ConfigError
from ...limits import keys
from .definitions import Limit, RuntimeLimit
from .face import FACES, Face
from .requests import Line
from .told import limits_of
from .util import get_remote_address


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
        for limit in _limits_of(face, rule.endpoint, word):
            left = ""
            if key is not None:
                line = _line_of(face, limit, rule.endpoint, word, key)
                left = f"  {_UNKNOWN}" if line is None else f"  {face.counters.window(line).remaining} left"
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
    is_all = True
    for face, rule, word in _routes(endpoint, path, method):
        for limit in _limits_of(face, rule.endpoint, word):
            line = _line_of(face, limit, rule.endpoint, word, key)
            if line is not None:
                face.counters.of(line).clear((line.key,))
            is_all = is_all and line is not None
            said = "cleared" if line is not None else f"not cleared: {_UNKNOWN}"
            click.echo(f"{rule.rule}  {word}  {rule.endpoint}  {limit.limit}  {said}")
    if not is_all:
        raise SystemExit(1)


def _routes(endpoint: str | None, path: str | None, method: str | None) -> list[tuple[Face, Rule, str]]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    if path is not None:
        endpoint = _endpoint_of(app, path, method)
    elif endpoint is not None and endpoint not in app.view_functions:
        raise click.ClickException(f"There is no endpoint {endpoint}.")
    return [
        (face, rule, word)
        for face in _faces()
        for rule in app.url_map.iter_rules()
        if endpoint is None or rule.endpoint == endpoint
        if not face.is_of_files(rule.endpoint)
        for word in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if method is None or word == method.upper()
    ]


def _endpoint_of(app: Flask, path: str, method: str | None) -> str:
    routes = app.url_map.bind("localhost")
    try:
        return str(routes.match(path, method=method)[0])
    except RequestRedirect as redirect:
        return _endpoint_of(app, urlsplit(redirect.new_url).path, method)
    except MethodNotAllowed as error:
        known = sorted(error.valid_methods or ())
        if method is None and known:
            return _endpoint_of(app, path, known[0])
        raise click.ClickException(f"{path} has {', '.join(known)}, and no {method} (--method).") from None
    except HTTPException:
        raise click.ClickException(f"No route has the path {path}.") from None


def _limits_of(face: Face, endpoint: str, method: str) -> list[RuntimeLimit]:
    """The limits that are known of a route without a request: not those that functions say."""
    own, everywhere = limits_of(face, endpoint, method)
    by = face.limiter.key_func
    quotas = [quota for limit in (*everywhere, *own) if limit.is_fixed for quota in limit.expanded(by)]
    return [quota for quota in quotas if quota.counted_as(method) is not None]


def _line_of(face: Face, limit: RuntimeLimit, endpoint: str, method: str, key: str) -> Line | None:
    """How a caller is counted, without a request; None where only a request says it."""
    if face.rules.identify is not None:
        raise ConfigError(f"What {limit.limit} is counted by, only a request says (request_identifier).")
    try:
        said = limit.scope(endpoint) if callable(limit.scope) else None
    except RuntimeError:  # Flask's, outside of a request
        return None
    scope = limit.scope_for(endpoint, limit.counted_as(method) or method, said)
    kind = "address" if limit.key_func is get_remote_address else "text"
    counted = key if kind == "address" else keys.of_value(limit.key_func, key)
    return Line(limit, face.counters.name(limit, scope), kind, counted, (key, scope))


_UNKNOWN = "counted by what only a request says (scope)"


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
