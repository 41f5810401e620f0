"""Hostile traffic: for each detector of the monitor the attack that it is there for.

All of it goes by what the API allows: whoever fails to sign in keeps to five times a minute, and whoever reads
everything does it from several addresses, so that no limit stops it. It is for the monitor to see the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from examples.predict_api.desk import PIECE, PIECES, TICKETS
from examples.predict_api.stage import DAY, HOUR, MONDAY, WEEK, Act, Stage
from examples.predict_api.traffic import CLERK, HOME, PEOPLE, WEEKS

#: The day after the ordinary hour.
TUESDAY = MONDAY + WEEKS * WEEK + DAY
#: Seconds between two attacks: no window of a detector reaches from one into the next.
APART = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Attack:
    """What is done, whom the monitor must name, and when: in seconds since 1970, or :data:`APART` from the last."""

    act: Callable[[Stage], Act]
    subject: str
    at: float | None = None
    also: tuple[str, ...] = ()
    """Which other detectors are right to speak, too."""

    @property
    def about(self) -> str:
        """What it is, in a few words."""
        return (self.act.__doc__ or "").strip().rstrip(".")


def stuffing(stage: Stage) -> Act:
    """A leaked list, from one address."""
    for name in PEOPLE[:16]:
        stage.login(name, "192.0.2.66", "leaked")
        yield 15.0


def guessing(stage: Stage) -> Act:
    """Slow guesses at one account."""
    for number in range(14):
        stage.login(PEOPLE[0], "192.0.2.65", f"guess {number}")
        yield 30.0


def spread_guessing(stage: Stage) -> Act:
    """The same, each from elsewhere."""
    for number in range(9):
        stage.login(PEOPLE[1], f"45.{number}.7.1", f"guess {number}")
        yield 300.0


def campaign(stage: Stage) -> Act:
    """A leaked list, from 80 networks."""
    for number in range(80):
        stage.login(PEOPLE[number % len(PEOPLE)], f"46.{number}.7.1", "leaked")
        yield 2.0


def forged(stage: Stage) -> Act:
    """Guessed signatures of tokens."""
    head, claims, signature = stage.login(PEOPLE[2], "192.0.2.73")["access_token"].split(".")
    for number in range(130):
        guess = signature[:40] + f"{number:08}" + signature[48:]
        stage.ask("192.0.2.73", "GET", "/models", token=f"{head}.{claims}.{guess}")
        yield 2.0


def replayed(stage: Stage) -> Act:
    """A stolen token, and its owner."""
    token = stage.login(PEOPLE[3], "198.51.100.23")["access_token"]
    for number in range(14):
        stage.ask("198.51.100.23" if number % 2 else "47.9.9.9", "GET", "/models", token=token)
        yield 20.0


def shared(stage: Stage) -> Act:
    """A token that was sold to many."""
    token = stage.login(PEOPLE[4], "198.51.100.24")["access_token"]
    for number in range(7):
        stage.ask(f"47.{number}.9.9", "GET", "/models", token=token)
        yield 20.0


def reused(stage: Stage) -> Act:
    """A stolen refresh token."""
    refresh = {"refresh_token": stage.login(PEOPLE[5], "198.51.100.25")["refresh_token"]}
    stage.ask("198.51.100.25", "POST", "/refresh", refresh)
    yield 60.0
    stage.ask("47.9.9.8", "POST", "/refresh", refresh)
    yield 0.0


def scanning(stage: Stage) -> Act:
    """Paths that other software has."""
    for name in itertools.product(
        ("wp", "admin", "old", "backup", "test", "db"), (".php", ".zip", ".sql", ".env", "/")
    ):
        for prefix in ("/", "/site/"):
            stage.ask("192.0.2.67", "GET", prefix + "".join(name))
            yield 1.0


def enumerating(stage: Stage) -> Act:
    """Tickets that are not there."""
    token = stage.login(PEOPLE[6], "198.51.100.26")["access_token"]
    for number in range(45):
        stage.ask("198.51.100.26", "GET", f"/desk/tickets/{90_000 + number}", token=token)
        yield 2.0


def climbing(stage: Stage) -> Act:
    """Doors that are the admins'."""
    token = stage.login(PEOPLE[7], "198.51.100.27")["access_token"]
    for name in ("all", "audit", "billing", "keys", "legal", "people", "roles", "staff", "system", "vip"):
        stage.ask("198.51.100.27", "GET", f"/desk/queues/{name}", token=token)
        yield 5.0


def fuzzing(stage: Stage) -> Act:
    """Bodies wrong in every way."""
    token = stage.login(PEOPLE[8], "198.51.100.28")["access_token"]
    bodies = (
        *(b"{}", b"[]", b"{", b'{"text": 1}', b'{"text": ""}', b'{"text": null, "text": "x"}', b'"\xff"', b"[" * 200),
        b'{"text": "' + b"x" * 3000 + b'"}',
    )
    for path in ("/predict", "/draft", "/refresh"):
        for body in bodies:
            stage.ask("198.51.100.28", "POST", path, raw=body, token=token)
            yield 3.0


def malformed(stage: Stage) -> Act:
    """Requests that no browser sends."""
    asked: tuple[Mapping[str, str], ...] = (
        {"REQUEST_METHOD": "TRACE"},
        {"PATH_INFO": "/a/../b", "RAW_URI": "/a/../b"},
        {"HTTP_HOST": "a b"},
        {"HTTP_X_PAD": "x" * 70_000},
        {"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    for environ in asked:
        stage.ask("192.0.2.70", "GET", "/", environ=environ)
        yield 5.0


def scraping(stage: Stage) -> Act:
    """Every ticket, from five addresses."""
    token = stage.login(PEOPLE[9], "198.51.101.1")["access_token"]
    for number in range(1, 3800):
        stage.ask(f"198.51.101.{number % 5}", "GET", f"/desk/tickets/{number % TICKETS}", token=token)
        yield 0.06


def hammering(stage: Stage) -> Act:
    """Four a second; one is allowed."""
    token = stage.login(PEOPLE[10], "198.51.100.30")["access_token"]
    for _ in range(450):
        stage.ask("198.51.100.30", "POST", "/predict", {"text": "again"}, token=token)
        yield 0.25


def leaking(stage: Stage) -> Act:
    """The export, again and again."""
    token = stage.login(PEOPLE[11], "198.51.100.31")["access_token"]
    for _ in range(3 * 1024**3 // (PIECES * len(PIECE))):
        stage.ask("198.51.100.31", "GET", "/desk/export", token=token)
        yield 10.0


def rushing(stage: Stage) -> Act:
    """A clerk's account, very busy."""
    token = stage.login(CLERK, HOME)["access_token"]
    for _ in range(560):
        stage.ask(HOME, "GET", "/models", token=token)
        yield 1.0


def stumbling(stage: Stage) -> Act:
    """A clerk's account, and a script."""
    token = stage.login(CLERK, HOME)["access_token"]
    for _ in range(70):
        stage.ask(HOME, "POST", "/predict", {"text": ""}, token=token)
        yield 5.0


def carrying(stage: Stage) -> Act:
    """A clerk's account: an export."""
    token = stage.login(CLERK, HOME)["access_token"]
    for _ in range(2):
        stage.ask(HOME, "GET", "/desk/export", token=token)
        yield 60.0


def sleepless(stage: Stage) -> Act:
    """A clerk's account, at 3 at night."""
    token = stage.login(CLERK, HOME)["access_token"]
    for _ in range(25):
        stage.ask(HOME, "GET", "/models", token=token)
        yield 20.0


def flooding(stage: Stage) -> Act:
    """Thousands of made-up accounts."""
    for number in range(40):
        emails = [f"nobody-{number}-{each}@mail.example" for each in range(400)]
        stage.ask(f"60.{number}.7.1", "POST", "/desk/sign-ins", emails)
        yield 5.0


def tampering(stage: Stage) -> Act:
    """A record changed, then verified."""
    newest = max(stage.audit.glob("*.jsonl"), key=lambda path: path.stat().st_size)
    text = newest.read_bytes()
    # Who tried it from there was somebody else.
    newest.write_bytes(text.replace(b"192.0.2.66", b"192.0.2.99", 1))
    stage.flask("audit", "verify")
    yield 0.0


ATTACKS: Mapping[str, Attack] = {
    "unusual_hour": Attack(sleepless, f"principal {CLERK}", at=TUESDAY + 3 * HOUR),
    "unusual_volume": Attack(rushing, f"principal {CLERK}", at=TUESDAY + 9 * HOUR),
    "unusual_errors": Attack(stumbling, f"principal {CLERK}", at=TUESDAY + 10 * HOUR),
    "unusual_bytes": Attack(carrying, f"principal {CLERK}", at=TUESDAY + 13 * HOUR),
    "credential_stuffing": Attack(stuffing, "address 192.0.2.66"),
    "password_guessing": Attack(guessing, f"account {PEOPLE[0]}@mail.example"),
    "distributed_guessing": Attack(spread_guessing, f"account {PEOPLE[1]}@mail.example"),
    "stuffing_campaign": Attack(campaign, "host the host"),
    "credential_guessing": Attack(forged, "address 192.0.2.73"),
    "token_replay": Attack(replayed, "token"),
    "token_shared": Attack(shared, "token"),
    "refresh_reuse": Attack(reused, f"principal {PEOPLE[5]}"),
    "path_scanning": Attack(scanning, "address 192.0.2.67"),
    "object_enumeration": Attack(enumerating, f"principal {PEOPLE[6]}"),
    "privilege_probing": Attack(climbing, f"principal {PEOPLE[7]}"),
    "schema_probing": Attack(fuzzing, f"principal {PEOPLE[8]}"),
    "protocol_probing": Attack(malformed, "address 192.0.2.70"),
    "scraping": Attack(scraping, f"principal {PEOPLE[9]}"),
    "quota_abuse": Attack(hammering, f"principal {PEOPLE[10]}"),
    "exfiltration": Attack(leaking, f"principal {PEOPLE[11]}"),
    "table_flooded": Attack(flooding, "host the host", also=("credential_stuffing",)),
    # The last: what was written before is what it changes.
    "audit_tampering": Attack(tampering, "host the host"),
}
