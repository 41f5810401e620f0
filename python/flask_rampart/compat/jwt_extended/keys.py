"""Keys from what an app has them as: a text or bytes, which is a secret or a PEM.

1. A secret is for HS*, a PEM for the others; what is one is never taken for the other (RFC 8725 section 2.1);
2. a secret is as long as its algorithm asks for (RFC 7518 section 3.2), or the app is not in production, or it says
   that it has a weak one (``RAMPART_JWT_WEAK_SECRET``);
3. a PEM serves those of the algorithms that it fits.

Where :func:`verifiers_of` gives two, the second is for tokens that name no audience.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._native import Clock
from ...errors import ConfigError
from ...tokens import Key, Verifier, weak_key
from .config import Rules

_SECRET = ("HS256", "HS384", "HS512")
_SEEN, _SEEN_OF_ONE = 16_384, 128


def bytes_of(material: Any) -> bytes:
    """What a setting or a loader gave as a key.

    :raises ConfigError: for anything but a text or bytes.
    """
    if isinstance(material, str):
        return material.encode()
    if isinstance(material, bytes):
        return material
    raise ConfigError(f"A key is a text or bytes: a secret, or a PEM; not {type(material).__name__}.")


def key_of(material: bytes, algorithm: str, kid: str | None, weak: bool, tell: Callable[[str], None]) -> Key:
    """One key for one algorithm.

    :param weak: whether a secret may be shorter than it should be.
    :param tell: is told if one is.
    :raises ConfigError: says what would be right, and quotes no key.
    """
    try:
        if algorithm not in _SECRET:
            return Key.from_pem(material, algorithm, kid)
        least = int(algorithm[2:]) // 8
        if len(material) >= least:
            return Key.from_secret(material, algorithm, kid)
        if weak and material:
            tell(f"the secret for {algorithm} has {len(material)} bytes, and should have {least} random ones")
            return weak_key(material, algorithm, kid)
        raise ConfigError(
            f"the secret for {algorithm} has {len(material)} bytes; it has to have {least} random ones (RFC 7518 "
            "section 3.2). A new secret logs everybody out. RAMPART_JWT_WEAK_SECRET = True keeps this one, which "
            "whoever has a token may find by trying."
        )
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None


def refuse_mixed(algorithms: Sequence[str]) -> None:
    """:raises ConfigError: for algorithms that no one key is for."""
    if len({name in _SECRET for name in algorithms}) > 1:
        raise _mixed(algorithms)


def _mixed(algorithms: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"JWT_ALGORITHM and JWT_DECODE_ALGORITHMS have {', '.join(algorithms)}: one key cannot be a secret for some "
        "and a PEM for others. A decode_key_loader can tell them apart by the header."
    )


def verifiers_of(
    material: bytes, rules: Rules, clock: Clock, weak: bool, tell: Callable[[str], None], *, given: bool
) -> tuple[Verifier, ...]:
    """What tokens are judged by that say to be signed with *material*.

    :param given: whether the settings name it. A loader of the app's may give what fits some of the algorithms only.
    """
    pem = b"-----BEGIN" in material
    fitting = [name for name in rules.algorithms if (name not in _SECRET) == pem]
    if given and len(fitting) < len(rules.algorithms):
        raise _mixed(rules.algorithms)
    keys: list[Key] = []
    wrong: ConfigError | None = None
    for name in fitting:
        try:
            keys.append(key_of(material, name, None, weak, tell))
        except ConfigError as error:
            wrong = error
            if not pem:
                raise
    if not keys:
        raise wrong or ConfigError(f"The key is for none of {', '.join(rules.algorithms)}.")

    def judge_by(audiences: tuple[str, ...]) -> Verifier:
        # Scopes and roles are no words of Flask-JWT-Extended's: an app may mean anything by them.
        return Verifier(
            keys,
            clock,
            issuers=rules.issuers,
            audiences=audiences,
            leeway=rules.leeway,
            require_exp=False,
            scopes_claims=(),
            roles_claims=(),
            seen=_SEEN if given else _SEEN_OF_ONE,
            numeric_subject=rules.numeric_subject,
        )

    try:
        if rules.names_audience:
            return (judge_by(rules.audiences),)
        if rules.own_audiences:
            return (judge_by(rules.own_audiences), judge_by(()))
        return (judge_by(()),)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None
