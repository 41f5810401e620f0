"""What the tests of advisories share: packages as an installer leaves them, records in OSV's format, and a service."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def install(site: Path, name: str, version: str, *more: str, files: dict[str, str] | None = None) -> Path:
    """Leaves a package's metadata in *site*, as an installer would; *more* are lines of METADATA."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *more]
    written = {f"{folder.name}/METADATA": "\n".join(lines) + "\n", **(files or {})}
    record = []
    for path, text in written.items():
        place = site / path.replace("DIST-INFO", folder.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record.append(f"{place.relative_to(site).as_posix()},sha256={digest},{len(text)}")
    (folder / "RECORD").write_text("\n".join([*record, f"{folder.name}/RECORD,,"]) + "\n")
    return folder


def advisory(id: str, name: str, *events: Json, aliases: list[str] | None = None, **more: Any) -> Json:
    """A record; its range has *events*, where there are any."""
    entry: Json = {"package": {"ecosystem": "PyPI", "name": name}, **more.pop("entry", {})}
    if events:
        entry["ranges"] = [{"type": "ECOSYSTEM", "events": list(events)}]
    # Neither old nor of the future, on whatever day the tests run.
    return {
        "id": id,
        "modified": f"{date.today().isoformat()}T00:00:00Z",
        "aliases": aliases or [],
        "affected": [entry],
        **more,
    }


FROM_THE_FIRST = {"introduced": "0"}

# Advisories as they are published: ids, aliases and ranges are those of the PyPA's and GitHub's databases.
KNOWN = [
    advisory(
        "PYSEC-2018-66",
        "flask",
        FROM_THE_FIRST,
        {"fixed": "0.12.3"},
        aliases=["CVE-2018-1000656", "GHSA-562c-5r94-xh97"],
        details="Large amount of memory usage by JSON data in incorrect encoding.",
    ),
    advisory(
        "PYSEC-2019-179",
        "flask",
        FROM_THE_FIRST,
        {"fixed": "1.0"},
        aliases=["CVE-2019-1010083", "GHSA-5wv5-4vpf-pj6m"],
    ),
    advisory(
        "GHSA-m2qf-hxjv-5gpq",
        "flask",
        FROM_THE_FIRST,
        {"fixed": "2.2.5"},
        {"introduced": "2.3.0"},
        {"fixed": "2.3.2"},
        aliases=["CVE-2023-30861", "PYSEC-2023-62"],
        summary="Flask vulnerable to possible disclosure of permanent session cookie",
    ),
    advisory("GHSA-x84v-xcm2-53pg", "requests", FROM_THE_FIRST, {"fixed": "2.20.0"}, aliases=["CVE-2018-18074"]),
    advisory(
        "GHSA-j8r2-6x86-q33q",
        "requests",
        {"introduced": "2.3.0"},
        {"fixed": "2.31.0"},
        aliases=["CVE-2023-32681"],
    ),
]


def vulnerable(site: Path) -> Path:
    """An environment with known weaknesses, and a package without."""
    install(site, "Flask", "0.12", "Requires-Dist: Werkzeug>=0.7")
    install(site, "requests", "2.19.0")
    install(site, "Werkzeug", "3.1.6")
    return site


def written(folder: Path, *records: Json) -> Path:
    """A file of advisories."""
    path = folder / "advisories.json"
    path.write_text(json.dumps(list(records)))
    return path


class Played:
    """A service of OSV's API that knows :data:`KNOWN`; each part of it can be made to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.url = ""
        #: What is done instead of answering: gets the handler and the JSON that was sent, returns whether it answered.
        self.instead: Callable[[BaseHTTPRequestHandler, Any], bool] = lambda handler, sent: False
        #: What becomes of an answer before it leaves.
        self.change: Callable[[Json], Json] = lambda answer: answer

    def answer(self, path: str, sent: Any) -> Json:
        if path == "/v1/querybatch":
            return {"results": [{"vulns": found} if (found := self._of(each)) else {} for each in sent["queries"]]}
        return next(record for record in KNOWN if path == f"/v1/vulns/{record['id']}")

    def _of(self, query: Json) -> list[Json]:
        name, version = query["package"]["name"], query["version"]
        vulnerable = {("flask", "0.12"), ("flask", "0.12.2"), ("requests", "2.19.0")}
        return [
            {"id": record["id"], "modified": record["modified"]}
            for record in KNOWN
            if (name, version) in vulnerable and record["affected"][0]["package"]["name"] == name
        ]


@contextmanager
def played() -> Iterator[Played]:
    """A service on this machine."""
    service = Played()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do(None)

        def do_POST(self) -> None:
            self._do(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _do(self, sent: Any) -> None:
            service.asked.append((self.path, sent))
            if not service.instead(self, sent):
                send(self, service.change(service.answer(self.path, sent)))

        def log_message(self, *given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, answer: Any, *, kind: str = "application/json", status: int = 200) -> None:
    """Sends an answer: JSON, or a text as it is."""
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
