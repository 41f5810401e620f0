"""What is found and what is found in vain: precision and recall by entity, beside Presidio and detect-secrets.

Run ``python benches/accuracy.py`` with the group ``accuracy``; without Presidio and detect-secrets ours is counted
alone. The texts are made from a seed (``corpus``), by public formats and not by what ours finds; all tools
(``finders.py``) read the same.

1. *precision* is the share of an entity's finds that are right, *recall* the share of its values that were found,
   *F1* their harmonic mean. ``corpus/counting.py`` says what is right. Who has the better F1 is ahead.
2. Where Presidio's finds overlap, they are resolved as its anonymizer does; only what is left can be false, but all
   count as found. detect-secrets is credited with a value that it found under any name.
3. *covered* is the share of the values that ours hides to the last character: for a webhook, its secret part alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping
from typing import Any

import finders
from common import heading, lacking, options, paint, table, versions
from corpus import SECRETS, texts
from corpus.counting import SECRET, Count, count

PEERS = {"presidio": "presidio_analyzer", "detect-secrets": "detect_secrets"}


def counts(arguments: argparse.Namespace) -> tuple[dict[str, dict[str, Count]], dict[str, frozenset[str]]]:
    """By tool and entity; and by tool, which entities it claims to find."""
    found = list(texts(each=arguments.each, decoys=arguments.decoys, seed=arguments.seed))
    given: dict[str, Any] = {"personal": finders.PERSONAL}
    tools = {"ours": count(found, finders.ours(found), **given)}
    claims = {"ours": finders.PERSONAL | SECRETS | {SECRET}}
    if importlib.util.find_spec(PEERS["presidio"]):
        every, left, entities = finders.presidio(found)
        tools["presidio"], claims["presidio"] = count(found, every, left, **given), entities
    else:
        lacking("presidio-analyzer", "accuracy")
    if importlib.util.find_spec(PEERS["detect-secrets"]):
        tools["detect-secrets"] = count(found, finders.detect_secrets(found), **given)
        claims["detect-secrets"] = SECRETS | {SECRET, "IP_ADDRESS"}
    else:
        lacking("detect-secrets", "accuracy")
    return tools, claims


def ahead(row: Mapping[str, Count]) -> str:
    """Who has the best F1; ``level`` if others have it too."""
    best = max(round(tool.f1, 4) for tool in row.values())
    first = [name for name, tool in row.items() if round(tool.f1, 4) == best]
    return first[0] if len(first) == 1 else "level"


def main() -> int:
    parser = options(__doc__, each=60, decoys=4000, seed=1)
    arguments = parser.parse_args()
    about = versions("presidio-analyzer", "detect-secrets", "faker", "python-stdnum")
    size = f"{arguments.each} texts of each kind, {arguments.decoys} with nothing in them"
    heading(f"Accuracy: {size}, seed {arguments.seed}", about)
    tools, claims = counts(arguments)
    entities = [
        name for name in tools["ours"] if name != SECRET and tools["ours"][name].hits + tools["ours"][name].misses
    ]
    lines: list[list[str]] = []
    written: list[dict[str, Any]] = []
    behind: list[str] = []
    for title, group in (
        ("What identifies", [name for name in entities if name not in SECRETS]),
        ("Secrets", [*(name for name in entities if name in SECRETS), SECRET]),
    ):
        lines.append([title])
        for name in group:
            row = {tool: tools[tool].get(name, Count()) for tool in tools if name in claims[tool]}
            who = ahead(row)
            behind += [name] * (who not in ("ours", "level"))
            mine = row["ours"]
            total = mine.hits + mine.misses
            cells = [f"  {name}", f"{total}"]
            for tool in ("ours", *PEERS):
                one = row.get(tool)
                cells += (
                    ["-"] * 4
                    if one is None
                    else [
                        f"{one.hits}/{one.false}/{one.misses}",
                        f"{one.precision:.3f}",
                        f"{one.recall:.3f}",
                        f"{one.f1:.3f}",
                    ]
                )
            cells += [f"{mine.covered / total:.3f}", paint(who, "32" if who in ("ours", "level") else "31;1")]
            lines.append(cells)
            written.append(
                {"entity": name, "values": total, "ahead": who, "covered": mine.covered / total}
                | {
                    tool: {
                        "hits": one.hits,
                        "false": one.false,
                        "misses": one.misses,
                        "precision": one.precision,
                        "recall": one.recall,
                        "f1": one.f1,
                    }
                    for tool, one in row.items()
                }
            )
    columns = [f"{tool} hits/false/missed" if tool == "ours" else tool for tool in ("ours", *PEERS)]
    head = ["", "values", *(cell for column in columns for cell in (column, "P", "R", "F1")), "covered", "ahead"]
    print(table(head, lines))
    print(f"\nBehind: {', '.join(behind) if behind else 'nowhere'}.")
    print(
        "Found in vain by ours under other names:",
        ", ".join(
            f"{name} {one.false}" for name, one in tools["ours"].items() if name not in entities and name != SECRET
        )
        or "nothing",
    )
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps({"versions": about, "rows": written}, indent=1) + "\n", encoding="utf-8")
    return 1 if behind and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
