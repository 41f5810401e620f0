"""What is checked: an app as it would answer its first request, and what is around it."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask

from ..config import Settings
from ..exchange import EXTENSION
from ..guards import AppState
from .catalogue import CATALOGUE
from .findings import Finding, Place, Severity


@dataclass(frozen=True, slots=True)
class Subject:
    """An app, and what is known of where it runs."""

    app: Flask
    state: AppState
    today: date
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    here: Path = field(default_factory=Path.cwd)
    #: What the app warned of, and why it does not start, if it does not.
    told: tuple[str, ...] = ()
    failure: Exception | None = None
    #: What could not be looked at.
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, app: Flask, *, today: date, environ: Mapping[str, str] | None = None) -> Subject:
        """The app, started as its first request would start it.

        :raises LookupError: if it has no ``Rampart(app)``.
        """
        state: AppState | None = app.extensions.get(EXTENSION)
        if state is None:
            raise LookupError("this app has no Rampart(app)")
        told: list[str] = []
        failure: Exception | None = None
        keep = _Keep(told)
        app.logger.addFilter(keep)
        try:
            state.seal()
        except Exception as error:  # the app's own callables too, which may raise anything
            failure = error
        except SystemExit as error:
            failure = RuntimeError(f"it ends the process (exit {error.code})")
        finally:
            app.logger.removeFilter(keep)
        around = dict(os.environ if environ is None else environ)
        return cls(app, state, today, around, told=tuple(dict.fromkeys(told)), failure=failure)

    @property
    def settings(self) -> Settings:
        return self.state.settings

    def config(self, name: str) -> Any:
        return self.app.config.get(name)

    def shown(self, path: str | os.PathLike[str]) -> str:
        """A path as it is told: relative to where the check was started, if it is below that."""
        full = Path(path).absolute()
        return str(full.relative_to(self.here)) if full.is_relative_to(self.here) else str(full)

    def source_of(self, view: Any) -> tuple[str | None, int | None]:
        """Where a view is written."""
        view = unwrapped(view)
        code = getattr(view, "__code__", None)
        if code is not None:
            return self.shown(code.co_filename), code.co_firstlineno
        try:
            file = inspect.getsourcefile(view)
            return (None if file is None else self.shown(file)), inspect.getsourcelines(view)[1]
        except (TypeError, OSError):
            return None, None


def unwrapped(view: Any) -> Any:
    """The function or class that a view is, behind decorators and ``functools.partial``."""
    view = inspect.unwrap(getattr(view, "view_class", view))
    while isinstance(view, functools.partial):
        view = inspect.unwrap(view.func)
    return view


def found(id: str, message: str, place: Place | None = None, severity: Severity | None = None) -> Finding:
    """A finding of a rule in the catalogue."""
    return Finding(CATALOGUE[id], message, place or Place(), severity)


def settings_found(id: str, message: str, *names: str) -> Finding:
    """One about settings."""
    return found(id, message, Place(setting=", ".join(names)))


def listed(words: Iterable[str]) -> str:
    """Words in one sentence: ``"a, b and c"``."""
    *front, last = words
    return f"{', '.join(front)} and {last}" if front else last


class _Keep(logging.Filter):
    """Takes what an app's logger warns of, so that it is told once, as a finding."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        self._told.append(record.getMessage())
        return False
