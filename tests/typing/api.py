"""What users write has the types that it should: checked by mypy, never run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from flask import Blueprint, Flask
from flask.views import MethodView
from typing_extensions import assert_type

from flask_rampart import (
    Archive,
    AuditUnavailable,
    Clock,
    Denied,
    EdgePolicy,
    Identity,
    Principal,
    Rampart,
    RampartMiddleware,
    Upload,
    UploadedFile,
    audit,
    clear_site_data,
    csp_hash,
    csp_nonce,
    current_principal,
    current_user,
    describe,
    has_permission,
    has_role,
    has_scope,
    headers,
    limit,
    principal_or_none,
    public,
    require,
    signals,
    validate,
    validated,
)
from flask_rampart.testing import FakeIssuer, RampartClient, client, frozen, mint_token

app = Flask(__name__)
rampart = Rampart(app, clock=Clock.system())
blueprint = Blueprint("b", __name__)
rampart.protect(blueprint, require("jwt"), limit("5/minute"))


@app.post("/sync/<int:number>")
@require(scopes="a b", any_scopes=["c"], roles={"d"}, any_roles=("e",))
@limit("60/minute burst 20", by="principal", scope="shared")
@validate(body={"type": "object"})
def sync(number: int) -> dict[str, Any]:
    assert_type(current_principal.id, str)
    assert_type(current_principal.scopes, frozenset[str])
    assert_type(current_principal.claims, dict[str, Any])
    assert_type(csp_nonce(), str)
    return {"number": number, "body": validated.body}


@app.get("/page")
@headers(
    profile="html",
    csp={"default-src": "'none'", "img-src": ["'self'"], "upgrade-insecure-requests": True, "font-src": None},
    csp_report_only=lambda: "default-src 'self'",
    permissions={"camera": ["self"], "usb": None},
    cache=60,
    overrides={"X-Own": None},
    x_frame_options="SAMEORIGIN",
    referrer_policy=lambda: None,
)
def page() -> str:
    assert_type(csp_hash("a"), str)
    clear_site_data("cache", "storage")
    return ""


rampart.protect(blueprint, headers(cache="public, max-age=60"))


@app.post("/upload")
@validate(files={"a": Upload(types=["image/png"], archive=Archive(nested=True))})
def upload() -> str:
    file = cast(UploadedFile, validated.files["a"])
    assert_type(file.type, str)
    assert_type(file.size, int)
    assert_type(file.save("/tmp/a"), Path)
    return file.filename


@app.get("/async")
@limit("5/minute", by=lambda: None)
@public
async def asynchronous() -> str:
    return "ok"


@dataclass
class Page:
    number: int = 1


@app.get("/models")
@validate(query=Page, response={200: list[Page], "4XX": None}, response_mode="log")
def modelled() -> list[Page]:
    page: Page = validated.query
    return [page]


@rampart.messages
def message(rule: str, pointer: str, part: str) -> str | None:
    return None


assert_type(message("", "", ""), str | None)

# A guard changes neither the signature nor the result of what it guards.
assert_type(sync(7), dict[str, Any])


@require()
class Items(MethodView):
    @limit("5/minute")
    def get(self, item: int) -> str:
        return str(item)


assert_type(Items().get(7), str)


@app.errorhandler(Denied)
def refused(error: Denied) -> tuple[str, int]:
    assert_type(error.problem.code, str)
    return error.problem.code, error.problem.status


with app.app_context():
    assert_type(rampart.tokens.issue("ada", scopes=["a"], roles="b", lifetime=60.0), str)

app.wsgi_app = RampartMiddleware(app.wsgi_app, EdgePolicy.of({}, name="api"))  # type: ignore[method-assign]


class Client(RampartClient):
    def hello(self) -> str:
        return self.get("/").text


# What acts as somebody is still a client of the same class.
assert_type(client(app).as_user("ada", scopes=["a"], roles="b", claims={"c": 1}, lifetime=60), RampartClient)
assert_type(Client(app).as_user().as_api_key(owner="acme", lifetime=None).anonymous().with_token("x").hello(), str)
assert_type(mint_token(app, "ada", expired=True, without=("exp",)), str)
with FakeIssuer(audience="a", algorithm="RS256").serve() as issuer:
    assert_type(issuer, FakeIssuer)
    assert_type(issuer.settings(), dict[str, Any])
    assert_type(issuer.token("ada", audience=["a"]), str)
with frozen(rampart, at=1_800_000_000) as clock:
    assert_type(clock, Clock)


# What an app declares stays what it is.
@rampart.policy("doc.edit")
def can_edit(principal: Principal, doc_id: int) -> bool:
    return principal.id == str(doc_id)


assert_type(can_edit(Identity("ada"), 7), bool)


@rampart.scheme("signature", challenge="Signature", header="X-Signature")
async def signed(value: str) -> Identity | None:
    return Identity(value, scopes="a b", roles=["c"], claims={"team": 7}, authenticated_at=1.5)


@dataclass
class User:
    name: str


@rampart.user_loader
def load(principal: Principal) -> User | None:
    return User(principal.id)


assert_type(load(Identity("ada")), User | None)


@app.put("/docs/<int:doc_id>")
@require("jwt", permissions="a", any_permissions={"b"}, issuer="i", audience=["a"], max_age=timedelta(minutes=5))
@require(fresh=True, max_age=300, policy="doc.edit")
def edit(doc_id: int) -> str:
    rampart.authorize("doc.edit", doc_id)
    assert_type(rampart.may("doc.edit", doc_id), bool)
    assert_type(principal_or_none(), Principal | None)
    assert_type(has_scope("a") or has_role("b") or has_permission("c"), bool)
    return cast(User, current_user).name


@signals.request_refused.connect
def heard(sender: Flask, *, code: str, **facts: Any) -> None:
    assert sender.name and code


@app.get("/described")
@describe(summary="s", answers={200: "ok", "4XX": {"description": "no"}}, tags=["a"], problems=["token.expired"])
def described(number: int) -> str:
    return str(number)


assert_type(described(1), str)
rampart.serve_openapi("/openapi.json", guards=[require(roles="staff")], servers=["https://api.example"])
assert_type(rampart.openapi(title="t", include=lambda rule, method: method == "GET"), dict[str, Any])


@app.get("/audited/<name>")
@audit("model.predict", resource="model:{name}", fields=["query.q"])
def audited(name: str) -> str:
    try:
        rampart.audit.event("invoice.sent", resource="invoice:7", total=7)
    except AuditUnavailable:
        pass
    assert_type(rampart.audit.checkpoint(), str | None)
    return name


assert_type(audited("x"), str)
