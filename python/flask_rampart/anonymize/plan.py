"""Plans: which rule each column of a table has.

A plan is TOML, or the same as a dict. It is read whole or not at all: an unknown member stops it, with the nearest
right spelling. No key stands in it; the key is given beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from .. import _native
from ..errors import ConfigError
from .keyed import Key, Sealer, keysets_of, read_key
from .measuring import Measure, Privacy

_MOST = 1 << 20


class Met(NamedTuple):
    """What the rule of a column met."""

    path: str
    rule: str
    values: int
    """Values, nothings included. 0: perhaps the path is mistyped."""

    nulls: int
    """Of these, nothings."""

    suppressed: int
    """Of these, values that the rule could not read and that became nothing."""


class Plan:
    """What becomes of each column of a table.

    :param plan:
        ``{"columns": {path: rule}, "default": ..., "on_error": ..., "quasi_identifiers": [...], "sensitive": [...]}``;
        the rules are in ``docs/anonymize.md``. A path is ``"user.email"`` or ``"orders[*].card"``; a name with a dot
        in it stands in double quotes, ``'"user.email"'``.
    :param key: for pseudonyms, tokens and FF1: at least 32 random bytes, their hexadecimal digits, or a function that
        returns either.
    :param key_file: or a file of these digits.
    :param custom: functions by name, for the rule ``"custom"``: each takes a value that is not None, and returns
        another.
    :param redact: further names whose values are secret, for the rule and default ``"redact"``.
    :param sealer: what tokens are sealed by instead of *key*, so that keys are rotated: a ``Keyset`` for deterministic
        AEAD, or for AEAD, which makes another token each time; or a ``Vault``, one of whose keysets a rule names
        (``keyset = "tokens"``) or is for deterministic AEAD. A vault is asked at each call: after its ``reload()``
        tokens are those of its keysets of now.
    :raises ConfigError: for what is no plan; says what would be right.

    Immutable but for what it counts, and safe to use from all threads. It has a key, so it is never pickled: load it
    in each worker.

    >>> rules = {"id": {"do": "pseudonym", "scope": "id"}, "born": {"do": "date", "to": "year"}}
    >>> plan = Plan({"default": "drop", "columns": rules}, key=bytes(range(32)))
    >>> plan.apply({"id": 7, "born": "1984-05-09", "note": "likes tea"})
    {'id': '...', 'born': '1984'}
    """

    def __init__(
        self,
        plan: Mapping[str, Any],
        *,
        key: Key | None = None,
        key_file: str | Path | None = None,
        custom: Mapping[str, Callable[[Any], Any]] | None = None,
        redact: Sequence[str] = (),
        sealer: Sealer | None = None,
    ) -> None:
        self._native, self.redactor = _made(dict(plan), key, key_file, custom, redact, sealer)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        key: Key | None = None,
        key_file: str | Path | None = None,
        custom: Mapping[str, Callable[[Any], Any]] | None = None,
        redact: Sequence[str] = (),
        sealer: Sealer | None = None,
    ) -> Plan:
        """A plan that is written in TOML; the rest as for the class.

        >>> Plan.parse('default = "drop"\\n[columns]\\nname = "keep"').apply({"name": "x", "other": 1})
        {'name': 'x'}
        """
        plan = cls.__new__(cls)
        plan._native, plan.redactor = _made(text, key, key_file, custom, redact, sealer)
        return plan

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        key: Key | None = None,
        key_file: str | Path | None = None,
        custom: Mapping[str, Callable[[Any], Any]] | None = None,
        redact: Sequence[str] = (),
        sealer: Sealer | None = None,
    ) -> Plan:
        """The plan in a file of TOML; the rest as for the class.

        :raises ConfigError: if there is no such file of UTF-8 as well.
        """
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read(_MOST + 1)
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{str(path)!r} cannot be read as a plan in TOML") from None
        return cls.parse(text, key=key, key_file=key_file, custom=custom, redact=redact, sealer=sealer)

    def apply(self, record: dict[str, Any]) -> dict[str, Any]:
        """A copy of a record with each value as the plan says. What is kept is the same object.

        :raises AnonymizeRefused: ``args`` is ``(code, column)``: for a value that a rule cannot read, a column that no
            rule names (``column``), or what is nested more than 64 deep, where the plan refuses such. Nothing of the
            value is in it.
        """
        return self._native.apply_row(record)

    def apply_column(self, path: str, values: Sequence[Any]) -> list[Any] | None:
        """A copy of a column, or None if the plan drops it. Other threads run meanwhile, unless the rule is
        ``"custom"``.

        :raises AnonymizeRefused: as :meth:`apply`.
        :raises ConfigError: for what is no path, one of which the plan names parts, or one into a column that a rule
            treats whole.
        :raises TypeError: for a text or a table instead of a list of values.
        """
        if isinstance(values, (str, bytes, bytearray, Mapping)):
            raise TypeError("values are a list")
        try:
            return self._native.apply_column(path, list(values))
        except _native.AnonymizeRefused:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def reverse(self, path: str, text: str) -> str:
        """The text that a token, or a text encrypted by FF1, of a column stands for.

        :raises AnonymizeRefused: for what was not made with this key.
        :raises ConfigError: for a column whose rule cannot be undone.
        """
        try:
            return self._native.reverse(path, text)
        except _native.AnonymizeRefused:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Paths by which people may be told apart."""
        return tuple(self._native.quasi_identifiers)

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Paths of what nobody should learn of them."""
        return tuple(self._native.sensitive)

    def met(self) -> list[Met]:
        """What each rule met so far, in all threads of this process."""
        return [Met(*row) for row in self._native.met()]

    def measuring(self, *, max_entries: int = 1_000_000, key: bytes | None = None) -> Measure:
        """What counts rows by this plan's quasi-identifiers and sensitive columns: of the input, or of the result.

        :raises ConfigError: if the plan names no quasi-identifiers.
        """
        return Measure(self.quasi_identifiers, self.sensitive, max_entries=max_entries, key=key)

    def measure(
        self, rows: Iterable[dict[str, Any]], *, max_entries: int = 1_000_000, dropped: Sequence[str] = ()
    ) -> Privacy:
        """What is left to find in these rows, by this plan's quasi-identifiers and sensitive columns.

        :param dropped: those of them that no row need have: of a result, what the plan drops.
        :raises ConfigError: if the plan names no quasi-identifiers, or a path that no row has.
        :raises OverflowError: for more than *max_entries* classes and values.
        """
        counted = self.measuring(max_entries=max_entries)
        counted.add(rows)
        return counted.privacy(dropped=dropped)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Plan has a key and is never pickled: load it where it is used")


def _made(
    plan: str | dict[str, Any],
    key: Key | None,
    key_file: str | Path | None,
    custom: Mapping[str, Callable[[Any], Any]] | None,
    redact: Sequence[str],
    sealer: Sealer | None,
) -> tuple[_native.AnonymizePlan, _native.Redactor]:
    found = read_key(key, key_file)
    if isinstance(redact, str):
        raise ConfigError("redact is a list of names, not one text")
    try:
        redactor = _native.Redactor(names=redact)
        keysets = keysets_of(sealer)
        made = _native.AnonymizePlan(plan, key=found, redactor=redactor, customs=dict(custom or {}), sealer=keysets)
        return made, redactor
    except ValueError as error:
        raise ConfigError(str(error)) from None
