"""The API: sign in and out, have tickets classified and replies drafted, look at the figures. Each view says who may
call it, how often, and with what; Flask-Rampart sees to it.

    gunicorn --workers 4 "examples.predict_api.app:create_app()"

It needs two files, named by environment variables or by ``config``:

``PREDICT_KEY_PEM``
    an RSA private key that signs the tokens (``openssl genrsa -out key.pem 2048``);
``PREDICT_USERS``
    the accounts, as ``accounts.save()`` writes them.

Programs call it with API keys, which ``flask rampart keys`` makes, and with tokens of the issuers in
``RAMPART_ISSUERS``, a list in JSON.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import INFO
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from examples.predict_api.accounts import Accounts
from examples.predict_api.classifier import Classifier
from examples.predict_api.writer import write
from flask_rampart import (
    Archive,
    Rampart,
    Upload,
    bounds,
    current_principal,
    describe,
    limit,
    public,
    require,
    validate,
    validated,
)

# What the environment may set, and how it is read; a test or a script hands the same names to create_app().
FROM_ENVIRONMENT: Mapping[str, Callable[[str], Any]] = {
    "PREDICT_KEY_PEM": str,
    "PREDICT_USERS": str,
    "RAMPART_ACCESS_LOG": str,
    "RAMPART_ISSUERS": json.loads,
    "RAMPART_JWT_REFRESH_OVERLAP": int,
    "RAMPART_LIMIT_STORE": str,
    "RAMPART_STORE": str,
}

# Who signs our tokens.
ISSUER = "https://predict.example"

# What the drafts of one caller may come to, and how long one of them gets unless the caller says so.
WORDS = "100/minute"
DRAFT = 40

# What a ticket may bring along. What a file is, its bytes say, and never its name or its sender.
FILES = {
    "screenshot": Upload(types=("image/png", "image/jpeg"), max_bytes=128 * 1024, max_pixels=4_000_000, required=False),
    "log": Upload(
        types=("text/plain", "application/zip"),
        max_bytes=128 * 1024,
        required=False,
        archive=Archive(max_entries=20, max_bytes=4 * 1024 * 1024),
    ),
}

# One extension object for all apps that create_app() makes: it keeps nothing of any of them.
rampart = Rampart()
api = Blueprint("predict_api", __name__)

# What clients are made from. It says what the guards below hold them to, and is open, as the routes are known to all.
rampart.serve_openapi("/openapi.json", title="Predict", version="1", description="Classifies support tickets.")


@dataclass(slots=True)
class Service:
    """What the views of one app share."""

    classifier: Classifier
    accounts: Accounts
    served: Counter[str] = field(default_factory=Counter)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The app.

    :param config: settings that go before those of the environment.
    :raises RuntimeError: if the key or the accounts are not given.
    """
    app = Flask(__name__)
    app.config.update(
        # A view that declares neither @require nor @public is refused: forgetting is safe.
        RAMPART_DEFAULT="deny",
        # Who signs the tokens, and for whom. A token of another service, signed by a key that we
        # trust, but meant for somebody else, is refused by these two.
        RAMPART_JWT_ISSUER=ISSUER,
        RAMPART_JWT_AUDIENCE="predict-api",
        # Programs come with a key of their own. Keys, logins and what was revoked are in RAMPART_STORE: an
        # SQLite file in the app's instance folder, for all workers, unless it is set to another place.
        RAMPART_API_KEYS=True,
        # For each address, whatever it asks for, also what does not exist: who tries a list of paths to see what
        # is there is stopped before Flask.
        RAMPART_LIMITS="1000/hour; 20/second burst 100",
        # No ticket needs more. Larger bodies are refused before they are read.
        RAMPART_MAX_BODY=256 * 1024,
        # A body may come compressed; what it decodes to is bounded all the same.
        RAMPART_REQUEST_CODINGS=["gzip"],
        # Where one JSON line for each request goes. A path works as well.
        RAMPART_ACCESS_LOG="stderr",
    )
    app.config.update({name: read(os.environ[name]) for name, read in FROM_ENVIRONMENT.items() if name in os.environ})
    app.config.update(config or {})
    for name in ("PREDICT_KEY_PEM", "PREDICT_USERS"):
        if not app.config.get(name):
            raise RuntimeError(f"{name} is not set: see the first lines of {__name__}.")

    # A key has one algorithm, and tokens cannot choose another. The key's id lets keys be replaced
    # later without signing everybody out: put the new key first, leave the old one until its tokens expired.
    app.config["RAMPART_JWT_KEYS"] = [{"kid": "predict-1", "alg": "RS256", "path": app.config["PREDICT_KEY_PEM"]}]

    # Flask's own logger, made to speak. Rampart puts its RedactingFormatter on the handlers.
    app.logger.setLevel(INFO)

    app.extensions["predict_api"] = Service(Classifier.load(), Accounts.load(app.config["PREDICT_USERS"]))
    app.register_blueprint(api)
    rampart.init_app(app)
    return app


def service() -> Service:
    """The current app's service."""
    found: Service = current_app.extensions["predict_api"]
    return found


@api.get("/health")
@public  # on purpose: a load balancer has no token
@describe(answers={200: "It is."})
def health() -> Response:
    """Whether the service is up."""
    return jsonify(status="ok", model=service().classifier.version)


@api.post("/login")
@public
# Guessing passwords takes years: five wrong ones a minute, and who goes on is shut out of the whole API. Who signs in
# has made no mistake, and is not counted.
@limit("5/minute", count="failures", ban="15 minutes after 3")
@validate(body="schemas/login.json")
@describe(answers={200: "A pair of tokens.", 401: "login.failed: no account has this address and password."})
def login() -> Response:
    """Exchanges an address and a password for a short token, and one to renew it with."""
    email, password = validated.body["email"], validated.body["password"]
    # Which account is tried, only the app knows: the monitor then sees guesses that are spread over many addresses.
    attempt = rampart.monitor.login(email)
    account = service().accounts.check(email, password)
    if account is None:
        # An address in a log is personal data. It is written here, as it happens in real code, to show
        # that it does not arrive there: the line ends in [REDACTED:EMAIL_ADDRESS].
        current_app.logger.warning("sign-in refused for %s", email)
        return problem(401, "login.failed", "No account has this address and password.")
    # Under attack, this account then has more attempts from here than from where it never was.
    attempt.succeeded()
    current_app.logger.info("sign-in accepted for %s", email)
    return rampart.tokens.issue_pair(account.id, scopes=account.scopes, roles=account.roles).response()


@api.post("/refresh")
@public  # whoever has the refresh token; it works once
@limit("60/minute", by="address")
@validate(body="schemas/refresh.json")
@describe(answers={200: "The next pair."}, problems=["token.expired", "token.invalid", "store.unavailable"])
def refresh() -> Response:
    """Exchanges a refresh token for the next pair of its login."""
    return rampart.tokens.refresh(validated.body["refresh_token"]).response()


@api.post("/logout")
@require("jwt", issuer=ISSUER)  # an API key has no login that could end, and another issuer's login is its own affair
@describe(answers={204: "It is ended."})
def logout() -> Response:
    """Ends the login that the caller's token is from, for all workers."""
    rampart.tokens.logout()
    return Response(status=204)


@api.post("/logout-everywhere")
@require("jwt", issuer=ISSUER)  # another issuer's "u-ada" is somebody else, and must not log ours out
@describe(answers={204: "They are ended."})
def logout_everywhere() -> Response:
    """Ends all logins that the caller has by now."""
    rampart.tokens.revoke_subject(current_principal.id)
    return Response(status=204)


@api.post("/predict")
@require(scopes="predict")  # who: a token, ours or of an issuer that we trust, or an API key, with this scope
@limit("60/minute burst 20", by="principal")  # how often: one each second, twenty at once, over all workers
# with what: bounded, well-formed, of this shape; and what is promised in return, kept before it leaves
@validate(body="schemas/predict.json", response="schemas/prediction.json", response_mode="enforce")
@describe(answers={200: "What it is about, and how sure that is."})
def predict() -> Response:
    """Says what a ticket is about."""
    verdict = service().classifier.classify(validated.body["text"])
    service().served[verdict.label] += 1
    # The query is none of this API's business, but people put secrets there all the same.
    current_app.logger.info("classified as %s: %s", verdict.label, request.full_path.rstrip("?"))
    return jsonify(
        {
            "label": verdict.label,
            "confidence": verdict.confidence,
            "probabilities": dict(verdict.probabilities),
            "for": current_principal.id,
        }
    )


@api.post("/tickets")
@require(scopes="predict")
@bounds(content_types="multipart/form-data")  # nothing else is read here, not even to refuse it
@limit("60/minute burst 20", by="principal")
@validate(form="schemas/ticket.json", files=FILES)
@describe(answers={200: "What it is about, and what was taken of it."})
def ticket() -> Response:
    """Takes a ticket with a screenshot and a log."""
    text = validated.form["text"]  # without what nobody sees: it is shown to who answers the ticket
    verdict = service().classifier.classify(text)
    service().served[verdict.label] += 1
    taken = {
        name: {"name": file.filename, "type": file.type, "bytes": file.size, "sha256": file.sha256}
        for name, file in validated.files.items()
    }
    return jsonify(label=verdict.label, text=text, files=taken)


@api.post("/draft")
@require(scopes="predict")
@validate(body="schemas/draft.json")
@describe(
    answers={200: {"description": "The words.", "content": {"text/event-stream": {}}}},
    problems=["limit.exceeded"],
)
def draft() -> Response:
    """Drafts a reply to a ticket, streamed word by word as server-sent events."""
    # How many words it will be is known when it is written. All that it may be is charged before the first, so that
    # drafts under way together cannot spend more than there is; what was not written comes back at the end, also
    # when the end is that the caller has gone. (int, because 40.0 is an integer too, for JSON Schema.)
    budget = rampart.reserve(WORDS, cost=int(validated.body.get("max_words", DRAFT)))
    label = service().classifier.classify(validated.body["text"]).label
    events = (f"data: {word}\n\n" for word in write(label, budget.reserved))
    return Response(budget.stream(events, cost=lambda event: 1), mimetype="text/event-stream")


@api.get("/admin/stats")
@require(roles="admin")
@validate(query="schemas/stats.json")  # numbers and lists, and not texts; a name that is misspelt is told so
@describe(answers={200: "Counts by label."})
def stats() -> Response:
    """What this worker has classified since it started."""
    served, wanted = service().served, validated.query
    by_label = {
        label: count
        for label, count in served.items()
        if count >= wanted["least"] and label in wanted.get("label", (label,))
    }
    return jsonify(worker=os.getpid(), served=served.total(), by_label=by_label)


# The wrong way round: in Flask, what stands above the route is not part of the view that is served, and with
# most extensions this view would be open to all, without a word. Rampart guards it all the same.
@require()
@api.get("/models")
@describe(answers={200: "The models."})
def models() -> Response:
    """Which model answers, for whoever has a token or a key."""
    classifier = service().classifier
    return jsonify(models=[{"version": classifier.version, "labels": classifier.labels}])


@api.after_app_request
def seen(response: Response) -> Response:
    """Marks what Flask has seen. What is refused before it has no mark: that is how the demo tells."""
    response.headers["Server-Timing"] = "flask"
    return response


def problem(status: int, code: str, detail: str) -> Response:
    """A refusal of this app's own, in the form of Rampart's (RFC 9457)."""
    response = jsonify(type="about:blank", status=status, code=code, detail=detail)
    response.status_code = status
    response.content_type = "application/problem+json"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="api"'  # a 401 has to have one (RFC 9110)
    return response
