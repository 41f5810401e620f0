"""Audit: what the vault found changed, and calls of models, are in the log; and nothing of what was sealed or said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flask_rampart import IntegrityError, Keyset, audit, public
from flask_rampart.audit.ocsf import event_of
from flask_rampart.vault import Vault, write_keyset

from .asking import Asked, asking, saying
from .auditing import App, is_sound, log_of, make, records

__all__ = ["make"]


def test_what_the_vault_finds_changed_is_recorded_with_its_place_and_without_its_value(
    make: App, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    app = make(RAMPART_VAULT_KEYSET=str(path))
    sealed = bytearray()

    @app.get("/open")
    @public
    @audit("open")
    def view() -> str:
        vault: Any = app.extensions["rampart"].services[Vault]
        return str(vault.open(bytes(sealed), associated_data="orders.card:7"))

    with app.app_context():
        vault: Any = app.extensions["rampart"].services[Vault]
        sealed[:] = vault.seal(b"hunter2", associated_data="orders.card:7")
        assert app.test_client().get("/open").status_code == 200
        assert [one["event"] for one in records(app)] == ["open", "open"]
        sealed[-1] ^= 1
        app.test_client().get("/open")
        with pytest.raises(IntegrityError):
            vault.open(bytes(sealed), associated_data="orders.card:7")
    found = [one for one in records(app) if one["event"] == "crypt_decrypt_fail"]
    assert len(found) == 2
    assert {(one["code"], one["place"]) for one in found} == {("vault.altered", "orders.card:7")}
    # In a request it says which; outside of one there is none.
    assert [one.get("target") for one in found] == ["/open", None]
    assert "hunter2" not in str(found) and bytes(sealed).hex() not in str(found)
    event = event_of(found[0], "shop")
    assert (event["class_uid"], event["severity_id"], event["status_id"]) == (2004, 4, 2)
    assert is_sound(app)


def test_each_call_of_a_model_is_recorded_with_what_was_decided_and_never_with_what_was_said(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    asked = Asked(lambda prompt: saying("the answer is 42"), config={"RAMPART_AUDIT_LOG": str(folder)})
    assert asked.post(asking("what is the answer?"), buffered=True).status_code == 200
    assert asked.post(asking("x", model="large")).status_code == 404
    log_of(asked.app)._ready.tend()  # type: ignore[union-attr]
    found = [one for one in records(asked.app) if one["event"] == "ai.called"]
    log_of(asked.app).close()
    assert [one["decision"] for one in found] == ["answered", "refused"]
    first = found[0]
    assert (first["principal"], first["model"], first["endpoint"]) == ("ada", "small", "view")
    assert {"prompt_hash", "prompt_chars", "prompt_tokens", "completion_tokens", "duration_us"} <= first.keys()
    # The refusal has a record of its own, with the same request.
    (refusal,) = [one for one in records(asked.app) if one.get("code", "").startswith("ai.")]
    assert refusal["request_id"] == found[1]["request_id"]
    text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert "answer?" not in text and "42" not in "".join(map(str, (first["model"], first.get("findings"))))
    assert "the answer is" not in text
    assert event_of(first, "shop")["class_uid"] == 6003
