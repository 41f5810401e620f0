"""Files: who may read the keys, who may change the app, what is served that should not be."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ..regular import read
from .findings import Finding, Place, Severity
from .source import python_files
from .stores import records_file
from .subject import Subject, found

_MOUNTED = ("/run/secrets/", "/var/run/secrets/")
"""Where container platforms mount secrets, readable by all users of a container that has one."""
_SECRET_FILES = re.compile(
    r"\.env(?:rc|\..+)?|.+\.(?:pem|key|p12|pfx|jks|kdbx|ppk|sqlite3?|db|sql|dump|rdb|bak|old|py|pyc|log|tfstate|tfvars)|"
    r".+\.(?:sql|dump|db|sqlite3?|rdb|tar|bak)\.(?:gz|bz2|xz|zst|zip)|.+\.tgz|(?:backup|dump|secrets?)[\w.-]*\.(?:zip|7z|json|ya?ml)|"
    r"id_(?:rsa|dsa|ecdsa|ed25519)|\.htpasswd|\.git-credentials|\.npmrc|\.netrc|\.pypirc|\.pgpass|\.dockercfg|"
    r"(?:aws_)?credentials(?:\.json)?|service-account\.json|.+\.tfstate\.backup|.+~|config\.(?:ya?ml|toml|ini)|"
    r"settings\.(?:cfg|ini)|docker-compose\.ya?ml",
    re.IGNORECASE,
)
_PUBLIC_PEM = re.compile(rb"-----BEGIN (?:PUBLIC KEY|CERTIFICATE)-----")
_MOST = 20_000
_MOST_KEPT = 500
_MOST_OF_KEY = 1024 * 1024


def check(subject: Subject) -> Iterator[Finding]:
    """What others can do with the app's files."""
    yield from _keys(subject)
    yield from _records(subject)
    yield from _changeable(subject)
    yield from _served(subject)


def _keys(subject: Subject) -> Iterator[Finding]:
    settings, app = subject.settings, subject.app
    root, instance = Path(app.root_path), Path(app.instance_path)
    paths: list[tuple[str, Path]] = []
    for index, key in enumerate(settings.jwt_keys):
        if isinstance(key.get("path"), (str, os.PathLike)):
            paths.append((f"RAMPART_JWT_KEYS[{index}]", root / key["path"]))
    if settings.audit_log != "off":
        paths.append(("RAMPART_AUDIT_KEY", instance / (settings.audit_key or "audit.key")))
    paths += [("RAMPART_VAULT_KEYSET", root / path) for path in settings.vault_keyset.values()]
    if isinstance(settings.vault_passphrase, (str, os.PathLike)):
        paths.append(("RAMPART_VAULT_PASSPHRASE", root / settings.vault_passphrase))
    folders = dict.fromkeys((root, root.parent, subject.here))
    paths += [("", folder / name) for folder in folders for name in (".env",)]
    for setting, path in dict.fromkeys(paths):
        mode = _mode(path)
        if mode is None or not mode & 0o077 or _is_public(path):
            continue
        # A group of its own is how a server's workers share a key.
        is_shared = not mode & 0o027
        severity = Severity.WARNING if not setting else None
        if is_shared or str(path).startswith(_MOUNTED):
            severity = Severity.NOTE
        what = "read and change" if mode & 0o022 else "read"
        yield found(
            "RMP-701",
            f"Its mode is {stat.S_IMODE(mode):04o}: other users of this machine may {what} it.",
            Place(setting=setting or None, file=subject.shown(path)),
            severity,
        )


def _records(subject: Subject) -> Iterator[Finding]:
    settings, instance = subject.settings, Path(subject.app.instance_path)
    paths: list[tuple[str, Path | None]] = [("RAMPART_STORE", records_file(subject))]
    if settings.access_log not in ("stderr", "stdout", "off"):
        paths.append(("RAMPART_ACCESS_LOG", Path(settings.access_log)))
    if settings.audit_log != "off":
        paths.append(("RAMPART_AUDIT_LOG", instance / settings.audit_log))
    folder = _mode(instance)
    if folder is not None and folder & 0o001 and instance.is_dir():
        # Where others may not enter, the modes of what is in there do not matter to them.
        kept = sorted(instance.iterdir())
        if len(kept) > _MOST_KEPT:
            subject.notes.append(f"only the first {_MOST_KEPT} files in {subject.shown(instance)} are looked at.")
        paths += [("", path) for path in kept[:_MOST_KEPT] if path.is_file()]
    for setting, path in dict.fromkeys(paths):
        mode = None if path is None else _mode(path)
        if path is not None and mode is not None and mode & 0o007:
            yield found(
                "RMP-703",
                f"Its mode is {stat.S_IMODE(mode):04o}: every user of this machine may look into it.",
                Place(setting=setting or None, file=subject.shown(path)),
            )


def _changeable(subject: Subject) -> Iterator[Finding]:
    """The app's modules and templates, and the folders that they are in."""
    root = Path(subject.app.root_path)
    paths = list(python_files(root, []))
    templates = root / (subject.app.template_folder or "templates")
    if templates.is_dir():
        paths += [path for path in _walk(templates, subject.notes) if path.is_file()]
    # Whoever may write there puts a key or a store of their own in place of the app's.
    paths.append(Path(subject.app.instance_path) / "any")
    open_ = [path for path in dict.fromkeys((*(path.parent for path in paths), *paths)) if _is_changeable(path)]
    if open_:
        more = f" So may {len(open_) - 1} others." if len(open_) > 1 else ""
        yield found(
            "RMP-702",
            f"Every user of this machine may write to it, and so run code as the app.{more}",
            Place(file=subject.shown(open_[0])),
        )


def _is_changeable(path: Path) -> bool:
    mode = _mode(path)
    # In a sticky folder nobody replaces what is somebody else's.
    return mode is not None and bool(mode & 0o002) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _served(subject: Subject) -> Iterator[Finding]:
    folders = [subject.app.static_folder, *(each.static_folder for each in subject.app.blueprints.values())]
    for folder in dict.fromkeys(folder for folder in folders if folder and os.path.isdir(folder)):
        for path in _walk(Path(folder), subject.notes):
            is_secret = path.name == ".git" or (_SECRET_FILES.fullmatch(path.name) and path.is_file())
            if is_secret and not _is_public(path):
                yield found(
                    "RMP-704",
                    "It is in a static folder: whoever knows the path gets it.",
                    Place(file=subject.shown(path)),
                )


def _walk(root: Path, notes: list[str]) -> Iterator[Path]:
    count = 0
    for folder, folders, files in os.walk(root):
        count += 1
        for name in (*(each for each in folders if each == ".git"), *sorted(files)):
            count += 1
            if count > _MOST:
                notes.append(f"only the first {_MOST} files and folders in {root} are looked at.")
                return
            yield Path(folder, name)
        folders[:] = sorted(each for each in folders if each != ".git")


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _is_public(path: Path) -> bool:
    """Whether a key's file holds a public key, or a certificate, and nothing else."""
    if path.suffix not in (".pem", ".key", ".crt"):
        return False
    try:
        text = read(path, _MOST_OF_KEY)
    except OSError:
        return False  # nor is what is longer than any key
    # Presentations are called .key, too, and are archives.
    return text.startswith(b"PK\3\4") or (bool(_PUBLIC_PEM.search(text)) and b"PRIVATE KEY" not in text)
