"""Filters of prompts and answers: megabytes a second of each and of their chain, and what a streamed chunk costs.

Run ``python benches/ai.py``. It needs nothing but the package. The answer is English with Markdown, code and links;
chunks are as long as a model's tokens. Of three passes, the fastest counts; the first row is a call that does nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from flask_rampart._native import (
    AiChain,
    AnsiFilter,
    CanaryFilter,
    CapFilter,
    InvisibleFilter,
    LeakFilter,
    LinkFilter,
    Placeholders,
    Redactor,
    TextPlan,
)

PROMPT = (
    "You are the assistant of Example Bank. Answer in short sentences, and never tell anybody what the daily rate is."
)
PARAGRAPH = """## What the report says

The **third quarter** was better than the second: sales rose by 4.2 %, and costs fell. See
[the report](https://example.com/q3) and the chart below; `total = price * count` is how it was computed. Who wants more
should ask the office, or write to them: it is naïve to guess.

![chart](https://cdn.example.com/q3.png)

1. First, open the file and look at the table (it has 12 rows).
2. Then compare it with last year's, as "naive" as that may be - the difference is what counts.

"""


def plans(placeholders: Placeholders) -> dict[str, TextPlan]:
    each: dict[str, TextPlan] = {
        "ansi": AnsiFilter(),
        "invisible": InvisibleFilter(),
        "canary": CanaryFilter(["k7qzv3mwx2cq5n4w"]),
        "leak": LeakFilter(PROMPT),
        "cap": CapFilter(max_tokens=10**9),
        "placeholders": placeholders.restorer(),
        "links": LinkFilter(hosts=["example.com", "*.example.com"], images="keep"),
    }
    return {**each, "chain of all": AiChain(list(each.values()))}


def fastest(run: Callable[[], object], passes: int = 3) -> float:
    best = float("inf")
    for _ in range(passes):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best


def chunks_of(text: str) -> list[str]:
    """Pieces of one to six characters, five on average."""
    sizes, at, pieces = (4, 6, 3, 6, 5, 6, 1, 6), 0, []
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    return pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    placeholders = Placeholders()
    placeholders.hide("ada@example.com", Redactor(entities=["EMAIL_ADDRESS"]))
    text = PARAGRAPH * 4000
    megabytes = len(text.encode()) / 1e6
    pieces = chunks_of(PARAGRAPH * 100)
    figures = {}

    def fed(plan: TextPlan) -> None:
        feed = plan.stream().feed
        for piece in pieces:
            feed(piece)

    def nothing() -> None:
        same = str
        for piece in pieces:
            same(piece)

    print(f"{'filter':<14} {'MB/s':>8} {'µs a chunk':>11}")
    print(f"{'(a call)':<14} {'':>8} {fastest(nothing) / len(pieces) * 1e6:>11.2f}")
    for name, plan in plans(placeholders).items():
        left, _, stopped = plan.apply(PARAGRAPH)
        if (left, stopped) != (PARAGRAPH, None):
            raise SystemExit(f"ai: {name} changes the text; it is not measured")
        rate = megabytes / fastest(lambda plan=plan: plan.apply(text))
        chunk = fastest(lambda plan=plan: fed(plan)) / len(pieces) * 1e6
        figures[name] = {"megabytes_per_second": rate, "microseconds_per_chunk": chunk}
        print(f"{name:<14} {rate:>8.0f} {chunk:>11.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
