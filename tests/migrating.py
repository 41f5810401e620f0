"""What the tests of ``flask rampart migrate`` share. Run as a program, it writes the rows that the command tells anew,
from the pages that have them: ``python -m tests.migrating``."""

from __future__ import annotations

import json
from pathlib import Path

from flask_rampart.migrate.differences import tables
from flask_rampart.migrate.incumbents import INCUMBENTS

ROOT = Path(__file__).parent.parent
ROWS = ROOT / "python" / "flask_rampart" / "migrate" / "differences.json"


def rows() -> str:
    """The tables of the pages of ``docs/migrate``, as the command has them."""
    pages = {each.page: ROOT / "docs" / "migrate" / f"{each.page}.md" for each in INCUMBENTS}
    found = {name: tables(path.read_text("utf-8")) for name, path in pages.items() if path.exists()}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    ROWS.write_text(rows(), "utf-8")
