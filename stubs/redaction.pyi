from collections.abc import Sequence
from typing import final

@final
class Redactor:
    """Finds secrets in text and replaces them by ``[REDACTED:<ENTITY>]``. Immutable, safe in all threads."""

    def __new__(cls, *, names: Sequence[str] = ()) -> Redactor: ...
    @property
    def entities(self) -> tuple[str, ...]: ...
    def redact(self, text: str) -> str: ...
    def redact_bytes(self, data: bytes) -> bytes: ...
    def scan(self, text: str) -> list[tuple[str, int, int]]: ...
    def is_secret_name(self, name: str) -> bool: ...

@final
class AccessLine:
    """Renders the access log: one line of JSON for each request, without secrets."""

    def __new__(cls, redactor: Redactor, clock: Clock) -> AccessLine: ...
    def render(
        self,
        request_id: str,
        client: str | None,
        method: str,
        route: str | None,
        target: str,
        status: int,
        micros: int,
        size: int | None,
        principal: str | None,
        codes: Sequence[str],
        complete: bool = True,
    ) -> bytes: ...
