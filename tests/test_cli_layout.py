"""What the commands print on a terminal of 80 columns."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from flask_rampart.cli import commands
from flask_rampart.cli.layout import paragraph, table

GROUPS = [[], *([name] for name, each in commands.commands.items() if isinstance(each, click.Group))]
RULES = [
    ("RULE", "MEASURE", "BY", "THRESHOLD", "WINDOW", "RESPONSE", "WHAT"),
    (
        "stuffing_campaign",
        "networks",
        "host",
        "50",
        "600 s",
        "step_up",
        "Logins fail from many networks at once: the attempts are spread so that no address stands out.",
    ),
    ("exfiltration", "bytes", "principal", "2147483648", "3600 s", "", "Somebody is given more than any person reads."),
]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_what_commands_do_is_told_whole_in_their_lists(words: list[str]) -> None:
    said = CliRunner().invoke(commands, [*words, "--help"], terminal_width=80).output
    assert "..." not in said.partition("Commands:")[2] and "Commands:" in said


def test_a_table_that_is_too_wide_is_blocks_in_which_nothing_is_lost() -> None:
    lines = table(RULES, 80)
    assert max(map(len, lines)) <= 80
    assert lines[:3] == [
        "stuffing_campaign",
        "  MEASURE networks  BY host  THRESHOLD 50  WINDOW 600 s  RESPONSE step_up",
        "  WHAT Logins fail from many networks at once: the attempts are spread so that",
    ]
    # Where there is nothing, nothing is told.
    assert lines[4:6] == ["exfiltration", "  MEASURE bytes  BY principal  THRESHOLD 2147483648  WINDOW 3600 s"]
    assert " ".join(" ".join(lines).split()).count("Somebody is given more than any person reads.") == 1


def test_where_there_is_no_terminal_a_row_is_a_line() -> None:
    lines = table(RULES, 0)
    assert len(lines) == 3 and lines[1].endswith(RULES[1][-1])
    assert paragraph("x " * 100, 0) == ["x " * 100]


def test_a_word_that_is_wider_than_the_terminal_stays_whole() -> None:
    assert table([("A", "B"), ("a" * 50, "b" * 50)], 40) == ["a" * 50, "  B", "    " + "b" * 50]
