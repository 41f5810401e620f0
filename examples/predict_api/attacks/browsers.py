"""A page behind a proxy, and what browsers are made to send by pages of other sites. It is the notebook's, at a socket
of its own; the proxy's part is played here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from examples.predict_api.attempts import Act, Attempt, Judge, Send
from examples.predict_api.client import Answer, Header
from examples.predict_api.notebook import EVIL, HOST, READER, from_page
from examples.predict_api.scene import Scene

OURS = f"https://{HOST}"


def _get(path: str = "/", *headers: Header, **how: str) -> Send:
    return lambda scene: scene.notebook.send("GET", path, headers, None, **how)


def _send(method: str, path: str = "/", *headers: Header, **how: str) -> Send:
    return lambda scene: scene.notebook.send(method, path, headers, None, **how)


def _cookie(scene: Scene) -> Header:
    """A session of Ada's, as her browser sends it along."""
    if not scene.session:
        answer = scene.notebook.post("/sign-in", b"name=Ada", *from_page(OURS, "same-origin"))
        scene.session = scene.secret("Ada's session", (answer.headers.get("Set-Cookie") or "").partition(";")[0])
    return ("Cookie", scene.session)


def _note(origin: str, site: str) -> Send:
    """A note in Ada's name, by a form on a page of *origin*."""
    return lambda scene: scene.notebook.post("/notes", b"text=milk", _cookie(scene), *from_page(origin, site))


def _preflight(origin: str, path: str = "/api/notes") -> Send:
    asks = [("Origin", origin), ("Access-Control-Request-Method", "GET"), ("Sec-Fetch-Site", "same-site")]
    return lambda scene: scene.notebook.send("OPTIONS", path, asks)


def _read(origin: str) -> Send:
    return lambda scene: scene.notebook.send("GET", "/api/notes", [("Origin", origin), _cookie(scene)])


def _page(answers: Sequence[Answer]) -> tuple[str, str]:
    """The policy has a nonce, the page has the same one, and the next page another."""
    found = []
    for answer in answers:
        policy = answer.headers.get("Content-Security-Policy") or ""
        nonce = re.search("'nonce-([^']+)'", policy)
        if nonce is None or f'nonce="{nonce[1]}"'.encode() not in answer.body:
            return "", "the page does not have the nonce of its policy"
        found.append(nonce[1])
    if len(set(found)) < len(found):
        return "", "two pages have one nonce"
    if "Strict-Transport-Security" not in answers[0].headers:
        return "", "no Strict-Transport-Security over TLS"
    return "a nonce each", ""


def _location(wanted: str) -> Judge:
    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        found = answers[0].headers.get("Location") or ""
        right = (answers[0].status, found) == (308, wanted)
        return "to https", "" if right else f"expected 308 to {wanted}, got {answers[0].status} to {found}"

    return judge


def _cookies(answers: Sequence[Answer]) -> tuple[str, str]:
    """What the session's cookie says."""
    said = (answers[0].headers.get("Set-Cookie") or "").lower()
    lacking = [word for word in ("secure", "httponly", "samesite=lax") if word not in said]
    return "hardened cookie", f"its cookie lacks {', '.join(lacking)}" if lacking else ""


def _allows(origin: str | None, status: int) -> Judge:
    def judge(answers: Sequence[Answer]) -> tuple[str, str]:
        answer = answers[0]
        allowed = answer.headers.get("Access-Control-Allow-Origin")
        if (answer.status, allowed) != (status, origin):
            return "", f"expected {status} for {origin}, got {answer.status} for {allowed}"
        if "Origin" not in " ".join(answer.headers.get_all("Vary") or []):
            return "", "no Vary: Origin, so that a cache would give one site's answer to another"
        return "for it" if allowed else "for nobody", ""

    return judge


def _sign_in(scene: Scene) -> Answer:
    return scene.notebook.post("/sign-in", b"name=Grace", *from_page(OURS, "same-origin"))


BROWSERS = Act(
    "A page behind a proxy, and the pages of other sites",
    [
        Attempt("two readers open the page", 200, "", "scripts run by nonce alone", lambda scene: [
            scene.notebook.send("GET", "/"), scene.notebook.send("GET", "/")], _page, show=True),
        Attempt("without TLS", 308, "", "not to where Host says", _get("/search?q=a%20b", scheme="http"),
                _location(f"{OURS}/search?q=a%20b")),
        Attempt("a form without TLS", 403, "https.required", "it came in clear already",
                _send("POST", "/notes", scheme="http")),
        Attempt("by another name", 421, "host.unknown", "our links would lead there", _get(host="evil.example")),
        Attempt("TRACE", 501, "method.refused", "it would echo the cookies", _send("TRACE")),
        Attempt("an encoded slash", 400, "path.malformed", "a proxy reads it otherwise",
                _get("/static/..%2f..%2fapp.py")),
        Attempt("signing in", 303, "", "whoever has set it", _sign_in, _cookies),
        Attempt("a note, by our own page", 303, "", "Sec-Fetch-Site: same-origin", _note(OURS, "same-origin"),
                lambda answers: ("kept", "" if answers[0].status == 303 else f"got {answers[0].status}")),
        Attempt("a note, by another site's page", 403, "csrf.origin", "with the session's cookie",
                _note(EVIL, "cross-site"), show=True),
        Attempt("a note, by a sibling's page", 403, "csrf.origin", "SameSite=Lax lets it through",
                _note(f"https://old.{HOST}", "same-site")),
        Attempt("a preflight of a listed site", 204, "", "before anything else is asked", _preflight(READER),
                _allows(READER, 204)),
        Attempt("a preflight of another site", 403, "cors.refused", "nothing is allowed", _preflight(EVIL),
                _allows(None, 403)),
        Attempt("a listed site reads", 200, "", "with the session", _read(READER), _allows(READER, 200)),
        Attempt("another site reads", 200, "", "its browser keeps it back", _read(EVIL), _allows(None, 200)),
        Attempt("a site whose name ends alike", 200, "", "reader.notes.example.evil...",
                _read(f"{READER}.evil.example"), _allows(None, 200)),
    ],
)  # fmt: skip
