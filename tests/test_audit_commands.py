"""``flask rampart audit``: what it tells, with which exit code, and that no peer writes on a terminal; and the key's file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_rampart import ConfigError, audit, public
from flask_rampart._native import audit_generate_key, audit_public_key
from flask_rampart.audit.events import REFUSALS, kind_of
from flask_rampart.audit.keyfile import key_of, read_key, write_key
from flask_rampart.audit.ocsf import event_of
from flask_rampart.audit.reading import Log, wanted
from flask_rampart.audit.verifying import MEANINGS, notes_of
from flask_rampart.cli import commands
from flask_rampart.cli.audit import line_of, safe
from flask_rampart.config import Settings

from .auditing import App, log_of, make, records
from .conftest import KEYS

__all__ = ["make"]
RECORD = {"writer": "0" * 32, "seq": 7, "time": "2026-11-29T10:00:00.000000Z", "event": "x"}


def run(app: Flask, *words: object) -> Result:
    return app.test_cli_runner().invoke(commands, ["audit", *map(str, words)])


@pytest.fixture
def app(make: App) -> Flask:
    app = make()
    app.get("/look/<name>")(public(audit("look", resource="thing:{name}")(lambda name: name)))
    client = app.test_client()
    client.get("/look/one")
    client.get("/look/two")
    client.get("/a/../b")
    log_of(app).close()
    return app


def the_file(app: Flask) -> Path:
    (path,) = log_of(app).directory.glob("*-*.jsonl")
    return path


# Verify -------------------------------------------------------------------------------------------------------------


def test_a_log_that_is_what_was_written_is_said_to_be(app: Flask) -> None:
    told = run(app, "verify")
    assert (told.exit_code, told.output) == (
        0,
        "9 records, 1 checkpoint, 1 writer (1 closed): nothing is wrong.\n",
    )


def _change(text: str) -> str:
    return text.replace("thing:two", "thing:six")


def _remove(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:4], *lines[5:]])


def _insert(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:4], '{"seq":4,"event":"forged"}\n', *lines[4:]])


def _swap(text: str) -> str:
    lines = text.splitlines(keepends=True)
    lines[3], lines[4] = lines[4], lines[3]
    return "".join(lines)


def _cut(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-2])


@pytest.mark.parametrize(
    "tamper, line, code, records_told",
    [
        (_change, 5, "changed", "record 4"),
        (_remove, 5, "missing", "record 4"),
        (_insert, 5, "unreadable", "record 4"),
        (_swap, 4, "missing", "record 3"),
        (_cut, None, "truncated", "up to record 8"),
    ],
    ids=["change", "remove", "insert", "swap", "cut"],
)
def test_each_fault_is_named_with_file_line_record_and_meaning(
    app: Flask, tamper: Any, line: int | None, code: str, records_told: str
) -> None:
    path = the_file(app)
    path.write_text(tamper(path.read_text()))
    told = run(app, "verify")
    assert told.exit_code == 1
    where = path.name if line is None else f"{path.name}:{line}"
    assert told.output.splitlines()[0] == f"{where}: {code} ({records_told}): {MEANINGS[code]}."
    document = json.loads(run(app, "verify", "--json").output)
    assert document["sound"] is False
    assert (document["faults"][0]["code"], document["faults"][0]["line"]) == (code, line)


def test_a_file_that_is_gone_is_named(app: Flask) -> None:
    path = the_file(app)
    path.unlink()
    told = run(app, "verify")
    assert told.exit_code == 1
    assert f"{path.name}: file_missing" in told.output


def test_no_log_is_another_exit_code_than_a_wrong_one(app: Flask, make: App, tmp_path: Path) -> None:
    for command in ("verify", "tail", "search", "export", "checkpoint"):
        told = run(app, command, "--directory", tmp_path / "none")
        assert told.exit_code == 2, command
        assert "there is no audit log" in told.output
    off = make(RAMPART_AUDIT_LOG="off")
    told = run(off, "verify")
    assert told.exit_code == 1 and 'RAMPART_AUDIT_LOG = "audit"' in told.output


def test_the_public_key_verifies_a_copy_elsewhere(app: Flask, tmp_path: Path) -> None:
    public_key = tmp_path / "key.pub"
    public_key.write_text(run(app, "key").output)
    told = run(app, "verify", "--directory", log_of(app).directory, "--key-file", public_key)
    assert told.exit_code == 0
    assert "2 records behind the last checkpoint of a writer" in told.output
    other = tmp_path / "other.pub"
    other.write_text(audit_public_key(audit_generate_key("other/audit")))
    assert run(app, "verify", "--key-file", other).exit_code == 1


def test_a_checkpoint_that_was_kept_tells_that_all_was_put_back_together(app: Flask, tmp_path: Path) -> None:
    log = log_of(app)
    earlier = tmp_path / "earlier"
    shutil.copytree(log.directory, earlier)
    log.event("later")
    log.close()
    anchors = tmp_path / "anchors"
    anchors.write_text(run(app, "checkpoint").output)
    assert len(notes_of(anchors.read_text()).notes) == 2
    told = run(app, "verify", "--anchors", anchors)
    assert (told.exit_code, "2 anchors held against it." in told.output) == (0, True)
    shutil.rmtree(log.directory)
    earlier.rename(log.directory)
    assert run(app, "verify").exit_code == 0  # what only somebody who holds a later checkpoint sees
    assert run(app, "verify", "--anchors", anchors).exit_code == 1
    assert run(app, "verify", "--known", anchors).exit_code == 1  # its name before


# CWE-117: a path or a name that holds what the next member looks like.
def test_a_value_looks_like_no_other_member() -> None:
    line = line_of({**RECORD, "event": "x", "principal": "eve principal=ada", "method": "GET", "target": "/a code=b"})
    assert line.endswith('x principal="eve principal=ada" GET "/a code=b"')
    assert line_of({**RECORD, "event": "x", "resource": ""}).endswith('x resource=""')
    assert line_of({**RECORD, "event": "x", "who": '"a"'}).endswith('who="\\"a\\""')


# Read ---------------------------------------------------------------------------------------------------------------


def test_tail_shows_one_line_for_each_record(app: Flask) -> None:
    lines = run(app, "tail").output.splitlines()
    assert [line.split(" request_id=")[0] for line in lines] == [
        "2027-01-15T08:00:00.000Z look allowed address=127.0.0.1 GET /look/one",
        "2027-01-15T08:00:00.000Z look complete",
        "2027-01-15T08:00:00.000Z look allowed address=127.0.0.1 GET /look/two",
        "2027-01-15T08:00:00.000Z look complete",
        "2027-01-15T08:00:00.000Z malicious_extraneous refused path.malformed address=127.0.0.1 GET /a/../b",
    ]
    assert len(run(app, "tail", "-n", 2).output.splitlines()) == 2
    assert "audit_writer_closed" in run(app, "tail", "-n", 2, "--own").output
    assert run(app, "tail", "-n", 0).output == ""


# CWE-150: a peer's escape sequence clears the screen, sets the title, or writes over the line above.
def test_control_characters_of_peers_never_reach_the_terminal(make: App) -> None:
    app = make()
    hostile = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\u200b\u2028\x9b31m\U000e0041"
    log_of(app).event("name", resource=hostile, text=hostile)
    log_of(app).close()
    for command in (("tail",), ("search",), ("search", "--json"), ("export",), ("export", "--format", "ocsf")):
        output = run(app, *command).output
        assert "\\u001b[2J" in output
        assert not set(output) & set("\x1b\x07\r\u202e\u200b\u2028\x9b\U000e0041"), command
    assert output.count("\n") == 1
    assert safe("Zo\u00eb \u4f60\u597d") == "Zo\u00eb \u4f60\u597d"
    assert line_of({**RECORD, "event": "x\x1b[2J"}) == "2026-11-29T10:00:00.000Z x\\u001b[2J"


def test_search_finds_by_each_criterion(app: Flask) -> None:
    request_id = records(app)[0]["request_id"]
    log_of(app).event("sent", who="x")
    for words, count in [
        (["--event", "look"], 4),
        (["--event", "malicious_*"], 1),
        (["--event", "look", "--event", "sent"], 5),
        (["--event", "audit_*"], 6),
        (["--code", "path.malformed"], 1),
        (["--request", request_id], 2),
        (["--principal", "ada"], 0),
        (["--since", "2027-01-15"], 6),
        (["--since", "2027-01-15T08:00:00.000001Z"], 0),
        (["--until", "2027-01-15T08:00:00Z"], 0),
        (["--own"], 12),
    ]:
        told = run(app, "search", "--json", *words)
        found = [line for line in told.output.splitlines() if line.startswith("{")]
        assert (told.exit_code, len(found)) == (0, count), words
    assert run(app, "search", "--since", "yesterday").exit_code == 2


def test_records_of_all_writers_come_in_the_order_of_time(tmp_path: Path) -> None:
    def file(writer: str, number: int, times: list[int]) -> None:
        lines = [
            json.dumps({"seq": i, "time": f"2026-11-29T10:00:{time:02}.000000Z", "event": "e", "at": time})
            for i, time in enumerate(times)
        ]
        (tmp_path / f"{writer * 32}-{number:06}.jsonl").write_text("\n".join([*lines, '{"seq":9,"ti']))

    file("a", 1, [1, 5, 9])
    file("a", 2, [20, 21])
    file("b", 1, [2, 3, 30])
    file("c", 1, [])
    log = Log(tmp_path)
    assert [one["at"] for one in log.records()] == [1, 2, 3, 5, 9, 20, 21, 30]
    assert [one["at"] for one in Log(tmp_path).last(3)] == [20, 21, 30]
    assert log.unread == 4  # the unfinished line of each file


def test_following_shows_each_record_once_and_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 32}-000001.jsonl"

    def line(seq: int) -> str:
        return json.dumps({"seq": seq, "time": "2026-11-29T10:00:00.000000Z", "event": "e"}) + "\n"

    path.write_text(line(0) + line(1) + line(2)[:20])
    log = Log(tmp_path)
    assert [one["seq"] for one in log.last(1)] == [1]
    assert log.news() == []
    path.write_text(line(0) + line(1) + line(2) + line(3)[:5])
    (tmp_path / f"{'b' * 32}-000001.jsonl").write_text(line(0))
    assert [(one["writer"][0], one["seq"]) for one in log.news()] == [("a", 2), ("b", 0)]
    assert log.news() == []


def test_tail_follows_another_process(app: Flask, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        "from flask import Flask\nfrom flask_rampart import Rampart\nfrom flask_rampart.cli import commands\n"
        f"app = Flask('shop', instance_path={str(tmp_path / 'instance')!r})\n"
        "app.config.update(RAMPART_AUDIT_LOG='audit', RAMPART_ACCESS_LOG='off')\nRampart(app)\n"
        "app.cli.add_command(commands)\n"
    )
    command = [sys.executable, "-m", "flask", "--app", str(script), "rampart", "audit", "tail", "-n", "0", "-f"]
    with subprocess.Popen([*command, "--interval", "0.05"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(process.stdout.readline()))  # type: ignore[union-attr]
        reader.start()
        for _ in range(2400):  # it may begin to look after the first of these
            log_of(app).event("followed")
            reader.join(0.05)
            if found:
                break
        process.kill()
    assert found and " followed" in found[0]


def test_what_is_no_record_is_counted_and_told(app: Flask) -> None:
    with the_file(app).open("a") as file:
        file.write("[]\nnull\n7\n" + "[" * 100_000 + '\n{"seq":true,"time":"x","event":"y"}\n')
    told = run(app, "search")
    assert told.exit_code == 0
    assert "5 lines that can be no record: flask rampart audit verify" in told.output


@pytest.mark.parametrize("text, ago", [("90s", 90), ("2h", 7200), ("1w", 604_800)])
def test_times_may_be_said_as_how_long_ago(text: str, ago: int) -> None:
    from datetime import datetime, timedelta, timezone

    now = datetime(2026, 11, 29, tzinfo=timezone.utc)
    is_wanted = wanted(since=text, now=lambda: now)
    for extra, found in [(0, True), (1, False)]:
        time = (now - timedelta(seconds=ago + extra)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert is_wanted({**RECORD, "time": time}) is found


# Export, prove, keys ------------------------------------------------------------------------------------------------


def test_an_export_is_ocsf_with_all_that_it_needs(app: Flask) -> None:
    lines = run(app, "export", "--format", "ocsf").output.splitlines()
    events = [json.loads(line) for line in lines]
    assert [(one["class_uid"], one["type_uid"], one["status_id"]) for one in events] == [
        *[(6003, 600399, 1)] * 4,
        (2004, 200401, 2),
    ]
    for one in events:
        assert one["category_uid"] == one["class_uid"] // 1000
        assert one["time"] == 1_800_000_000_000
        assert one["metadata"]["version"] == "1.8.0" and one["metadata"]["product"]["name"] == "shop"
    assert events[-1]["finding_info"]["title"] == "malicious_extraneous"
    assert events[-1]["status_code"] == "path.malformed"
    assert events[0]["resources"] == [{"name": "thing:one"}]
    login = event_of({**RECORD, "event": "authn_login_fail", "address": "192.0.2.1"}, "shop")
    assert login["user"] == {"name": "unknown", "type_id": 0} and login["activity_name"] == "Logon"


def test_an_export_in_our_own_form_is_the_records(app: Flask, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert run(app, "export", "--out", out, "--event", "look").exit_code == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == records(app)[:4]


def test_a_proof_holds_for_who_has_the_public_key_alone(app: Flask, tmp_path: Path) -> None:
    record = records(app)[0]
    proof, key = tmp_path / "proof.json", run(app, "key").output.strip()
    assert run(app, "prove", record["writer"], record["seq"], "--out", proof).exit_code == 0
    told = run(app, "check", proof, "--key", key)
    assert told.exit_code == 0
    assert json.loads(told.output.splitlines()[0])["resource"] == "thing:one"
    proof.write_text(proof.read_text().replace("thing:one", "thing:two"))
    assert run(app, "check", proof, "--key", key).exit_code == 1
    assert run(app, "check", proof, "--key", log_of(app).key()).exit_code == 1
    assert run(app, "prove", record["writer"], 999).exit_code == 1
    assert run(app, "prove", "0" * 32, 1).exit_code == 1


def test_keygen_makes_a_file_for_this_user_alone_and_never_a_second_time(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    told = run(app, "keygen", "--name", "api.example.com/audit", "--out", path)
    assert told.exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert told.output.strip() == audit_public_key(path.read_text())
    before = path.read_text()
    assert run(app, "keygen", "--out", path).exit_code == 1
    assert path.read_text() == before
    assert run(app, "keygen").output.startswith("PRIVATE+KEY+shop/audit+")
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_is_refused_with_the_cure(make: App, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "shared.key"
    write_key(path, audit_generate_key("shop/audit"))
    path.chmod(mode)
    app = make(RAMPART_AUDIT_KEY=str(path))
    with pytest.raises(ConfigError, match="chmod 600"):
        app.extensions["rampart"].seal()


def test_a_key_that_is_named_has_to_be_there_and_be_one(make: App, tmp_path: Path) -> None:
    app = make(RAMPART_AUDIT_KEY=str(tmp_path / "misspelt.key"))
    with pytest.raises(ConfigError, match="flask rampart audit keygen"):
        app.extensions["rampart"].seal()
    path = tmp_path / "wrong.key"
    write_key(path, "hunter2")
    with pytest.raises(ConfigError, match="no private key") as told:
        read_key(path)
    assert "hunter2" not in str(told.value)
    link = tmp_path / "link.key"  # as secrets are often mounted
    write_key(tmp_path / "right.key", audit_generate_key("shop/audit"))
    link.symlink_to(tmp_path / "right.key")
    assert read_key(link).startswith("PRIVATE+KEY+")


def test_another_key_stops_the_start_instead_of_crying_tampering(make: App, tmp_path: Path) -> None:
    app = make()
    log_of(app).event("one")
    log_of(app).close()
    other = tmp_path / "other.key"
    write_key(other, audit_generate_key("shop/audit"))
    with pytest.raises(ConfigError, match="begun with another key"):
        log_of(make(RAMPART_AUDIT_KEY=str(other))).check(app)
    log_of(make()).check(app)


def test_a_log_whose_key_is_gone_gets_no_other(app: Flask) -> None:
    log = log_of(app)
    (log.directory.parent / "audit.key").unlink()
    with pytest.raises(ConfigError, match="is gone"):
        log.key()
    assert not (log.directory.parent / "audit.key").exists()


def test_of_many_workers_that_start_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    ready, go = os.pipe(), os.pipe()
    results = []
    for _ in range(12):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(ready[1], b".")
                os.read(go[0], 1)
                os.write(write, key_of(None, folder, folder / "audit", "shop").encode())
                os._exit(0)
            finally:
                os._exit(1)
        os.close(write)
        results.append((child, read))
    for _ in results:
        os.read(ready[0], 1)
    os.write(go[1], b"." * len(results))
    keys = set()
    for child, read in results:
        keys.add(os.read(read, 4096))
        os.close(read)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for end in (*ready, *go):
        os.close(end)
    assert len(keys) == 1
    assert [one.name for one in folder.iterdir()] == ["audit.key"]


# The page ------------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "audit.md"


def test_the_page_has_every_fault_code_command_and_name() -> None:
    text = PAGE.read_text()
    for code in MEANINGS:
        assert f"| `{code}` |" in text
    for name in commands.commands["audit"].commands:  # type: ignore[attr-defined]
        assert f"audit {name}" in text or f"`{name}`" in text
    rows = re.findall(r"^\| (`[^|]*\.[^|]*`) \| `(\w+)` \| [\w ]+ \((\d+)\) \|$", text, re.M)
    told = {code: (name, int(uid)) for codes, name, uid in rows for code in re.findall(r"`([^`]+)`", codes)}
    assert told == {code: (name, kind_of(name).class_uid) for code, name in REFUSALS.items()}


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    block, anchor, sinks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "predict.json").write_text(
        '{"type": "object", "properties": {"text": {"type": "string"}, "language": {"type": "string"}}}'
    )
    app = Flask("page", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.testing = True
    app.config.update(RAMPART_ACCESS_LOG="off", RAMPART_LIMIT_STORE="memory://", RAMPART_JWT_KEYS=KEYS)
    space: dict[str, Any] = {"app": app, "classify": str.upper}
    exec(f"from flask_rampart import Rampart, audit, require, validate, validated\n{block}", space)
    anchored: list[bytes] = []
    space["requests"] = SimpleNamespace(post=lambda url, data, timeout: anchored.append(data))
    exec(anchor, space)
    other = Flask("other")
    exec(sinks, {"app": other})
    assert [one.kind for one in Settings.read(other.config).audit_sinks] == ["stdout", "syslog+tls"]
    with app.app_context():
        token = space["rampart"].tokens.issue("ada", scopes="predict")
    answer = app.test_client().post(
        "/models/big",
        json={"text": "hi", "language": "en"},
        headers={"Authorization": f"Bearer {token}"},
        buffered=True,
    )
    assert answer.get_json() == {"label": "HI"}
    assert [one["event"] for one in records(app)] == [
        "authn_token_created",
        "model.predict",
        "invoice.sent",
        "model.predict",
    ]
    log_of(app).close()
    assert anchored[-1].startswith(b"page/audit/")
