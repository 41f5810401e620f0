"""Input: from bytes to checked objects, what a refusal costs, a query's ten parameters, an article that is cleaned.

Run ``python benches/validation.py``. It needs the group ``bench``; the row of memory needs Linux.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import material
import peers
from common import Row, Subject, conclude, heading, lacking, loop, measure, options, versions
from operations import Comparison, show

from flask_rampart._native import JsonBounds, JsonRejected, Parts, Schema, SchemaRejected
from flask_rampart.sanitize import clean_html

BOUNDS = JsonBounds(max_bytes=8 << 20, max_keys=1_000_000)

TEN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "q": {"type": "string", "minLength": 1, "maxLength": 100},
        "page": {"type": "integer", "minimum": 1, "default": 1},
        "size": {"type": "integer", "minimum": 1, "maximum": 100},
        "sort": {"type": "string", "enum": ["name", "date", "price"]},
        "down": {"type": "boolean"},
        "least": {"type": "number", "minimum": 0},
        "most": {"type": "number", "minimum": 0},
        "tag": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 5},
        "since": {"type": "string", "format": "date"},
        "id": {"type": "string", "format": "uuid"},
    },
    "required": ["q"],
}
QUERY = (
    "q=brass+lamp&page=3&size=50&sort=price&down=true&least=1.5&most=99.95&tag=home&tag=light"
    "&since=2026-03-14&id=0b7c1f7e-3f0e-4a53-9d6c-5a1f0f2b8c11"
)

ARTICLE = "".join(
    f"""<h2 id="s{number}">Part {number}</h2>
<p>A paragraph with <b>bold</b>, <i>italic</i> &amp; a <a href="https://example.com/{number}?a=1&amp;b=2">link</a>.
It goes on, as paragraphs of articles do, for some lines of plain text with nothing in it.</p>
<ul><li>one</li><li>two <code>x &lt; y</code></li></ul>
<blockquote><p>Said by somebody.</p></blockquote><script>alert({number})</script>
"""
    for number in range(40)
)

MEMORY = """
import json, sys
from flask_rampart._native import JsonBounds, Schema
schema = Schema(sys.argv[1], JsonBounds(max_bytes=8 << 20, max_keys=1_000_000))
body = sys.stdin.buffer.read()
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")
before = peak()
read = {"ours": schema.check, "json.loads": json.loads}[sys.argv[2]]
value = read(body)
print((peak() - before) / len(body))
"""


def judged(schema: Schema, body: bytes, kind: type) -> Callable[[bytes], object]:
    """``judge``, after it was seen to say what the row is about."""
    said = schema.judge(body)
    if not isinstance(said, kind):
        raise SystemExit(f"validation: a body is {type(said).__name__} and not {kind.__name__}; it is not measured")
    return schema.judge


def bodies() -> list[Comparison]:
    """Good bodies against the fastest peers, bad ones against good ones."""
    import jsonschema_rs
    import orjson

    loads = orjson.loads
    schema = Schema(json.dumps(material.ORDER_SCHEMA), BOUNDS)
    is_valid = jsonschema_rs.validator_for(material.ORDER_SCHEMA, validate_formats=True).is_valid

    def peer(body: bytes) -> object:
        value = loads(body)
        if not is_valid(value):
            raise ValueError("the body does not have the schema's shape")
        return value

    rows = []
    for title, size in (("1 KB", 1_000), ("20 KB", 20_000)):
        order = material.order(size)
        body = json.dumps(order, separators=(",", ":")).encode()
        if peer(body) != order or schema.judge(body) != order:
            raise SystemExit("validation: the objects are not those that were sent; it is not measured")
        valid = loop("a valid one", judged(schema, body, dict), [body])
        rows.append(
            Comparison(
                "bytes to objects", title, loop("ours", schema.judge, [body]), loop("orjson + rs", peer, [body]), 1.3
            )
        )
        one = json.dumps({**order, "rating": 6}, separators=(",", ":")).encode()
        lines = [{**line, "quantity": 0, "sku": "?"} for line in order["lines"]]
        many = json.dumps({**order, "lines": lines, "rating": 6, "version": 3}, separators=(",", ":")).encode()
        for what, bad, kind, target in (
            ("one rule broken", one, SchemaRejected, 1.5),
            (f"{2 * len(lines) + 2} rules broken", many, SchemaRejected, 3.0),
            ("malformed at its middle", body[: len(body) // 2] + b"\x01" + body[len(body) // 2 :], JsonRejected, None),
            ("malformed at its begin", b"{,}" + body, JsonRejected, 0.5),
        ):
            rows.append(
                Comparison("refused", f"{title}, {what}", loop("ours", judged(schema, bad, kind), [bad]), valid, target)
            )
    return rows


def cleaning() -> list[Comparison]:
    """An article of 20 KB."""
    import nh3

    for clean in (clean_html, nh3.clean):
        if "script" in clean(ARTICLE) or "<h2" not in nh3.clean(ARTICLE):
            raise SystemExit("cleaning: a script is left; it is not measured")

    def ours(text: str) -> str:
        return clean_html(text, policy="rich")

    return [
        Comparison(
            "clean_html",
            f"{len(ARTICLE):,} characters",
            loop("ours", ours, [ARTICLE]),
            loop("nh3", nh3.clean, [ARTICLE]),
            1.0,
        )
    ]


def query() -> Subject:
    """Ten typed parameters."""
    parts = Parts(json.dumps(TEN), BOUNDS, "query", "reject")
    said = parts.query(QUERY)
    if not isinstance(said, dict) or said["least"] != 1.5 or said["tag"] != ["home", "light"]:
        raise SystemExit(f"query: {said}; it is not measured")
    return loop("ours", parts.query, [QUERY])


def memory() -> list[Row]:
    """Peak of extra memory for a body of 2 MB, in a process of its own; beside it what `json.loads` takes."""
    order = material.order(20_000)
    few = order["lines"]
    order["lines"] = [
        {**few[at % len(few)], "sku": f"LMP-{10_000 + at}"} for at in range(2_000_000 * len(few) // 20_000)
    ]
    body = json.dumps(order, separators=(",", ":")).encode()
    schema = {**material.ORDER_SCHEMA, "properties": {**material.ORDER_SCHEMA["properties"]}}
    schema["properties"]["lines"] = {**schema["properties"]["lines"], "maxItems": 100_000}
    rows = []
    for reader, target in (("ours", 6.0), ("json.loads", None)):
        command = [sys.executable, "-c", MEMORY, json.dumps(schema), reader]
        said = subprocess.run(command, input=body, capture_output=True, check=True)
        rows.append(Row("memory", f"{len(body):,} bytes of JSON, {reader}", float(said.stdout), "x body", target))
    return rows


def main() -> int:
    parser = options(__doc__, rounds=31)
    arguments = parser.parse_args()
    about = versions("orjson", "jsonschema-rs", "nh3")
    heading("Input", about)
    comparisons: list[Comparison] = []
    for part, needed in ((bodies, ("orjson", "jsonschema_rs")), (cleaning, ("nh3",))):
        absent = peers.missing(*needed)
        if absent:
            lacking(", ".join(absent), "bench")
        else:
            comparisons += part()
    ten = query()
    measure([*(comparison.ours for comparison in comparisons), ten], rounds=arguments.rounds)
    rows = [comparison.row() for comparison in comparisons]
    rows.append(Row("query", "ten typed parameters", ten.median, "us", 5.0, micros=ten.median))
    if sys.platform == "linux":
        rows += memory()
    show(rows)
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
