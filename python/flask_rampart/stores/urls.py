"""What may be said of a store's address, and where its mark lies."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit


def without_password(url: str) -> str:
    """The address as it may be shown: without user, password and options.

    >>> without_password("postgresql://ada:secret@db.example/app?sslmode=require")
    'postgresql://db.example/app'
    """
    try:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return url.partition(":")[0] + "://..."


def file_for(folder: str | Path, name: str) -> Path:
    """The file of the mark for the store with this *name*, which all workers of the host write alike."""
    return Path(folder) / f"rampart-{hashlib.sha256(name.encode()).hexdigest()[:16]}-epoch"
