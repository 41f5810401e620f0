"""Requests per second under gunicorn with 2 sync workers, driven by wrk: bare Flask, ours, the peers.

Run ``python benches/serve.py``. Servers and load are on this host, on loopback, and take turns.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import apps
import material
import peers
from common import PATH, Row, conclude, figure, goal, heading, lacking, mark, options, table, versions
from serving import Server, fetch, tool

TARGET = 0.88
CONNECTIONS = 16


def script(token: str) -> Path:
    """What wrk sends, as Lua."""
    body = material.BODY.decode()
    path = apps.directory() / "post.lua"
    path.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [=[{body}]=]\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {token}"\n',
        encoding="utf-8",
    )
    return path


def request(token: str | None, body: bytes = material.BODY) -> bytes:
    """The same request as bytes, to try a server before it is measured."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {PATH} HTTP/1.0\r\nContent-Type: application/json\r\n{bearer}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def try_out(name: str, server: Server, token: str) -> None:
    """Stops unless the server admits what it should and, but for bare Flask, refuses what it should."""
    expected = [(request(token), 200)]
    if name != "bare Flask":
        expected += [(request(None), 401), (request(token, material.mistyped()), 422)]
    for sent, status in expected:
        got = fetch(server.address, sent)
        if int(got.split(b" ", 2)[1]) != status:
            raise SystemExit(f"{name}: answered {got[:300]!r}, not {status}; it is not measured")


def load(wrk: str, server: Server, lua: Path, seconds: int) -> float:
    """Requests per second of one round."""
    host, port = server.address
    command = [wrk, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    command += ["--script", str(lua), f"http://{host}:{port}{PATH}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None or "Non-2xx" in said:
        raise SystemExit(f"{server.app}: not all requests were answered by 200:\n{said}")
    return float(rate[1])


def main() -> int:
    arguments = options(__doc__, rounds=5, seconds=3).parse_args()
    about = versions("gunicorn", *peers.PACKAGES)
    heading("gunicorn with 2 sync workers, wrk: requests per second", about)
    wrk = tool("wrk", "wrk")
    if wrk is None:
        return 0
    if peers.missing("gunicorn"):
        lacking("gunicorn", "bench")
        return 0
    served = {"bare Flask": "apps:bare()", "ours, all five guards": "apps:everything()"}
    absent = peers.missing()
    if absent:
        lacking(f"peers ({', '.join(absent)})", "bench")
    else:
        served["peers, whole stack"] = "peers:everything()"

    token = material.token()
    lua = script(token)
    rates: dict[str, list[float]] = {name: [] for name in served}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(app, workers=2)) for name, app in served.items()}
        for name, server in servers.items():
            try_out(name, server, token)
            load(wrk, server, lua, 1)
        for _ in range(arguments.rounds):
            for name, server in servers.items():
                rates[name].append(load(wrk, server, lua, arguments.seconds))

    base = rates["bare Flask"]
    rows = []
    for name, measured in rates.items():
        ratio = statistics.median(a / b for a, b in zip(measured, base, strict=True))
        target = TARGET if name.startswith("ours") else None
        rows.append(
            Row(
                "gunicorn",
                name,
                ratio,
                "of bare",
                target,
                at_least=True,
                note=f"{statistics.median(measured):.0f}",
            )
        )
    lines = [[row.name, row.note, figure(row.value), goal(row), mark(row.met)] for row in rows]
    print(table(("", "requests/s", "of bare", "target", ""), lines))
    print(f"\n{arguments.rounds} rounds of {arguments.seconds} s, {CONNECTIONS} connections; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
