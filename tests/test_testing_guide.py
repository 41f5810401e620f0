"""``docs/testing.md``: its examples, run as tests of a small shop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SHOP = """
from flask import Blueprint, Flask
from flask_rampart import Rampart, current_principal, require

orders = Blueprint("orders", __name__)
rampart = Rampart()


@orders.get("/orders")
@require(scopes="orders:read")
def list_orders():
    return {"for": current_principal.id}


def create_app(config):
    app = Flask("shop")
    app.config.update(RAMPART_ACCESS_LOG="off", **config)
    rampart.init_app(app)
    app.register_blueprint(orders)
    app.get("/desk")(require(roles="clerk")(lambda: "ok"))
    return app
"""
KEYCLOAK = """
@pytest.fixture
def app():
    realm = {"issuer": "https://id.example/realms/shop", "audience": "shop", "roles_claim": "realm_access.roles"}
    return create_app({"TESTING": True, "RAMPART_ISSUERS": [realm]})
"""


def test_the_guide_runs(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "testing.md").read_text(), re.S)
    conftest, factory, acting, wrong, keycloak, settings, served = blocks
    imports = "import pytest\nfrom shop import *\n"
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "conftest.py").write_text("from shop import *\n" + conftest)
    (tmp_path / "test_acting.py").write_text(imports + acting + wrong)
    (tmp_path / "test_factory.py").write_text(
        f"{imports}{factory}\ndef test_it(app_and_clock):\n    app_and_clock[1].advance(1)\n"
    )
    (tmp_path / "test_keycloak.py").write_text(imports + KEYCLOAK + keycloak)
    shown = settings.replace("app.config[", "config = dict(TESTING=True)\nconfig[").replace(
        "...", "client = client_for(create_app(config))"
    )
    call = (
        "ada = client_for(app).as_user('ada', scopes='orders:read')\n    assert ada.get('/orders').status_code == 200"
    )
    body = "\n".join((shown, "status = " + shown.splitlines()[-1], served.replace("...", call)))
    lines = "\n".join("    " + line for line in body.splitlines())
    head = f"{imports}from flask_rampart.testing import client as client_for\n"
    (tmp_path / "test_issuer.py").write_text(f"{head}\ndef test_it():\n{lines}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "13 passed" in ran.stdout
