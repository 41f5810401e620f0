"""Tokens that a keyset seals: rotated, opened by Tink, and refused when their key is gone."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import tink
from tink import aead, daead, proto_keyset_format, secret_key_access

from flask_rampart import ConfigError, Keyset, Vault, _native
from flask_rampart.anonymize import AnonymizeRefused, Plan, Tokenizer

aead.register()
daead.register()
RULE = {"do": "token", "scope": "mail"}


def theirs(keyset: Keyset) -> tink.KeysetHandle:
    return proto_keyset_format.parse(keyset.to_cleartext_binary(), secret_key_access.TOKEN)


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@pytest.mark.parametrize("prefix", ["TINK", "CRUNCHY", "RAW"])
def test_tink_opens_our_tokens_and_makes_the_same(prefix: str) -> None:
    keyset = Keyset.generate("AES256_SIV", prefix=prefix)
    their = theirs(keyset).primitive(daead.DeterministicAead)
    tokens = Tokenizer(sealer=keyset, scope="mail")
    for value in ("", "ann@example.org", "ä" * 1000):
        token = tokens(value)
        assert their.decrypt_deterministically(raw(token), b"mail") == value.encode()
        assert their.encrypt_deterministically(value.encode(), b"mail") == raw(token)
        assert tokens.open(token) == value
    assert tokens(7) == tokens("7")


def test_tokens_of_an_aead_are_other_each_time_and_tink_opens_them() -> None:
    keyset = Keyset.generate("AES256_GCM_SIV")
    tokens = Tokenizer(sealer=keyset, scope="mail")
    one, two = tokens("ann"), tokens("ann")
    assert one != two and tokens.open(one) == tokens.open(two) == "ann"
    assert theirs(keyset).primitive(aead.Aead).decrypt(raw(one), b"mail") == b"ann"


def test_old_tokens_are_reversed_after_a_rotation_and_not_after_their_key_is_gone() -> None:
    keyset = Keyset.generate("AES256_SIV")
    plan = Plan({"columns": {"mail": RULE}}, sealer=keyset)
    old, first = plan.apply({"mail": "ann"})["mail"], keyset.primary
    keyset.rotate("AES256_SIV")
    new = plan.apply({"mail": "ann"})["mail"]
    assert old != new
    assert plan.reverse("mail", old) == plan.reverse("mail", new) == "ann"
    keyset.disable(first)
    with pytest.raises(AnonymizeRefused) as raised:
        plan.reverse("mail", old)
    assert raised.value.args == ("token", "mail")
    keyset.enable(first)
    assert plan.reverse("mail", old) == "ann"
    keyset.destroy(first)
    with pytest.raises(AnonymizeRefused):
        plan.reverse("mail", old)
    assert plan.reverse("mail", new) == "ann"


def test_a_token_of_another_scope_keyset_or_letter_is_refused() -> None:
    keyset = Keyset.generate("AES256_SIV")
    token = Tokenizer(sealer=keyset, scope="mail")("ann")
    changed = token[:-1] + ("A" if token[-1] != "A" else "Q")
    for tokens, given in (
        (Tokenizer(sealer=keyset, scope="name"), token),
        (Tokenizer(sealer=Keyset.generate("AES256_SIV"), scope="mail"), token),
        (Tokenizer(sealer=keyset, scope="mail"), changed),
        (Tokenizer(sealer=keyset, scope="mail"), ""),
    ):
        with pytest.raises(AnonymizeRefused):
            tokens.open(given)


def test_a_rule_names_a_keyset_of_a_vault_or_takes_the_deterministic_one(tmp_path: Path) -> None:
    keysets = {"default": Keyset.generate("AES256_GCM"), "mails": Keyset.generate("AES256_SIV")}
    vault = Vault(keysets)
    (tmp_path / "plan.toml").write_text(
        '[columns.mail]\ndo = "token"\nscope = "mail"\n[columns.name]\ndo = "token"\nscope = "name"\nkeyset = "default"\n'
    )
    plan = Plan.load(tmp_path / "plan.toml", sealer=vault)
    row = plan.apply({"mail": "ann", "name": "Ann"})
    assert keysets["mails"].open_deterministic(raw(row["mail"]), b"mail") == b"ann"
    assert keysets["default"].open(raw(row["name"]), b"name") == b"Ann"
    # The other rules have their own key, which is not asked for where nothing needs it.
    both = Plan(
        {"columns": {"mail": RULE, "id": {"do": "pseudonym", "scope": "id"}}}, key=bytes(range(32)), sealer=vault
    )
    assert both.apply({"mail": "ann", "id": 7})["mail"] == row["mail"]


@pytest.mark.parametrize(
    ("rule", "sealer", "says"),
    [
        (RULE | {"keyset": "nope"}, "vault", "no keyset called 'nope'"),
        (RULE | {"keyset": "index"}, "vault", "this one is for PRF"),
        (RULE, "vault", "no keyset for deterministic AEAD"),
        (RULE | {"keyset": "default"}, "keyset", "one keyset alone was given"),
        (RULE | {"keyset": "default"}, None, "sealer=rampart.vault"),
        (RULE | {"keyset": 7}, "vault", "a text is expected"),
        (RULE, "stream", "this one is for streaming AEAD"),
        (RULE, "no keyset", "a Keyset or a Vault, not str"),
        (RULE, None, "this rule needs a key"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)
def test_what_seals_no_tokens_stops_the_plan(rule: dict[str, Any], sealer: str | None, says: str) -> None:
    given: Any = {
        "vault": Vault({"default": Keyset.generate("AES256_GCM"), "index": Keyset.generate("HKDF_SHA256")}),
        "keyset": Keyset.generate("AES256_SIV"),
        "stream": Keyset.generate("AES256_GCM_HKDF_4KB"),
        "no keyset": "keyset.json",
    }
    with pytest.raises(ConfigError, match=says):
        Plan({"columns": {"mail": rule}}, sealer=given[sealer] if sealer else None)


def test_what_a_vault_raises_is_passed_on_and_a_key_is_not_needed_as_well() -> None:
    def away() -> Any:
        raise TimeoutError("the KMS is away")

    with pytest.raises(TimeoutError, match="is away"):
        Plan({"columns": {"mail": RULE}}, sealer=Vault(away))
    with pytest.raises(ConfigError, match="one of the two"):
        Tokenizer(bytes(32), scope="x", sealer=Keyset.generate("AES256_SIV"))
    with pytest.raises(ConfigError, match="a key is needed"):
        Tokenizer(scope="x")


def test_a_rotation_is_met_by_threads_that_make_tokens_of_a_column() -> None:
    keyset = Keyset.generate("AES256_SIV")
    plan = Plan({"columns": {"mail": RULE}}, sealer=keyset)
    values = [f"user{number}" for number in range(1200)]
    found: list[list[Any]] = []

    def make() -> None:
        for _ in range(2):
            found.append(plan.apply_column("mail", values) or [])

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        keyset.rotate("AES256_SIV")
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for column in found:
        assert [plan.reverse("mail", token) for token in column[::97]] == values[::97]


def renewed() -> tuple[Vault, dict[str, Keyset]]:
    """A vault that reads its keysets from here, as another object each time: what a file or a KMS gives."""
    disk = {"tokens": Keyset.generate("AES256_SIV")}
    vault = Vault(lambda: {name: Keyset.from_cleartext_json(each.to_cleartext_json()) for name, each in disk.items()})
    return vault, disk


@pytest.mark.parametrize("how", ["record", "column", "many", "lines", "table"])
def test_a_rotation_on_the_disk_reaches_plans_that_were_made_before(how: str) -> None:
    """A plan that went on with a key that was destroyed made tokens that no plan made later reverses."""
    vault, disk = renewed()
    rule = RULE | {"keyset": "tokens"}
    plan = Plan({"columns": {"mail": rule}}, sealer=vault)
    lines = _native.AnonymizeLines(plan._native)
    table = _native.AnonymizeTable(plan._native, ["mail"], delimiter=b",", quote=b'"')

    def token() -> str:
        if how == "record":
            return str(plan.apply({"mail": "ann"})["mail"])
        if how == "lines":
            return str(json.loads(lines.treat(b'{"mail": "ann"}\n')[0])["mail"])
        if how == "table":
            return str(table.treat(b"ann\n", True)[0].decode().strip())
        return str((plan.apply_column("mail", ["ann"] * (2000 if how == "many" else 1)) or [])[-1])

    old, first = token(), disk["tokens"].primary
    disk["tokens"].rotate("AES256_SIV")
    assert token() == old, "nobody has read it yet"
    vault.reload()
    new = token()
    assert new != old and plan.reverse("mail", old) == "ann"
    disk["tokens"].destroy(first)
    vault.reload()
    assert token() == new
    assert Plan({"columns": {"mail": rule}}, sealer=vault).reverse("mail", new) == "ann"
    with pytest.raises(AnonymizeRefused):
        plan.reverse("mail", old)


def test_a_vault_that_cannot_say_its_keysets_seals_nothing_by_those_before() -> None:
    disk: dict[str, Keyset] = {"default": Keyset.generate("AES256_SIV")}
    vault = Vault(lambda: dict(disk))
    plan = Plan({"columns": {"mail": RULE}}, sealer=vault)
    tokens = Tokenizer(sealer=vault, scope="mail")
    token = tokens("ann")
    disk["default"] = Keyset.generate("HKDF_SHA256")
    vault.reload()
    for use in (lambda: plan.apply({"mail": "ann"}), lambda: tokens("ann"), lambda: tokens.open(token)):
        with pytest.raises(ConfigError, match="no keyset for deterministic AEAD"):
            use()
    disk["default"] = Keyset.generate("AES256_SIV")
    vault.reload()
    assert tokens.open(tokens("ann")) == "ann" and plan.apply({"mail": "ann"})["mail"] == tokens("ann")


def test_a_keyset_of_another_kind_after_a_reload_is_taken_for_what_it_is() -> None:
    disk = {"tokens": Keyset.generate("AES256_SIV")}
    vault = Vault(lambda: dict(disk))
    plan = Plan({"columns": {"mail": RULE | {"keyset": "tokens"}}}, sealer=vault)
    assert plan.apply({"mail": "ann"}) == plan.apply({"mail": "ann"})
    disk["tokens"] = Keyset.generate("AES256_GCM_SIV")
    vault.reload()
    assert plan.apply({"mail": "ann"}) != plan.apply({"mail": "ann"})
    disk["tokens"] = Keyset.generate("HKDF_SHA256")
    vault.reload()
    with pytest.raises(ValueError, match="this one is for PRF"):
        plan.apply({"mail": "ann"})
