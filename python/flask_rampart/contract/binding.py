"""Binds a document to an app: at start-up it is read and matched, and each view gets the guard of its operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import length_hint
from pathlib import Path
from typing import Any, Literal

from flask import Flask

from ..declarations import epoch
from ..errors import ConfigError
from ..guards import AppState, Guard, asks_who
from ..validation import Bounds, validate
from .dialect import Dialect
from .document import Document
from .files import upload_of
from .guarding import Contracted, Served
from .matching import Matched, Mismatch, match
from .operations import Noted, Operation, operations
from .parts import PARTS, bodies, parameters, responses
from .report import Report

Given = Mapping[str, Any] | str | Path
Unknown = Literal["reject", "ignore", "strip"]


class Contract:
    """An OpenAPI document that apps are bound to. ``Rampart.contract`` makes it, and says what the arguments mean.

    :raises ConfigError: for an argument that cannot be meant.
    """

    def __init__(
        self,
        document: Given,
        *,
        strict: bool | Literal["report"] = True,
        base_path: str | None = None,
        exclude: Iterable[str] = (),
        unknown: Unknown = "reject",
        read_only: Literal["reject", "ignore"] = "reject",
        security: bool = True,
        validate_responses: Literal["off", "log", "enforce"] = "off",
    ) -> None:
        if not isinstance(document, (Mapping, str, Path)) or not document:
            raise ConfigError(
                f"contract() takes the path of an OpenAPI document, or a dict, not {type(document).__name__}."
            )
        if strict is not True and strict != "report":
            raise ConfigError(f'contract(strict=...) is True, or "report" to be warned only, not {strict!r}.')
        if base_path is not None and (
            not isinstance(base_path, str) or (base_path and (base_path[0] != "/" or base_path[-1] == "/"))
        ):
            raise ConfigError(f'contract(base_path=...) is "" or such as "/v1", not {base_path!r}.')
        exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        if not all(isinstance(name, str) for name in exclude):
            raise ConfigError("contract(exclude=...) is a list of endpoints, as texts.")
        _one_of("unknown", unknown, ("reject", "ignore", "strip"))
        _one_of("read_only", read_only, ("reject", "ignore"))
        _one_of("validate_responses", validate_responses, ("off", "log", "enforce"))
        if not isinstance(security, bool):
            raise ConfigError(f"contract(security=...) is True or False, not {security!r}.")
        self.given = document
        self.strict = strict
        self.base_path = base_path
        self.exclude: Sequence[str] = exclude
        self.unknown: Unknown = unknown
        self.lenient = read_only == "ignore"
        self.security = security
        self.validate_responses = validate_responses


class Bound:
    """A contract as it holds in one app."""

    def __init__(self, contract: Contract, state: AppState) -> None:
        self.contract = contract
        self._state = state
        self._note = Noted()
        self.document = Document(contract.given, state.app.root_path)
        self.operations = operations(self.document, self._note)
        version = self.document.version
        self._asked = Dialect(version, "request", self._note, lenient=contract.lenient)
        self._answered = Dialect(version, "response", self._note, lenient=contract.lenient)
        self._found: tuple[Report, dict[tuple[str, str], dict[str, Served]]] | None = None

    def report(self) -> Report:
        """What matches and what does not. When all views are known.

        :raises ConfigError: for what of the document cannot be used.
        """
        return self._made()[0]

    def forget(self) -> None:
        """Matches anew when it is asked again: views were added."""
        self._found = None

    def served(self) -> dict[tuple[str, str], dict[str, Served]]:
        """By endpoint and method, and then by rule, what is checked."""
        return self._made()[1]

    def _made(self) -> tuple[Report, dict[tuple[str, str], dict[str, Served]]]:
        if self._found is None:
            contract, state = self.contract, self._state
            own = state.open_endpoints | state.own_endpoints
            matched, wrong = match(state.app, self.operations, contract.base_path, contract.exclude, own, self._note)
            served: dict[tuple[str, str], dict[str, Served]] = {}
            for one in matched:
                if not one.rules:
                    continue
                what = self._served(one)
                if contract.security:
                    wrong += self._of_security(one)
                for rule in one.rules:
                    self._not_twice(rule.endpoint, one.operation, what)
                    seat = served.setdefault((rule.endpoint, one.operation.method), {})
                    # Two rules that differ by their host alone are both those of this operation.
                    if seat.setdefault(rule.rule, what) is not what:
                        raise one.operation.node.error(
                            f"the route {rule.rule} is that of {seat[rule.rule].where} too; give each its own."
                        )
            # Where no operation is about HEAD it is what GET is: a way around the contract otherwise.
            for (endpoint, method), by_rule in list(served.items()):
                if method == "GET":
                    served[endpoint, "HEAD"] = {**by_rule, **served.get((endpoint, "HEAD"), {})}
            self._found = Report(self.document.name, matched, wrong, list(self._note.all)), served
        return self._found

    def _served(self, matched: Matched) -> Served:
        operation, contract = matched.operation, self.contract
        asked = parameters(operation, self._asked, contract.unknown, matched.names)
        taken = bodies(operation, self._asked, self._note, contract.unknown)
        more: dict[str, Any] = {}
        if operation.method in _WITH_BODY and not taken:
            self._note(operation.node, "nothing is said of a body: one that is sent is not looked at")
        if contract.unknown != "reject":
            more["unknown"] = contract.unknown
        for wanted in taken.values():
            if wanted is not None and wanted.files:
                forms = self._state.services[Bounds].forms
                wanted.given["files"] = {file.name: upload_of(file, forms, self._note) for file in wanted.files}
        answers = responses(operation, self._answered, self._note)
        if contract.validate_responses != "off" and answers:
            more.update(response=answers, response_mode=contract.validate_responses)
        return Served(operation.label, operation.node.where, asked, taken, operation.body_required, more)

    def _not_twice(self, endpoint: str, operation: Operation, what: Served) -> None:
        """What a view validates by itself is not also in the document: each would refuse what the other knows."""
        given = {part for part in what.parameters.given if part in PARTS.values()}
        given |= {"body", "form", "files"} if what.bodies else set()
        given |= {"response"} & what.more.keys()
        for guard, _ in self._state.declared_for(endpoint, operation.method):
            if isinstance(guard, validate):
                for part in guard.given:
                    if (
                        part == "query"
                        and part in given
                        and not any(PARTS[p.place] == part for p in operation.parameters)
                    ):
                        raise operation.node.error(
                            f"the view {endpoint} has validate(query=...), and the document no parameter in the query. "
                            'Write them there; or say contract(unknown="strip"), and the query is left to the view.'
                        )
                    if part in given:
                        raise operation.node.error(
                            f"the view {endpoint} has validate({part}=...) too, and each would refuse what the other "
                            "knows. Leave it to the document, or take it out of there."
                        )

    def _of_security(self, matched: Matched) -> list[Mismatch]:
        found = []
        operation = matched.operation
        for endpoint in matched.endpoints:
            guards = [guard for guard, _ in self._state.declared_for(endpoint, operation.method)]
            demands = any(map(asks_who, guards))
            if operation.security and not demands:
                message = f"the document demands a credential, and the view {endpoint} has no require()"
            elif operation.security is not True and demands:
                message = f"the view {endpoint} demands a credential, and the document says that none is needed"
            else:
                continue
            found.append(Mismatch("security", operation.label, message, operation.node.where))
        return found


class Contracts:
    """The contracts of an app, offered to the commands."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._bound: list[Bound] = []
        self._guards: dict[tuple[str, str], Contracted] = {}
        self._as_of: object = None
        state.sources.append(self.guards)
        state.at_seal.append(self._warn)

    def add(self, contract: Contract) -> None:
        """Reads a contract's document.

        :raises ConfigError: if it cannot be read.
        """
        self._bound.append(Bound(contract, self._state))
        self._as_of = None

    def reports(self, contract: Contract | None = None) -> list[Report]:
        """What all contracts, or this one that the app does not have, make of the app."""
        bound = self._bound if contract is None else [Bound(contract, self._state)]
        for one in bound:
            if not self._state.sealed:
                one.forget()
            for by_rule in one.served().values():
                for served in by_rule.values():
                    served.bind(self._state)
        return [one.report() for one in bound]

    def guards(self, endpoint: str, method: str) -> Iterable[Guard]:
        """The guard that documents give to a view.

        :raises ConfigError: before the first request, each time, if one does not match and is strict.
        """
        state = self._state
        # Until the first request views and guards may be added; after it, what is declared in a request would cost each
        # of them a matching of all.
        if self._bound and not state.sealed:
            rules = state.app.url_map.iter_rules()
            # Asked for each view and method: counting them each time would be their square.
            as_of = (epoch(), len(state.app.view_functions), length_hint(rules) or sum(1 for _ in rules))
            if as_of != self._as_of:
                for bound in self._bound:
                    bound.forget()
                self._guards = self._matched()
                # Not before: whoever asks after a failure meets it too, and not a view without its guard.
                self._as_of = as_of
        guard = self._guards.get((endpoint, method))
        return () if guard is None else (guard,)

    def _matched(self) -> dict[tuple[str, str], Contracted]:
        all_of: dict[tuple[str, str], dict[str, Served]] = {}
        wrong = []
        for bound in self._bound:
            report = bound.report()
            if bound.contract.strict is True and not report.agrees:
                wrong.append(report.sentence())
            for seat, by_rule in bound.served().items():
                for rule, served in by_rule.items():
                    other = all_of.setdefault(seat, {}).setdefault(rule, served)
                    if other is not served:
                        raise ConfigError(f"{served.where} and {other.where} are about the same route, {rule}.")
        if wrong:
            raise ConfigError("\n".join(wrong))
        return {seat: Contracted(by_rule) for seat, by_rule in all_of.items()}

    def _warn(self, app: Flask) -> None:
        self.guards("", "")  # an app without a view has no guards to ask for
        for bound in self._bound:
            for mismatch in bound.report().mismatches:
                app.logger.warning("%s: %s", bound.document.name, mismatch)


def _one_of(name: str, given: object, words: Sequence[str]) -> None:
    if given not in words:
        raise ConfigError(f"contract({name}=...) is one of {', '.join(map(repr, words))}, not {given!r}.")


_WITH_BODY = ("POST", "PUT", "PATCH")
