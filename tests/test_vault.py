"""The vault of an app: keysets from files, settings, and what is refused before anything is sealed."""

from __future__ import annotations

import copy
import errno
import json
import os
import pickle
import stat
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask

from flask_rampart import ConfigError, IntegrityError, Keyset, Rampart, Vault
from flask_rampart.vault import _Attempt, read_keyset, write_keyset

PASSPHRASE = "correct horse battery"
CHEAP = {"memory": 19 * 1024, "passes": 2, "lanes": 1}


class Kms:
    """A KMS of one key, which counts what it is asked."""

    def __init__(self) -> None:
        self.key = AESGCM(bytes(range(32)))
        self.asked = 0
        self.away = False

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return bytes(12) + self.key.encrypt(bytes(12), plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        self.asked += 1
        if self.away:
            raise TimeoutError("the KMS is away")
        return self.key.decrypt(ciphertext[:12], ciphertext[12:], associated_data)


@pytest.fixture
def three() -> Vault:
    return Vault(
        {
            "default": Keyset.generate("AES256_GCM"),
            "search": Keyset.generate("AES256_SIV"),
            "index": Keyset.generate("HKDF_SHA256"),
        }
    )


# Without Flask ----------------------------------------------------------------------------------------------------


def test_what_is_sealed_opens_for_the_same_place_alone(three: Vault) -> None:
    sealed = three.seal(b"42 Main Street", associated_data="users.address:7")
    assert b"Main" not in sealed
    assert three.open(sealed, associated_data="users.address:7") == b"42 Main Street"
    assert three.open(sealed, associated_data=b"users.address:7") == b"42 Main Street"
    for other in ("users.address:8", "", "users.address:7 "):
        with pytest.raises(IntegrityError):
            three.open(sealed, associated_data=other)
    assert sealed != three.seal(b"42 Main Street", associated_data="users.address:7")


def test_deterministic_and_indexes_are_found_again(three: Vault) -> None:
    sealed = three.seal_deterministic(b"ada", associated_data="users.name")
    assert sealed == three.seal_deterministic(b"ada", associated_data="users.name")
    assert three.open_deterministic(sealed, associated_data="users.name") == b"ada"
    with pytest.raises(IntegrityError):
        three.open_deterministic(sealed, associated_data="users.email")
    index = three.blind_index("ada", purpose="users.name")
    assert index == three.blind_index(b"ada", purpose="users.name") != three.blind_index("ada", purpose="users.email")
    three.keyset("index").rotate("HKDF_SHA256")
    assert three.blind_indexes("ada", purpose="users.name") == [three.blind_index("ada", purpose="users.name"), index]


@pytest.mark.parametrize("kind", [bytearray, memoryview], ids=["bytearray", "memoryview"])
def test_what_drivers_of_databases_give_is_taken(three: Vault, kind: Callable[[bytes], Any]) -> None:
    sealed = three.seal(kind(b"text"), associated_data="")
    assert three.open(kind(sealed), associated_data="") == b"text"


def test_what_has_no_one_meaning_is_not_sealed(three: Vault) -> None:
    wrong: list[Any] = ["text", 7, None, [1]]
    for data in wrong:
        with pytest.raises(TypeError):
            three.seal(data, associated_data="")
        with pytest.raises(TypeError):
            three.open(data, associated_data="")
    for place in (7, None, ("a", "b"), bytearray(b"x")):
        with pytest.raises(TypeError):
            three.seal(b"", associated_data=place)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        three.seal(b"")  # type: ignore[call-arg]
    for purpose in ("", None, b"x"):
        with pytest.raises(TypeError):
            three.blind_index("x", purpose=purpose)  # type: ignore[arg-type]


def test_the_keyset_is_the_default_or_the_only_one_that_fits(three: Vault) -> None:
    only = Vault({"addresses": Keyset.generate("AES256_GCM")})
    assert only.open(only.seal(b"x", associated_data=""), associated_data="", name="addresses") == b"x"
    several = Vault({"a": Keyset.generate("AES256_GCM"), "b": Keyset.generate("AES256_GCM")})
    with pytest.raises(ConfigError, match="'a', 'b'"):
        several.seal(b"x", associated_data="")
    with pytest.raises(IntegrityError):
        several.open(several.seal(b"x", associated_data="", name="a"), associated_data="", name="b")
    with pytest.raises(ConfigError, match="HKDF_SHA256"):
        only.blind_index("x", purpose="p")
    with pytest.raises(ConfigError, match="AES256_SIV"):
        only.seal_deterministic(b"x", associated_data="")
    with pytest.raises(ConfigError, match="for PRF, and this is done by one for AEAD"):
        three.seal(b"x", associated_data="", name="index")
    with pytest.raises(ConfigError, match="no keyset called 'other'"):
        three.keyset("other")
    assert three.names == ("default", "search", "index")


def test_a_rotation_is_seen_at_once() -> None:
    keyset = Keyset.generate("AES128_GCM")
    vault = Vault(keyset)
    sealed = vault.seal(b"x", associated_data="")
    new = keyset.rotate("AES256_GCM")
    assert vault.seal(b"x", associated_data="")[1:5] == new.to_bytes(4, "big")
    assert vault.open(sealed, associated_data="") == b"x"
    keyset.destroy(int.from_bytes(sealed[1:5], "big"))
    with pytest.raises(IntegrityError) as error:
        vault.open(sealed, associated_data="")
    assert error.value.reason == "no_key"


def test_a_vault_of_nothing_is_refused() -> None:
    for wrong in ({}, {"x": 5}, {5: Keyset.generate("AES128_GCM")}, 5, None, "default"):
        with pytest.raises(ConfigError):
            Vault(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Vault(dict).seal(b"", associated_data="")


def test_a_vault_is_not_pickled_or_copied_and_shows_no_key(three: Vault) -> None:
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(three)
    assert repr(three) == "<Vault: default, search, index>"
    assert repr(Vault(dict)) == "<Vault: not opened yet>"


def test_keysets_are_opened_once_by_many_threads_and_again_after_a_failure() -> None:
    kms, calls = Kms(), []
    text = Keyset.generate("AES128_GCM").to_encrypted_json(kms)

    def source() -> dict[str, Keyset]:
        calls.append(1)
        return {"default": Keyset.from_encrypted_json(text, kms)}

    vault = Vault(source)
    kms.away = True
    for _ in range(2):
        with pytest.raises(TimeoutError):
            vault.seal(b"", associated_data="")
    kms.away = False
    calls.clear()
    threads = [threading.Thread(target=lambda: vault.seal(b"", associated_data="")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    before = vault.keyset()
    kms.away = True
    with pytest.raises(TimeoutError):
        vault.reload()
    assert vault.keyset() is before
    kms.away = False
    vault.reload()
    assert vault.keyset() is not before and vault.keyset().primary == before.primary


@pytest.mark.parametrize("ends", [TimeoutError, SystemExit])
def test_who_has_waited_for_an_attempt_takes_its_failure(
    monkeypatch: pytest.MonkeyPatch, ends: type[BaseException]
) -> None:
    # Eight threads behind a KMS that is away would wait one timeout, two timeouts ... eight timeouts.
    waiting, calls, found = threading.Semaphore(0), [], []
    really = _Attempt.wait

    def wait(attempt: _Attempt) -> None:
        waiting.release()
        really(attempt)

    def source() -> dict[str, Keyset]:
        calls.append(1)
        if len(calls) == 1:
            for _ in range(7):
                assert waiting.acquire(timeout=60)
            raise ends("away")
        return {"default": keyset}

    def use() -> None:
        try:
            found.append(len(vault.names))
        except BaseException as error:
            found.append(type(error))

    monkeypatch.setattr(_Attempt, "wait", wait)
    keyset, vault = Keyset.generate("AES128_GCM"), Vault(source)
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if ends is TimeoutError:
        assert (found, len(calls)) == ([TimeoutError] * 8, 1)
        assert vault.names == ("default",)
    else:
        # That the thread was ended says nothing about the keysets.
        assert sorted(found, key=str) == [1] * 7 + [SystemExit]
    assert len(calls) == 2


def test_a_source_that_uses_its_own_vault_is_told_so_and_not_waited_for() -> None:
    keyset = Keyset.generate("AES128_GCM")
    uses: list[Callable[[], object]] = [lambda: vault.names]

    def source() -> dict[str, Keyset]:
        for use in uses:
            use()
        return {"default": keyset}

    vault = Vault(source)
    for use in (lambda: vault.names, vault.reload):
        uses[:] = [use]
        for work in (vault.keyset, vault.reload):
            with pytest.raises(ConfigError, match="cannot use the vault itself"):
                work()
    uses.clear()
    assert vault.keyset() is keyset


def test_a_reload_reads_what_is_there_after_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Keyset.generate("AES128_GCM"), Keyset.generate("AES128_GCM")
    waiting, calls = threading.Event(), []
    really = _Attempt.wait

    def wait(attempt: _Attempt) -> None:
        waiting.set()
        really(attempt)

    def source() -> dict[str, Keyset]:
        calls.append(1)
        if len(calls) == 1:
            thread.start()
            assert waiting.wait(timeout=60)
            return {"default": first}
        return {"default": second}

    monkeypatch.setattr(_Attempt, "wait", wait)
    vault = Vault(source)
    thread = threading.Thread(target=vault.reload)
    assert vault.names == ("default",)
    thread.join()
    assert len(calls) == 2 and vault.keyset() is second


# Files ------------------------------------------------------------------------------------------------------------


def test_a_keyset_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    keyset, kms = Keyset.generate("AES256_GCM"), Kms()
    before = os.umask(0)
    try:
        write_keyset(tmp_path / "clear", keyset, cleartext=True)
        write_keyset(tmp_path / "kms", keyset, kms=kms, associated_data=b"ad")
        write_keyset(tmp_path / "passphrase", keyset, passphrase=PASSPHRASE)
    finally:
        os.umask(before)
    assert sorted(os.listdir(tmp_path)) == ["clear", "kms", "passphrase"]
    assert {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)} == {0o600}
    for back in (
        read_keyset(tmp_path / "clear"),
        read_keyset(tmp_path / "kms", kms=kms, associated_data=b"ad"),
        read_keyset(str(tmp_path / "passphrase"), passphrase=lambda: PASSPHRASE.encode()),
    ):
        assert back.to_cleartext_binary() == keyset.to_cleartext_binary()


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(Keyset.generate("AES256_GCM").to_passphrase_json(PASSPHRASE.encode(), **CHEAP))
    path.chmod(0o600)
    for wrong in (PASSPHRASE + " ", PASSPHRASE.encode() + b"\n"):
        with pytest.raises(IntegrityError, match="passphrase"):
            read_keyset(path, passphrase=wrong)
    for wrong in ("", 5):
        with pytest.raises(ConfigError, match="passphrase"):
            read_keyset(path, passphrase=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="UTF-8"):
        read_keyset(path, passphrase="\ud800")


def test_keys_that_are_there_are_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = Keyset.generate("AES256_GCM"), Keyset.generate("AES256_GCM")
    write_keyset(path, first, cleartext=True)
    with pytest.raises(ConfigError, match="there already"):
        write_keyset(path, second, cleartext=True)
    assert read_keyset(path).primary == first.primary
    write_keyset(path, second, cleartext=True, replace=True)
    assert read_keyset(path).primary == second.primary
    assert os.listdir(tmp_path) == ["keys"]


def test_keys_are_not_written_through_a_symbolic_link(tmp_path: Path) -> None:
    # The link would be replaced, and what it leads to, which others read, keep the old keys.
    first, second = Keyset.generate("AES256_GCM"), Keyset.generate("AES256_GCM")
    write_keyset(tmp_path / "keys", first, cleartext=True)
    (tmp_path / "link").symlink_to("keys")
    with pytest.raises(OSError) as caught:
        write_keyset(tmp_path / "link", second, cleartext=True, replace=True)
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "link").is_symlink()
    assert read_keyset(tmp_path / "link").primary == first.primary
    assert sorted(os.listdir(tmp_path)) == ["keys", "link"]


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o600, 0o600), (0o400, 0o400), (0o666, 0o640)])
def test_a_group_that_reads_keys_reads_the_new_ones(tmp_path: Path, before: int, after: int) -> None:
    path, keyset = tmp_path / "keys", Keyset.generate("AES256_GCM")
    write_keyset(path, keyset, cleartext=True)
    path.chmod(before)
    write_keyset(path, keyset, cleartext=True, replace=True)
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_the_group_of_keys_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, keyset, given = tmp_path.resolve() / "keys", Keyset.generate("AES256_GCM"), []
    write_keyset(path, keyset, cleartext=True)
    path.chmod(0o640)
    really, group = os.lstat, path.stat().st_gid + 1

    def lstat(name: Any, **more: Any) -> os.stat_result:
        values = list(really(name, **more))
        if os.fspath(name) == os.fspath(path):
            values[stat.ST_GID] = group
        return os.stat_result(values)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lstat)
        patch.setattr(os, "fchown", lambda _, *to: given.append(to))
        write_keyset(path, keyset, cleartext=True, replace=True)
    assert given == [(-1, group)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, keyset = tmp_path / "keys", Keyset.generate("AES256_GCM")
    write_keyset(path, keyset, cleartext=True)
    before = path.read_bytes()
    monkeypatch.setattr("flask_rampart.vault.keysets.MOST_BYTES", len(before))
    write_keyset(path, keyset, cleartext=True, replace=True)
    assert read_keyset(path).primary == keyset.primary
    before = path.read_bytes()
    keyset.rotate("AES256_GCM")
    for given in ({"cleartext": True}, {"kms": Kms()}, {"passphrase": PASSPHRASE}):
        with pytest.raises(ConfigError, match="would not be read again"):
            write_keyset(path, keyset, replace=True, **given)
    assert path.read_bytes() == before


def variables(error: BaseException | None) -> str:
    """What a reporter of errors sends: the variables of all frames of ours that an error came through."""
    found = []
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "flask_rampart" in frame.f_code.co_filename:
                found += [repr(value) for value in frame.f_locals.values()]
        error = error.__cause__ or error.__context__
    assert found
    return "\n".join(found)


def test_errors_carry_neither_passphrase_nor_keys_in_variables(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    keyset, path = Keyset.generate("AES256_GCM"), tmp_path / "keys"
    path.write_text(keyset.to_passphrase_json(PASSPHRASE.encode(), **CHEAP))
    path.chmod(0o600)
    wrong = "another horse"
    for given in (wrong, lambda: wrong):
        with pytest.raises(IntegrityError) as caught:
            read_keyset(path, passphrase=given)
        assert wrong not in variables(caught.value)
    app = vault_app(make_app, RAMPART_VAULT_KEYSET=path, RAMPART_VAULT_PASSPHRASE=lambda: wrong)
    with app.app_context(), pytest.raises(IntegrityError) as caught:
        app.extensions["its_rampart"].vault.seal(b"", associated_data="")
    assert wrong not in variables(caught.value)
    with pytest.raises(ConfigError) as refused:
        write_keyset(tmp_path / "new", keyset, passphrase="too short")
    assert "too short" not in variables(refused.value)

    clear = json.loads(keyset.to_cleartext_json())
    key = clear["key"][0]["keyData"]["value"]
    clear["primaryKeyId"] = 5
    path.write_text(json.dumps(clear))
    with pytest.raises(ConfigError) as refused:
        read_keyset(path)
    assert key not in variables(refused.value)
    with pytest.raises(ConfigError) as refused:
        first_request(vault_app(make_app, RAMPART_VAULT_KEYSET=path))
    assert key not in variables(refused.value)
    app = vault_app(make_app, RAMPART_VAULT_KEYSET=path)
    with app.app_context(), pytest.raises(ConfigError) as refused:
        app.extensions["its_rampart"].vault.seal(b"", associated_data="")
    assert key not in variables(refused.value)
    # The folder is none: everything is there when it is found.
    with pytest.raises(OSError) as failed:
        write_keyset(tmp_path / "none" / "keys", keyset, passphrase=PASSPHRASE)
    assert PASSPHRASE not in variables(failed.value)
    with pytest.raises(OSError) as failed:
        write_keyset(tmp_path / "none" / "keys", keyset, cleartext=True)
    assert key not in variables(failed.value)


class Unusual(ValueError):
    """As clients raise it: JSONDecodeError and UnicodeDecodeError are ValueErrors too."""


def test_what_a_kms_or_a_function_raises_is_passed_on(tmp_path: Path) -> None:
    path, keyset, kms = tmp_path / "keys", Keyset.generate("AES256_GCM"), Kms()
    error = Unusual("token 5ecret")
    reason = OSError("the network")

    def fails(*_: bytes) -> bytes:
        raise error from reason

    write_keyset(path, keyset, kms=kms)
    kms.decrypt = fails  # type: ignore[method-assign]
    with pytest.raises(Unusual) as caught:
        read_keyset(path, kms=kms)
    assert caught.value is error and error.__cause__ is reason
    kms.encrypt = fails  # type: ignore[method-assign]
    with pytest.raises(Unusual) as caught:
        write_keyset(path, keyset, kms=kms, replace=True)
    assert caught.value is error
    path.write_text(keyset.to_passphrase_json(PASSPHRASE.encode(), **CHEAP))
    with pytest.raises(Unusual) as caught:
        read_keyset(path, passphrase=fails)
    assert caught.value is error


def test_a_word_in_a_file_does_not_make_it_one_that_everybody_may_read(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    path, keyset = tmp_path / "keys", Keyset.generate("AES256_GCM")
    clear = json.loads(keyset.to_cleartext_json())
    clear["note"] = {"encryptedKeyset": 1}
    under = keyset.to_passphrase_json(PASSPHRASE.encode(), **CHEAP).replace('"kdf"', '"\\u006bdf"', 1)
    for text, given in ((json.dumps(clear), {}), (under, {"passphrase": PASSPHRASE})):
        path.write_text(text)
        path.chmod(0o644)
        with pytest.raises(ConfigError, match="read by others"):
            read_keyset(path, **given)  # type: ignore[arg-type]
    # Nor is a passphrase a keyset, whatever it says.
    (tmp_path / "passphrase").write_text('{"encryptedKeyset": 1}')
    (tmp_path / "passphrase").chmod(0o644)
    path.chmod(0o600)
    config = {"RAMPART_VAULT_KEYSET": path, "RAMPART_VAULT_PASSPHRASE": str(tmp_path / "passphrase")}
    with pytest.raises(ConfigError, match="read by others"):
        first_request(vault_app(make_app, **config))


def test_how_a_keyset_is_written_is_said(tmp_path: Path) -> None:
    keyset = Keyset.generate("AES256_GCM")
    for given in ({}, {"cleartext": True, "passphrase": PASSPHRASE}, {"kms": Kms(), "passphrase": PASSPHRASE}):
        with pytest.raises(ConfigError, match="one of"):
            write_keyset(tmp_path / "keys", keyset, **given)
    with pytest.raises(ConfigError, match="12 bytes"):
        write_keyset(tmp_path / "keys", keyset, passphrase="short")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("form", "mode", "refused"),
    [
        ("clear", 0o600, None),
        ("clear", 0o400, None),
        ("clear", 0o640, None),
        ("clear", 0o644, "read by others"),
        ("clear", 0o660, "changed by others"),
        ("clear", 0o602, "changed by others"),
        ("passphrase", 0o644, "read by others"),
        ("kms", 0o644, None),
        ("kms", 0o664, "changed by others"),
    ],
)
def test_a_file_that_others_can_read_or_change_is_refused(
    tmp_path: Path, form: str, mode: int, refused: str | None
) -> None:
    keyset, kms, path = Keyset.generate("AES256_GCM"), Kms(), tmp_path / "keys"
    texts = {
        "clear": keyset.to_cleartext_json,
        "kms": lambda: keyset.to_encrypted_json(kms),
        "passphrase": lambda: keyset.to_passphrase_json(PASSPHRASE.encode(), **CHEAP),
    }
    path.write_text(texts[form]())
    path.chmod(mode)
    given: dict[str, Any] = {"clear": {}, "kms": {"kms": kms}, "passphrase": {"passphrase": PASSPHRASE}}[form]
    if refused is None:
        assert read_keyset(path, **given).primary == keyset.primary
    else:
        with pytest.raises(ConfigError, match=refused):
            read_keyset(path, **given)
        assert read_keyset(path, strict=False, **given).primary == keyset.primary


def test_a_keyset_in_clear_does_not_take_the_place_of_a_sealed_one(tmp_path: Path) -> None:
    # Whoever can write the file would choose the key, and read what is sealed from then on.
    path = tmp_path / "keys"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    for given in ({"kms": Kms()}, {"passphrase": PASSPHRASE}):
        with pytest.raises(ConfigError, match="in clear"):
            read_keyset(path, **given)
    # Nor one under a passphrase of the attacker's where a KMS seals, and the other way round.
    write_keyset(path, Keyset.generate("AES256_GCM"), kms=Kms(), replace=True)
    with pytest.raises(ConfigError, match="sealed by a KMS"):
        read_keyset(path, passphrase=PASSPHRASE)
    with pytest.raises(ConfigError, match="sealed by a KMS"):
        read_keyset(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"5", b"{" * 100_000, b" " * 300_000, b'"key"'])
def test_a_file_that_is_no_keyset_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        read_keyset(path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        with pytest.raises(ConfigError):
            read_keyset(tmp_path / name)
    with pytest.raises(ConfigError, match="regular"):
        read_keyset("/dev/zero")


# In an app --------------------------------------------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    write_keyset(path, Keyset.generate("AES256_GCM"), cleartext=True)
    return path


def first_request(app: Flask) -> None:
    """A request that raises what it meets, instead of answering 500."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.test_client().get("/no")


def vault_app(make_app: Callable[..., Flask], **config: Any) -> Flask:
    app = make_app(rampart=False)
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **config)
    rampart = Rampart(app)
    app.add_url_rule("/seal", view_func=lambda: rampart.vault.seal(b"x", associated_data="").hex())
    app.add_url_rule("/no", view_func=lambda: "no vault")

    @app.get("/open/<sealed>")
    def opens(sealed: str) -> bytes:
        return rampart.vault.open(bytes.fromhex(sealed), associated_data="")

    app.extensions["its_rampart"] = rampart
    return app


def test_an_app_seals_and_opens(make_app: Callable[..., Flask], keys: Path) -> None:
    client = vault_app(make_app, RAMPART_VAULT_KEYSET=str(keys)).test_client()
    sealed = client.get("/seal").text
    assert client.get(f"/open/{sealed}").data == b"x"


def test_what_was_changed_is_loud_and_says_nothing_to_the_peer(
    make_app: Callable[..., Flask], keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = vault_app(make_app, RAMPART_VAULT_KEYSET=keys).test_client()
    sealed = client.get("/seal").text
    answer = client.get(f"/open/{sealed[:-2]}{int(sealed[-2:], 16) ^ 1:02x}")
    assert answer.status_code == 500 and b"sealed" not in answer.data
    assert any("IntegrityError" in (record.exc_text or "") or record.exc_info for record in caplog.records)


def test_a_vault_that_is_not_configured_says_how(make_app: Callable[..., Flask]) -> None:
    app = vault_app(make_app)
    with app.app_context(), pytest.raises(ConfigError, match="RAMPART_VAULT_KEYSET is not set"):
        app.extensions["its_rampart"].vault  # noqa: B018


def test_keysets_by_name_and_relative_to_the_app(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    for name, template in (("data", "AES256_GCM"), ("index", "HKDF_SHA256")):
        write_keyset(tmp_path / name, Keyset.generate(template), cleartext=True)
    app = make_app(rampart=False)
    app.root_path = str(tmp_path)
    app.config["RAMPART_VAULT_KEYSET"] = {"data": "data", "index": Path("index")}
    app.config["RAMPART_ACCESS_LOG"] = "off"
    rampart = Rampart(app)
    with app.app_context():
        assert rampart.vault.names == ("data", "index")
        assert len(rampart.vault.blind_index("x", purpose="p")) == 16


def test_the_kms_is_asked_when_a_keyset_is_first_needed(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    kms = Kms()
    write_keyset(tmp_path / "keys", Keyset.generate("AES256_GCM"), kms=kms)
    made = []

    def client_of_kms() -> Kms:
        made.append(1)
        return kms

    for given in (kms, client_of_kms):
        kms.asked = 0
        client = vault_app(make_app, RAMPART_VAULT_KEYSET=tmp_path / "keys", RAMPART_VAULT_KMS=given).test_client()
        kms.away = True
        assert client.get("/no").text == "no vault"
        assert kms.asked == 0 and client.get("/seal").status_code == 500
        kms.away = False
        assert client.get("/seal").status_code == client.get("/seal").status_code == 200
        assert kms.asked == 2
    assert len(made) == 2


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"], ids=["bare", "newline", "crlf"])
def test_a_passphrase_is_in_a_file(make_app: Callable[..., Flask], tmp_path: Path, ending: str) -> None:
    (tmp_path / "keys").write_text(Keyset.generate("AES256_GCM").to_passphrase_json(PASSPHRASE.encode(), **CHEAP))
    (tmp_path / "passphrase").write_bytes((PASSPHRASE + ending).encode())
    for name in ("keys", "passphrase"):
        (tmp_path / name).chmod(0o600)
    config = {"RAMPART_VAULT_KEYSET": tmp_path / "keys", "RAMPART_VAULT_PASSPHRASE": str(tmp_path / "passphrase")}
    client = vault_app(make_app, **config).test_client()
    assert client.get("/seal").status_code == 200
    (tmp_path / "passphrase").chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        first_request(vault_app(make_app, **config))


def test_a_passphrase_is_given_by_a_function(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = Keyset.generate("AES256_GCM").to_passphrase_json(PASSPHRASE.encode(), **CHEAP)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    asked = []

    def passphrase() -> str:
        asked.append(1)
        return PASSPHRASE

    files = {"default": tmp_path / "one", "two": tmp_path / "two"}
    client = vault_app(make_app, RAMPART_VAULT_KEYSET=files, RAMPART_VAULT_PASSPHRASE=passphrase).test_client()
    assert client.get("/no").status_code == 200 and asked == []
    assert client.get("/seal").status_code == 200 and asked == [1]
    for wrong in (b"", "", None, 5):
        app = vault_app(make_app, RAMPART_VAULT_KEYSET=files, RAMPART_VAULT_PASSPHRASE=lambda value=wrong: value)
        with app.app_context(), pytest.raises(ConfigError, match="not empty"):
            app.extensions["its_rampart"].vault.keyset()


def test_a_passphrase_that_was_set_itself_is_not_quoted(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(Keyset.generate("AES256_GCM").to_passphrase_json(PASSPHRASE.encode(), **CHEAP))
    (tmp_path / "keys").chmod(0o600)
    app = vault_app(make_app, RAMPART_VAULT_KEYSET=tmp_path / "keys", RAMPART_VAULT_PASSPHRASE=PASSPHRASE)
    with pytest.raises(ConfigError, match="never itself") as error:
        first_request(app)
    assert PASSPHRASE not in str(error.value) and error.value.__suppress_context__


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"RAMPART_VAULT_KEYSET": ""}, "not empty"),
        ({"RAMPART_VAULT_KEYSET": {}}, "not empty"),
        ({"RAMPART_VAULT_KEYSET": 5}, "path"),
        ({"RAMPART_VAULT_KEYSET": {"Upper": "x"}}, "lower-case"),
        ({"RAMPART_VAULT_KEYSET": {"x": ""}}, "not empty"),
        ({"RAMPART_VAULT_KEYSET": {"x": 5}}, "not empty"),
        ({"RAMPART_VAULT_KMS": object()}, "encrypt"),
        ({"RAMPART_VAULT_KMS": Kms}, "encrypt"),
        ({"RAMPART_VAULT_KMS": "gcp-kms://x"}, "encrypt"),
        ({"RAMPART_VAULT_PASSPHRASE": b"correct horse battery"}, "path"),
        ({"RAMPART_VAULT_PASSPHRASE": " "}, "path"),
        ({"RAMPART_VAULT_KMS": Kms()}, "set RAMPART_VAULT_KEYSET"),
        ({"RAMPART_VAULT_PASSPHRASE": "/run/secrets/passphrase"}, "set RAMPART_VAULT_KEYSET"),
        ({"RAMPART_VAULT_KEYSETS": "x"}, "Did you mean RAMPART_VAULT_KEYSET?"),
    ],
    ids=range(14),
)
def test_settings_that_cannot_be_meant(make_app: Callable[..., Flask], config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        vault_app(make_app, **config)
    assert says in str(error.value) and "correct horse" not in str(error.value)


def test_files_are_looked_at_before_the_first_request(make_app: Callable[..., Flask], keys: Path) -> None:
    keys.chmod(0o644)
    with pytest.raises(ConfigError, match=r"RAMPART_VAULT_KEYSET: .*read by others"):
        first_request(vault_app(make_app, RAMPART_VAULT_KEYSET=keys))
    app = vault_app(make_app, RAMPART_VAULT_KEYSET=keys)
    app.testing = True
    assert app.test_client().get("/seal").status_code == 200
    keys.chmod(0o600)
    keys.write_text(json.dumps({"primaryKeyId": 5, "key": []}))
    with pytest.raises(ConfigError, match="no keys"):
        first_request(vault_app(make_app, RAMPART_VAULT_KEYSET=keys))
    with pytest.raises(ConfigError, match="cannot be read"):
        first_request(vault_app(make_app, RAMPART_VAULT_KEYSET=keys.parent / "other"))
    with pytest.raises(ConfigError, match="is a keyset in clear"):
        first_request(vault_app(make_app, RAMPART_VAULT_KEYSET=keys, RAMPART_VAULT_KMS=Kms()))


def test_a_new_file_is_taken_up_when_it_is_asked_for(make_app: Callable[..., Flask], keys: Path) -> None:
    app = vault_app(make_app, RAMPART_VAULT_KEYSET=keys)
    vault_of = app.extensions["its_rampart"]
    client = app.test_client()
    sealed = client.get("/seal").text
    keyset = read_keyset(keys)
    new = keyset.rotate("AES256_GCM_SIV")
    write_keyset(keys, keyset, cleartext=True, replace=True)
    assert client.get("/seal").text[:10] == sealed[:10]
    with app.app_context():
        vault_of.vault.reload()
    assert int(client.get("/seal").text[2:10], 16) == new
    assert client.get(f"/open/{sealed}").data == b"x"


def test_neither_kms_nor_passphrase_is_shown_with_the_settings() -> None:
    from flask_rampart import Settings

    settings = Settings.read({"RAMPART_VAULT_KMS": Kms(), "RAMPART_VAULT_PASSPHRASE": "/run/secrets/it"})
    assert "secrets/it" not in repr(settings) and "Kms" not in repr(settings)
