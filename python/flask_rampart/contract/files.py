"""Files of a form, as an operation tells of them.

A member of ``multipart/form-data`` that is bytes is a file. ``validate`` looks at files where it takes ``files=``;
where it does not, a file's presence and kind are not checked, which is noted, and a text in its place is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from .document import Node


class FileMember(NamedTuple):
    """A file of a form."""

    name: str
    required: bool
    many: bool
    media_types: tuple[str, ...]
    """Which kinds it may be of (``encoding``, ``contentType``); any, if empty."""
    node: Node
