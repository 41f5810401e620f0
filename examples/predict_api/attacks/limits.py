"""Too often, too much: floods, a scan for what might be there, guessed passwords, a budget of words that is spent.

Who is refused for an address comes from one of their own, and others go on undisturbed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from http.client import HTTPResponse
from itertools import islice

from examples.predict_api.attempts import Act, Attempt, Unexpected
from examples.predict_api.client import Answer, at_once
from examples.predict_api.judges import banned, exact, heard, one_waits, paid, seen, spent
from examples.predict_api.logs import access_lines
from examples.predict_api.scene import TICKET, Scene

# What scanners ask for, and where: thirty names at five places.
# fmt: off
PROBES = (
    "/.env", "/.git/config", "/.git/HEAD", "/.aws/credentials", "/.svn/entries", "/.DS_Store", "/.htpasswd",
    "/.ssh/id_rsa", "/id_rsa", "/wp-login.php", "/wp-admin/", "/wp-config.php.bak", "/xmlrpc.php", "/phpmyadmin/",
    "/pma/", "/adminer.php", "/phpinfo.php", "/test.php", "/server-status", "/actuator/env", "/actuator/heapdump",
    "/console", "/solr/admin", "/jenkins/login", "/manager/html", "/cgi-bin/test", "/backup.zip", "/dump.sql",
    "/config.json", "/swagger.json",
)
# fmt: on
PLACES = ("", "/api", "/v1", "/old", "/backup")


def _over_quota(scene: Scene) -> list[Answer]:
    token = scene.mint("u-eager")
    return at_once(30, lambda: scene.predict(TICKET, token))


def _scan(scene: Scene) -> list[Answer]:
    paths = iter([place + probe for place in PLACES for probe in PROBES])
    return at_once(len(PLACES) * len(PROBES), lambda: scene.scanner.get(next(paths)))


def _guesses(scene: Scene, count: int) -> Iterable[str]:
    return iter([scene.secret(f"guess {len(scene.secrets)}", secrets.token_urlsafe(9)) for _ in range(count)])


def _one_by_one(scene: Scene, count: int) -> list[Answer]:
    guesses = _guesses(scene, count)
    return [scene.login(scene.server.grace.email, guess, scene.guesser) for guess in guesses]


def _everywhere(scene: Scene) -> list[Answer]:
    # What is open, what is closed, what is not there: the client does not get as far as to learn which.
    return [
        answer
        for path in ("/health", "/models", "/login", "/.env")
        for answer in scene.by_all_workers(path=path, client=scene.guesser)
    ]


def _right_at_last(scene: Scene) -> Answer:
    return scene.login(scene.server.grace.email, scene.server.grace.password, scene.guesser)


def _herself(scene: Scene) -> list[Answer]:
    return [scene.sign_in(scene.server.grace, "train"), *scene.by_all_workers(path="/health")]


def _burst(scene: Scene) -> list[Answer]:
    guesses = iter(_guesses(scene, 50))
    return at_once(50, lambda: scene.login(scene.server.grace.email, next(guesses), scene.botnet))


def _pardoned(scene: Scene) -> list[Answer]:
    scene.server.flask("rampart", "unban", scene.guesser.address)
    return scene.by_all_workers(path="/health", client=scene.guesser)


def _draft(scene: Scene) -> list[Answer]:
    token = scene.mint("u-patient")
    return [scene.draft(token), scene.draft(token, max_words=1)]


def _six_words(response: HTTPResponse) -> bytes:
    # An event is a line, and an empty one.
    return b"".join(islice(response, 12))


def _gone(scene: Scene) -> list[Answer]:
    token = scene.mint("u-hasty")
    whole = scene.draft(scene.mint("u-somebody")).body
    answer = scene.draft(token, _six_words)
    # The line is written when the server has noticed: it has written some words more by then, and those are paid.
    line = access_lines([scene.server.logs["access log"]], [answer.request_id])[answer.request_id][0]
    if line["complete"] or line["bytes"] < len(answer.body):
        raise Unexpected(f"the client left after {len(answer.body)} bytes, and the access log says otherwise: {line}")
    # The one to show is the last.
    return [scene.draft(token, max_words=1), replace(answer, body=whole[: line["bytes"]])]


def _two(scene: Scene) -> list[Answer]:
    token = scene.mint("u-twice")
    second: list[Answer] = []

    def reading(response: HTTPResponse) -> bytes:
        first_event = response.readline()
        second.append(scene.draft(token, max_words=60))
        return first_event + response.read()

    first = scene.draft(token, reading, max_words=60)
    return [first, *second, scene.draft(token, max_words=60)]


def _until_refused(scene: Scene) -> list[Answer]:
    token = scene.mint("u-verbose")
    answers: list[Answer] = []
    while len(answers) < 10 and (not answers or answers[-1].status == 200):
        answers.append(scene.draft(token))
    return answers


HOW_OFTEN = Act(
    "How often",
    (
        Attempt(
            "30 at once, burst 20, 4 workers",
            429,
            "limit.exceeded",
            "one quota for the host",
            _over_quota,
            exact(20, 200, 1.0),
            show=True,
        ),
        Attempt(
            "150 probes: /.env, /wp-login.php",
            429,
            "limit.exceeded",
            "404s count, before Flask",
            _scan,
            seen(100, 20.0),
            show=True,
        ),
        Attempt("health, from elsewhere", 200, "", "addresses count apart", lambda s: s.client.get("/health")),
    ),
)

GUESSED = Act(
    "Passwords guessed: five failures a minute, then a ban",
    (
        Attempt(
            "5 wrong ones, one by one", 401, "login.failed", "each is heard, and counted", lambda s: _one_by_one(s, 5)
        ),
        Attempt("3 more", 429, "limit.exceeded", "each of them is a strike", lambda s: _one_by_one(s, 3)),
        Attempt(
            "any path, at all 4 workers",
            429,
            "limit.banned",
            "for 15 min, before Flask",
            _everywhere,
            banned,
            show=True,
        ),
        Attempt("the right password, from there", 429, "limit.banned", "nobody looks at it", _right_at_last, banned),
        Attempt("Grace, from her own address", 200, "", "a ban is for one address", _herself),
        Attempt(
            "50 wrong ones at once",
            429,
            "limit.banned",
            "counted before they run",
            _burst,
            heard(5, 3),
        ),
        Attempt("flask rampart unban; 4 workers", 200, "", "all know, next request", _pardoned),
    ),
)

HOW_MUCH = Act(
    "How much: drafts by a model, 100 words a minute",
    (
        Attempt("a draft, streamed", 200, "", "an estimate, then the truth", _draft, paid(40)),
        Attempt(
            "a client that leaves after six",
            200,
            "",
            "pays what was written",
            _gone,
            paid(40),
            show=True,
        ),
        Attempt("two together, of 60 words each", 429, "limit.exceeded", "60 + 60 is more than 100", _two, one_waits),
        Attempt(
            "draft after draft",
            429,
            "limit.exceeded",
            "violated-policies says why",
            _until_refused,
            spent(3),
            show=True,
        ),
    ),
)
