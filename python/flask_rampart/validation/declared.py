"""What a view declares of its input: its guards, bound to one check; what it reads of it is in ``reading``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._native import JsonRejected, Schema, SchemaRejected
from ..checks import Check
from ..errors import ConfigError, Denied
from ..exchange import NOT_CHECKED, Exchange
from ..guards import AppState, Guard, Stage
from ..uploads import Upload, files_reader, must_parse
from .bodies import HELD, Bounds, read_body, rejected_json
from .generated import Errors, Make
from .lint import SchemaLint
from .messages import Messages
from .models import check_given, is_model, judging_schema, model_of, name_of
from .parts import PLACES, Read, Unknown, reader
from .responses import MODES, Responses, by_status

if TYPE_CHECKING:
    from _typeshed import StrPath

Shape: TypeAlias = "Mapping[str, Any] | StrPath | type[Any] | object"
"""A JSON Schema, as a dict or in a file, or a model: see ``models``."""

_UNKNOWN = ("reject", "ignore", "strip")


class validate(Guard):  # noqa: N801 - read as a verb above a view
    """Lets only requests through whose parts have the shape of a schema; the view reads ``validated.query`` and so on.

    Each part takes a JSON Schema: a dict, or the path of a file, relative to the app's folder. Or a model: a class of
    pydantic, msgspec or marshmallow, a dataclass, a ``TypedDict``, a type of these such as ``list[Order]``; then
    ``validated.body`` and so on are its instance: annotate it where it is read, ``order: Order = validated.body``.

    :param body: of a JSON body.
    :param query: an object of what stands behind the question mark. Texts become the types that it names, as OpenAPI
        3.1 writes them (section 4.8.12.3); ``x-style`` and ``x-explode`` beside a type say how lists are written.
    :param path: of what the route takes out of the path.
    :param headers: of header fields, in any spelling of capitals.
    :param cookies: of cookies.
    :param form: of the fields of a form; instead of *body*.
    :param files: of a form, beside its fields or alone: by name, each an :class:`~flask_rampart.Upload` instead of a
        schema.
    :param unknown: what becomes of names that the schema does not know, in body, query, path, form and files:
        ``"reject"`` (the default; of a path, ``"ignore"``), ``"ignore"`` (they pass; in text, as text) or ``"strip"``.
        In a body, of objects whose schema lists ``properties`` and does not say itself what becomes of others.
    :param response: of what the view answers: a shape for all 2xx, or shapes by status, ``{200: Order, "4XX": {...},
        "default": ...}``; None for a status without a shape. Where it is a model, the view may return its instances.
    :param response_mode: what becomes of another answer: ``"off"``, ``"log"`` or ``"enforce"`` (the client gets 500).
        ``RAMPART_RESPONSE_MODE``, if not given.
    :raises ConfigError: at start-up, for a schema that cannot be used: misspelt keywords, unknown formats,
        remote references, patterns that need backtracking, recursion that branches; see ``RAMPART_SCHEMA_LINT`` too.

    The client receives 400, 413, 415 or 422; a 422 lists ``errors``, each with ``in`` (the part), ``pointer`` and
    ``rule``.

    >>> validate(body={"type": "object", "required": ["text"]})
    validate(body={...})
    >>> validate(query={"properties": {"page": {"type": "integer", "default": 1}}}, path="path.json")
    validate(path='path.json', query={...})
    """

    stage = Stage.PAYLOAD
    name = "validate"

    def __init__(
        self,
        *,
        body: Shape | None = None,
        query: Shape | None = None,
        path: Shape | None = None,
        headers: Shape | None = None,
        cookies: Shape | None = None,
        form: Shape | None = None,
        files: Mapping[str, Upload] | None = None,
        response: Shape | None = None,
        response_mode: Literal["off", "log", "enforce"] | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        given = {"path": path, "query": query, "headers": headers, "cookies": cookies, "form": form}
        given |= {"files": files, "body": body}
        self.given = {part: schema for part, schema in given.items() if schema is not None}
        if files is not None and not isinstance(files, Mapping):
            raise ConfigError(f"validate(files=...) takes a dict of names with Uploads, not {type(files).__name__}.")
        for part, schema in self.given.items():
            if part != "files":
                check_given(part, schema)
        self.response = by_status(response) if response is not None else None
        self.given |= {"response": response} if response is not None else {}
        if response_mode is not None and (response is None or response_mode not in MODES):
            raise ConfigError(
                f"validate(response=..., response_mode=...) is one of {', '.join(map(repr, MODES))}, beside a response."
            )
        self.response_mode = response_mode
        if not self.given:
            raise ConfigError("validate() without a schema would check nothing. Give body=, query=, path= and so on.")
        if body is not None and (form is not None or files is not None):
            raise ConfigError("validate(body=..., form=...) or files=: a body is one of both.")
        if unknown is not None and not self.given.keys() & {"body", "query", "path", "form", "files"}:
            raise ConfigError(
                "validate(unknown=...) is about body=, query=, path=, form= and files=; none of these is given."
            )
        if unknown is not None and unknown not in _UNKNOWN:
            raise ConfigError(f"validate(unknown=...) is one of {', '.join(map(repr, _UNKNOWN))}, not {unknown!r}.")
        self.body = body
        self.files = files
        self.unknown = unknown

    def __repr__(self) -> str:
        told = ", ".join(f"{part}={name_of(schema)}" for part, schema in self.given.items())
        return f"validate({told})"

    def body_schema(self, bounds: Bounds) -> Schema:
        """What judges a body, compiled.

        :raises ConfigError: if it cannot be.
        """
        return bounds.schema(_shape(self.given["body"], "body"), self.unknown or "reject")

    @classmethod
    def bind(cls, guards: Sequence[tuple[validate, str]], state: AppState, endpoint: str) -> Check:
        bounds: Bounds = state.services[Bounds]
        messages: Messages = state.services.setdefault(Messages, Messages())
        # First: what is told of two schemas is no cure for two models.
        make = _making_body(guards, endpoint)
        judging = _in_order([guard for guard, _ in guards if guard.body is not None], endpoint)
        bodies = [guard.body_schema(bounds) for guard in judging]
        SchemaLint.of(state).bodies(bodies, judging, state, endpoint)
        parts = _parts([guard for guard, _ in guards], bounds, state, endpoint)
        if bodies and any(place in ("form", "files") for place, _ in parts):
            raise ConfigError(
                f"{endpoint}: validate(body=...) and validate(form=...) or files=: a body is one of both."
            )
        read = _body(bodies[0], bodies[1:], bounds, make) if bodies else None
        check = _all_parts(parts, read, messages) if parts else _alone(read, messages) if read is not None else None
        answering = [guard for guard, _ in guards if guard.response is not None]
        if len(answering) > 1:
            raise ConfigError(f"{endpoint}: validate(response=...) stands there twice. Make one of both, by status.")
        for guard in answering:
            responses = Responses.of(state)
            check = responses.armed(responses.contract(guard.response or {}, guard.response_mode, endpoint), check)
        if check is None:
            raise ConfigError(f"{endpoint}: validate() without a schema would check nothing.")
        return check


def _shape(given: Any, part: str) -> Any:
    """What the core judges by: a schema as it was given, or that of a model."""
    if not is_model(given):
        return given
    try:
        return judging_schema(given, part)
    except ConfigError as error:
        raise ConfigError(f"validate({part}=...): {error}") from error


def _making(guard: validate, part: str) -> Make | None:
    """What makes a model's instance of a part, if a model was given."""
    given = guard.given[part]
    if not is_model(given):
        return None
    make, unknown = model_of(given).make, guard.unknown or "reject"
    return lambda value: make(value, unknown)


def _making_body(guards: Sequence[tuple[validate, str]], endpoint: str) -> Make | None:
    found = [make for guard, _ in guards if "body" in guard.given and (make := _making(guard, "body")) is not None]
    if len(found) > 1:
        raise ConfigError(f"{endpoint}: validate(body=...) stands there with two models: a body is one of both.")
    return found[0] if found else None


class _Made:
    """What a model has made of a part: of any type, also that of errors."""

    __slots__ = ("instance",)

    def __init__(self, instance: Any) -> None:
        self.instance = instance


def _made(read: Read, make: Make) -> Callable[[Exchange, Any], Any]:
    def read_and_make(exchange: Exchange, request: Any) -> _Made | Errors:
        said = read(exchange, request)
        if not isinstance(said, dict):
            return said
        instance, errors = make(said)
        return errors or _Made(instance)

    return read_and_make


def _know(names: Sequence[str], state: AppState, endpoint: str) -> None:
    """Every name is one that the route takes out of the path: one that is never there would never be checked.

    :raises ValueError: if one is not.
    """
    for rule in state.app.url_map.iter_rules(endpoint) if endpoint in state.app.view_functions else ():
        missing = sorted(set(names) - rule.arguments)
        if missing:
            has = ", ".join(map(repr, sorted(rule.arguments))) or "no such"
            raise ValueError(f"the route {rule.rule} takes {has} out of the path, not {missing[0]!r}.")


def _parts(guards: Sequence[validate], bounds: Bounds, state: AppState, endpoint: str) -> list[tuple[str, Read]]:
    found: list[tuple[str, Read]] = []
    uploads = [guard for guard in guards if guard.files is not None]
    files = next((guard.files for guard in guards if guard.files is not None), {})
    for place in PLACES:
        declared = [guard for guard in guards if place in guard.given]
        if len(declared) > 1:
            raise ConfigError(
                f"{endpoint}: validate({place}=...) stands there twice, and each would refuse what the other knows. "
                "Make one schema of both, with allOf."
            )
        for guard in declared:
            given: Any = guard.given[place]
            make = _making(guard, place)
            where, text = bounds.text(place, _shape(given, place))
            where = where if make is None else f"validate({place}={name_of(given)})"
            if place == "form":
                must_parse(state.app.request_class, where)
            try:
                made, names = reader(place, text, bounds, guard.unknown, files)
                if place == "path":
                    _know(names, state, endpoint)
                if place == "form" and (both := sorted(set(names) & set(files))):
                    raise ValueError(f"{both[0]!r} is a field and a file: give it another name in one of them.")
                SchemaLint.of(state).texts(place, text, guard.unknown, guard, state, endpoint)
                found.append((place, made if make is None else _made(made, make)))
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
    if len(uploads) > 1:
        raise ConfigError(f"{endpoint}: validate(files=...) stands there twice. Make one dict of both.")
    for guard in uploads:
        must_parse(state.app.request_class, f"{endpoint}: validate(files=...)")
        refuses_others = (guard.unknown or "reject") == "reject"
        found.append(("files", files_reader(files, bounds.forms, refuses_others=refuses_others)))
    return found


def _in_order(guards: Sequence[validate], endpoint: str) -> list[validate]:
    """Who judges a body: who does not ignore the unknown comes last, sees what the others leave, and they see all."""
    if sum(guard.unknown != "ignore" for guard in guards) > 1:
        raise ConfigError(
            f"{endpoint}: validate(body=...) stands there twice, and each would refuse what the other knows. "
            'Make one schema of both, with allOf, or say unknown="ignore" for all but one.'
        )
    return sorted(guards, key=lambda guard: guard.unknown != "ignore")


ReadBody = Callable[[Exchange], "Denied | SchemaRejected | Errors | None"]


def _body(one: Schema, more: Sequence[Schema], bounds: Bounds, make: Make | None) -> ReadBody:
    """Reads a body into the exchange, or gives its refusal, or what is wrong with its shape."""
    max_bytes = bounds.max_bytes

    def read(exchange: Exchange) -> Denied | SchemaRejected | Errors | None:
        request = exchange.request()
        first, others, own = one, more, request.__dict__.get(HELD)
        if own is not None:
            first, *others = [bounds.under(schema, own.json) for schema in (one, *more)]
        # The usual spelling needs no parsing.
        if exchange.environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
            return Denied.of("body.media_type", reason="not JSON")
        body = first.judge(read_body(request, max_bytes))
        if isinstance(body, JsonRejected):
            return rejected_json(body)
        if isinstance(body, SchemaRejected):
            return body
        try:
            for schema in others:
                body = schema.check_value(body)
        except JsonRejected as rejected:
            return rejected_json(rejected)
        except SchemaRejected as rejected:
            return rejected
        if make is not None:
            instance, errors = make(body)
            if errors:
                return errors
            # Beside the body, which stays what was sent: `request.get_json()` gives no instances.
            exchange.parts = {**exchange.parts, "body": instance}
        elif "body" in exchange.parts:
            # Of another view, which has called this one.
            exchange.parts = {place: part for place, part in exchange.parts.items() if place != "body"}
        exchange.body = body
        return None

    return read


def _alone(read: ReadBody, messages: Messages) -> Check:
    def check(exchange: Exchange) -> Denied | None:
        said = read(exchange)
        if said is None or isinstance(said, Denied):
            return said
        if isinstance(said, SchemaRejected):
            return messages.misshapen(said)
        return messages.broken("body", [("body", pointer, rule) for pointer, rule in said])

    return check


def _all_parts(parts: Sequence[tuple[str, Read]], read_a_body: ReadBody | None, messages: Messages) -> Check:
    def check(exchange: Exchange) -> Denied | None:
        request = exchange.request()
        found: dict[str, Any] = {}
        broken: list[tuple[str, str, str]] = []
        failed: str = ""
        for place, read in parts:
            try:
                said = read(exchange, request)
            except JsonRejected as rejected:
                # A number that this process does not read.
                return rejected_json(rejected)
            if isinstance(said, dict):
                found[place] = said
            elif isinstance(said, _Made):
                found[place] = said.instance
            else:
                # By what it is and not by how much is told of it: that may be nothing.
                failed = failed or place
                broken += [(place, pointer, rule) for pointer, rule in said]
        if read_a_body is not None:
            refused = read_a_body(exchange)
            if isinstance(refused, Denied):
                return refused
            if refused is not None:
                errors = refused.errors if isinstance(refused, SchemaRejected) else refused
                failed = failed or "body"
                broken += [("body", pointer, rule) for pointer, rule in errors]
        if failed:
            # What a view may read is all of it, or nothing.
            exchange.body = NOT_CHECKED
            exchange.parts = {}
            return messages.broken(failed, broken)
        # Another guard may have read other parts of the same request; the body's instance is there already.
        exchange.parts = {**exchange.parts, **found} if exchange.parts else found
        return None

    return check
