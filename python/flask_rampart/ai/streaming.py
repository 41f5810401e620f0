"""Streaming: an answer that is treated while it comes.

1. What comes is read event by event: bytes or text of server-sent events, dicts, or the objects of a client library
   (``model_dump``). For each, what may be passed on is passed on at once, so the first word is as early as the filters
   let it be;
2. what is not of its shape, and whatever raises (the source, a filter, a callback), ends the answer: an event says so,
   the source is closed, and nothing that was held back is passed on;
3. when all choices have been stopped, the source is closed;
4. when the client goes, the server closes us, and we close the source;
5. however it ends, the budget is settled by what was used, and ``ai.called`` is sent, once.

It is no generator: one that was never begun does nothing when it is closed.
"""

from __future__ import annotations

import codecs
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..sse import Broken, Decoder, written
from .shapes import Stop
from .treating import Treating
from .visiting import Unshaped

if TYPE_CHECKING:
    from .calls import Call


class Source:
    """What a view answers with: events, or pieces of text, and how to end them. Made by ``ai.stream``."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._given = items
        self._items = iter(items)
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        """Ends the source: closes the iterator, and what it was made from."""
        if self._is_over:
            return
        self._is_over = True
        try:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        finally:
            close = getattr(self._given, "close", None)
            if close is not None and self._given is not self._items:
                close()


class _Ending(ABC):
    """What all treated streams have in common: an end, once."""

    def __init__(self, call: Call, source: Source) -> None:
        self._call = call
        self._source = source
        self._is_over = False
        self._ready: deque[bytes] = deque()
        self._treating = Treating(call)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._ready:
            if self._is_over:
                raise StopIteration
            try:
                item = next(self._source, _END)
                if item is _END:
                    self._finish()
                    self._end("stopped" if self._treating.rule else "answered")
                else:
                    self._feed(item)
                    if self._treating.rule and self._is_done():
                        # What has been stopped need not be made any more.
                        self._finish()
                        self._end("stopped")
            except Exception as error:
                self._fail(error)
        return self._ready.popleft()

    @abstractmethod
    def _feed(self, item: Any) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

    def _is_done(self) -> bool:
        return self._is_over

    def _fail(self, error: Exception) -> None:
        self._ready.clear()
        if not isinstance(error, Unshaped):
            error_name = type(error).__name__
        else:
            error_name = f"it is not of the shape {self._call.shape.name!r}: {error}"
        # Neither the message nor a traceback: they may quote what was said.
        self._call.state.app.logger.error(
            "A streamed answer of %s was ended: %s (request %s).",
            self._call.endpoint,
            error_name,
            self._call.exchange.id,
        )
        # What is of no shape is called so as in a whole answer; of what was raised, its name.
        self._end("failed", "response.invalid" if isinstance(error, Unshaped) else type(error).__name__)

    def _end(self, decision: str, rule: str = "") -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            self._source.close()
        except Exception as error:
            self._call.state.app.logger.error(
                "The source of a streamed answer could not be closed: %s.", type(error).__name__
            )
        finally:
            self._treating.close()
            self._call.end(decision, rule or self._treating.rule)

    def close(self) -> None:
        """Ends it, also in the middle. Again harmless."""
        self._ready.clear()
        self._end("aborted")

    def __del__(self) -> None:
        if not getattr(self, "_is_over", True):
            self.close()


class EventStream(_Ending):
    """A treated stream of events, as bytes."""

    def __init__(self, call: Call, source: Source) -> None:
        super().__init__(call, source)
        self._decoder = Decoder()
        self._events = call.shape.events(self._treating, wants_usage=call.wants_usage)
        self._saw_end = False

    def _feed(self, item: Any) -> None:
        if isinstance(item, str):
            item = item.encode()
        if isinstance(item, (bytes, bytearray, memoryview)):
            try:
                for name, text in self._decoder.feed(bytes(item)):
                    self._event(name, text)
            except Broken as error:
                raise Unshaped(str(error)) from None
        else:
            self._pass(None, plain(item))

    def _event(self, name: str | None, text: str) -> None:
        if text == "[DONE]":
            self._saw_end = True
            return
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise Unshaped("an event that is no JSON") from None
        self._pass(name, data)

    def _pass(self, name: str | None, data: Any) -> None:
        if not isinstance(data, dict):
            raise Unshaped("an event that is no object")
        if self._saw_end:
            raise Unshaped("an event after the end")
        if data.get("error") is not None and self._call.shape.name != "paths":
            # What a model's server says of an error may quote the prompt.
            raise Unshaped("the model's server says that it failed")
        for made_name, made in self._events.feed(name, data):
            self._ready.append(written(made_name, made))

    def _is_done(self) -> bool:
        return self._events.is_over(self._call.shape.choices(self._call.body))

    def _finish(self) -> None:
        for name, data in self._events.finish():
            self._ready.append(written(name, data))
        if self._call.shape.ends is not None:
            self._ready.append(written(None, self._call.shape.ends))

    def _fail(self, error: Exception) -> None:
        super()._fail(error)
        self._ready.append(written(*self._call.shape.failed("ai.failed", "The answer could not be completed.")))


class TextStream(_Ending):
    """A treated stream of pieces of text, as bytes. One that fails is cut off: nothing else would say so."""

    def __init__(self, call: Call, source: Source) -> None:
        super().__init__(call, source)
        self._channel = self._treating.channel(0, "text")
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._error: Exception | None = None

    def __next__(self) -> bytes:
        try:
            return super().__next__()
        except StopIteration:
            if self._error is not None:
                raise RuntimeError("The answer could not be completed.") from None
            raise

    def _feed(self, item: Any) -> None:
        if isinstance(item, (bytes, bytearray, memoryview)):
            # A piece may end in the middle of a character.
            item = self._decoder.decode(bytes(item))
        if not isinstance(item, str):
            raise Unshaped("a piece that is no text")
        self._put(lambda: self._channel.feed(item))

    def _finish(self) -> None:
        self._decoder.decode(b"", final=True)
        self._put(self._channel.finish)

    def _put(self, make: Any) -> None:
        try:
            piece = make()
        except Stop as stop:
            piece = stop.rest
            if piece:
                self._ready.append(piece.encode())
            self._end("stopped", stop.rule)
            return
        if piece:
            self._ready.append(piece.encode())

    def _fail(self, error: Exception) -> None:
        super()._fail(error)
        self._error = error


def plain(item: Any) -> Any:
    """A client library's object as dicts and lists; anything else as it is."""
    if isinstance(item, Mapping):
        return dict(item)
    dump = getattr(item, "model_dump", None)
    if callable(dump):
        return dump(mode="json", exclude_unset=True)
    return item


_END: Any = object()
