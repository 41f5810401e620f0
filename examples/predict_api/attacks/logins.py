"""The life of a login: renewed, copied by a thief, ended here, ended everywhere.

Ada has a phone, a laptop and a tablet, and each has a login of its own. What was ended is asked for at every worker,
though one of them alone was told: the others must know at their next request.
"""

from __future__ import annotations

from examples.predict_api.attempts import Act, Attempt
from examples.predict_api.client import Answer, bearer
from examples.predict_api.judges import next_pair, served
from examples.predict_api.scene import TICKET, Scene
from examples.predict_api.server import OVERLAP


def _devices(scene: Scene) -> list[Answer]:
    return [scene.sign_in(scene.server.ada, device) for device in ("phone", "laptop", "tablet")]


def _renew(scene: Scene) -> Answer:
    answer = scene.refresh(scene.logins["phone"].refresh)
    scene.logins["phone"] = scene.note("the phone", answer)
    return answer


def _lost(scene: Scene) -> list[Answer]:
    # The first answer never arrived, or a second tab was as quick: the same token is sent once more.
    answers = [scene.refresh(scene.logins["laptop"].refresh) for _ in range(2)]
    scene.logins["laptop"] = scene.note("the laptop", answers[-1])
    return answers


def _thief(scene: Scene) -> list[Answer]:
    answer = scene.refresh(scene.logins["phone"].refresh)
    scene.logins["thief"] = scene.note("the thief", answer)
    return [answer, *scene.with_token_by_all_workers(scene.logins["thief"].access)]


def _owner(scene: Scene) -> Answer:
    scene.outlast_the_overlap()
    return scene.refresh(scene.logins["phone"].refresh)


def _both(scene: Scene) -> list[Answer]:
    pairs = [scene.logins["thief"], scene.logins["phone"]]
    access = [answer for pair in pairs for answer in scene.with_token_by_all_workers(pair.access)]
    return [*access, *(scene.refresh(pair.refresh) for pair in pairs)]


def _others(scene: Scene) -> list[Answer]:
    return [
        answer
        for device in ("laptop", "tablet")
        for answer in scene.with_token_by_all_workers(scene.logins[device].access)
    ]


def _everything(scene: Scene) -> list[Answer]:
    tokens = (scene.logins["tablet"].access, scene.logins["desk"].access)
    access = [answer for token in tokens for answer in scene.with_token_by_all_workers(token)]
    return [*access, *(scene.refresh(scene.logins[device].refresh) for device in ("tablet", "desk"))]


def _again(scene: Scene) -> Answer:
    scene.sign_in(scene.server.ada, "desk")
    scene.ada = scene.logins["desk"].access
    return scene.predict(TICKET, scene.ada)


LOGINS = Act(
    "Logins: renewed, copied, ended",
    (
        Attempt("sign in at phone, laptop, tablet", 200, "", "three logins", _devices),
        Attempt("refresh, at the phone", 200, "", "refresh tokens work once", _renew, next_pair),
        Attempt("answer lost: the same once more", 200, "", f"a retry is no theft: {OVERLAP} s", _lost, next_pair),
        Attempt(
            "refresh token as access token",
            401,
            "token.invalid",
            "it has a type of its own",
            lambda s: s.client.get("/models", s.logins["phone"].refresh),
        ),
        Attempt(
            "access token as refresh token",
            401,
            "token.invalid",
            "nor the other way round",
            lambda s: s.refresh(s.logins["phone"].access),
        ),
        Attempt("a thief refreshes with a copy", 200, "", "faster than Ada, for now", _thief),
        Attempt("Ada refreshes, a little later", 401, "token.invalid", "used twice: login ends", _owner, show=True),
        Attempt("the thief's pair, and Ada's", 401, "token.invalid", "both out, at all 4 workers", _both),
        Attempt("laptop and tablet", 200, "", "other logins go on", _others),
        Attempt(
            "log out, at the laptop",
            204,
            "",
            "one worker is told",
            lambda s: s.client.send("POST", "/logout", bearer(s.logins["laptop"].access)),
        ),
        Attempt(
            "its token, at all 4 workers",
            401,
            "token.invalid",
            "all know, next request",
            lambda s: s.with_token_by_all_workers(s.logins["laptop"].access),
            show=True,
        ),
        Attempt(
            "its refresh token",
            401,
            "token.invalid",
            "the whole login ended",
            lambda s: s.refresh(s.logins["laptop"].refresh),
        ),
        Attempt(
            "log out everywhere, by tablet",
            204,
            "",
            "a device was lost",
            lambda s: s.client.send("POST", "/logout-everywhere", bearer(s.logins["tablet"].access)),
        ),
        Attempt("all that Ada had, at 4 workers", 401, "token.invalid", "the first sign-in, too", _everything),
        Attempt("sign in again, and classify", 200, "", "what is new is valid", _again, served("u-ada")),
    ),
)
