"""What the tests of ``flask rampart check`` share: an app that is as it should be, and what is found in one that is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Rampart, public
from flask_rampart.check import Finding, Report, run

TODAY = date(2026, 11, 29)
SOUND_KEY = "kT9-vX2_qLw7Zr4NcB8sHd1FgJ6mPy3uA5eRoWiEzQ0tYbVxMnKj"
SOUND_SECRET = "w8Rz3vQn5xTf7Lk2Hd9Bj4Mc6Gs1Py0UaEoIiXqZrWtYlKpVbNmCs"

SOUND: dict[str, Any] = {
    "SECRET_KEY": SOUND_KEY,
    "RAMPART_DEFAULT": "deny",
    "RAMPART_HTTPS": "refuse",
    "RAMPART_LIMIT_STORE": "shm://",
    "RAMPART_LIMITS": "1000/hour",
    "RAMPART_SESSION_PREFIX": "host",
    "RAMPART_TRUSTED_HOSTS": ["api.example.com"],
    "RAMPART_TRUSTED_PROXIES": ["10.0.0.0/8"],
    "RAMPART_AUDIT_LOG": "audit",
    "RAMPART_ACCESS_LOG": "stderr",
}
"""Settings of an app in which nothing is found."""


class Place:
    """Makes apps in a folder of their own, as deployed: neither in debug mode nor tested."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._count = 0

    def app(self, *, rampart: bool = True, **config: Any) -> Flask:
        """An app with these settings over the sound ones; ``...`` leaves one out."""
        app = Flask("flask_app", root_path=str(self.folder), instance_path=str(self.folder / "instance"))
        app.config.update({name: value for name, value in {**SOUND, **config}.items() if value is not ...})
        for name in [name for name, value in config.items() if value is ...]:
            app.config.pop(name, None) if name.startswith("RAMPART_") else None
        if rampart:
            Rampart(app)
        return app

    def module(self, source: str) -> Flask:
        """The ``app`` of a module with this source, in which ``SOUND`` is known."""
        self._count += 1
        name = f"checked_app_{self._count}"
        (self.folder / f"{name}.py").write_text(source)
        self._monkeypatch.syspath_prepend(str(self.folder))
        app: Flask = import_module(name).app
        return app


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("flask_rampart.tables.private_directory", lambda: str(tmp_path / "counters"))
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "FORWARDED_ALLOW_IPS"):
        monkeypatch.delenv(name, raising=False)
    # What other tests and the documents' examples have registered is not this app's.
    monkeypatch.setattr("flask_rampart.check.own._registered", {})
    # Modules that other tests have loaded are not this app's.
    monkeypatch.setattr("flask_rampart.check.project.loaded_files", list)
    # What is installed where the tests run is not what is checked.
    monkeypatch.setattr("flask_rampart.check.installed.check", lambda subject: iter(()))
    yield Place(folder, monkeypatch)
    for name in [name for name in sys.modules if name.startswith("checked_app_")]:
        del sys.modules[name]


def checked(app: Flask, *, deploy: bool = True, environ: dict[str, str] | None = None, **more: Any) -> Report:
    return run(app, deploy=deploy, today=TODAY, environ=environ or {}, **more)


def ids(app: Flask, **more: Any) -> list[str]:
    """The ids of what is found, each once."""
    return list(dict.fromkeys(finding.rule.id for finding in checked(app, **more).findings))


def of(app: Flask, id: str, **more: Any) -> list[Finding]:
    """What is found by one rule."""
    return [finding for finding in checked(app, **more).findings if finding.rule.id == id]


@public
def hello() -> str:
    return "hello"
