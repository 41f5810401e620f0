"""Where the files of a form are while a request lasts: in memory while there is room, on disk beyond it.

All files of one request share the room (``RAMPART_UPLOAD_MEMORY``): many small files cannot take what one large file
may not. What is on disk is in the system's folder for temporary files (``TMPDIR``), without a name, for this user
alone, and gone when the request ends.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any


class Room:
    """The bytes that the files of one request may have in memory."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Takes *size* bytes, if they are there."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Gives back what was taken."""
        self._left += size

    def file(self) -> Spooled:
        """A file in this room."""
        return Spooled(self)


if TYPE_CHECKING:
    _Temporary = tempfile.SpooledTemporaryFile[bytes]
else:
    _Temporary = tempfile.SpooledTemporaryFile


class Spooled(_Temporary):
    """A file that moves to disk where its request's room is full."""

    def __init__(self, room: Room) -> None:
        # No size of its own: the room says when it moves.
        super().__init__(max_size=0, mode="w+b")
        self._room = room
        self._held: int | None = 0

    def write(self, data: Any) -> int:
        if self._held is not None:
            if self._room.take(len(data)):
                self._held += len(data)
            else:
                self.rollover()
        written: int = super().write(data)
        return written

    def rollover(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._room.give(held)
        super().rollover()

    # Python 3.10 does not say these, and who wraps a file to read text asks for them.
    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @property
    def on_disk(self) -> bool:
        """Whether it has moved."""
        return self._held is None
