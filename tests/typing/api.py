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
