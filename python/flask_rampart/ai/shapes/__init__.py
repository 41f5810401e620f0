"""Shapes: what the bodies of an API look like, on the way in and on the way out, whole and streamed.

``"chat"``, ``"completions"`` and ``"responses"`` are OpenAI's; ``"prompt"`` is an object with a ``prompt``, answered by
one with a ``text``; :class:`Paths` is where an app has put these itself. What is not of its shape is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import ConfigError
from ...readers import nearest
from .chat import Chat
from .common import Event as Event
from .common import Events as Events
from .common import Shape as Shape
from .common import Stop as Stop
from .completions import Completions
from .paths import Paths as Paths
from .responses import Responses

_NAMED: dict[str, Callable[[Sequence[str], Sequence[str]], Shape]] = {
    "chat": Chat,
    "completions": Completions,
    "responses": Responses,
}


def shape_of(given: object, more: Sequence[str] = (), most_names: Sequence[str] = ()) -> Shape:
    """
    :param more: further members of a request.
    :param most_names: by what names the model's server is told how many tokens an answer may have.
    :raises ConfigError: for what is no shape, and for members of one that says its own.

    >>> shape_of("chat").name
    'chat'
    """
    if isinstance(more, str) or not all(isinstance(name, str) and name for name in more):
        raise ConfigError('ai.guard(members=...) is a list of names, such as ["top_k"].')
    if isinstance(given, str) and given in _NAMED:
        return _NAMED[given](more, most_names)
    if isinstance(given, Paths) or given == "prompt":
        if most_names:
            raise ConfigError(
                'ai.guard(most_name=...): an app\'s own shape says it itself, ai.Paths(most="/max_tokens").'
            )
        if more and isinstance(given, Paths):
            raise ConfigError("ai.guard(members=...): say it where the shape is, ai.Paths(members=[...]).")
        return given if isinstance(given, Paths) else Paths(members=more)
    known = [*_NAMED, "prompt"]
    close = nearest(given, known) if isinstance(given, str) else ""
    raise ConfigError(
        f"ai.guard(shape={given!r}): it is one of {', '.join(map(repr, known))}, or ai.Paths(...).{close}"
    )
