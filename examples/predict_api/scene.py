"""What the attempts share: a running server, those who call it, and all that was secret in what they sent."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from threading import Barrier

from examples.predict_api import forge
from examples.predict_api.client import Answer, Client, Header, at_once, bearer
from examples.predict_api.server import OVERLAP, WORKERS, Person, Server

TICKET = {"text": "I was charged twice for the invoice of May"}
GUESSER = "127.0.0.66"
BOTNET = "127.0.0.67"
SCANNER = "127.0.0.68"
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Pair:
    """What a sign-in gives: a token to call with, and one to renew it with."""

    access: str = ""
    refresh: str = ""


class Scene:
    """A running server, and what is known of it so far."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.client
        self.notebook = server.notebook
        # Whoever is to be refused for their address has one of their own.
        self.guesser = Client(server.port, GUESSER)
        self.botnet = Client(server.port, BOTNET)
        self.scanner = Client(server.port, SCANNER)
        self.secrets: dict[str, str] = {
            "Ada's password": server.ada.password,
            "Grace's password": server.grace.password,
            "Ada's e-mail": server.ada.email,
            "Grace's e-mail": server.grace.email,
        }
        # Their tokens, once they have signed in.
        self.ada = ""
        self.grace = ""
        # Ada's logins on other devices, by device; what the thief got; what calls by itself.
        self.logins: dict[str, Pair] = {}
        self.api_key = ""
        self.api_key_id = ""
        self.service = ""
        # The cookie of Ada's session with the notebook.
        self.session = ""
        self._renewed = 0.0

    def enter(self, act: int) -> None:
        """Begins an act: each comes from an address of its own, so that none spends the quota of another's."""
        self.client = Client(self.server.port, f"127.0.0.{10 + act}")

    def secret(self, name: str, value: str) -> str:
        """Notes something that must not be found in a log, and returns it."""
        self.secrets[name] = value
        return value

    def note(self, whose: str, answer: Answer) -> Pair:
        """The pair in an answer; both are noted as secrets."""
        pair = Pair(*(str(answer.document.get(name, "")) for name in ("access_token", "refresh_token")))
        for kind, token in (("access", pair.access), ("refresh", pair.refresh)):
            # A token that was given twice is one secret.
            if token and token not in self.secrets.values():
                self.secret(f"{whose}'s {kind} token {len(self.secrets)}", token)
        return pair

    def mint(self, subject: str, scope: str = "predict") -> str:
        """A token by the service's own key, for somebody who never signed in."""
        token = forge.rs256(self.server.key, forge.claims(subject, scope))
        return self.secret(f"token of {subject}", token)

    def issued(self, subject: str, scope: str = "predict", **others: object) -> str:
        """A token of the other issuer."""
        return self.secret(f"issuer's token {len(self.secrets)}", self.server.issuer.token(subject, scope, **others))

    def login(self, email: str, password: str, client: Client | None = None) -> Answer:
        """Signs in."""
        return (client or self.client).post("/login", {"email": email, "password": password})

    def sign_in(self, person: Person, device: str) -> Answer:
        """Signs somebody in on a device, and keeps the pair."""
        answer = self.login(person.email, person.password)
        self.logins[device] = self.note(f"{person.id} at the {device}", answer)
        return answer

    def refresh(self, token: str) -> Answer:
        """Asks for the next pair; notes it."""
        answer = self.client.post("/refresh", {"refresh_token": token})
        self.note("a renewed", answer)
        if answer.status == 200:
            self._renewed = time.monotonic()
        return answer

    def outlast_the_overlap(self) -> None:
        """Returns when the token that was replaced last is an old one."""
        time.sleep(max(0.0, self._renewed + OVERLAP + 0.25 - time.monotonic()))

    def predict(self, body: object, token: str | None = None) -> Answer:
        """Has a ticket classified, as a caller with a quota of their own unless told otherwise."""
        return self.client.post("/predict", body, self.mint(f"u-{secrets.token_hex(4)}") if token is None else token)

    def by_key(self, key: str, more: Sequence[Header] = ()) -> Answer:
        """Has a ticket classified, with an API key."""
        return self.client.send("POST", "/predict", [("X-API-Key", key), JSON, *more], b'{"text": "late parcel"}')

    def draft(
        self, token: str, reading: Callable[[HTTPResponse], bytes] = HTTPResponse.read, **others: object
    ) -> Answer:
        """Has a reply drafted to a ticket."""
        body = json.dumps({**TICKET, **others}).encode()
        return self.client.send("POST", "/draft", [*bearer(token), JSON], body, reading=reading)

    def by_all_workers(self, *headers: Header, path: str = "/models", client: Client | None = None) -> list[Answer]:
        """Asks for the models, or another path, until each worker has answered.

        A worker serves one connection at a time, so as many that are open and silent are with one worker each.

        :raises TimeoutError: if there is a worker that never answers.
        """
        answers: list[Answer] = []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            all_connected = Barrier(WORKERS)

            def connected(wait: Callable[[float], object] = all_connected.wait) -> None:
                wait(5)
                time.sleep(0.03)

            send = partial((client or self.client).send, "GET", path, headers, connected=connected)
            # 503 says that nobody could tell yet, and to come again: an issuer's keys were on their way.
            answers += [answer for answer in at_once(WORKERS, send) if answer.status != 503]
            if len(self.server.workers([answer.request_id for answer in answers])) >= WORKERS:
                return answers
        raise TimeoutError("a worker has not answered")

    def with_token_by_all_workers(self, token: str) -> list[Answer]:
        """Asks all workers, with a token."""
        return self.by_all_workers(*bearer(token))

    def with_key_by_all_workers(self, key: str) -> list[Answer]:
        """Asks all workers, with an API key."""
        return self.by_all_workers(("X-API-Key", key))
