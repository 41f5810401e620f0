"""Who is meant by a command: the options that name a caller, and the key by which a limit counts who is named.

1. Each option names one part of a key. A limit by several parts counts whoever is named by all of them.
2. A ``--value`` that says of what (``claim:tenant=acme``, ``json:email=ada@x``, ``function:plan=pro``) is of that part
   alone. One that does not is of any claim, field or function that stands alone in its limit, and of the only one in a
   tuple that is not named otherwise.
3. Who has no such part counts by its address. Commands that end bans follow it there; those on counters do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
from flask import current_app

from ..apikeys import UNOWNED, ApiKeys, KeyInfo
from ..exchange import EXTENSION
from ..guards import AppState
from ..limits import keys

_NAMED = re.compile(r"(claim|json|form|function):[^=]+=")


@dataclass(frozen=True)
class Caller:
    """What was said of one caller.

    :param values: as they were typed.
    """

    address: str | None = None
    principal: str | None = None
    issuer: str = ""
    values: tuple[str, ...] = ()
    api_key: KeyInfo | None = None

    def __bool__(self) -> bool:
        return bool(self.said)

    @property
    def said(self) -> list[str]:
        """What names it, for people."""
        key_id = None if self.api_key is None else self.api_key.id
        return [text for text in (self.address, self.principal, *self.values, key_id) if text is not None]

    def key(self, by: Any, otherwise: str | None = None) -> str | None:
        """The key by which a limit counts this caller; None if not all of its parts were named.

        :param otherwise: an address that stands for the parts that were not.
        """
        by = keys.plain(by)
        if by == "address":
            # As it was typed: counters by address know all its spellings.
            return self.address
        parts = keys.parts(by)
        values = [self._value(part) for part in parts]
        unnamed = [at for at, part in enumerate(parts) if _has_value(part) and values[at] is None]
        if len(unnamed) == 1:
            values[unnamed[0]] = next((text for text in self.values if not _NAMED.match(text)), None)
        fallback = None if otherwise is None else _of_address(otherwise)
        found = [self._key(part, value) or fallback for part, value in zip(parts, values, strict=True)]
        texts = [text for text in found if text is not None]
        return keys.joined(texts) if len(texts) == len(parts) else None

    def _key(self, part: Any, value: str | None) -> str | None:
        if part == "global":
            return "global"
        if part == "address":
            return None if self.address is None else _of_address(self.address)
        if part == "api_key":
            return None if self.api_key is None else keys.of_api_key(self.api_key.line)
        if part == "principal":
            if self.principal is not None:
                return keys.of_principal("jwt", self.issuer, self.principal)
            if self.api_key is not None and self.api_key.owner is None:
                # A key that speaks for nobody is its own principal.
                return keys.of_principal("api_key", None, UNOWNED + self.api_key.line)
            return None
        return None if value is None else keys.of_value(part, value, self.issuer) or None

    def _value(self, part: Any) -> str | None:
        """What was said of this part by its name."""
        if not _has_value(part):
            return None
        name = f"function:{keys.shown(part)}=" if callable(part) else f"{part}="
        return next((text.removeprefix(name) for text in self.values if text.startswith(name)), None)


def names_caller(command: Callable[..., None]) -> Callable[..., None]:
    """A command that is given whom its options name, after the service that it works on."""

    @wraps(command)
    def named(
        service: Any,
        *,
        principal: str | None,
        issuer: str,
        values: tuple[str, ...],
        key_id: str | None,
        address: str | None = None,
        **more: Any,
    ) -> None:
        _check(values)
        api_key = None if key_id is None else _api_key(key_id)
        command(service, Caller(address, principal, issuer, values, api_key), **more)

    for option in (
        click.option("--api-key", "key_id", metavar="ID", help="An API key's id, as flask rampart keys list shows it."),
        click.option(
            "--value",
            "values",
            multiple=True,
            help="What a claim, a field or a function of the app's says; where there are several, of which: "
            "claim:tenant=acme, json:email=ada@example.com, function:plan=pro.",
        ),
        click.option("--issuer", default="", help="Who vouches for the principal; of a claim, too."),
        click.option("--principal", help="A principal's id, such as a token's subject."),
    ):
        named = option(named)
    return named


def _check(values: tuple[str, ...]) -> None:
    names = [found[0] if (found := _NAMED.match(text)) else "" for text in values]
    if len(set(names)) < len(names):
        raise click.UsageError("Several values: say of what each is, and once, such as --value claim:tenant=acme.")


def _api_key(key_id: str) -> KeyInfo:
    api_keys: ApiKeys | None = _state().services.get(ApiKeys)
    if api_keys is None:
        raise click.ClickException("this app takes no API keys: set RAMPART_API_KEYS = True")
    return api_keys.info(key_id)


def _has_value(part: Any) -> bool:
    return callable(part) or part not in keys.NAMES


def _of_address(address: str) -> str:
    return keys.of_address(address, _state().settings.ipv6_prefix)


def _state() -> AppState:
    state: AppState = current_app.extensions[EXTENSION]
    return state
