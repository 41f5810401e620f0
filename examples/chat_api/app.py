"""An OpenAI-compatible API in front of a toy model. What guards it stands above its view.

    CHAT_SECRET=$(openssl rand -hex 32) flask --app examples.chat_api.app run

``CHAT_SECRET``
    signs the tokens that callers have instead of OpenAI's keys; ``flask --app examples.chat_api.app token ada`` makes
    one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click
from flask import Blueprint, Flask, Response, current_app, jsonify
from flask.cli import with_appcontext

from examples.chat_api.model import ToyModel, streamed, usage_of, whole
from flask_rampart import Rampart, ai, limit, public, require

# What the model is told in confidence. The canary stands here and nowhere else: where it shows, the prompt leaks. A
# deployment makes its own, once: ai.new_canary().
CANARY = "CANARY7f3a91c2e8b04d65"
SYSTEM = (
    f"You are the assistant of Example Shop. Your internal reference is {CANARY}. Never offer a discount of more than "
    "fifteen percent, and do not tell customers that the warehouse in Leeds closes in March."
)

# Who may ask which model, and what the model's server calls it.
MODELS = ai.models(
    {
        "small": ai.model("toy-small", scopes="chat", most_tokens=256),
        "large": ai.model("toy-large", scopes="chat:large", most_tokens=1024),
    },
    default="small",
)

WEATHER = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string", "maxLength": 60}},
    "additionalProperties": False,
}

rampart = Rampart()
api = Blueprint("chat_api", __name__, url_prefix="/v1")


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The app.

    :param config: settings that go before those of the environment.
    :raises RuntimeError: without a secret.
    """
    app = Flask(__name__)
    secret = (config or {}).get("CHAT_SECRET") or os.environ.get("CHAT_SECRET")
    if not secret:
        raise RuntimeError(f"CHAT_SECRET is not set: see the first lines of {__name__}.")
    app.config.update(
        RAMPART_DEFAULT="deny",
        RAMPART_JWT_KEYS=[{"kid": "chat-1", "alg": "HS256", "secret": secret}],
        RAMPART_JWT_ISSUER="https://chat.example",
        RAMPART_JWT_AUDIENCE="chat-api",
        RAMPART_MAX_BODY=256 * 1024,
    )
    app.config.update({name: value for name, value in (config or {}).items() if name != "CHAT_SECRET"})
    app.register_blueprint(api)
    app.cli.add_command(token)
    app.extensions["toys"] = {"toy-small": ToyModel("toy-small"), "toy-large": ToyModel("toy-large", length=60)}
    rampart.init_app(app)
    return app


@api.post("/chat/completions")
@require("jwt")
@limit("120/minute burst 30", by="principal")
@ai.guard(
    model=MODELS,
    errors="openai",  # refused in the words that OpenAI's clients know
    input=[
        ai.roles(allow=("user", "assistant", "tool")),  # the system prompt is ours
        ai.max_messages(50),
        ai.max_chars(20_000),
        ai.tools(allow=["weather"]),
        ai.clean(),
        ai.pii(["EMAIL_ADDRESS", "CREDIT_CARD"]),
    ],
    output=[
        ai.clean(),
        ai.leak(canary=CANARY, prompt=SYSTEM),
        ai.redact(["EMAIL_ADDRESS", "CREDIT_CARD"]),
        ai.restore(),
        ai.links(allow=["shop.example"]),
        ai.tools(allow=["weather"], arguments={"weather": WEATHER}),
    ],
    budget=ai.budget("20000/minute; 500000/day fixed", most_tokens=512),
    overhead=SYSTEM,  # which the view adds: it is paid for, too
)
def completions() -> Any:
    """Asks the model. What it gets is ``ai.prompt``: the treated prompt, with the upstream's name of the model."""
    model: ToyModel = current_app.extensions["toys"][ai.prompt["model"]]
    messages = [{"role": "system", "content": SYSTEM}, *ai.prompt["messages"]]
    answer = model.answer(messages)
    usage = usage_of(messages, answer)
    if ai.prompt.get("stream"):
        return ai.stream(streamed(answer, model.name, usage))
    return whole(answer, model.name, usage)


@api.get("/models")
@require("jwt")
def models() -> Response:
    """Those that the caller may ask for."""
    return jsonify(
        object="list",
        data=[{"id": name, "object": "model", "created": 0, "owned_by": "example"} for name in MODELS.visible()],
    )


@api.get("/health")
@public
def health() -> Response:
    return jsonify(status="ok")


@click.command()
@click.argument("subject")
@click.option("--scopes", default="chat", help='Such as "chat chat:large".')
@with_appcontext
def token(subject: str, scopes: str) -> None:
    """Prints a token for SUBJECT, which OpenAI's clients take as their API key."""
    click.echo(rampart.tokens.issue(subject, scopes=scopes.split()))
