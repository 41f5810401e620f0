"""Changes of every kind, made at random anywhere in the log: none is taken for what was written.

``benches/audit.py`` makes 100,000 of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.tampering import CHANGES, tamper

from .test_audit_native import KEY, opened

SEED = 20261130


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two writers, each with a checkpoint in the middle."""
    for _ in range(2):
        writer = opened(tmp_path)
        for number in range(3):
            writer.append("order.make", {"principal": "ada", "number": number})
            if number == 1:
                writer.checkpoint()
        writer.close()
    return tmp_path


def test_no_change_of_any_kind_is_taken_for_what_was_written(log: Path) -> None:
    made, unseen = tamper(log, KEY, 2000, SEED)
    assert unseen == []
    assert set(made) == {change.__name__ for change in CHANGES} | {"remove_file"}
