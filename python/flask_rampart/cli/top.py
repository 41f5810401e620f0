"""``flask rampart top``: what the dashboard shows, in a terminal.

1. On a terminal it is drawn anew every ``--interval`` seconds, by the few ANSI sequences that every terminal knows;
   Ctrl-C ends it and leaves the terminal as it was. Elsewhere, and with ``--once``, it is printed once, plainly.
2. ``--json`` prints the dashboard's data as JSON, one line; without ``--once`` again and again.
3. What peers wrote reaches no terminal as it is: control characters, and those that turn the direction of a text or
   cannot be seen, are escaped; so is what the output's encoding has not, and the plots are then of ASCII.
4. It looks at the workers' tables as they made them, whatever the command's own settings say, and makes none: not of
   metrics, limits, bans or the monitor. That holds from before the app is loaded, which may open some.
5. Where refusals are not remembered, it knows no banned address but those that detectors have found, and says so.
6. Where no worker has answered, it says which table it looks at: another user, folder or app has another.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..dashboard import overview
from ..errors import ConfigError
from ..exchange import EXTENSION
from ..guards import AppState
from ..limits import Limits, is_limited
from ..metrics import Metrics
from ..monitor import Monitor
from .audit import safe
from .layout import counted
from .telling import only_looks

_HOME, _BELOW, _LINE_END = "\x1b[H", "\x1b[J", "\x1b[K"
_OTHER_SCREEN, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_TOTALS = (
    ("requests", "request", "requests"),
    ("refusals", "refusal", "refusals"),
    ("auth_failures", "credential refused", "credentials refused"),
    ("validation_failures", "body refused", "bodies refused"),
    ("bans", "ban", "bans"),
)
_NO_WORKER = (
    "No worker has counted a request here. Is it running, as this user, and from the same folder? Its "
    "RAMPART_LIMIT_STORE must be the same. This table is {}"
)
_NOT_REMEMBERED = (
    "Whom bans refuse is not remembered here: RAMPART_METRICS = True or a Dashboard has the last refusals kept, with "
    "their addresses."
)
_PLAIN_BLOCKS = " .:-=+*#@"
_BLOCKS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


@click.command(
    "top",
    help="Watch requests, refusals, bans and findings of all workers of this host.",
    short_help="Watch requests, refusals and bans of all workers.",
)
@click.option("--once", is_flag=True, help="Print it once.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each look.")
@click.option("--interval", default=2.0, type=click.FloatRange(0.2, 60), help="Seconds between looks; 2 without it.")
@only_looks
@with_appcontext
def top(once: bool, as_json: bool, interval: float) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise click.ClickException("this app has no Rampart(app)")
    metrics: Metrics = state.services[Metrics]
    if not metrics.wanted:
        raise click.ClickException(
            "this app counts nothing: set RAMPART_METRICS = True, serve the metrics, or register a Dashboard."
        )
    try:
        if metrics.place is None:
            raise click.ClickException(
                "each process counts for itself here (RAMPART_LIMIT_STORE is memory://), and this one has nothing."
            )
        # First: what is sealed opens what it needs.
        metrics.look()
        state.seal()
        _open_bans(state)
        _watch(state, once=once, as_json=as_json, interval=interval)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _open_bans(state: AppState) -> None:
    """So that bans are looked up, where the app limits anything."""
    if is_limited(state):
        limits: Limits = state.services[Limits]
        limits.bans.book  # noqa: B018


def _watch(state: AppState, *, once: bool, as_json: bool, interval: float) -> None:
    drawn = sys.stdout.isatty() and not once and not as_json
    if drawn:
        sys.stdout.write(_OTHER_SCREEN)
    try:
        metrics: Metrics = state.services[Metrics]
        limits: Limits = state.services[Limits]
        monitor: Monitor = state.services[Monitor]
        while True:
            if metrics.table.path is None:
                metrics.look()
            limits.look_again()
            monitor.look_again()
            told = overview(state, whole=False)
            if as_json:
                click.echo(json.dumps(told, separators=(",", ":")))
            else:
                size = shutil.get_terminal_size()
                lines = [encoded(line, sys.stdout.encoding) for line in screen(told, size.columns)]
                hint = ""
                if not told["workers"] and not told["totals"]["requests"]:
                    hint = safe(_NO_WORKER.format(metrics.place))
                elif told["totals"]["bans"] and not told["bans"] and not metrics.remembers:
                    hint = _NOT_REMEMBERED
                lines[3:3] = textwrap.wrap(encoded(hint, sys.stdout.encoding), max(size.columns, 40))
                if drawn:
                    shown = lines[: size.lines - 1]
                    sys.stdout.write(_HOME + "".join(f"{line}{_LINE_END}\n" for line in shown) + _BELOW)
                else:
                    click.echo("\n".join(lines))
            sys.stdout.flush()
            if once or not (drawn or as_json):
                return
            time.sleep(interval)
    except KeyboardInterrupt:
        return
    finally:
        if drawn:
            sys.stdout.write(_BACK)
            sys.stdout.flush()


def encoded(line: str, encoding: str | None) -> str:
    """A line as an output with this encoding can show it.

    >>> encoded("refused \u2581\u2588 \u65e5", "latin-1")
    'refused .@ \\\\u65e5'
    """
    encoding = encoding or "ascii"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        line = (
            line.translate(str.maketrans(_BLOCKS, _PLAIN_BLOCKS)).encode(encoding, "backslashreplace").decode(encoding)
        )
    return line


def screen(told: dict[str, Any], width: int) -> list[str]:
    """The lines that are shown, none longer than *width* (at least 40).

    :param told: what ``overview`` gives.
    """
    width = max(width, 40)
    step = told["step"]
    rates = told["rates"]
    lately = rates[-7:-1]
    seconds = max(1, len(lately) * step)

    def rate(column: int) -> str:
        return f"{sum(one[column] for one in lately) / seconds:.1f}"

    at = time.strftime("%H:%M:%S", time.localtime(told["time"]))
    totals = told["totals"]
    lines = [
        f"rampart top  {told['app']}  {at}  {told['workers']} worker{'' if told['workers'] == 1 else 's'}",
        f"{rate(1)} requests/s, {rate(2)} refused/s, {rate(3)} failed/s",
        ", ".join(counted(int(totals[name]), *words) for name, *words in _TOTALS),
        "",
        *_plot("requests", [one[1] for one in rates], width),
        *_plot("refused", [one[2] for one in rates], width),
        *_table("Refused, and why", [(f"{count:.0f}", code) for code, count in told["refusals"][:8]]),
        *_table("Top addresses", [(str(count), address) for address, count in told["addresses"][:8]]),
        *_table("Top principals", [(str(count), name) for name, count in told["principals"][:5]]),
        *_table("Bans", [(f"{one['seconds']} s", f"{one['kind']} {one['address']}") for one in told["bans"] or ()]),
        *_table("Detectors", [_dated(one, "rule", "severity", "subject") for one in told["findings"] or ()]),
        *_table(
            "Last refusals",
            [_dated(one, "code", "address", "principal", "method", "route") for one in told["recent"][:10]],
        ),
    ]
    return [safe(line)[:width].rstrip() for line in lines]


def _plot(name: str, counts: list[int], width: int) -> list[str]:
    room = max(10, width - 22)
    shown = counts[-room:]
    most = max([1, *shown])
    blocks = "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in shown)
    return [f"{name:<9}{blocks} {most}"]


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    first = max(len(one) for one, _ in rows)
    return ["", title, *(f"  {one:>{first}}  {' '.join(other.split())}" for one, other in rows)]


def _dated(one: dict[str, Any], *fields: str) -> tuple[str, str]:
    return time.strftime("%H:%M:%S", time.localtime(one["time"])), " ".join(str(one[field]) for field in fields)
