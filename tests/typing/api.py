"""What users write has the types that it should: checked by mypy, never run."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask
from flask.views import MethodView
from typing_extensions import assert_type

from flask_rampart import (
    Clock,
    Denied,
    EdgePolicy,
    Rampart,
    RampartMiddleware,
    csp_nonce,
    current_principal,
    limit,
    public,
    require,
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


@app.get("/async")
@limit("5/minute", by=lambda: None)
@public
async def asynchronous() -> str:
    return "ok"


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
