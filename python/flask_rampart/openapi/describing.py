"""``describe``: what a view says of itself in the document, and no guard can know."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import PROBLEMS, ConfigError
from ..readers import nearest
from ..view_classes import view_class

T = TypeVar("T")
ATTRIBUTE = "__rampart_described__"
_DEEP = 64
_STATUS = re.compile(r"[1-5]([0-9]{2}|XX)|default")


@dataclass(frozen=True)
class Description:
    """What was said of one view."""

    summary: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    deprecated: bool | None = None
    hidden: bool = False
    #: By status, each a text or a Response Object.
    answers: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()


class describe:  # noqa: N801 - read as a verb above a view
    """Says of a view what stands in the OpenAPI document; it guards nothing.

    :param summary: instead of the first line of its docstring.
    :param description: instead of the rest of it.
    :param tags: instead of the names of its blueprints.
    :param deprecated: whether it should not be used any more; also said by ``warnings.deprecated``.
    :param hidden: whether it is left out of the document. It is served all the same.
    :param answers: what the view itself answers, by status (``200``, ``"2XX"``, ``"default"``): a text, or a Response
        Object (OpenAPI 3.1 section 4.8.17), such as ``{"description": "A file", "content": {"text/csv": {}}}``.
    :param problems: codes of ``docs/problems.md`` that the view itself refuses with, by ``tokens.refresh()`` say.
    :raises ConfigError: at import, for what cannot be said.

    >>> @describe(answers={200: "The order", 409: "It is closed."}, deprecated=True)
    ... def order(number):
    ...     return {}
    >>> order(1)
    {}
    """

    def __init__(
        self,
        *,
        summary: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        deprecated: bool | None = None,
        hidden: bool = False,
        answers: Mapping[int | str, Any] | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        if isinstance(tags, str):
            raise ConfigError(f"describe(tags=...) is a list of texts, not {tags!r}.")
        codes = (problems,) if isinstance(problems, str) else tuple(problems)
        for code in codes:
            if code not in PROBLEMS:
                raise ConfigError(f"describe(problems=...): {code!r} is no code.{nearest(code, list(PROBLEMS))}")
        said = None if answers is None else {str(status): answer for status, answer in answers.items()}
        for status, answer in (said or {}).items():
            if not _STATUS.fullmatch(status):
                raise ConfigError(f"describe(answers=...): {status!r} is no status, such as 404, '4XX' or 'default'.")
            if not isinstance(answer, (str, Mapping)) or (isinstance(answer, Mapping) and "description" not in answer):
                raise ConfigError(
                    f"describe(answers=...): {status} is a text, or a dict with 'description' and 'content', "
                    f"not {answer!r}."
                )
            must_be_json(f"describe(answers=...): {status}", answer)
        self._said = Description(
            summary, description, None if tags is None else tuple(tags), deprecated, hidden, said, codes
        )

    def __call__(self, target: T) -> T:
        if not callable(target):
            raise ConfigError(f"Write @describe(...) above a view, not on {target!r}.")
        holder: Any = getattr(target, "__func__", target)
        try:
            setattr(holder, ATTRIBUTE, self._said)
        except (AttributeError, TypeError):
            raise ConfigError(
                f"describe(...) cannot be written on {target!r}: put it on a function of yours."
            ) from None
        return target


def must_be_json(what: str, value: Any) -> None:
    """Found out only when the document is asked for, it would be late.

    :raises ConfigError: if *value* cannot stand in a document.
    """
    try:
        json.dumps(value, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{what} has something in it that JSON does not: {error}.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__}")


def described(view: Any, method: str) -> Description:
    """What was said of a view for a method: by the method of its class, else by the class or function."""
    for holder in _holders(view, method):
        said = _said(holder)
        if said is not None:
            return said
    return Description()


def is_deprecated(view: Any, method: str) -> bool:
    """Whether a view says of itself that it should not be used any more (PEP 702)."""
    return any(hasattr(layer, "__deprecated__") for holder in _holders(view, method) for layer in _layers(holder))


def texts_of(view: Any, method: str) -> tuple[str, str]:
    """The first line of a view's docstring, and the rest of it, up to its first field."""
    for holder in _holders(view, method):
        if not (inspect.isroutine(holder) or inspect.isclass(holder)):
            continue
        # A class that says nothing would say what its base in Flask says.
        own = holder.__doc__ if inspect.isclass(holder) else inspect.getdoc(holder)
        if own:
            return _taken_apart(inspect.cleandoc(own))
    return "", ""


def _holders(view: Any, method: str) -> Iterator[Any]:
    cls = view_class(view)
    if cls is None:
        yield view
        return
    for name in (method.lower(), "dispatch_request"):
        function = inspect.getattr_static(cls, name, None)
        # What Flask's own classes have there says nothing of the view.
        if function is not None and not getattr(function, "__module__", "").startswith("flask."):
            yield getattr(function, "__func__", function)
    yield cls


def _said(holder: Any) -> Description | None:
    # A class inherits what was said of its base, as it inherits its methods.
    for layer in _layers(holder):
        said = getattr(layer, ATTRIBUTE, None)
        if isinstance(said, Description):
            return said
    return None


def _layers(view: Any) -> Iterator[Any]:
    for _ in range(_DEEP):
        yield view
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return


def _taken_apart(text: str) -> tuple[str, str]:
    first, _, rest = text.partition("\n\n")
    kept = []
    for line in rest.splitlines():
        # Fields are for who reads the code; what stands under "---" is another tool's.
        if line.startswith((":param", ":raises", ":return", "---", ">>>")):
            break
        kept.append(line)
    return " ".join(first.split()), "\n".join(kept).strip()
