from collections.abc import Mapping, Sequence
from typing import Literal, final

@final
class HeaderPolicy:
    def __new__(
        cls,
        profile: str,
        *,
        csp: Mapping[str, str | Sequence[str] | bool | None] | None = None,
        overrides: Mapping[str, str | None] | None = None,
        keep: Sequence[str] | None = None,
    ) -> HeaderPolicy: ...
    def apply(
        self,
        headers: list[tuple[str, str]],
        tls: bool,
        nonce: str | None = None,
        *,
        not_modified: bool = False,
    ) -> list[tuple[str, str]]: ...
    def csp(self, nonce: str | None = None) -> str: ...
    @property
    def profile(self) -> Literal["api", "html", "mixed"]: ...
    @property
    def uses_nonce(self) -> bool: ...

def new_nonce() -> str: ...
