"""Forms: how every view's ``request.form`` and ``request.files`` are read.

1. A form is read once, by one parser (``src/uploads``), whoever asks first: what ``validate`` judged is what the view
   sees.
2. A form that is not well formed is refused with ``request.malformed``, one beyond a bound with ``body.too_large``.
   Neither is ever an empty form, and who asks again is refused again: what is left of its body is not read as another
   form.
3. What werkzeug bounds for a request (``max_form_parts``, ``max_form_memory_size``, ``max_content_length``) holds
   beside our own bounds, for what it holds in werkzeug: the stricter wins.
4. A body that somebody read before is an empty form for a plain view, as in werkzeug, and refused by ``validate``; half
   of one is refused everywhere.

What is neither ``multipart/form-data`` nor ``application/x-www-form-urlencoded`` is no form, and stays in the stream.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from .._native import FormRejected, MultipartForm, form_fields
from ..config import Settings
from ..errors import ConfigError, Denied
from ..exchange import Exchange
from .spool import Room

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
"""The media types that are read as forms."""

_PIECE = 64 * 1024
_REFUSED = "_rampart_form_refused"
_ROOM = "_rampart_form_room"


@dataclass(frozen=True)
class FormBounds:
    """How much the forms of an app may hold."""

    fields: int
    field: int
    files: int
    file: int
    memory: int

    @classmethod
    def of(cls, settings: Settings, max_bytes: int) -> FormBounds:
        """The bounds of these settings, for bodies of at most *max_bytes*."""
        file = max_bytes if settings.max_file is None else settings.max_file
        if file > max_bytes:
            raise ConfigError(
                f"RAMPART_MAX_FILE is {file}, and no body is larger than {max_bytes} bytes: raise RAMPART_MAX_BODY "
                "(and MAX_CONTENT_LENGTH) as well."
            )
        return cls(
            fields=settings.form_max_fields,
            field=settings.form_max_field,
            files=settings.max_files,
            file=file,
            memory=settings.upload_memory,
        )


class Consumed(io.BytesIO):
    """The stream of a form whose body somebody read before."""


class FormParser(FormDataParser):
    """werkzeug's interface to our parser. Each app has a subclass with its bounds: :func:`form_parser`."""

    bounds: FormBounds

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        if mimetype not in FORMS:
            return stream, self.cls(), self.cls()
        pieces = _Pieces(stream, content_length)
        try:
            if mimetype == "multipart/form-data":
                form, files = self._multipart(pieces, content_length, options or {})
            else:
                form, files = self._urlencoded(b"".join(pieces)), []
        except FormRejected as rejected:
            if pieces.were_taken:
                return Consumed(), self.cls(), self.cls()
            code = "body.too_large" if rejected.too_large else "request.malformed"
            raise Denied.of(code, reason=f"the form: {rejected}") from None
        if pieces.were_taken:
            return Consumed(), self.cls(), self.cls()
        return stream, self.cls(form), self.cls(files)

    def _urlencoded(self, body: bytes) -> list[tuple[str, str]]:
        return form_fields(body, most=self.bounds.fields, longest=self.bounds.field)

    def _multipart(
        self, pieces: _Pieces, content_length: int | None, options: dict[str, str]
    ) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
        bounds = self.bounds
        parser = MultipartForm(
            # Only the parameters of it come here, without those that are there twice.
            _plain(self.content_type or _written(options)),
            parts=_stricter(bounds.fields + bounds.files, self.max_form_parts),
            fields=bounds.fields,
            files=bounds.files,
            field=_stricter(bounds.field, self.max_form_memory_size),
            file=bounds.file,
        )
        form: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        try:
            for piece in pieces:
                for event in parser.feed(piece):
                    if isinstance(event, bytes):
                        files[-1][1].stream.write(event)
                    elif event is None:
                        files[-1][1].stream.seek(0)
                    elif len(event) == 2:
                        form.append(event)
                    else:
                        name, filename, head = event
                        headers = Headers(head)
                        container = self.stream_factory(
                            total_content_length=content_length,
                            filename=filename,
                            content_type=headers.get("content-type"),
                            content_length=headers.get("content-length", 0, int),
                        )
                        files.append((name, FileStorage(container, filename, name, headers=headers)))
            parser.finish()
        except BaseException:
            for _, file in files:
                file.close()
            raise
        return form, files

    content_type: str | None = None
    """Of the request, as it stands in its head; set for each request."""


def form_parser(bounds: FormBounds) -> type[FormParser]:
    """The parser of an app with these bounds."""
    return type("FormParser", (FormParser,), {"bounds": bounds, "__module__": __name__})


def must_parse(request_class: type[Request], where: str) -> None:
    """Refuses, at start-up, a class of requests whose forms another parser reads.

    :raises ConfigError: says what to take away.
    """
    if not issubclass(request_class.form_data_parser_class, FormParser):
        raise ConfigError(
            f"{where}: app.request_class has a form_data_parser_class of its own, "
            f"{request_class.form_data_parser_class.__qualname__}. What it makes of a form is not checked: remove it."
        )


def load_form(request: Request, load: Callable[[], None], exchange: Callable[[], Exchange]) -> None:
    """Reads the form of *request* by *load*, werkzeug's own way; refuses for good.

    :raises Denied: for a form that is not read.
    """
    state = request.__dict__
    refused = state.get(_REFUSED)
    if refused is None:
        try:
            return load()
        except Denied as denied:
            refused = denied
        except RequestEntityTooLarge:
            refused = Denied.of("body.too_large", reason="the form")
        state[_REFUSED] = refused
    raise exchange().refuse(refused) from None


def open_file(request: Request, bounds: FormBounds) -> IO[bytes]:
    """Where the next file of the request's form is written to."""
    state = request.__dict__
    if _ROOM not in state:
        state[_ROOM] = Room(bounds.memory)
    file: IO[bytes] = state[_ROOM].file()
    return file


def checked_form(request: Request) -> None:
    """Reads the form, so that ``request.form`` and ``request.files`` are all that the peer sent.

    :raises Denied: if it is none, or not well formed, beyond a bound, cut off, or was read by somebody before.
    """
    if request.mimetype not in FORMS:
        raise Denied.of("body.media_type", reason="not a form")
    request.form  # noqa: B018 - reads it
    if isinstance(request.stream, Consumed):
        raise Denied.of("body.consumed", reason="the body was read before it could be checked")


class _Pieces:
    """A body in pieces; tells whether all of it was there."""

    def __init__(self, stream: IO[bytes], declared: int | None) -> None:
        self._stream = stream
        self._declared = declared
        self._before = getattr(stream, "rampart_taken", 0)
        self._length = 0
        #: Whether nothing was left of what is known to have been there.
        self.were_taken = False

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._next():
            self._length += len(piece)
            yield piece
        missing = self._before if self._declared is None else self._declared - self._length
        if missing and self._length:
            raise Denied.of("body.consumed", reason="a part of the body was read before the form")
        self.were_taken = bool(missing)

    def _next(self) -> bytes:
        try:
            return self._stream.read(_PIECE)
        except (OSError, ClientDisconnected):
            # Servers raise of their own where a chunk is cut off.
            raise Denied.of("body.incomplete", reason="the connection ended") from None


def _stricter(ours: int, theirs: int | None) -> int:
    return ours if theirs is None else min(ours, max(theirs, 0))


def _plain(content_type: str) -> str:
    # A backslash is in no boundary.
    return content_type.encode("ascii", "backslashreplace").decode()


def _written(options: dict[str, str]) -> str:
    return "; ".join(["multipart/form-data", *(f'{name}="{value}"' for name, value in options.items())])
