"""Where counters and records are, and how much a request may bring.

How many workers there will be is read from where servers read it: ``GUNICORN_CMD_ARGS``, a number in
``gunicorn.conf.py``, ``WEB_CONCURRENCY``. What
file system a file is on is read from the kernel's table of mounts, where there is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..regular import read
from .findings import Finding, Severity
from .subject import Subject, settings_found

_MB = 1024 * 1024
_MOST_BYTES = _MB
_BOUNDS: Mapping[str, tuple[int, str]] = {
    "max_body": (64 * _MB, "bytes of a body"),
    "max_header_bytes": (256 * 1024, "bytes of header fields"),
    "max_query": (128 * 1024, "bytes of a query"),
    "json_max_depth": (200, "levels of JSON"),
    "json_max_keys": (1_000_000, "members of JSON"),
    "form_max_fields": (20_000, "fields of a form"),
    "max_files": (1_000, "files of a form"),
    "coding_ratio": (1_000, "times the size that a compressed body decodes to"),
}
_LOST = {"tmpfs": "memory", "ramfs": "memory", "overlay": "the layer of a container"}
_SHARED = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "glusterfs", "ceph"))
_MOUNTS = "/proc/self/mountinfo"
_IN_FILE = re.compile(r"^workers\s*=\s*([0-9]{1,4})\s*(?:#.*)?$", re.MULTILINE)
_WORKERS = re.compile(r"(?:^|\s)(?:-w\s*|--workers[\s=]\s*)([0-9]{1,4})(?=\s|$)")


def check(subject: Subject) -> Iterator[Finding]:
    """What does not hold, or does not last."""
    yield from _counters(subject)
    yield from _records(subject)
    settings = subject.settings
    for name, (most, what) in _BOUNDS.items():
        value = getattr(settings, name)
        if value is not None and value > most:
            yield settings_found("RMP-511", f"{value:,} {what} are taken from anybody.", f"RAMPART_{name.upper()}")
    if settings.method_override:
        yield settings_found(
            "RMP-512", "A request says in a header that it is one of another method.", "RAMPART_METHOD_OVERRIDE"
        )
    if settings.encoded_slashes:
        yield settings_found(
            "RMP-512", "A path with %2f is read in one way by a proxy and in another here.", "RAMPART_ENCODED_SLASHES"
        )
    if "as-is" in settings.request_codings:
        yield settings_found(
            "RMP-512",
            "A compressed body reaches the views as it is, unbounded when they unpack it.",
            "RAMPART_REQUEST_CODINGS",
        )


def workers(environ: Mapping[str, str], folder: Path | None = None) -> int | None:
    """How many workers a server is told to start; None if nothing says.

    :param folder: where gunicorn would find its ``gunicorn.conf.py``.

    >>> workers({"GUNICORN_CMD_ARGS": "--bind :8000 -w 4"}), workers({"WEB_CONCURRENCY": "2"}), workers({})
    (4, 2, None)
    """
    told = _WORKERS.search(environ.get("GUNICORN_CMD_ARGS", "")) or _configured(folder)
    text = told[1] if told else environ.get("WEB_CONCURRENCY", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else None


def _configured(folder: Path | None) -> re.Match[str] | None:
    path = None if folder is None else folder / "gunicorn.conf.py"
    try:
        text = "" if path is None else read(path, _MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    return _IN_FILE.search(text)


def _counters(subject: Subject) -> Iterator[Finding]:
    if subject.settings.limit_store != "memory://":
        return
    count = workers(subject.environ, subject.here)
    if count == 1:
        return
    sure = f"{count} workers each" if count else "Several workers would each"
    message = f"{sure} let through what one may: memory:// is of one process."
    finding = settings_found("RMP-501", message, "RAMPART_LIMIT_STORE")
    yield finding if count else Finding(finding.rule, message, finding.place, Severity.WARNING)


def _records(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    if settings.store == "memory://":
        yield settings_found("RMP-502", "What was revoked is valid again when a worker ends.", "RAMPART_STORE")
    file = records_file(subject)
    if file is None:
        return
    kind = file_system_of(file)
    if kind in _SHARED:
        yield settings_found("RMP-504", f"{subject.shown(file)} is on {kind}.", "RAMPART_STORE")
    elif kind in _LOST:
        yield settings_found(
            "RMP-503", f"{subject.shown(file)} is in {_LOST[kind]} ({kind}), and gone with it.", "RAMPART_STORE"
        )


def records_file(subject: Subject) -> Path | None:
    """The file of the records, if they are in one and anything keeps records."""
    url = subject.settings.store
    if url is None:
        keeps = subject.settings.api_keys or subject.settings.jwt_keys or subject.settings.reports
        url = "sqlite:///rampart.sqlite3" if keeps and not subject.app.testing else ""
    if not url.startswith("sqlite:///"):
        return None
    return Path(subject.app.instance_path) / url[len("sqlite:///") :]


def file_system_of(path: Path, mounts: str = _MOUNTS) -> str | None:
    """The kind of file system that a path is on; None if it is not known (proc_pid_mountinfo(5))."""
    try:
        lines = Path(mounts).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    real = os.path.realpath(path)
    best, kind = "", None
    for line in lines:
        front, _, behind = line.partition(" - ")
        fields = front.split(" ")
        if len(fields) < 5 or not behind:
            continue
        at = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        is_above = real == at or real.startswith(at.rstrip("/") + "/")
        if is_above and len(at) >= len(best):  # of two at one place, the later one covers the other
            best, kind = at, behind.split(" ", 1)[0]
    return kind
