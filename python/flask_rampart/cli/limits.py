"""``flask rampart limits`` and ``reset``: what is limited, and the state of one caller.

They work on the counters that the workers use, while these run. Nothing lists callers: counters do not know them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NamedTuple

import click
from flask import current_app

from ..errors import Denied
from ..exchange import EXTENSION
from ..guards import AppState, methods_of
from ..limits import Counting, Limits, limit, quotas_of
from ..limits.asking import lifted_for, scope_of
from ..limits.counters import OWN_SCOPE
from ..limits.keys import shown
from ..limits.remote import RemoteAway
from .callers import Caller, names_caller
from .layout import counted, print_table
from .telling import works_on

_NONE = "this app has no Rampart(app)"
on_limits = works_on(Limits, _NONE)


class Row(NamedTuple):
    """One limit of one route.

    :param scope: what its counters are called; empty if only a request says which quota it is.
    """

    route: str
    methods: str
    guard: limit | None
    scope: str
    quota: str

    @property
    def key(self) -> Any:
        return "address" if self.guard is None else self.guard.by

    @property
    def by(self) -> str:
        return shown(self.key)


def _who(command: Callable[..., None]) -> Callable[..., None]:
    """A command that is given whom its options name, and a budget if they name one."""

    @wraps(command)
    def named(
        service: Limits, caller: Caller, *, quota: str | None, scope: str | None, by: tuple[str, ...], **more: Any
    ) -> None:
        command(service, caller, _budget(caller, quota, scope, by), **more)

    for option in (
        click.option(
            "--by",
            multiple=True,
            help="Of --reserved: its by=, such as claim:tenant, if not who is named; of a tuple, each in its order.",
        ),
        click.option("--scope", help="Of --reserved: its scope."),
        click.option(
            "--reserved",
            "quota",
            metavar="QUOTA",
            help="Of a budget of rampart.reserve: its quota, as it is there.",
        ),
    ):
        named = option(named)
    return click.option("--address", help="A client's address.")(names_caller(named))


@click.command("limits", help="List every route's limits; with a caller, what is left to it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@works_on(Limits, _NONE, looks=True)
@_who
def limits(service: Limits, caller: Caller, budget: Row | None, as_json: bool) -> None:
    asked = budget is not None or bool(caller)
    away = _away(service) if asked else ""
    table: list[dict[str, Any]] = []
    found = _counting(service, caller, budget) if asked else ((row, "") for row in rows(service))
    for row, key in found:
        told: dict[str, Any] = {"route": row.route, "methods": row.methods, "limit": row.quota, "by": row.by}
        if row.guard is not None and row.guard.mode == "report":
            told["mode"] = "report"
        if row.guard is not None and row.guard.penalty is not None:
            told["ban"] = row.guard.ban
        if asked:
            told.update(_left(service, row, key))
        table.append(told)
    address = caller.address
    banned = max(service.bans.left("address", address), service.bans.left("network", address)) if address else 0.0
    if as_json:
        store = _place_of(service) if away else store_of(service)
        click.echo(json.dumps({"store": store, "limits": table, "banned": round(banned)}, indent=2))
        return
    columns = ["route", "methods", "limit", "by", *(["left"] if asked else []), *(["ban"] if not asked else [])]
    lines = [[name.upper() for name in columns]]
    for told in table:
        left = f"{told['left']} of {told['of']}" if told.get("left") is not None else "unknown"
        left += f", in {told['retry_after']} s" if "retry_after" in told else ""
        words = {**told, "left": left, "ban": told.get("ban", "") or told.get("mode", "")}
        lines.append([str(words[name]) for name in columns])
    print_table(lines)
    if banned:
        click.echo(f"Banned for {round(banned)} s.")
    if away:
        click.echo(f"{_many(len(table))}; {away}: what this host has counted since.")
    else:
        click.echo(f"{_many(len(table))}; counted in {store_of(service)}")
        if service.remote is None and service.place is not None and service.store.path is None:
            click.echo("No worker has made that table yet: nobody has spent anything.")


@click.command("reset", help="Forget what a caller has spent.")
@on_limits
@_who
def reset(service: Limits, caller: Caller, budget: Row | None) -> None:
    if budget is None and not caller:
        raise click.UsageError("Say whose: --address, --principal, --value or --api-key.")
    reachable(service)
    count = 0
    for row, key in _counting(service, caller, budget):
        try:
            _set(service, row).clear((key,))
        except RemoteAway as away:
            were = "was" if count == 1 else "were"
            raise click.ClickException(f"{away}; {_many(count)} {were} reset.") from None
        count += 1
    click.echo(f"{_many(count)} reset.")


def rows(service: Limits) -> Iterator[Row]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState = app.extensions[EXTENSION]
    state.seal()
    if state.settings.limits is not None:
        yield Row("(all)", "", None, "application", state.settings.limits)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint not in app.view_functions:
            continue  # a rule for url_for alone (build_only)
        found: dict[tuple[limit, str, str], list[str]] = {}
        for method in methods_of(rule):
            for guard, place in state.guards_of(rule.endpoint, method):
                if not isinstance(guard, limit) or not _is_told(guard, method):
                    continue
                if method not in lifted_for(guard, state, rule.endpoint):
                    # Counters for each method are rows for each.
                    apart = (guard.counted_as(method) or "") if guard.per_method else ""
                    found.setdefault((guard, place, apart), []).append(method)
        for (guard, place, apart), methods in found.items():
            scope = scope_of(guard, service.scope(guard, rule.endpoint, place, 0, seated=True), apart)
            if not isinstance(guard.quota, str):
                scope = ""  # known only in a request
            yield Row(rule.rule, ",".join(methods), guard, scope, guard.text)


def _counting(service: Limits, caller: Caller, budget: Row | None) -> Iterator[tuple[Row, str]]:
    """What counts who was named, and by which key."""
    for row in rows(service) if budget is None else [budget]:
        key = caller.key(row.key)
        if key is not None and row.scope:
            yield row, key
    api_key = caller.api_key
    if budget is None and api_key is not None and api_key.quota is not None:
        own = limit(api_key.quota, by="api_key")
        yield Row("(the key's own)", "", own, OWN_SCOPE, api_key.quota), api_key.line


def _budget(caller: Caller, quota: str | None, scope: str | None, by: tuple[str, ...]) -> Row | None:
    """The budget that was named. A budget is known only where it is reserved, so nothing lists them."""
    if quota is None:
        if scope is not None or by:
            raise click.UsageError("--scope and --by are of --reserved.")
        return None
    if not scope:
        raise click.UsageError("A budget is found by its scope: rampart.reserve(..., scope='chat') and --scope chat.")
    row = Row("(reserved)", "", limit(quota, by=by or _by(caller), scope=scope), f"shared:{scope}", quota)
    if caller.key(row.key) is None:
        raise click.UsageError(
            "Say whose: --address, --principal, --value or --api-key; a claim's with --by claim:<name> --value, and "
            "all parts of a tuple."
        )
    return row


def _by(caller: Caller) -> Any:
    """By what a budget counts, if only who is meant was said."""
    if len(caller.said) > 1:
        raise click.UsageError("That names several: say with --by which of them the budget counts by, each in order.")
    if caller.principal is not None:
        return "principal"
    if caller.api_key is not None:
        return "api_key"
    # A value alone is what a function of the app's returns.
    return _function if caller.values else "address"


def _function() -> str:
    raise AssertionError("not asked: what it returns was said")


def _many(count: int) -> str:
    return counted(count, "limit")


def _is_told(guard: limit, method: str) -> bool:
    """Whether a method is listed: what Flask adds by itself only if it was named."""
    is_named = guard.methods is not None and method in guard.methods
    return is_named or (method not in ("HEAD", "OPTIONS") and guard.counted_as(method) is not None)


def _set(service: Limits, row: Row) -> Counting:
    kind = "address" if row.key == "address" else "text"
    on_error = "local" if row.guard is None else row.guard.on_store_error
    return service.set_of([(row.scope, quotas_of(row.quota), kind)], [on_error])


def _left(service: Limits, row: Row, key: str) -> dict[str, int | None]:
    try:
        verdict = _set(service, row).peek((key,))
    except Denied:
        # `on_store_error="closed"`: nobody counts while the store is away.
        return {"left": None, "of": None}
    left: dict[str, int | None] = {"left": verdict.remaining, "of": verdict.limit}
    return left if verdict.admitted else {**left, "retry_after": verdict.retry_after}


def reachable(service: Limits) -> None:
    if service.remote is None and service.place is None:
        raise click.ClickException(
            "RAMPART_LIMIT_STORE is memory://: each worker has counters of its own, which no command can reach."
        )


def _away(service: Limits) -> str:
    """Why nothing is known of the counters that all hosts share; empty if they can be asked."""
    try:
        if service.remote is not None:
            service.remote.bans()
    except RemoteAway as away:
        return str(away)
    return ""


def store_of(service: Limits) -> str:
    return service.remote.name if service.remote is not None else _place_of(service)


def _place_of(service: Limits) -> str:
    """This host's counters: where they are, or will be with the first worker."""
    return service.store.path or service.place or "memory://"
