"""One operation of the document: a view, for one method, at one path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from werkzeug.routing import Rule

from ..access import require
from ..audit import Audit, audit
from ..guards import AppState, Guard
from ..origins import CsrfPolicy
from ..validation import Bounds
from .answers import Answers, blueprints_of, status_text
from .describing import Description, described, is_deprecated, texts_of
from .keywords import Object
from .offered import declared, offered_by, request_body
from .parts import Parts
from .paths import schema_of
from .quotas import limits_of, told
from .schemas import Schemas, component_name
from .security import Security, access_of, sentences


class Operations:
    """Makes the operations of one document."""

    def __init__(self, state: AppState, schemas: Schemas, known: Mapping[str, Object]) -> None:
        """
        :param known: the answers of views of our own, by endpoint.
        """
        self._state = state
        self._schemas = schemas
        self._known = known
        self._bounds: Bounds = state.services[Bounds]
        self.security = Security(state)
        self.answers = Answers(state, schemas)
        self._ids: set[str] = set()
        self.tags: set[str] = set()

    def tells(self, rule: Rule, method: str) -> bool:
        """Whether a route is told of for a method: it is not hidden, and does not refuse everybody."""
        guards = [guard for guard, _ in self._state.guards_of(rule.endpoint, method)]
        view = self._state.app.view_functions[rule.endpoint]
        return not described(view, method).hidden and not self._is_refused(guards)

    def make(self, rule: Rule, method: str, names: Mapping[str, str], path: str) -> Object:
        """An operation.

        :param names: what the path calls that which the route takes, by the route's own name.
        :param path: as it is written in the document.
        """
        state, endpoint = self._state, rule.endpoint
        view = state.app.view_functions[endpoint]
        said = described(view, method)
        guards = [guard for guard, _ in state.guards_of(endpoint, method)]
        offered = offered_by(guards, rule.rule)
        guards += offered.always
        demands = [guard for guard in guards if isinstance(guard, require)]
        identity = self._identity(endpoint, method, path)
        parts = Parts(guards, self._bounds, self._schemas, identity)
        limits = limits_of(guards, state, endpoint, method)
        access = access_of(demands, self.security.hidden)
        codes = self.answers.codes(
            rule.rule,
            method,
            demands=demands,
            kinds=self.security.kinds(demands) if demands else (),
            limits=limits,
            parts=parts.declared | declared(offered),
            of_types=parts.types is not None,
            enforced=parts.enforces_answers(state.settings.response_mode),
            more=(
                *said.problems,
                *(["body.media_type"] if offered.bodies else []),
                *self._of_pages(endpoint, method, demands),
                *self._of_record(guards),
            ),
        )
        made: Object = self._texts(view, method, said, sentences(access))
        made["operationId"] = identity
        tags = self._tags(endpoint, said)
        if tags:
            made["tags"] = tags
        if said.deprecated or (said.deprecated is None and is_deprecated(view, method)):
            made["deprecated"] = True
        in_path = {name: schema_of(rule, name) for name in names}
        parameters = [_renamed(each, names) for each in parts.parameters(in_path)]
        if parameters:
            made["parameters"] = parameters
        body = parts.body() or request_body(
            offered, lambda guard: Parts([guard], self._bounds, self._schemas, identity)
        )
        if body is not None:
            made["requestBody"] = body
        made["responses"] = self._responses(endpoint, said, parts, codes, takes=bool(names))
        made["security"] = self.security.requirements(demands, method)
        if access:
            made["x-rampart-access"] = access
        if limits:
            made["x-rampart-limits"] = told(limits)
        if codes:
            made["x-rampart-codes"] = codes
        if parts.bounds:
            made["x-rampart-bounds"] = parts.bounds
        made.update(parts.more)
        return made

    def _of_pages(self, endpoint: str, method: str, demands: Sequence[require]) -> list[str]:
        """What pages of other sites are refused with: where the view has said so, or takes what browsers add by
        themselves."""
        state = self._state
        protection: CsrfPolicy = state.services[CsrfPolicy]
        mode, _ = protection.of_view(state, endpoint, method)
        if mode == "token":
            return ["csrf.invalid", "csrf.origin"]
        taken = bool(demands) and self.security.by_browsers(self.security.kinds(demands))
        return ["csrf.origin"] if mode == "strict" or (mode != "off" and taken) else []

    def _of_record(self, guards: Sequence[Guard]) -> list[str]:
        """What is refused because it cannot be recorded."""
        log: Audit = self._state.services[Audit]
        recorded = log.enabled and log.refuses and any(isinstance(guard, audit) for guard in guards)
        return ["audit.unavailable"] if recorded else []

    def _is_refused(self, guards: Sequence[Guard]) -> bool:
        """Whether the app answers everybody with ``route.undeclared``."""
        return self._state.settings.default == "deny" and not any(guard.opens for guard in guards)

    def _identity(self, endpoint: str, method: str, path: str) -> str:
        plain = component_name(f"{endpoint.replace('.', '_')}_{method.lower()}").replace(".", "_")
        # A view with several routes: the first that the app added has the plain name.
        found = plain if plain not in self._ids else component_name(f"{plain}_{path}").replace(".", "_")
        number = 1
        while found in self._ids:
            number += 1
            found = f"{plain}_{number}"
        self._ids.add(found)
        return found

    def _texts(self, view: Any, method: str, said: Description, more: Iterable[str]) -> Object:
        summary, description = texts_of(view, method)
        summary = summary if said.summary is None else said.summary
        description = description if said.description is None else said.description
        description = "\n\n".join(filter(None, (description, " ".join(more))))
        made = {"summary": summary, "description": description}
        return {word: text for word, text in made.items() if text}

    def _tags(self, endpoint: str, said: Description) -> list[str]:
        blueprint = endpoint.rpartition(".")[0]
        tags = [blueprint] if blueprint else []
        if said.tags is not None:
            tags = list(said.tags)
        self.tags.update(tags)
        return tags

    def _responses(
        self, endpoint: str, said: Description, parts: Parts, codes: Mapping[str, Sequence[str]], *, takes: bool
    ) -> Object:
        refusals = self.answers.of_problems(codes, blueprints_of(endpoint))
        own = {**self._known.get(endpoint, {}), **parts.responses()}
        for status, answer in (said.answers or {}).items():
            written = dict(answer) if isinstance(answer, Mapping) else {"description": answer}
            own[status] = {**own.get(status, {}), **written}
        made: Object = {}
        if takes:
            made["404"] = {"description": status_text("404")}
        if not own:
            own = {"default": {"description": "What the view answers."}}
        for status, answer in own.items():
            made[status] = _beside(refusals.pop(status, None), answer, self.answers.content())
        made.update(refusals)
        return dict(sorted(made.items()))


def _beside(refusal: Object | None, own: Object, problem: Object) -> Object:
    """One answer for what is refused and what the view answers with the same status.

    :param problem: the content of a refusal.
    """
    if refusal is None:
        return own
    # Fields that a refusal always has, the view's own answer may not have.
    told = f"{refusal['description']} {own['description']}"
    content = {**problem, **own.get("content", {})} if "$ref" in refusal else own.get("content")
    return {**own, "description": told, **({"content": content} if content else {})}


def _renamed(parameter: Object, names: Mapping[str, str]) -> Object:
    if parameter["in"] != "path":
        return parameter
    return {**parameter, "name": names.get(parameter["name"], parameter["name"])}
