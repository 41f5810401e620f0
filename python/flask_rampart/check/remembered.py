"""What is remembered of requests, and what is kept out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .findings import Finding
from .subject import Subject, settings_found


def check(subject: Subject) -> Iterator[Finding]:
    """What nobody will be able to tell afterwards, and what everybody will."""
    settings = subject.settings
    if settings.audit_log == "off":
        yield settings_found(
            "RMP-601", "Nobody can prove afterwards who did what, and who was refused.", "RAMPART_AUDIT_LOG"
        )
    elif settings.audit_on_failure == "continue":
        yield settings_found(
            "RMP-602", "While the log cannot be written, views run without a record.", "RAMPART_AUDIT_ON_FAILURE"
        )
    if settings.access_log == "off":
        yield settings_found("RMP-603", "No line says who asked for what.", "RAMPART_ACCESS_LOG")
    if settings.monitor == "off":
        yield settings_found("RMP-605", "An attack is seen by whoever happens to read the logs.", "RAMPART_MONITOR")
    if isinstance(settings.redact, Mapping):
        operators = settings.redact.get("operators")
        for name, operator in operators.items() if isinstance(operators, Mapping) else ():
            kind = operator.get("type") if isinstance(operator, Mapping) else getattr(operator, "name", None)
            if kind == "keep":
                yield settings_found("RMP-604", f"What is found as {name} stays as it is.", "RAMPART_REDACT")
