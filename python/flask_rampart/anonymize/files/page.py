"""The report as a page: no script, no style from elsewhere, nothing that is loaded.

Every text that comes from a file is escaped. The page says its own policy (``Content-Security-Policy`` in a ``meta``),
which lets its one style sheet through by its hash; where it is served under a stricter one, it is plain and can be read
still: the plots take their colours from attributes, and light or dark from the browser.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --before: #c2571a; --after: #1f6feb; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --before: #f0a060; --after: #79b8ff; --bad: #ff8a80 } }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
p, dd { max-width: 70ch } dl { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)) }
dl div { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem }
dt { font-size: .85rem } dd { font-size: 1.35rem; font-variant-numeric: tabular-nums; margin: 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem; min-width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
th { white-space: nowrap } td code { overflow-wrap: normal }
td.n, th.n { font-variant-numeric: tabular-nums; text-align: right }
.bad { color: var(--bad); font-weight: 600 } p code { overflow-wrap: anywhere }
.before { color: var(--before) } .after { color: var(--after) } svg { height: auto; max-width: 100% }
.plots { display: grid; gap: 1rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)) }
figure { border: 1px solid var(--line); border-radius: .4rem; margin: 0; padding: .75rem }
figcaption { font-size: .9rem }
"""

_COUNTS = ("values", "nulls", "kept", "changed", "dropped", "suppressed")


def page(told: dict[str, Any]) -> str:
    """The page of a report."""
    hashed = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    records = told["records"]
    body = [
        f"<h1>Anonymised: {_text(told['output'])}</h1>",
        f"<p>From {_text(told['input'])} ({_text(told['format'])}), by the plan <code>{_text(told['plan_sha256'][:16])}"
        "</code> (the first digits of its SHA-256).</p>",
        _figures(records),
        _refused(records),
        _privacy(told["privacy"]),
        _columns(told["columns"]),
        _found(told["found"]),
        _unmet(told["unmet"]),
        "<h2>What this does not say</h2><p>Classes are made by the quasi-identifiers that the plan names, and by no "
        "other column. Pseudonyms are personal data still. Whether somebody can be found depends on what else "
        "is known.</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Anonymised: {_text(told['output'])}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _figures(records: dict[str, Any]) -> str:
    refused = sum(records["refused"].values())
    figures = (("Records read", records["read"]), ("Passed on", records["written"]), ("Refused", refused))
    cells = (f"<div><dt>{name}</dt><dd>{_number(value)}</dd></div>" for name, value in figures)
    return f"<dl>{''.join(cells)}</dl>"


def _refused(records: dict[str, Any]) -> str:
    if not records["refused"]:
        return ""
    codes = ", ".join(f"{_text(code)}: {_number(count)}" for code, count in records["refused"].items())
    rows = [(_text(of["where"]), _text(of["code"]), _text(of["column"])) for of in records["first_refused"]]
    return (
        f'<h2>Refused records</h2><p class="bad">{codes}. They are not in the output.</p>'
        f"<p>The first of them:</p>{_table(('Where', 'Code', 'Column'), rows)}"
    )


def _privacy(privacy: dict[str, Any] | None) -> str:
    if privacy is None:
        return (
            "<h2>How far people can be told apart</h2><p>It was not measured: the plan names no "
            "<code>quasi_identifiers</code>.</p>"
        )
    before, after = privacy["before"], privacy["after"]
    names = ", ".join(f"<code>{_text(path)}</code>" for path in privacy["quasi_identifiers"])
    parts = [
        "<h2>How far people can be told apart</h2>",
        f"<p>Rows with the same {names} are one class. Before are all records that can be read; after are those that "
        "were passed on.</p>",
    ]
    for name, side in (("before", before), ("after", after)):
        if "not_measured" in side:
            parts.append(f'<p class="bad">Not measured {name}: {_text(side["not_measured"])}.</p>')
        elif side["dropped"]:
            gone = ", ".join(f"<code>{_text(path)}</code>" for path in side["dropped"])
            parts.append(f"<p>No row has {gone} {name}: it was measured by the rest.</p>")
    sides = [(name, side) for name, side in (("before", before), ("after", after)) if "rows" in side]
    if not sides:
        return "".join(parts)
    rows = [
        ("k: rows in the smallest class", *(_number(side["k"]) for _, side in sides)),
        ("Rows", *(_number(side["rows"]) for _, side in sides)),
        ("Classes", *(_number(side["classes"]) for _, side in sides)),
        *(
            (f"Rows in classes of fewer than {k}", *(_number(side["rows_below"][k]) for _, side in sides))
            for k in sides[0][1]["rows_below"]
        ),
    ]
    for path in sides[0][1]["sensitive"]:
        shown = f"<code>{_text(path)}</code>"
        # None where no row has it any more.
        of = [side["sensitive"].get(path) for _, side in sides]
        rows += [
            (
                f"l of {shown}: fewest values in a class",
                *(_number(one["distinct"]) if one else "dropped" for one in of),
            ),
            (f"l of {shown} by entropy", *(f"{one['entropy']:.2f}" if one else "dropped" for one in of)),
            (
                f"t of {shown}: farthest class from the table",
                *(f"{one['closeness']:.3f}" if one else "dropped" for one in of),
            ),
        ]
    titles = ("", *(f'<span class="{name}">{name}</span>' for name, _ in sides))
    parts.append(_table(titles, rows))
    parts.append(f'<div class="plots">{_sizes(sides)}{_closeness(sides)}</div>')
    return "".join(parts)


def _sizes(sides: Sequence[tuple[str, dict[str, Any]]]) -> str:
    bins = sides[0][1]["sizes"]
    labels = [_bin(one["from"], one["to"]) for one in bins]
    shares = [
        (name, [one["rows"] / side["rows"] if side["rows"] else 0.0 for one in side["sizes"]]) for name, side in sides
    ]
    return _bars("Share of rows by the size of their class. What is far left can be told apart.", labels, shares)


def _closeness(sides: Sequence[tuple[str, dict[str, Any]]]) -> str:
    paths = list(sides[0][1]["sensitive"])
    if not paths:
        return ""
    shares = [
        (name, [side["sensitive"][path]["closeness"] if path in side["sensitive"] else 0.0 for path in paths])
        for name, side in sides
    ]
    return _bars("t of each sensitive column, 0 to 1: how far a class may be from the table.", paths, shares)


def _bars(caption: str, labels: Sequence[str], sides: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Bars from 0 to 1, those of the sides beside each other."""
    colours = {"before": "#c2571a", "after": "#1f6feb"}
    step, base, height = 60, 150, 120
    width = max(step * len(labels) + 20, 140)
    drawn = []
    for at, label in enumerate(labels):
        left = 10 + at * step
        for number, (name, values) in enumerate(sides):
            tall = round(values[at] * height, 1)
            bar = 22 if len(sides) > 1 else 46
            x = left + 6 + number * 24
            drawn.append(
                f'<rect x="{x}" y="{base - tall:.1f}" width="{bar}" height="{tall:.1f}" fill="{colours[name]}">'
                f"<title>{name}, {_text(label)}: {values[at]:.1%}</title></rect>"
            )
            if values[at] > 0:
                drawn.append(
                    f'<text x="{x + bar / 2:.0f}" y="{base - tall - 4:.1f}" text-anchor="middle" font-size="9" '
                    f'fill="currentColor">{_share(values[at])}</text>'
                )
        drawn.append(
            f'<text x="{left + 30}" y="{base + 16}" text-anchor="middle" font-size="11" fill="currentColor">'
            f"{_text(label if len(label) <= 9 else label[:8] + '…')}</text>"
        )
    said = ", ".join(f'<span class="{name}">{name}</span>' for name, _ in sides)
    return (
        f'<figure><svg viewBox="0 0 {width} 176" width="{width}" height="176" role="img" aria-label="{_text(caption)}" '
        f'font-family="system-ui, sans-serif"><line x1="8" y1="{base}" x2="{width - 8}" y2="{base}" '
        f'stroke="currentColor" stroke-opacity="0.5"/>{"".join(drawn)}</svg>'
        f"<figcaption>{_text(caption)} Left to right: {said}.</figcaption></figure>"
    )


def _columns(columns: Sequence[dict[str, Any]]) -> str:
    rows = []
    for column in columns:
        refused = ", ".join(f"{_text(code)}: {_number(count)}" for code, count in sorted(column["refused"].items()))
        found = ", ".join(f"{_text(entity)}: {_number(count)}" for entity, count in sorted(column["found"].items()))
        counts = (_number(column[name]) for name in _COUNTS)
        rows.append((f"<code>{_text(column['path'])}</code>", _text(column["rule"]), *counts, refused, found))
    titles = ("Column", "Rule", *(name.capitalize() for name in _COUNTS), "Refused records", "Found")
    said = (
        "<p>Values are those of records that were passed on: nothings, kept as they were, changed, dropped, and those "
        "that the rule could not read and that became nothing (suppressed).</p>"
    )
    return f"<h2>Columns</h2>{said}{_table(titles, rows, numbers=range(2, 2 + len(_COUNTS)))}"


def _found(found: dict[str, int]) -> str:
    if not found:
        return ""
    rows = [(_text(entity), _number(count)) for entity, count in found.items()]
    return f"<h2>What the redactor found</h2>{_table(('Entity', 'Finds'), rows)}"


def _unmet(unmet: Sequence[str]) -> str:
    if not unmet:
        return ""
    names = ", ".join(f"<code>{_text(path)}</code>" for path in unmet)
    return (
        f'<h2>Rules that met nothing</h2><p class="bad">{names}: no record has these columns. Is a path mistyped?</p>'
    )


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] | None = None) -> str:
    right = set(range(1, len(titles)) if numbers is None and titles[0] in ("", "Entity") else numbers or ())
    head = "".join(f'<th scope="col"{_right(at, right)}>{title}</th>' for at, title in enumerate(titles))
    body = "".join(
        "<tr>" + "".join(f"<td{_right(at, right)}>{cell}</td>" for at, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _right(at: int, right: set[int]) -> str:
    return ' class="n"' if at in right else ""


def _bin(low: int, high: int | None) -> str:
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%".replace("<", "&lt;")


def _number(value: int) -> str:
    return f"{value:,}"


def _text(value: object) -> str:
    # Line ends and the like would not harm, but a name is one line.
    return escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value)))
