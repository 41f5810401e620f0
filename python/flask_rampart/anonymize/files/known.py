"""Which formats there are, and which one a file has."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ...errors import ConfigError
from ..formats import Opener

FORMATS = {"csv": "table", "jsonl": "lines", "parquet": "parquet"}
"""The formats, and the module of each."""

_SUFFIXES = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".jsonlines": "jsonl",
    ".ldjson": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tsv": "csv",
}


def format_of(source: str, target: str | None) -> str:
    """The format that the names of input and output say.

    :raises ConfigError: if they say none, or two.
    """
    said = {_SUFFIXES.get(Path(name).suffix.lower()) for name in (source, target) if name not in (None, "-")}
    found = sorted(name for name in said if name)
    if len(found) > 1:
        raise ConfigError(
            f"the input is {found[0]} and the output {found[1]}, or the other way: formats are not changed"
        )
    if not found:
        raise ConfigError(f"what format is it? Say --format {', '.join(sorted(FORMATS))}")
    return found[0]


def opener(name: str, piped: bool) -> Opener:
    """What opens inputs of this format.

    :raises ConfigError: for a format that is not here, or not through a pipe.
    """
    if name == "parquet":
        if piped:
            raise ConfigError("Parquet has its head at its end: it is not read from a pipe, nor written to one")
        try:
            import_module("pyarrow.parquet")
        except ImportError:
            raise ConfigError("Parquet needs pyarrow: pip install 'flask-rampart[anonymize]'") from None
    module = import_module(f"..formats.{FORMATS[name]}", __package__)
    open_reader: Opener = module.open_reader
    return open_reader
