"""How much of what the commands print fits on a terminal: tables and sentences, no wider than it is.

1. Where the output is no terminal, lines are as long as they are: other programs read them.
2. A table that is too wide has its last column in several lines. Where that leaves too little, each row is a block:
   what it is about, and below it the other cells with their titles.
3. A sentence is broken between words, and goes on below its beginning.

Nothing is cut off.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

import click

Row = Sequence[str]

_LEAST = 24
"""Columns for what is in several lines."""
_INDENT = "  "


def print_table(rows: Sequence[Row], *, about: int = 1) -> None:
    """Prints rows, titles first; nothing if there are titles alone.

    :param about: how many columns, from the first, say what a row is about.
    """
    for line in table(rows, room(), about=about) if len(rows) > 1 else ():
        click.echo(line)


def print_text(text: str, indent: str = "") -> None:
    """Prints a sentence; *indent* stands before its lines."""
    for line in paragraph(text, room(), indent):
        click.echo(line)


def room() -> int:
    """Columns of the terminal; 0 where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def counted(number: int, what: str, many: str | None = None) -> str:
    """A number of things.

    >>> counted(1, "key"), counted(2, "key"), counted(0, "entry", "entries")
    ('1 key', '2 keys', '0 entries')
    """
    return f"{number} {what if number == 1 else many or f'{what}s'}"


def table(rows: Sequence[Row], width: int, *, about: int = 1) -> list[str]:
    """The lines of a table.

    :param width: of the terminal; 0 for any.

    >>> rows = [("RULE", "WHAT"), ("scraping", "Somebody reads thousands of places."), ("none", "")]
    >>> print("\\n".join(table(rows, 40)))
    RULE      WHAT
    scraping  Somebody reads thousands of
              places.
    none
    >>> print("\\n".join(table([("KEY", "OWNER", "STATE"), ("61kCyrYhhP5r", "a-long-name", "active")], 30)))
    61kCyrYhhP5r
      OWNER a-long-name
      STATE active
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    before = sum(widths[:-1]) + len(_INDENT) * (len(widths) - 1)
    if not width or before + widths[-1] <= width:
        return [_line(row, widths) for row in rows]
    if width - before >= _LEAST and before:
        lines = []
        for row in rows:
            first, *more = packed(row[-1].split("  "), width - before, hang="") or [""]
            lines += [_line([*row[:-1], first], widths), *(" " * before + each for each in more)]
        return lines
    return [line for row in rows[1:] for line in _block(rows[0], row, width, about)]


def paragraph(text: str, width: int, indent: str = "") -> list[str]:
    """The lines of a sentence.

    >>> paragraph("Put it on the view.", 16, "  ")
    ['  Put it on the', '  view.']
    """
    if not width:
        return [indent + text]
    lines = textwrap.wrap(text, max(width - len(indent), _LEAST // 2), break_long_words=False, break_on_hyphens=False)
    return [indent + line for line in lines or [""]]


def packed(items: Iterable[str], width: int, *, hang: str = _INDENT) -> list[str]:
    """Items side by side, as many on a line as it has room for; one that is longer goes on in the next, behind *hang*.

    >>> packed(["require()", "limit('5/minute', by='address')", "public"], 20)
    ['require()', "limit('5/minute',", "  by='address')", 'public']
    """
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(_INDENT) + len(item) <= width:
            lines[-1] += _INDENT + item
        else:
            lines += textwrap.wrap(item, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False)
    return lines


def _block(titles: Row, row: Row, width: int, about: int) -> list[str]:
    told = [f"{title} {cell}".strip() for title, cell in zip(titles[about:], row[about:], strict=True) if cell]
    lines = packed(told, width - len(_INDENT))
    return [*paragraph(" ".join(row[:about]), width), *(_INDENT + line for line in lines)]


def _line(row: Row, widths: Sequence[int]) -> str:
    return _INDENT.join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
