"""Why a file was not treated to its end."""

from __future__ import annotations

from ...errors import RampartError


class FileRefused(RampartError):
    """A record was refused, and the run ends with the first. Nothing of its values is in it.

    :param where: ``"line 7"`` or ``"record 7"``, of the input, from 1.
    :param code: why.
    :param column: which column's fault it is; empty for the record's own.
    """

    def __init__(self, where: str, code: str, column: str) -> None:
        self.where, self.code, self.column = where, code, column
        super().__init__(f"{where} is refused: {code}{f', column {column!r}' if column else ''}")


class InputChanged(RampartError):
    """The input is not what it was when the run began, so that the result would be of no file that there ever was."""


class ResumeRefused(RampartError):
    """What an earlier run left cannot be gone on with: the input, the plan, the key or an option is another."""


class OutputBusy(RampartError):
    """Another run is writing this file."""
