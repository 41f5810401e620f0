"""Findings as a SARIF 2.1.0 log, which code scanners show beside the code.

Each result has a place in a file, since viewers leave out what has none: that of the finding, else the file in which
the app is made. Setting, route and package are logical locations. ``partialFingerprints`` hold a finding's rule and
place without its line, so that it is the same one after lines above it came or went.

Source: OASIS SARIF 2.1.0; GitHub's "SARIF support for code scanning".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from .findings import Finding, Rule, Severity

Json = dict[str, Any]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SCORES = {Severity.ERROR: "8.0", Severity.WARNING: "5.0", Severity.NOTE: "2.0"}
"""What GitHub sorts by: high, medium, low."""


def sarif(findings: Iterable[Finding], rules: Mapping[str, Rule], *, version: str, app_file: str) -> Json:
    """The log.

    :param rules: all rules that were looked for.
    :param app_file: where the app is made, for what is in no file.
    """
    ids = list(rules)
    seen: Counter[str] = Counter()
    driver = {
        "name": "Flask-Rampart",
        "semanticVersion": version,
        "rules": [_rule(rule) for rule in rules.values()],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "automationDetails": {"id": "flask-rampart/"},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, ids, app_file, seen) for finding in findings],
            }
        ],
    }


def _rule(rule: Rule) -> Json:
    return {
        "id": rule.id,
        "shortDescription": {"text": _capital(rule.title)},
        "fullDescription": {"text": f"{_capital(rule.title)}. {rule.cure}"},
        "help": {"text": f"{rule.cure} See {rule.link}.", "markdown": f"{rule.cure} See `{rule.link}`."},
        "defaultConfiguration": {"level": rule.severity.word},
        "properties": {"tags": ["security"], "security-severity": _SCORES[rule.severity]},
    }


def _result(finding: Finding, ids: list[str], app_file: str, seen: Counter[str]) -> Json:
    place = finding.place
    physical: Json = {"artifactLocation": _artifact(place.file or app_file)}
    # GitHub shows what has no line beside the first.
    physical["region"] = {"startLine": place.line or 1}
    location: Json = {"physicalLocation": physical}
    logical = [
        {"fullyQualifiedName": name, "kind": kind}
        for name, kind in ((place.setting, "setting"), (place.route, "route"), (place.package, "package"))
        if name
    ]
    if logical:
        location["logicalLocations"] = logical
    where = "\0".join((finding.rule.id, place.setting or "", place.route or "", place.package or "", place.file or ""))
    seen[where] += 1
    told = f"{_capital(finding.rule.title)}: {finding.message}"
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": ids.index(finding.rule.id),
        "level": finding.weight.word,
        "message": {"text": f"{told} {finding.rule.cure}"},
        "locations": [location],
        "partialFingerprints": {"rampartPlace/v1": _print(where, seen[where])},
    }


def _print(where: str, occurrence: int) -> str:
    """What a finding is known by. Of several at one place, the second is the second one still when lines move."""
    return hashlib.sha256(f"{where}\0{occurrence}".encode()).hexdigest()


def _artifact(file: str) -> Json:
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
