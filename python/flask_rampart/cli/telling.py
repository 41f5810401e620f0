"""How the commands find what they work on, and tell what is wrong. How it looks is in ``layout``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..errors import RampartError
from ..exchange import EXTENSION
from ..guards import AppState
from ..tables import changing, looking

Command = Callable[..., None]


def only_looks(command: Command) -> Command:
    """A command that makes no table of the workers' and changes none; above what loads the app, which may open some."""
    return _within(looking, command)


def _within(mode: Callable[[], AbstractContextManager[None]], command: Command) -> Command:
    @wraps(command)
    def one(*words: Any, **given: Any) -> None:
        with mode():
            command(*words, **given)

    return one


def works_on(kind: type[Any], otherwise: str, *, looks: bool = False) -> Callable[[Command], Command]:
    """A command whose first argument is the app's own *kind*. What is wrong becomes a sentence and exit code 1.

    :param otherwise: what is told if the app has none.
    :param looks: whether it :func:`only_looks`. If not, it takes the workers' tables as they are, and may make some.
    """

    def decorate(command: Command) -> Command:
        @with_appcontext
        @wraps(command)
        def told(**given: Any) -> None:
            state: AppState | None = current_app.extensions.get(EXTENSION)
            service = state.services.get(kind) if state else None
            if state is None or service is None:
                raise click.ClickException(otherwise)
            try:
                command(service, **given)
            except (RampartError, LookupError, ValueError) as error:
                raise click.ClickException(str(error.args[0] if error.args else error)) from None

        return _within(looking if looks else changing, told)

    return decorate
