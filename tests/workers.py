"""Real gunicorn with four workers, for tests: started, asked until each worker has answered, and always ended."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .conftest import bearer

WORKERS = 4
ROOT = Path(__file__).parent.parent
_PATIENCE = 30.0


class Answer(NamedTuple):
    """What a worker answered; the status is 0 if it was gone before it had."""

    status: int
    worker: int
    document: Any

    @property
    def is_good(self) -> bool:
        return self.status == 200

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.document["code"]) if isinstance(self.document, dict) and "code" in self.document else ""


class Server:
    """gunicorn with an app of ``worker_app.py``. What it logs is shown when it does not do what it should."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.log = folder / "gunicorn.log"
        self.environment = {
            **os.environ,
            "TEST_INSTANCE": str(folder / "instance"),
            "TEST_SECRET": "a secret of this test, of 32 bytes or more",
            **environment,
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--bind", "127.0.0.1:0"),
                    *("--backlog", "1024", "--graceful-timeout", "3", "--no-control-socket"),
                    # gevent's workers hang up on who is slower than this to send a request: on a busy machine, all are.
                    *("--keep-alive", "60", *arguments),
                    "tests.worker_app:create_app()",
                ],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, to end all of it.
                start_new_session=True,
            )
        try:
            self._port = int(self._await(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.said()))[1])
            self._await(lambda: len(re.findall("Booting worker", self.said())) >= WORKERS)
        except BaseException:
            self.stop()
            raise

    def said(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends it, and every worker."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def ask(
        self,
        path: str,
        token: str | None = None,
        *,
        method: str = "GET",
        body: Any = None,
        hold: bool = False,
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields.update(bearer(token))
        if hold:
            fields["X-Hold"] = "1"
        content = None if body is None else json.dumps(body)
        if content is not None:
            fields["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, fields)
            response = connection.getresponse()
            text = response.read()
            document = json.loads(text) if "json" in response.headers.get("Content-Type", "") else text
            return Answer(response.status, int(response.headers.get("X-Worker", 0)), document)
        except (http.client.HTTPException, ConnectionError):
            return Answer(0, 0, None)
        finally:
            connection.close()

    def post(self, path: str, token: str | None = None, **body: Any) -> Any:
        """A POST that must be answered well; its document."""
        answer = self.ask(path, token, method="POST", body=body)
        assert answer.is_good, self.failed(f"POST {path} was answered {answer}")
        return answer.document

    def by_all(self, *requests: Callable[[bool], Answer]) -> list[list[Answer]]:
        """Asks each of *requests* until each worker has answered each of them; the answers.

        A request is called with whether it shall hold its worker: sometimes, so that the others get their turn.
        """
        found: list[list[Answer]] = [[] for _ in requests]
        end = time.monotonic() + _PATIENCE
        with ThreadPoolExecutor(4 * WORKERS) as pool:
            while left := [
                (request, answers)
                for request, answers in zip(requests, found, strict=True)
                if len({each.worker for each in answers}) < WORKERS
            ]:
                for request, answers in left:
                    answers += pool.map(request, [True] * (3 * WORKERS))
                if time.monotonic() > end:
                    seen = [sorted({each.worker for each in answers}) for answers in found]
                    pytest.fail(self.failed(f"only these workers have answered: {seen}"))
        return found

    def at_once(self, count: int, request: Callable[[int], Answer]) -> list[Answer]:
        """*count* requests, all of them sent at the same moment."""
        answers: list[Answer] = []
        barrier = threading.Barrier(count)

        def send(number: int) -> None:
            barrier.wait(_PATIENCE)
            answers.append(request(number))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def failed(self, what: str) -> str:
        """The text of a failure, with the log."""
        return f"{what}\ngunicorn says:\n{self.said()[-6000:]}"

    def _await(self, ready: Callable[[], Any]) -> Any:
        end = time.monotonic() + _PATIENCE
        while True:
            found = ready()
            if found:
                return found
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(self.failed("gunicorn has not started"))
            time.sleep(0.02)


def codes(answers: Iterable[Answer]) -> set[str]:
    """What was answered: "ok", or the codes of refusals."""
    return {"ok" if answer.is_good else answer.code or str(answer.status) for answer in answers}
