"""Records in the memory of one process: for tests. Nothing outlives the process, and no other sees it."""

from __future__ import annotations

import threading
from collections import deque

from .protocol import MOST_CHANGES, MOST_SWEPT, Changes, Record, checked


class MemoryStore:
    """A store for tests: every operation under one lock.

    >>> store = MemoryStore()
    >>> store.insert("kind", "a", b"1"), store.insert("kind", "a", b"2")
    (True, False)
    >>> store.get("kind", "a").value
    b'1'
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, Record]] = {}
        self._log: dict[str, deque[tuple[int, str]]] = {}
        self._sequences: dict[str, int] = {}

    def get(self, kind: str, key: str) -> Record | None:
        checked(kind, key)
        return self._records.get(kind, {}).get(key)

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        checked(kind, key, group, expires)
        with self._lock:
            records = self._records.setdefault(kind, {})
            if key in records:
                return False
            records[key] = Record(key, bytes(value), self._changed(kind, key), group, expires)
            return True

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        checked(kind, key, group, expires)
        with self._lock:
            records = self._records.get(kind, {})
            if key not in records or records[key].version != version:
                return False
            records[key] = Record(key, bytes(value), self._changed(kind, key), group, expires)
            return True

    def delete(self, kind: str, key: str, version: int | None = None) -> bool:
        checked(kind, key)
        with self._lock:
            records = self._records.get(kind, {})
            if key not in records or (version is not None and records[key].version != version):
                return False
            del records[key]
            self._changed(kind, key)
            return True

    def scan(
        self, kind: str, *, group: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Record]:
        checked(kind, prefix, group or "")
        checked(kind, after)
        with self._lock:
            records = self._records.get(kind, {})
            found = (records[key] for key in sorted(records) if key > after and key.startswith(prefix))
            return [record for record in found if group is None or record.group == group][:limit]

    def note(self, kind: str, key: str, value: bytes, *, expires: float | None = None) -> bool:
        checked(kind, key, expires=expires)
        with self._lock:
            self._records.setdefault(kind, {})[key] = Record(key, bytes(value), 0, "", expires)
            return True

    def sequence(self, kind: str) -> int:
        return self._sequences.get(kind, 0)

    def changes(self, kind: str, since: int) -> Changes:
        with self._lock:
            now, log = self._sequences.get(kind, 0), self._log.get(kind, deque())
            if not now - len(log) <= since <= now:
                return Changes(now, None)
            return Changes(now, tuple(dict.fromkeys(key for sequence, key in log if sequence > since)))

    def sweep(self, now: float) -> int:
        with self._lock:
            dropped = [
                (kind, record.key)
                for kind, records in self._records.items()
                for record in records.values()
                if record.expires is not None and record.expires < now
            ][:MOST_SWEPT]
            for kind, key in dropped:
                del self._records[kind][key]
                self._changed(kind, key)
            return len(dropped)

    def close(self) -> None:
        pass

    def _changed(self, kind: str, key: str) -> int:
        sequence = self._sequences.get(kind, 0) + 1
        self._log.setdefault(kind, deque(maxlen=MOST_CHANGES)).append((sequence, key))
        self._sequences[kind] = sequence
        return sequence
