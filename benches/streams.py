"""Streaming redaction: what it adds to each chunk, beside a stream that does nothing.

Run ``python benches/streams.py``, with the package built for release. Three readers take the same chunks in turn, in
rounds that alternate: one that only joins them, one with ``RedactingStream.feed``, and one that redacts the whole text
at the end. Chunks are of prose and of a log, as models and servers stream them; of each reader the best round counts.
Operators that are given the value wait for its end. Of events, which are read as JSON and written again, the third
reader does nothing but that.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

from common import Row, conclude, heading, options, table, versions

from flask_rampart import Redactor
from flask_rampart.redaction import Hash

PROSE = "The quick brown fox jumps over the lazy dog, and the answer to your question is: forty-two. "
LOG = (
    "2026-11-23 19:00:00,123 INFO [worker-1] GET /v1/items/550e8400-e29b-41d4-a716-446655440000 200 17b "
    "user=ann@example.org token=abcdefgh took 12ms\n"
)
MOST_NS = 1000.0
"""The goal: a microsecond for each chunk."""


def joined(chunks: Sequence[str]) -> str:
    made = []
    for chunk in chunks:
        made.append(chunk)
    return "".join(made)


def streamed(redactor: Redactor) -> Callable[[Sequence[str]], str]:
    def run(chunks: Sequence[str]) -> str:
        stream = redactor.stream()
        feed = stream.feed
        made = [feed(chunk) for chunk in chunks]
        made.append(stream.finish())
        return "".join(made)

    return run


def whole(redactor: Redactor) -> Callable[[Sequence[str]], str]:
    return lambda chunks: redactor.redact("".join(chunks))


def chats(text: str, size: int) -> list[str]:
    """Events of a chat completion, with pieces of *text*."""
    rest = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1_780_000_000, "model": "small"}
    made = []
    for at in range(0, len(text), size):
        choice = {"index": 0, "delta": {"content": text[at : at + size]}, "finish_reason": None}
        made.append(f"data: {json.dumps({**rest, 'choices': [choice]})}\n\n")
    return made


def evented(redactor: Redactor) -> Callable[[Sequence[str]], str]:
    def run(chunks: Sequence[str]) -> str:
        stream = redactor.stream(events="sse")
        return "".join([*map(stream.feed, chunks), stream.finish()])

    return run


def parsed(chunks: Sequence[str]) -> str:
    return "".join(f"data: {json.dumps(json.loads(chunk[6:]))}\n\n" for chunk in chunks)


def best(readers: Sequence[Callable[[Sequence[str]], str]], chunks: Sequence[str], rounds: int) -> list[float]:
    """Seconds of each reader's best round; they take turns, so that what else the machine does meets all alike."""
    times = [float("inf")] * len(readers)
    for _ in range(rounds):
        for at, reader in enumerate(readers):
            start = time.process_time()
            reader(chunks)
            times[at] = min(times[at], time.process_time() - start)
    return times


def main() -> int:
    arguments = options(__doc__, rounds=15).parse_args()
    about = versions("flask-rampart")
    heading("Streams of redaction", about)
    redactor = Redactor()
    rows: list[Row] = []
    shown: list[list[str]] = []
    for name, text in (("prose", PROSE * 400), ("log", LOG * 300)):
        for size in (1, 4, 24, 512):
            chunks = [text[at : at + size] for at in range(0, len(text), size)]
            readers = (joined, streamed(redactor), whole(redactor))
            assert readers[1](chunks) == readers[2](chunks)
            plain, stream, at_once = best(readers, chunks, arguments.rounds)
            added = (stream - plain) / len(chunks) * 1e9
            speed = f"{len(text) / stream / 1e6:.1f}"
            shown.append([f"{name}, {size} characters", f"{added:.0f} ns", f"{stream / at_once:.1f}", speed])
            rows.append(Row("streams", f"{name}, chunks of {size}", added, "ns more", MOST_NS if size <= 24 else None))
    hashing = Redactor(operators={"DEFAULT": Hash(key=b"k" * 32)})
    for size in (4, 24):
        chunks = [LOG[at : at + size] for at in range(0, len(LOG), size)] * 100
        plain, stream, at_once = best((joined, streamed(hashing), whole(hashing)), chunks, arguments.rounds)
        added = (stream - plain) / len(chunks) * 1e9
        speed = f"{len(LOG) / stream / 1e4:.1f}"
        shown.append([f"log, {size} characters, hashed", f"{added:.0f} ns", f"{stream / at_once:.1f}", speed])
        rows.append(Row("streams", f"log, chunks of {size}, hashed", added, "ns more", MOST_NS))
    chunks = chats(PROSE * 40, 4)
    plain, stream, again = best((joined, evented(redactor), parsed), chunks, arguments.rounds)
    added = (stream - plain) / len(chunks) * 1e9
    shown.append(["events, 4 characters in each", f"{added:.0f} ns", f"{stream / again:.1f}", ""])
    rows.append(Row("streams", "events of a chat completion", added, "ns more"))
    print(table(["chunks", "added to each", "times the whole at once", "MB/s"], shown))
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
