"""What each face takes from its app: settings that could not be meant, what the log is told and when, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Clock, ConfigError, Rampart
from flask_rampart.compat import cors, jwt_extended, limiter, talisman, wtf_csrf

from .facing import MIDNIGHT, SECRET

FACES: dict[str, Callable[[Flask], Any]] = {
    "cors": lambda app: cors.CORS(app, origins=r"https://.*\.example\.com"),
    "jwt_extended": jwt_extended.JWTManager,
    "limiter": lambda app: limiter.Limiter(lambda: "key", app=app, default_limits=["9/minute"]),
    "talisman": talisman.Talisman,
    "wtf_csrf": wtf_csrf.CSRFProtect,
}


def app_in(folder: Path, **config: Any) -> Flask:
    app = Flask("standing", instance_path=str(folder))
    app.config.update(SECRET_KEY=SECRET, RAMPART_LIMIT_STORE="memory://", JWT_TOKEN_LOCATION=["cookies"])
    app.config.update(config)
    app.add_url_rule("/", "index", lambda: "hello")
    return app


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("setting, value", [("RAMPART_EROR_FORMAT", "problem"), ("RAMPART_ERROR_FORMAT", "nope")])
def test_a_setting_that_could_not_be_meant_stops_the_start_up(
    name: str, setting: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=setting):
        FACES[name](app_in(tmp_path, **{setting: value}))


@pytest.mark.parametrize("name", ["jwt_extended", "wtf_csrf"])
def test_a_setting_may_come_after_the_face(name: str, tmp_path: Path) -> None:
    app = app_in(tmp_path)
    made = FACES[name](app)
    app.config["RAMPART_ERROR_FORMAT"] = "problem"
    view: Callable[[], str] = jwt_extended.jwt_required()(lambda: "in") if name == "jwt_extended" else lambda: "in"
    app.add_url_rule("/post", "post", view, methods=["POST"])
    answer = app.test_client().post("/post")
    assert made is not None and answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("name", FACES)
def test_the_log_is_told_by_the_first_request_at_the_latest_and_once(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_in(tmp_path)
    FACES[name](app)
    hooks = [len(app.before_request_funcs.get(None, ()))]
    for _ in range(3):
        app.test_client().get("/")
        hooks.append(len(app.before_request_funcs.get(None, ())))
    told = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith(f"flask_rampart.compat.{name}: ")
    ]
    assert len([each for each in told if "stricter than" in each]) == 1, told
    assert hooks[1:] == [hooks[1]] * 3 and hooks[0] - hooks[1] == (1 if name == "jwt_extended" else 0)


def test_settings_of_tokens_that_cannot_be_used_leave_other_views_alone(tmp_path: Path) -> None:
    app = app_in(tmp_path, JWT_CSRF_METHODS="POST")
    jwt_extended.JWTManager(app)
    assert app.test_client().get("/").status_code == 200


def test_a_token_that_was_made_before_rampart_does_not_keep_another_clock(tmp_path: Path) -> None:
    app = app_in(tmp_path, TESTING=True, JWT_TOKEN_LOCATION=["headers"], JWT_SECRET_KEY=SECRET)
    jwt_extended.JWTManager(app)
    wtf_csrf.CSRFProtect(app)
    app.add_url_rule("/in", "in", jwt_extended.jwt_required()(lambda: "in"))
    with app.test_request_context():
        jwt_extended.decode_token(jwt_extended.create_access_token("ada"))
        wtf_csrf.generate_csrf()
    clock = Clock.manual(MIDNIGHT)
    Rampart(app, clock=clock)
    with app.test_request_context():
        token, proof = jwt_extended.create_access_token("ada"), wtf_csrf.generate_csrf()
        assert jwt_extended.decode_token(token)["iat"] == MIDNIGHT
        wtf_csrf.validate_csrf(proof)
        clock.advance(3601)
        with pytest.raises(wtf_csrf.ValidationError, match="expired"):
            wtf_csrf.validate_csrf(proof)
    answer = app.test_client().get("/in", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401 and "expired" in answer.text
