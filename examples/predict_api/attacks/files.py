"""Tickets with files that are not what they are called, and with what is not seen."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence

from examples.predict_api.attempts import Act, Attempt, Judge, Send
from examples.predict_api.client import Answer, bearer
from examples.predict_api.scene import JSON, Scene

BOUNDARY = "a-ticket-with-files"
TEXT = "My parcel has not arrived"


def form(text: str = TEXT, **files: tuple[str, str, bytes]) -> bytes:
    """A form as browsers write it (RFC 7578).

    :param files: by the field's name: the file's name, the media type that its sender claims, and its bytes.
    """
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="text"\r\n\r\n{text}\r\n'.encode()]
    for name, (filename, kind, content) in files.items():
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: {kind}'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def png(width: int, height: int) -> bytes:
    """A black picture; of a large one, the head alone is true."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = min(width * height, 64)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\0" * width) * min(height, rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zipped(size: int) -> bytes:
    """A log of so many bytes, in a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("app.log", b"0" * size)
    return file.getvalue()


class Runs:
    """What runs a command in whoever unpickles it: here, one that does nothing."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__("os").system, ("true",))


def _send(body: bytes, *, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Send:
    return lambda scene: scene.client.send(
        "POST", "/tickets", [*bearer(scene.ada), ("Content-Type", content_type)], body
    )


def _no_form(scene: Scene) -> Answer:
    return scene.client.send("POST", "/tickets", [*bearer(scene.ada), JSON], b"{}")


def _refused(rule: str) -> Judge:
    """The one file was refused, by this rule."""

    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        for answer in answers:
            told = [error.get("rule") for error in answer.document.get("errors", ())]
            if (answer.status, answer.code, told) != (422, "files.invalid", [rule]):
                return answer.code, f"expected 422 files.invalid by {rule}, got {answer.status} {answer.code} {told}"
        return f"by {rule!r}", ""

    return judge


def _taken(answers: Sequence[Answer]) -> tuple[str, str]:
    files = answers[0].document.get("files", {})
    kinds = {name: file["type"] for name, file in files.items()}
    good = kinds == {"screenshot": "image/png", "log": "application/zip"}
    return " and ".join(kind.partition("/")[2] for kind in kinds.values()), "" if good else "not both files, by type"


def _named(answers: Sequence[Answer]) -> tuple[str, str]:
    name = answers[0].document.get("files", {}).get("screenshot", {}).get("name")
    return f"kept as {name}", "" if name == "passwd.png" else "not the bare name"


def _clean(answers: Sequence[Answer]) -> tuple[str, str]:
    text = answers[0].document.get("text")
    return "as it is read", "" if text == TEXT else f"the view got {text!r}"


IMAGE = ("shot.png", "image/png", png(8, 8))
HIDDEN = TEXT.replace(" ", "\u200b \u202e\x1b[2J\u202c", 1)

FILES = Act(
    "Files, and what is not seen",
    (
        Attempt(
            "a screenshot and a zipped log",
            200,
            "",
            "by what is in them",
            _send(form(screenshot=IMAGE, log=("log.zip", "text/plain", zipped(1000)))),
            _taken,
        ),
        Attempt(
            "a pickle as a picture",
            422,
            "files.invalid",
            "it runs what it says",
            _send(form(screenshot=("model.png", "image/png", pickle.dumps(Runs())))),
            _refused("type"),
            show=True,
        ),
        Attempt(
            "HTML named .png",
            422,
            "files.invalid",
            "a browser would run it",
            _send(form(screenshot=("shot.png", "image/png", b"<!doctype html><script>alert(1)</script>"))),
            _refused("type"),
        ),
        Attempt(
            "a zip bomb",
            422,
            "files.invalid",
            "64 MB, told before unpacking",
            _send(form(log=("log.zip", "application/zip", zipped(64 << 20)))),
            _refused("archive"),
        ),
        Attempt(
            "a picture of 30,000 x 30,000",
            422,
            "files.invalid",
            "nobody decodes it",
            _send(form(screenshot=("big.png", "image/png", png(30_000, 30_000)))),
            _refused("pixels"),
        ),
        Attempt(
            "a name that climbs folders",
            200,
            "",
            "a name, not a path",
            _send(form(screenshot=("../../etc/passwd.png", "image/png", IMAGE[2]))),
            _named,
        ),
        Attempt("JSON instead of a form", 415, "body.media_type", "refused unread", _no_form),
        Attempt(
            "a form cut off",
            400,
            "request.malformed",
            "no empty form instead",
            _send(form(screenshot=IMAGE)[:-20]),
        ),
        Attempt("text with hidden characters", 200, "", "x-clean, before the view", _send(form(HIDDEN)), _clean),
    ),
)
