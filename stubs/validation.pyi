class JsonRejected(Exception):
    """A body that was refused before any schema saw it."""

    code: str
    offset: int | None
    syntax: bool

class SchemaRejected(Exception):
    """A body that is JSON, but not what the schema says."""

    code: str
    errors: list[tuple[str, str]]
    truncated: bool

@final
class JsonBounds:
    """How much JSON a body may hold; each bound is inclusive."""

    def __new__(
        cls, *, max_bytes: int = 1048576, max_depth: int = 64, max_keys: int = 10000, max_digits: int = 309
    ) -> Self: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def max_depth(self) -> int: ...
    @property
    def max_keys(self) -> int: ...
    @property
    def max_digits(self) -> int: ...

def parse_json(data: bytes, bounds: JsonBounds) -> Any: ...

@final
class Schema:
    """A JSON Schema, examined and compiled once."""

    def __new__(cls, schema: str, bounds: JsonBounds) -> Self: ...
    def check(self, data: bytes) -> Any: ...
    def check_value(self, value: Any) -> None: ...
