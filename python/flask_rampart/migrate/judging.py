"""Which settings and options the faces would refuse, asked of the faces: what is told is the start-up's own message.

1. A value is judged only where it is written; what a variable or the environment holds is not, and that is told.
2. Settings are judged with those beside them, options with the settings of the whole project. Where an option that
   matters is not known, one that is sound stands in for it, so that nothing is refused that might be right.
3. A setting with an incumbent's prefix that neither it nor its face reads is told, with the nearest that is read.

A message quotes no secret: the faces' own words do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from flask import Flask

from ..compat.cors.core import Policy, merged
from ..compat.jwt_extended.config import DEFAULTS
from ..compat.jwt_extended.config import Rules as JwtRules
from ..compat.jwt_extended.keys import bytes_of, key_of, refuse_mixed
from ..compat.limiter.config import Rules as LimiterRules
from ..compat.limiter.config import is_enabled
from ..compat.talisman import Talisman
from ..compat.wtf_csrf.config import Rules as CsrfRules
from ..compat.wtf_csrf.config import named, picked
from ..errors import ConfigError
from ..readers import nearest
from ..tokens.keys import ALGORITHMS
from .facts import UNKNOWN, Facts, Options, Place, Setting, is_of_tests
from .incumbents import Incumbent

_SOUND = "https://app.example.com"
_JWT, _LIMITER, _CORS, _CSRF = "JWT_", "RATELIMIT_", "CORS_", "WTF_CSRF_"


@dataclass(frozen=True)
class Judged:
    """A setting or a call, and what the face says of it."""

    name: str
    place: Place
    refused: str = ""
    """What stops the start-up; empty if nothing does."""
    is_known: bool = True
    is_judged: bool = True
    """Whether the value is written there, and one of which the face knows what to say."""


def settings_of(facts: Facts, incumbent: Incumbent) -> list[Judged]:
    """What becomes of each setting that a project sets for an extension."""
    found = []
    for setting in facts.set_of(incumbent):
        if setting.name not in incumbent.settings:
            near = nearest(setting.name, sorted(incumbent.settings)).strip()
            found.append(Judged(setting.name, setting.place, near, is_known=False))
        else:
            beside = [each for each in facts.set_of(incumbent) if _is_beside(setting, each)]
            refused = _refused(setting, beside, facts)
            found.append(Judged(setting.name, setting.place, refused or "", is_judged=refused is not None))
    return list(dict.fromkeys(found))


def options_of(facts: Facts, incumbent: Incumbent) -> Iterator[Judged]:
    """The calls of an extension that its face would refuse."""
    for options in facts.options:
        if _OF[options.function] == incumbent.module:
            refused = _refused_options(options, facts)
            if refused:
                yield Judged(f"{options.function}(...)", options.place, refused)


def _is_beside(setting: Setting, other: Setting) -> bool:
    return (other.place.file, other.group) == (setting.place.file, setting.group)


def _refused(setting: Setting, beside: list[Setting], facts: Facts) -> str | None:
    if setting.value is UNKNOWN:
        return None
    together = {each.name: each.value for each in beside if each.value is not UNKNOWN}
    together[setting.name] = setting.value
    if setting.name.startswith(_JWT):
        return _message(lambda: _jwt(setting, together, facts))
    if setting.name.startswith(_LIMITER):
        return _message(lambda: _limiter({setting.name: setting.value}))
    if setting.name.startswith(_CSRF):
        return _message(lambda: CsrfRules(named(picked({setting.name: setting.value}))))
    if setting.name.startswith(_CORS):
        if setting.name == "CORS_RESOURCES":
            # Origins that a call names hold for what names none.
            own = Options("CORS", {"resources": setting.value}, "origins=" not in facts.words, setting.place)
            return _message(lambda: _cors(own.given, own, facts))
        # The one that is refused is told, and not each that stands beside it.
        alone = {setting.name: setting.value}
        if setting.name in ("CORS_SUPPORTS_CREDENTIALS", "CORS_ALLOW_PRIVATE_NETWORK"):
            origins = together.get("CORS_ORIGINS", _SOUND if _is_said("origins", facts) else UNKNOWN)
            alone |= {} if origins is UNKNOWN else {"CORS_ORIGINS": origins}
        return _message(lambda: Policy(merged(SimpleNamespace(config=alone))))
    return ""


def _jwt(setting: Setting, together: Mapping[str, Any], facts: Facts) -> None:
    config = {**DEFAULTS, "SECRET_KEY": "", "DEBUG": False, "TESTING": False}
    rules = JwtRules({**config, setting.name: setting.value})
    algorithm = str(together.get("JWT_ALGORITHM", rules.algorithm))
    is_shared = algorithm.startswith("HS")
    # A weak secret of tests is told, and taken.
    if setting.name == "JWT_SECRET_KEY" and is_shared and setting.value:
        key_of(bytes_of(setting.value), algorithm, None, is_of_tests(setting.place), lambda _: None)
    elif setting.name in ("JWT_PRIVATE_KEY", "JWT_PUBLIC_KEY") and not is_shared and setting.value:
        key_of(bytes_of(setting.value), algorithm, None, False, lambda _: None)
    elif setting.name == "JWT_ALGORITHM" and is_shared:
        key_of(b"\1" * 64, algorithm, None, False, lambda _: None)
    elif setting.name == "JWT_ALGORITHM" and algorithm not in ALGORITHMS:
        raise ConfigError(f"JWT_ALGORITHM: {algorithm} is not supported. Use EdDSA or ES256, with a new key.")
    elif setting.name == "JWT_DECODE_ALGORITHMS":
        named = [name for name in rules.algorithms if name != rules.algorithm or name in (setting.value or ())]
        named += [together["JWT_ALGORITHM"]] if "JWT_ALGORITHM" in together else []
        for name in named:
            if name not in ALGORITHMS:
                raise ConfigError(f"JWT_DECODE_ALGORITHMS: {name} is not supported.")
        if "decode_key_loader" not in facts.words:
            refuse_mixed(named)


def _limiter(config: dict[str, Any]) -> None:
    if "RATELIMIT_ENABLED" in config:
        is_enabled(dict(config), True)
    LimiterRules(SimpleNamespace(arguments=defaultdict(lambda: None)), config)  # type: ignore[arg-type]


def _refused_options(options: Options, facts: Facts) -> str | None:
    known = {name: value for name, value in options.given.items() if value is not UNKNOWN}
    if options.function in ("CORS", "cross_origin"):
        return _message(lambda: _cors(known, options, facts))
    if options.function == "Limiter":
        arguments: defaultdict[str, Any] = defaultdict(lambda: None, known)
        return _message(lambda: LimiterRules(SimpleNamespace(arguments=arguments), {}))  # type: ignore[arg-type]
    return _message(lambda: Talisman(Flask(__name__), **known))


def _cors(known: dict[str, Any], options: Options, facts: Facts) -> None:
    # What is not written may be anything, and so may what a setting says.
    is_open = not options.is_whole or _is_said("origins", facts)
    sound = {"origins": _SOUND} if is_open and "origins" not in known else {}
    resources = known.get("resources")
    own = resources if isinstance(resources, dict) else {}
    plain = {name: value for name, value in known.items() if name != "resources"}
    if not own:
        Policy(merged(None, sound, plain))
    for each in own.values():
        if isinstance(each, dict):
            Policy(merged(None, sound, plain, each))


def _is_said(option: str, facts: Facts) -> bool:
    return f"CORS_{option.upper()}" in facts.words


def _message(judge: Any) -> str | None:
    """What the face says of it; empty if nothing, and None if that is not known."""
    try:
        judge()
    except ConfigError as error:
        return str(error)
    except Exception:
        # A value of another kind than any face knows: the start-up says what of it.
        return None
    return ""


_OF = {
    "CORS": "flask_cors",
    "cross_origin": "flask_cors",
    "Limiter": "flask_limiter",
    "Talisman": "flask_talisman",
}
