"""The API in this process, for weeks of traffic in seconds: each request goes through the whole app, and a clock that
the traffic moves takes the place of waiting.

Who acts is an iterator (:data:`Act`): it asks what it likes, and yields for how many seconds it then does nothing.
Those of many callers run side by side in :meth:`Stage.play`, in the order of their time.
"""

from __future__ import annotations

import heapq
import io
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import abort
from werkzeug.security import generate_password_hash

from examples.predict_api.accounts import Account, save
from examples.predict_api.app import create_app, rampart
from examples.predict_api.desk import desk
from examples.predict_api.forge import new_key, private_pem
from flask_rampart import Finding
from flask_rampart.audit.log import Audit
from flask_rampart.cli import commands
from flask_rampart.testing import frozen

Act = Iterator[float]
#: Monday, 2026-11-02 00:00 UTC.
MONDAY = 1_793_577_600.0
HOUR, DAY, WEEK = 3600.0, 86_400.0, 7 * 86_400.0
#: An answer that is longer is read to its end, and not kept.
KEPT = 64 * 1024
#: The clock moves at least so far from one request to the next.
TICK = 0.001


@dataclass(frozen=True, slots=True)
class Got:
    """An answer."""

    status: int
    body: bytes

    def __getitem__(self, name: str) -> Any:
        return json.loads(self.body)[name]


class Stage:
    """``with stage(names) as it:`` the app, people with accounts, and the time.

    :ivar answers: how many had which status.
    :ivar down: whether it is being deployed anew: everybody gets 503.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self.answers: Counter[int] = Counter()
        self.down = False
        self.audit = folder / "audit"
        key, users = folder / "key.pem", folder / "users.json"
        key.write_bytes(private_pem(new_key()))
        # Hundreds sign in here, on one core. These passwords guard nothing: a hash of one round is enough for them.
        save(
            users,
            [
                Account(name, f"{name}@mail.example", generate_password_hash(_password(name), _ROUNDS), ("predict",))
                for name in names
            ],
        )
        settings = {
            "TESTING": True,  # each request is counted at once, and nothing is kept of it in a store
            "PREDICT_KEY_PEM": str(key),
            "PREDICT_USERS": str(users),
            "RAMPART_ACCESS_LOG": "off",
            "RAMPART_AUDIT_LOG": str(self.audit),
            "RAMPART_AUDIT_KEY": str(folder / "audit.key"),
        }
        with frozen(rampart, at=MONDAY) as clock:
            self.app = create_app(settings)
        self.clock = clock
        self.app.register_blueprint(desk)
        self.app.before_request(self._deploying)
        self.flask("audit", "keygen", "--out", str(folder / "audit.key"))

    def play(self, *acts: Act) -> None:
        """Has all act, each at its time, until none has more to do."""
        begun = self.clock.now()
        due = [(begun, number, act) for number, act in enumerate(acts)]
        while due:
            time, number, act = heapq.heappop(due)
            self.clock.advance(max(0.0, time - self.clock.now()))
            wait = next(act, None)
            if wait is not None:
                heapq.heappush(due, (time + wait, number, act))

    def until(self, time: float) -> None:
        """Nothing happens until *time*, in seconds since 1970.

        :raises ValueError: if that is past.
        """
        if time < self.clock.now():
            raise ValueError(f"It is {self.clock.now() - time:.0f} s later already.")
        self.clock.advance(time - self.clock.now())

    def ask(
        self,
        address: str,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        raw: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Got:
        """One request, as a server hands it to the app; its answer is read to the end.

        :param body: sent as JSON.
        :param raw: sent as it is, in place of *body*.
        :param environ: what else of WSGI's environ is otherwise.
        """
        self.clock.advance(TICK)
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        target, _, query = path.partition("?")
        asked: dict[str, Any] = {
            **_ENVIRON,
            "REMOTE_ADDR": address,
            "REQUEST_METHOD": method,
            "PATH_INFO": target,
            "QUERY_STRING": query,
            "RAW_URI": path,
            "wsgi.input": io.BytesIO(sent),
            "wsgi.errors": io.StringIO(),
        }
        if sent:
            asked |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(sent))}
        if token is not None:
            asked["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        status = ""

        def start(line: str, headers: object, error: object = None) -> Any:
            nonlocal status
            status = line

        answer = self.app.wsgi_app({**asked, **(environ or {})}, start)
        kept = b""
        try:
            for piece in answer:
                kept += piece if len(kept) + len(piece) <= KEPT else b""
        finally:
            if hasattr(answer, "close"):
                answer.close()
        got = Got(int(status[:3]), kept)
        self.answers[got.status] += 1
        return got

    def login(self, name: str, address: str, password: str | None = None) -> Got:
        """Signs in; without *password*, by the right one."""
        return self.ask(
            address,
            "POST",
            "/login",
            {"email": f"{name}@mail.example", "password": _password(name) if password is None else password},
        )

    def flask(self, *arguments: str) -> str:
        """What ``flask rampart ...`` prints, in this process."""
        return self.app.test_cli_runner().invoke(commands, arguments).output

    def findings(self) -> list[Finding]:
        """What the monitor has found, the oldest first: the last thousand."""
        with self.app.app_context():
            return rampart.monitor.recent(1000)[::-1]

    def _deploying(self) -> None:
        if self.down:
            abort(503)


@contextmanager
def stage(names: Collection[str]) -> Iterator[Stage]:
    """A :class:`Stage` in a folder that is gone afterwards. What it logs is not shown: what it found, one asks it."""
    loggers = [logging.getLogger(name) for name in ("examples.predict_api.app", "flask_rampart")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    with tempfile.TemporaryDirectory(prefix="predict-stage-") as folder:
        made = Stage(Path(folder), names)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield made
        finally:
            # Before its folder is gone.
            made.app.extensions["rampart"].services[Audit].close()
            for logger, (level, _) in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _password(name: str) -> str:
    return f"the password of {name}"


_ROUNDS = "pbkdf2:sha256:1"
_ENVIRON: Mapping[str, Any] = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "predict.example",
    "SERVER_PORT": "443",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "predict.example",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "https",
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
