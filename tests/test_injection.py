"""The page about injection: each hostile text in it is sent, and nothing happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "injection.md"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They write files, and would write "pwned" if they failed.
    monkeypatch.chdir(tmp_path)
    failed, ran = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8")
    assert ran > 40 and failed == 0
    assert not (tmp_path / "pwned").exists()


def test_each_row_of_the_table_leads_to_a_section_of_the_page() -> None:
    text = PAGE.read_text()
    sections = {title.lower().replace(",", "").replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.M)}
    assert set(re.findall(r"\]\(#([a-z-]+)\)", text)) == sections
