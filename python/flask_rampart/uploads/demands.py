"""What ``validate(files=...)`` asks of files, and how they are judged.

For each name that is declared, in this order:

1. a text field of this name is no file: ``type``;
2. at least one file if it is ``required``, at most ``max_count``: ``required``, ``maxCount``. What a form sends where
   nobody chose a file (no name and no bytes) is none;
3. each file has at most ``max_bytes``: ``maxBytes``;
4. what is in it is of one of the ``types``, and no pickle: ``type``; an image has at most so many pixels and frames:
   ``pixels``, ``frames``; an archive may be unpacked: ``archive``. The native core judges this
   (``src/uploads/judge.rs``).

A file of another name is refused, unless ``unknown=`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Request

from .._native import FileJudge
from ..errors import ConfigError
from ..exchange import Exchange
from .files import UploadedFile, measured, names_of_chosen
from .forms import FormBounds, checked_form


@dataclass(frozen=True)
class Archive:
    """How much an archive may hold; documents that are zips (docx, odt, epub) are archives too.

    :param max_entries: files and folders in it.
    :param max_bytes: of all of them, unpacked.
    :param max_entry_bytes: of one of them, unpacked; not set: *max_bytes*.
    :param max_ratio: bytes unpacked for each byte packed, from 1 MiB unpacked on. Deflate makes 1032 of one at most.
    :param nested: whether entries may be archives or compressed. What is in those is not looked at.
    :raises ConfigError: for a bound that is not at least 1.

    >>> Archive(max_entries=10).max_bytes
    104857600
    """

    max_entries: int = 1000
    max_bytes: int = 100 * 1024 * 1024
    max_entry_bytes: int | None = None
    max_ratio: int = 100
    nested: bool = False

    def __post_init__(self) -> None:
        _is_count("Archive", "max_entries", self.max_entries)
        _is_count("Archive", "max_bytes", self.max_bytes)
        if self.max_entry_bytes is not None:
            _is_count("Archive", "max_entry_bytes", self.max_entry_bytes)
        _is_count("Archive", "max_ratio", self.max_ratio)
        _is_flag("Archive", "nested", self.nested)


@dataclass(frozen=True)
class Upload:
    """What the files of one name in a form may be.

    :param types: media types, such as ``("image/png", "image/jpeg")``: by what is in a file, never by its name or by
        what its sender calls it. ``docs/uploads.md`` lists them. A pickle is never taken.
    :param max_bytes: of each file; not set: ``RAMPART_MAX_FILE``.
    :param max_count: of files; with more than 1, ``validated.files[name]`` is a list.
    :param required: whether there must be one.
    :param archive: what an archive may hold.
    :param max_pixels: width times height of an image, by what its head says, before anybody decodes it.
    :param max_frames: of an image that moves.
    :raises ConfigError: for a type that is not told apart, or a bound that is not at least 1.

    >>> Upload(types=("image/png", "image/jpeg"), max_bytes=2_000_000).required
    True
    >>> Upload(types=("application/x-pickle",))
    Traceback (most recent call last):
    flask_rampart.errors.ConfigError: Upload(types=...): "application/x-pickle": a pickle runs what it says when ...
    """

    types: Sequence[str]
    max_bytes: int | None = None
    max_count: int = 1
    required: bool = True
    archive: Archive = field(default_factory=Archive)
    max_pixels: int = 50_000_000
    max_frames: int = 1000
    judge: FileJudge = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.types, str) or not all(isinstance(name, str) for name in self.types):
            raise ConfigError(f"Upload(types=...) is a sequence of media types, not {self.types!r}.")
        object.__setattr__(self, "types", tuple(self.types))
        if self.max_bytes is not None:
            _is_count("Upload", "max_bytes", self.max_bytes)
        _is_count("Upload", "max_count", self.max_count)
        _is_count("Upload", "max_pixels", self.max_pixels)
        _is_count("Upload", "max_frames", self.max_frames)
        _is_flag("Upload", "required", self.required)
        if not isinstance(self.archive, Archive):
            raise ConfigError(f"Upload(archive=...) is an Archive, not {self.archive!r}.")
        archive = self.archive
        try:
            judge = FileJudge(
                list(self.types),
                max_pixels=self.max_pixels,
                max_frames=self.max_frames,
                max_entries=archive.max_entries,
                max_bytes=archive.max_bytes,
                max_entry_bytes=archive.max_entry_bytes or archive.max_bytes,
                max_ratio=archive.max_ratio,
                nested=archive.nested,
            )
        except ValueError as error:
            raise ConfigError(f"Upload(types=...): {error}.") from None
        object.__setattr__(self, "judge", judge)


Judged = dict[str, Any] | list[tuple[str, str]]


def files_reader(
    uploads: Mapping[str, Upload], bounds: FormBounds, *, refuses_others: bool
) -> Callable[[Exchange, Request], Judged]:
    """What judges the files of a form: it gives them by name, or what is wrong with them, as (JSON Pointer, rule).

    :raises ConfigError: for a declaration that can never hold.
    """
    for name, upload in uploads.items():
        if not isinstance(name, str) or not name or not isinstance(upload, Upload):
            raise ConfigError(f"validate(files=...): {name!r} must be a name with an Upload, not {upload!r}.")
        if upload.max_bytes is not None and upload.max_bytes > bounds.file:
            raise ConfigError(
                f"validate(files=...): {name!r} may have {upload.max_bytes} bytes, and no file has more than "
                f"{bounds.file}: raise RAMPART_MAX_FILE, or RAMPART_MAX_BODY where that is not set."
            )
        if upload.max_count > bounds.files:
            raise ConfigError(
                f"validate(files=...): {name!r} may be {upload.max_count} files, and no form has more than "
                f"{bounds.files}: raise RAMPART_MAX_FILES."
            )
    if not uploads:
        raise ConfigError("validate(files={}) would take no file. Give names, each with an Upload.")
    pointers = {name: f"/{name.replace('~', '~0').replace('/', '~1')}" for name in uploads}

    def read(exchange: Exchange, request: Request) -> Judged:
        checked_form(request)
        found: dict[str, Any] = {}
        broken: list[tuple[str, str]] = []
        for name, upload in uploads.items():
            pointer = pointers[name]
            if name in request.form:
                broken.append((pointer, "type"))
                continue
            files = [(file, measured(file)) for file in request.files.getlist(name)]
            files = [(file, size) for file, size in files if size or file.filename]
            if len(files) > upload.max_count:
                broken.append((pointer, "maxCount"))
                continue
            if upload.required and not files:
                broken.append((pointer, "required"))
                continue
            kept = []
            for at, (file, size) in enumerate(files):
                place = pointer if upload.max_count == 1 else f"{pointer}/{at}"
                if upload.max_bytes is not None and size > upload.max_bytes:
                    broken.append((place, "maxBytes"))
                    continue
                kind, extension, refused = upload.judge.judge(file.stream, size)
                file.stream.seek(0)
                if refused is not None:
                    broken.append((place, refused[0]))
                else:
                    kept.append(UploadedFile(file, kind, extension, size))
            if upload.max_count > 1:
                found[name] = kept
            elif kept:
                found[name] = kept[0]
        if refuses_others and not names_of_chosen(request.files) <= uploads.keys():
            broken.append(("", "additionalProperties"))
        return broken or found

    return read


def _is_count(what: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise ConfigError(f"{what}({name}=...) is a whole number from 1, not {value!r}.")


def _is_flag(what: str, name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{what}({name}=...) is True or False, not {value!r}.")
