"""Ordinary traffic: three weeks of one person's work, and an hour of everybody's. It must raise no alarm.

The hour is made from a seed. In it are people at home, in offices behind one address, and on telephones that change
networks; some mistype their password, ask for what is gone, or send what is wrong. Beside them a job reads ticket after
ticket, a client goes on with a token that has expired, another asks more often than it may, a probe asks whether the
API is up, and for five minutes it is not, as it is deployed anew.
"""

from __future__ import annotations

import json
import random

from examples.predict_api.stage import DAY, HOUR, MONDAY, WEEK, Act, Got, Stage

PEOPLE = tuple(f"person-{number}" for number in range(60))
#: Of whom the monitor learns what is usual.
CLERK, HOME = "clerk", "198.51.100.7"
FORGETFUL, EAGER = "forgetful", "eager"
OTHERS = (CLERK, FORGETFUL, EAGER)
#: Three weeks: no hour is unusual before 14 days, and nothing before 48 hours of work.
WEEKS, HOURS = 3, (9, 10, 13, 14)
TEXTS = ("my parcel is late", "I was charged twice", "the app does not start", "I forgot my password")
#: An access token lasts 15 minutes; people's clients get another one before.
RENEWED = 800.0


def weeks(stage: Stage) -> None:
    """The clerk's work: from Monday to Friday, four hours a day."""
    chance = random.Random("weeks")
    for day in range(WEEKS * 7):
        if day % 7 < 5:
            for hour in HOURS:
                stage.until(MONDAY + day * DAY + hour * HOUR + 60)
                stage.play(work(stage, chance))
    stage.until(MONDAY + WEEKS * WEEK)


def work(stage: Stage, chance: random.Random) -> Act:
    """Six to nine requests, in a quarter of an hour."""
    token = stage.login(CLERK, HOME)["access_token"]
    for _ in range(chance.randrange(6, 10)):
        yield chance.uniform(20, 90)
        _ask(stage, chance, HOME, token)


def hour(stage: Stage, seed: int) -> None:
    """An hour of ordinary traffic."""
    chance = random.Random(f"{seed} hour")
    acts = [person(stage, random.Random(f"{seed} {number}"), number) for number in range(len(PEOPLE))]
    stage.play(
        *acts,
        job(stage, chance.uniform(100, 400)),
        expired(stage),
        eager(stage, random.Random(f"{seed} eager")),
        probe(stage),
        deploy(stage, chance.uniform(600, 3000)),
    )


def person(stage: Stage, chance: random.Random, number: int) -> Act:
    """Signs in, works for a while, and stays signed in."""
    home = f"198.51.100.{number + 20}"
    kind = number % 10
    # Four of ten are in one of two offices, behind one address each; two of ten have a telephone.
    address = f"203.0.113.{number % 2}" if kind in (2, 3, 4, 5) else home
    left = HOUR - chance.uniform(0, 2400)
    yield HOUR - left
    for _ in range(chance.choice((1, 1, 2, 3)) if chance.random() < 0.15 else 0):
        stage.login(PEOPLE[number], address, "what it was before")
        yield (pause := chance.uniform(3, 20))
        left -= pause
    pair = stage.login(PEOPLE[number], address)
    renewed = moved = 0.0
    while left > 0:
        yield (pause := chance.expovariate(1 / 60))
        left, renewed, moved = left - pause, renewed + pause, moved + pause
        if pair.status != 200:
            pair, renewed = stage.login(PEOPLE[number], address), 0.0
            continue
        if kind in (0, 1) and moved > 300:
            moved, address = 0.0, f"100.64.{chance.randrange(4)}.{number}" if address == home else home
        if renewed > RENEWED:
            pair = _renewed(stage, address, pair)
            renewed = 0.0
        if pair.status == 200:
            _ask(stage, chance, address, pair["access_token"])


def job(stage: Stage, wait: float) -> Act:
    """Reads one ticket after another, with an API key."""
    made = stage.flask("keys", "create", "nightly", "--owner", "nightly", "--scopes", "predict", "--json")
    key = json.loads(made)["key"]
    yield wait
    for number in range(1, 401):
        stage.ask("192.0.2.200", "GET", f"/desk/tickets/{number}", environ={"HTTP_X_API_KEY": key})
        yield 5.0


def expired(stage: Stage) -> Act:
    """Nobody has told this client to sign in anew."""
    token = stage.login(FORGETFUL, "198.51.100.250")["access_token"]
    yield 901.0
    for _ in range(80):
        stage.ask("198.51.100.250", "GET", "/models", token=token)
        yield 30.0


def eager(stage: Stage, chance: random.Random) -> Act:
    """Each minute sends somewhat more at once than its quota has room for, and then waits."""
    for minute in range(12):
        if minute % 8 == 0:
            pair = stage.login(EAGER, "198.51.100.251")
        for _ in range(24):
            if pair.status == 200:
                text = chance.choice(TEXTS)
                stage.ask("198.51.100.251", "POST", "/predict", {"text": text}, token=pair["access_token"])
            yield 0.1
        yield 60.0


def probe(stage: Stage) -> Act:
    """Asks whether the API is up, as load balancers do; by its address, so each time for another host."""
    for _ in range(int(HOUR / 15)):
        stage.ask("10.0.0.2", "GET", "/health", environ={"HTTP_HOST": "10.0.0.9"})
        yield 15.0


def deploy(stage: Stage, wait: float) -> Act:
    """Five minutes of 503."""
    yield wait
    stage.down = True
    yield 300.0
    stage.down = False


def _renewed(stage: Stage, address: str, pair: Got) -> Got:
    answer = stage.ask(address, "POST", "/refresh", {"refresh_token": pair["refresh_token"]})
    # While the API is deployed anew, the old one is still good: there is no answer, and no harm.
    return pair if answer.status == 503 else answer


def _ask(stage: Stage, chance: random.Random, address: str, token: str) -> None:
    """What people ask for, one in twenty of it in vain."""
    draw = chance.random()
    if draw < 0.01:
        stage.ask(address, "GET", chance.choice(("/favicon.ico", "/apple-touch-icon.png", "/old")))
    elif draw < 0.03:
        stage.ask(address, "GET", f"/desk/tickets/{chance.randrange(9000, 9999)}", token=token)
    elif draw < 0.05:
        wrong = chance.choice(({"text": ""}, {}, {"text": "x" * 3000}))
        stage.ask(address, "POST", "/predict", wrong, token=token)
    elif draw < 0.3:
        stage.ask(address, "POST", "/predict", {"text": chance.choice(TEXTS)}, token=token)
    else:
        stage.ask(address, "GET", f"/desk/tickets/{chance.randrange(1, 400)}", token=token)
