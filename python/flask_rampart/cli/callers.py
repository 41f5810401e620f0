"""Who is meant by a command: the options that name a caller, and the key by which a limit counts who is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..limits.keys import claimed, meant, parts


def who_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--by", help="Of --reserved: its by=, such as claim:tenant, if not who is named."),
        click.option("--scope", help="Of --reserved: its scope."),
        click.option("--reserved", metavar="QUOTA", help="Of a budget of rampart.reserve: its quota, as it is there."),
        click.option("--value", help="Of a claim, a field or a function of the app's: what it says."),
        click.option("--issuer", default="", help="Who vouches for the principal; of a claim, too."),
        click.option("--principal", help="A principal's id, such as a token's subject."),
        click.option("--address", help="A client's address."),
    ):
        command = option(command)
    return command


def key_of(by: Any, address: str | None, principal: str | None, issuer: str, value: str | None) -> str | None:
    """The key of the caller that was named, if a limit counts by what was named."""
    if len(parts(by)) > 1:
        return None
    if by == "address":
        return address
    if by == "global":
        return "global"
    if by == "principal":
        return None if principal is None else f"principal:{len(issuer)}:{issuer}:{principal}"
    if value is None or by == "api_key":
        return None
    if callable(by):
        return f"key:{value}"
    if by.startswith("claim:"):
        return f"{by}:{claimed(issuer, value)}"
    return f"{by}:{meant(value)}"
