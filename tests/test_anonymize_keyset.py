"""``flask rampart anonymize --keyset``: tokens by keys of the vault, which rotate; and runs that go on by the same key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from flask.cli import ScriptInfo

from flask_rampart import Keyset, Rampart, Vault
from flask_rampart.anonymize import AnonymizeRefused, Plan
from flask_rampart.anonymize.files import Job, ResumeRefused
from flask_rampart.anonymize.formats import Options
from flask_rampart.cli import commands
from flask_rampart.vault import change_keyset, read_keyset, write_keyset

PLAN = """
default = "keep"
[columns.mail]
do = "token"
scope = "mail"
"""
NAMED = '[columns.name]\ndo = "token"\nscope = "name"\nkeyset = "names"\n'
MAILS = [f"p{number % 7}@example.org" for number in range(600)]
PASSPHRASE = b"correct horse battery"


class Kms:
    """A KMS of one key."""

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return AESGCM(bytes(range(32))).encrypt(bytes(12), plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        return AESGCM(bytes(range(32))).decrypt(bytes(12), ciphertext, associated_data)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAMPART_ANONYMIZE_KEY_FILE", raising=False)
    Path("plan.toml").write_text(PLAN)
    Path("in.jsonl").write_text("".join(json.dumps({"mail": mail}) + "\n" for mail in MAILS))
    write_keyset("keyset.json", Keyset.generate("AES256_SIV"), cleartext=True)


@pytest.fixture
def app(make_app: Callable[..., Flask], tmp_path: Path) -> Callable[..., Flask]:
    def make(**config: Any) -> Flask:
        made = make_app(rampart=False)
        made.root_path = os.fspath(tmp_path)
        made.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", **config)
        Rampart(made)
        return made

    return make


def run(*words: str, app: Flask | None = None, stdin: bytes | None = None) -> Result:
    given = ScriptInfo(create_app=lambda: app) if app is not None else None
    return CliRunner().invoke(commands, ["anonymize", "--plan", "plan.toml", *words], input=stdin, obj=given)


def tokens(name: str = "out.jsonl", column: str = "mail") -> list[str]:
    return [json.loads(line)[column] for line in Path(name).read_text().splitlines()]


def opened(sealer: Any, found: list[str]) -> list[str]:
    plan = Plan.load("plan.toml", sealer=sealer)
    return [plan.reverse("mail", token) for token in found]


def test_tokens_are_sealed_by_the_keyset_and_open_again_after_it_was_rotated() -> None:
    told = run("in.jsonl", "-o", "out.jsonl", "--keyset", "keyset.json")
    assert told.exit_code == 0, told.stderr
    old = tokens()
    assert len(set(old)) == 7
    assert opened(read_keyset("keyset.json"), old) == MAILS
    with change_keyset("keyset.json") as keyset:
        first = keyset.primary
        keyset.rotate("AES256_SIV")
    assert run("in.jsonl", "-o", "new.jsonl", "--keyset", "keyset.json").exit_code == 0
    new = tokens("new.jsonl")
    assert not set(old) & set(new)
    assert opened(read_keyset("keyset.json"), old) == opened(read_keyset("keyset.json"), new) == MAILS
    # What a disabled key has sealed is shut, until it is enabled again.
    with change_keyset("keyset.json") as keyset:
        keyset.disable(first)
    with pytest.raises(AnonymizeRefused):
        opened(read_keyset("keyset.json"), old[:1])
    assert opened(read_keyset("keyset.json"), new) == MAILS
    # Another keyset, which has all but the key.
    with pytest.raises(AnonymizeRefused):
        opened(Keyset.generate("AES256_SIV"), new[:1])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_format_is_sealed_by_the_keyset(kind: str) -> None:
    if kind == "csv":
        Path("in.csv").write_text("mail\n" + "\n".join(MAILS) + "\n")
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"mail": MAILS}), "in.parquet")
    told = run(f"in.{kind}", "-o", f"out.{kind}", "--keyset", "keyset.json")
    assert told.exit_code == 0, told.stderr
    if kind == "csv":
        found = Path("out.csv").read_text().splitlines()[1:]
    else:
        found = pq.read_table("out.parquet")["mail"].to_pylist()
    assert opened(read_keyset("keyset.json"), found) == MAILS


def test_equal_values_have_other_tokens_each_by_a_keyset_for_aead_also_in_columns_of_arrow() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_keyset("random.json", Keyset.generate("AES256_GCM_SIV"), cleartext=True)
    pq.write_table(pa.table({"mail": MAILS, "again": pa.array(MAILS).dictionary_encode()}), "in.parquet")
    Path("plan.toml").write_text(PLAN + '[columns.again]\ndo = "token"\nscope = "mail"\n')
    for kind in ("jsonl", "parquet"):
        told = run(f"in.{kind}", "-o", f"out.{kind}", "--keyset", "random.json")
        assert told.exit_code == 0, told.stderr
    made = pq.read_table("out.parquet")
    for found in (tokens(), made["mail"].to_pylist(), made["again"].to_pylist()):
        # The same text, and nothing by which it could be counted or joined.
        assert len(set(found)) == len(MAILS)
        assert opened(read_keyset("random.json"), found) == MAILS


def test_a_keyset_under_a_passphrase_is_opened_by_its_file_or_by_standard_input() -> None:
    keyset = Keyset.generate("AES256_SIV")
    Path("locked.json").write_text(keyset.to_passphrase_json(PASSPHRASE, memory=19 * 1024, passes=2, lanes=1))
    Path("passphrase").write_bytes(PASSPHRASE + b"\n")
    for name in ("locked.json", "passphrase"):
        Path(name).chmod(0o600)
    words = ("in.jsonl", "-o", "out.jsonl", "--keyset", "locked.json", "--force")
    assert run(*words, "--passphrase-file", "passphrase").exit_code == 0
    assert opened(keyset, tokens()) == MAILS
    assert run(*words, "--passphrase-file", "-", stdin=PASSPHRASE).exit_code == 0
    assert opened(keyset, tokens()) == MAILS
    Path("passphrase").write_bytes(b"another one\n")
    told = run(*words, "--passphrase-file", "passphrase")
    assert told.exit_code == 1 and "passphrase" in told.stderr and "Traceback" not in told.output
    assert PASSPHRASE.decode() not in told.output and "another one" not in told.output
    told = run("-", "-o", "-", "--format", "jsonl", "--keyset", "locked.json", "--passphrase-file", "-")
    assert told.exit_code == 2 and "read once" in told.stderr
    # Nobody can be asked here.
    told = run(*words, stdin=b"")
    assert told.exit_code == 1 and "--passphrase-file" in told.stderr


def test_an_apps_keysets_are_opened_by_its_kms_and_named_by_the_rules(app: Callable[..., Flask]) -> None:
    mails, names = Keyset.generate("AES256_SIV"), Keyset.generate("AES256_GCM")
    write_keyset("mails.json", mails, kms=Kms())
    write_keyset("names.json", names, kms=Kms())
    Path("plan.toml").write_text(PLAN + NAMED)
    Path("in.jsonl").write_text('{"mail": "ann@example.org", "name": "Ann"}\n')
    made = app(RAMPART_VAULT_KEYSET={"mails": "mails.json", "names": "names.json"}, RAMPART_VAULT_KMS=Kms())
    for words in (("--name", "mails"), ("--keyset", "mails.json")):
        told = run("in.jsonl", "-o", "out.jsonl", "--force", *words, app=made)
        assert told.exit_code == 0, told.stderr
        plan = Plan.load("plan.toml", sealer=Vault({"mails": mails, "names": names}))
        assert plan.reverse("mail", tokens()[0]) == "ann@example.org"
        assert plan.reverse("name", tokens(column="name")[0]) == "Ann"
    told = run("in.jsonl", "-o", "x.jsonl", "--keyset", "mails.json")
    assert told.exit_code == 1 and "KMS" in told.stderr
    told = run("in.jsonl", "-o", "x.jsonl", "--keyset", "keyset.json")
    assert told.exit_code == 1 and "no keyset called 'names'" in told.stderr
    # Whoever can write a file in clear would choose the key.
    told = run("in.jsonl", "-o", "x.jsonl", "--keyset", "keyset.json", app=made)
    assert told.exit_code == 1 and "clear" in told.stderr
    assert run("in.jsonl", "-o", "x.jsonl", "--keyset", "keyset.json", "--cleartext", app=made).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--keyset", "gone.json"], 1, "gone.json"),
        (["--keyset", "stream.json"], 1, "this one is for streaming AEAD"),
        (["--keyset", "in.jsonl"], 1, "in.jsonl"),
        (["--keyset", "open.json"], 1, "chmod"),
        (["--keyset", "keyset.json", "--name", "mails"], 2, "one of them"),
        (["--passphrase-file", "p"], 2, "is for --keyset or --name"),
        (["--cleartext"], 2, "is for --keyset or --name"),
        (["--name", "mails"], 1, "no keyset called 'mails'"),
        ([], 1, "this rule needs a key"),
    ],
    ids=lambda given: "".join(given) or "nothing" if isinstance(given, list) else "",
)
def test_a_keyset_that_cannot_be_is_said_in_one_line(words: list[str], code: int, why: str) -> None:
    write_keyset("stream.json", Keyset.generate("AES256_GCM_HKDF_4KB"), cleartext=True)
    write_keyset("open.json", Keyset.generate("AES256_SIV"), cleartext=True)
    Path("open.json").chmod(0o666)
    told = run("in.jsonl", "-o", "out.jsonl", *words)
    assert (told.exit_code, why in told.stderr) == (code, True), told.stderr
    assert "Traceback" not in told.output and not Path("out.jsonl").exists()


def test_neither_keyset_nor_passphrase_is_written_over_or_told() -> None:
    Path("passphrase.json").write_bytes(PASSPHRASE)
    Path("passphrase.json").chmod(0o600)
    secret = Path("keyset.json").read_bytes()
    locked = read_keyset("keyset.json").to_passphrase_json(PASSPHRASE, memory=19 * 1024, passes=2, lanes=1)
    Path("locked.json").write_text(locked)
    Path("locked.json").chmod(0o600)
    opening = ("--keyset", "locked.json", "--passphrase-file", "passphrase.json")
    for words in (
        ("-o", "keyset.json", "--format", "jsonl", "--keyset", "keyset.json"),
        ("-o", "out.jsonl", "--report", "keyset", "--keyset", "keyset.json"),
        ("-o", "passphrase.json", "--format", "jsonl", *opening),
        ("-o", "out.jsonl", "--report", "locked", *opening),
    ):
        told = run("in.jsonl", "--force", *words)
        assert told.exit_code == 1 and "would be written over" in told.stderr, words
    assert Path("keyset.json").read_bytes() == secret
    assert Path("passphrase.json").read_bytes() == PASSPHRASE and Path("locked.json").read_text() == locked
    assert run("in.jsonl", "-o", "out.jsonl", "--keyset", "keyset.json").exit_code == 0
    value = json.loads(secret)["key"][0]["keyData"]["value"]
    for name in os.listdir():
        if name != "keyset.json":
            assert value not in Path(name).read_text(), name


def test_a_trial_with_a_keyset_writes_nothing() -> None:
    told = run("in.jsonl", "--sample", "3", "--show-values", "--keyset", "keyset.json")
    assert told.exit_code == 0, told.stderr
    assert 'mail    "p0@example.org"  ->' in told.stdout
    assert sorted(os.listdir()) == ["in.jsonl", "keyset.json", "plan.toml"]


KILLED = """
import os, signal, sys
from flask_rampart.cli import commands
command = sys.modules["flask_rampart.cli.anonymize"]
make, seen = command._job, 0
def told(progress):
    global seen
    seen += progress.phase == "treat"
    if seen > 6:
        os.kill(os.getpid(), signal.SIGKILL)
def job(*given):
    made = make(*given)
    made.checkpoint, made.options = 2000, type(made.options)(piece=1000)
    return made
command._job = job
command.Bar.__call__ = lambda self, progress: told(progress)
commands(["anonymize", "in.jsonl", "-o", "out.jsonl", "--plan", "plan.toml", "--keyset", "keyset.json", "--resume"])
"""


@pytest.fixture
def _killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed with -9 after its first checkpoint; and all later ones have its options."""
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert Path(".out.jsonl.state").exists() and not Path("out.jsonl").exists()
    command = sys.modules["flask_rampart.cli.anonymize"]
    make = command._job

    def job(*given: Any) -> Job:
        made: Job = make(*given)
        made.checkpoint, made.options = 2000, Options(piece=1000)
        return made

    monkeypatch.setattr(command, "_job", job)


RESUMED = ("in.jsonl", "-o", "out.jsonl", "--keyset", "keyset.json", "--resume")
ANOTHER = "it cannot be gone on with: the keyset (the key of it that seals) changed since the run began"


@pytest.mark.usefixtures("_killed")
def test_a_run_that_was_killed_goes_on_by_the_same_key_to_the_same_bytes() -> None:
    # The file may be another: what seals is asked about, not how it is kept. Nor do keys count that only open.
    with change_keyset("keyset.json") as keyset:
        keyset.disable(keyset.add("AES256_SIV"))
        keyset.add("AES256_SIV")
    told = run(*RESUMED)
    assert told.exit_code == 0, told.stderr
    assert run("in.jsonl", "-o", "whole.jsonl", "--keyset", "keyset.json").exit_code == 0
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert opened(read_keyset("keyset.json"), tokens()) == MAILS


@pytest.mark.usefixtures("_killed")
@pytest.mark.parametrize("how", ["rotated", "promoted", "another", "its id and another key", "none"])
def test_a_run_that_was_killed_does_not_go_on_by_another_key(how: str) -> None:
    part, words = Path(".out.jsonl.part").read_bytes(), RESUMED
    if how == "rotated":
        with change_keyset("keyset.json") as keyset:
            keyset.rotate("AES256_SIV")
    elif how == "promoted":
        with change_keyset("keyset.json") as keyset:
            keyset.promote(keyset.add("AES256_SIV"))
    elif how == "another":
        Path("keyset.json").unlink()
        write_keyset("keyset.json", Keyset.generate("AES256_SIV"), cleartext=True)
    elif how == "its id and another key":
        own = json.loads(Path("keyset.json").read_text())
        other = json.loads(Keyset.generate("AES256_SIV").to_cleartext_json())
        own["key"][0]["keyData"] = other["key"][0]["keyData"]
        Path("keyset.json").write_text(json.dumps(own))
    else:
        Path("plan.key").write_text("00ff" * 16)
        words = ("in.jsonl", "-o", "out.jsonl", "--key-file", "plan.key", "--resume")
    told = run(*words)
    assert told.exit_code == 1 and "the keyset (the key of it that seals)" in told.stderr, told.stderr
    assert "--force" in told.stderr
    assert how == "none" or ANOTHER in told.stderr
    # It stays for whoever has the key still; or it is begun anew.
    assert Path(".out.jsonl.part").read_bytes() == part
    told = run(*words[:-1], "--force")
    assert told.exit_code == 0, told.stderr
    if how != "none":
        assert opened(read_keyset("keyset.json"), tokens()) == MAILS


@pytest.mark.usefixtures("_killed")
def test_a_run_goes_on_by_a_key_that_was_promoted_back() -> None:
    with change_keyset("keyset.json") as keyset:
        first = keyset.primary
        keyset.rotate("AES256_SIV")
    assert run(*RESUMED).exit_code == 1
    with change_keyset("keyset.json") as keyset:
        keyset.promote(first)
    assert run(*RESUMED).exit_code == 0
    assert len(set(tokens())) == 7


def test_a_run_by_a_vault_of_the_program_goes_on_by_the_same_keys_alone() -> None:
    vault = Vault({"mails": Keyset.generate("AES256_SIV"), "names": Keyset.generate("AES256_SIV")})
    Path("plan.toml").write_text(PLAN + NAMED)
    Path("in.jsonl").write_text('{"mail": "a@example.org", "name": "Ann"}\n' * 50)

    class Stopped(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.done > 1000:
            raise Stopped

    def job(**given: Any) -> Job:
        plan = (Path("plan.toml").read_text()).replace('scope = "mail"', 'scope = "mail"\nkeyset = "mails"')
        return Job("in.jsonl", "out.jsonl", plan, sealer=vault, options=Options(piece=200), checkpoint=200, **given)

    with pytest.raises(Stopped):
        job(progress=stop).run()
    names = vault.keyset("names")
    first = names.primary
    names.rotate("AES256_SIV")
    with pytest.raises(ResumeRefused, match="keyset"):
        job(resume=True).run()
    names.promote(first)
    assert job(resume=True).run().tally.written == 50
    assert len(set(tokens(column="name"))) == 1
