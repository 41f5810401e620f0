"""An input that is looked at ahead: so much of it from one position on, whatever was read before."""

from __future__ import annotations

from typing import BinaryIO


class Window:
    """The bytes of *source* from a position on, which moves forward; at most what was asked for is held."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._held = b""
        self._ended = False
        self.at = 0
        """The position, from where *source* was when this was made."""
        self._base = source.tell() if source.seekable() else 0

    def seek(self, at: int) -> None:
        """Goes to a position. Of a pipe, to the one where it is."""
        if at == self.at:
            return
        self._source.seek(self._base + at)
        self._held, self._ended, self.at = b"", False, at

    def ahead(self, count: int) -> bytes:
        """The next *count* bytes, or as many as are left; the position stays."""
        if len(self._held) < count and not self._ended:
            parts = [self._held]
            missing = count - len(self._held)
            while missing:
                # A pipe gives what it has.
                part = self._source.read(missing)
                if not part:
                    self._ended = True
                    break
                parts.append(part)
                missing -= len(part)
            self._held = b"".join(parts)
        return self._held if len(self._held) <= count else self._held[:count]

    def drop(self, count: int) -> None:
        """Moves on. *count* is at most what was seen ahead."""
        self._held = self._held[count:]
        self.at += count

    @property
    def ended(self) -> bool:
        """Whether nothing is behind what was seen last."""
        return self._ended
