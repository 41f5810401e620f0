"""For the tests of an app behind Rampart: clients that act as somebody, tokens right and wrong, an issuer, a clock.

Nothing of it goes around a guard: a client carries a credential that was really made, and the app judges it as any
other. So what a test says of a view is what its callers will find.

>>> from flask import Flask
>>> from flask_rampart import Rampart, current_principal, require
>>> app = Flask("shop")
>>> app.config.update(TESTING=True, RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://")
>>> app.config["RAMPART_JWT_KEYS"] = [{"alg": "HS256", "secret": "0123456789abcdef0123456789abcdef"}]
>>> rampart = Rampart(app)
>>> @app.get("/orders")
... @require(scopes="orders:read")
... def orders():
...     return {"for": current_principal.id}
>>> ada = client(app).as_user("ada", scopes="orders:read")
>>> ada.get("/orders").json
{'for': 'ada'}
>>> ada.anonymous().get("/orders").status_code
401
>>> ada.with_token(mint_token(app, "ada", expired=True)).get("/orders").json["code"]
'token.expired'

None of it works in production: an app that is neither ``testing`` nor ``debug`` is refused, and refuses a
:class:`FakeIssuer` in its settings before its first request.

To advance time, hand the app a clock: ``Rampart(app, clock=Clock.manual(...))``, or :func:`frozen` where a factory
makes the app. See ``docs/testing.md``.
"""

from __future__ import annotations

from .clients import RampartClient, client
from .clock import frozen
from .issuer import FakeIssuer
from .minting import mint_token

__all__ = ["FakeIssuer", "RampartClient", "client", "frozen", "mint_token"]
