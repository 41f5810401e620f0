"""What ``from ... import *`` brings of a face is what it brings of the extension."""

from __future__ import annotations

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("flask_cors", "cors"),
        ("flask_jwt_extended", "jwt_extended"),
        ("flask_limiter", "limiter"),
        ("flask_talisman", "talisman"),
        ("flask_wtf.csrf", "wtf_csrf"),
    ],
)
def test_a_star_brings_what_it_brought(theirs: str, ours: str) -> None:
    incumbent, face = import_module(theirs), import_module(f"flask_rampart.compat.{ours}")
    names = face.__all__
    assert all(hasattr(face, name) and hasattr(incumbent, name) for name in names)
    if hasattr(incumbent, "__all__"):
        assert sorted(names) == sorted(incumbent.__all__)
    else:  # all but its modules, which have no business there
        public = {name for name, value in vars(incumbent).items() if not name.startswith("_") and callable(value)}
        assert public <= set(names)
