"""A service of advisories: what is asked, and that whatever goes wrong is an error and never "no advisories"."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flask_rampart.cli import commands
from flask_rampart.dependencies import Cache, Package, Service, SourceFailed, installed
from flask_rampart.dependencies.service import CANARY

from .advising import KNOWN, Played, install, played, send, vulnerable


@pytest.fixture
def service() -> Iterator[Played]:
    with played() as service:
        yield service


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return vulnerable(tmp_path / "site")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # A proxy for other machines does not stand between this one and itself.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("RAMPART_ADVISORIES_URL", raising=False)
    return tmp_path / "cache" / "flask-rampart"


def run(site: Path, *words: object) -> Result:
    return CliRunner().invoke(commands, ["dependencies", "--path", str(site), *map(str, words)])


def packages(site: Path) -> list[Package]:
    return installed([str(site)])


def test_a_vulnerable_environment_is_told_of(service: Played, site: Path) -> None:
    told = run(site, "--source", service.url)
    assert told.exit_code == 1
    assert "flask 0.12, fixed in 0.12.3; PYSEC-2018-66, CVE-2018-1000656" in told.output
    assert "requests 2.19.0, fixed in 2.20.0; GHSA-x84v-xcm2-53pg" in told.output
    assert f"3 packages compared with {service.url} (asked now)." in told.output
    assert "5 errors, 0 warnings, 0 notes." in told.output


def test_only_names_and_versions_are_sent_and_a_known_package_is_asked_for_too(service: Played, site: Path) -> None:
    install(site, "own", "1.0+build.7")
    Service(service.url).ask(packages(site))
    path, sent = service.asked[0]
    asked = [(each["package"]["name"], each["version"]) for each in sent["queries"]]
    assert path == "/v1/querybatch"
    assert asked == [("flask", "0.12"), ("own", "1.0"), ("requests", "2.19.0"), ("werkzeug", "3.1.6"), CANARY]
    assert all(set(each) == {"package", "version"} for each in sent["queries"])


def test_the_source_may_be_set_in_the_environment(service: Played, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPART_ADVISORIES_URL", service.url)
    assert run(site).exit_code == 1
    assert service.asked


def test_a_withdrawn_advisory_counts_for_nothing(service: Played, site: Path) -> None:
    service.change = lambda answer: {**answer, "withdrawn": "2026-01-01T00:00:00Z"} if "id" in answer else answer
    assert run(site, "--source", service.url).exit_code == 0


def test_every_page_of_an_answer_is_read(service: Played, site: Path) -> None:
    def one_by_one(handler: Any, sent: Any) -> bool:
        if sent is None:
            return False
        results = []
        for query in sent["queries"]:
            found = service._of(query)
            at = int(query.get("page_token", 0))
            more = {"next_page_token": str(at + 1)} if at + 1 < len(found) else {}
            results.append({"vulns": found[at : at + 1], **more} if found else {})
        send(handler, {"results": results})
        return True

    service.instead = one_by_one
    found, unknown = Service(service.url).ask(packages(site))
    assert unknown == {}
    assert {name: len(advisories) for name, advisories in found.items()} == {"flask": 3, "requests": 2}


# Whatever goes wrong ------------------------------------------------------------------------------------------------

BATCH: dict[str, Any] = {
    "an empty answer for all": {"results": [{}, {}, {}, {}]},
    "nothing": {},
    "a list": [],
    "too few answers": {"results": [{}]},
    "too many answers": {"results": [{}] * 9},
    "an error as JSON": {"code": 3, "message": "Invalid query."},
    "ids that are none": {"results": [{"vulns": [{"id": "../../etc"}]}] * 4},
    "no ids": {"results": [{"vulns": [{}]}] * 4},
    "a page that never ends": {"results": [{"vulns": [{"id": "X-1"}], "next_page_token": "same"}] * 4},
    "an error for one of them": {"results": [{"error": "overloaded"}] * 3 + [{"vulns": [{"id": "PYSEC-2018-66"}]}]},
    "a token that is none": {"results": [{"vulns": [{"id": "X-1"}], "next_page_token": 7}] * 4},
}


@pytest.mark.parametrize("answer", BATCH.values(), ids=BATCH)
def test_an_answer_of_another_shape_is_an_error(service: Played, site: Path, answer: Any) -> None:
    service.change = lambda given: answer
    told = run(site, "--source", service.url)
    assert told.exit_code == 2, told.output
    assert told.stderr.startswith("Not checked: ") and told.stdout == ""


def test_a_service_that_knows_nothing_is_not_believed(service: Played, site: Path) -> None:
    service.change = lambda answer: {"results": [{} for _ in answer["results"]]}
    told = run(site, "--source", service.url)
    assert told.exit_code == 2
    assert told.stderr == (
        f"Not checked: {service.url} says nothing of flask 0.12.2, which has known advisories: what it says of the "
        "others cannot be believed. Without a network, name a file of advisories: --advisories FILE.\n"
    )


@pytest.mark.parametrize("status", [204, 302, 400, 403, 404, 429, 500, 502, 503])
def test_another_status_is_an_error(service: Played, site: Path, status: int) -> None:
    def answer(handler: Any, sent: Any) -> bool:
        handler.send_response(status)
        handler.send_header("Location", f"{service.url}/login")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    service.instead = answer
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and f"answered {status}" in told.stderr
    assert len(service.asked) == 1  # no redirect was followed


def test_a_login_page_with_200_is_an_error(service: Played, site: Path) -> None:
    # A captive portal answers everything, and with 200.
    service.instead = lambda handler, sent: send(handler, "<html>Welcome</html>", kind="text/html") or True
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "answered with text/html instead of JSON" in told.stderr
    service.instead = lambda handler, sent: send(handler, "<html>Welcome</html>") or True
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "is HTML, and no advisories" in told.stderr


def test_an_answer_that_is_cut_off_is_an_error(service: Played, site: Path) -> None:
    def cut(handler: Any, sent: Any) -> bool:
        body = json.dumps(service.answer("/v1/querybatch", sent)).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True
        return True

    service.instead = cut
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "cut off" in told.stderr


def test_an_answer_in_chunks_that_ends_in_the_middle_is_an_error(service: Played, site: Path) -> None:
    def cut(handler: Any, sent: Any) -> bool:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b'20\r\n{"results": [{}, {}, {}, {}]}')
        handler.close_connection = True
        return True

    service.instead = cut
    assert run(site, "--source", service.url).exit_code == 2


def test_an_answer_that_is_too_large_is_an_error(service: Played, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.dependencies.asking._MOST_BYTES", 50)
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "answered with more than 50 bytes" in told.stderr


def test_a_service_that_does_not_answer_in_time_is_an_error(service: Played, site: Path) -> None:
    done = threading.Event()
    service.instead = lambda handler, sent: done.wait(30) or True
    try:
        told = run(site, "--source", service.url, "--timeout", "0.3")
    finally:
        done.set()
    assert told.exit_code == 2 and "did not answer: no answer in time" in told.stderr


def test_an_answer_that_drips_is_an_error_in_the_end(service: Played, site: Path) -> None:
    done = threading.Event()

    def drip(handler: Any, sent: Any) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                if done.wait(0.02):
                    break
        except OSError:
            pass
        return True

    service.instead = drip
    try:
        told = run(site, "--source", service.url, "--timeout", "0.5")
    finally:
        done.set()
    assert told.exit_code == 2 and "took longer than 0.5 seconds" in told.stderr


def test_nobody_there_is_an_error(site: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = run(site, "--source", f"http://127.0.0.1:{port}")
    assert told.exit_code == 2 and "did not answer: Connection refused" in told.stderr


def test_a_server_without_tls_behind_an_https_address_is_an_error(service: Played, site: Path) -> None:
    told = run(site, "--source", service.url.replace("http://", "https://"))
    assert told.exit_code == 2 and "did not answer" in told.stderr


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://advisories.example", "is plain HTTP"),
        ("ftp://advisories.example", "is no https:// address"),
        ("file:///etc/passwd", "is no https:// address"),
        ("advisories.example", "is no https:// address"),
        ("https://ada:secret@advisories.example", "has a password in it"),
    ],
)
def test_an_address_that_cannot_be_trusted_is_not_asked(site: Path, url: str, why: str) -> None:
    told = run(site, "--source", url)
    assert told.exit_code == 2 and why in told.stderr and "secret" not in told.stderr


def test_a_record_that_cannot_be_had_is_an_error(service: Played, site: Path) -> None:
    service.instead = lambda handler, sent: sent is None and (send(handler, {"code": 5}, status=404) or True)
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "answered 404" in told.stderr


def test_a_record_of_another_advisory_is_an_error(service: Played, site: Path) -> None:
    service.change = lambda answer: KNOWN[4] if answer.get("id") == "PYSEC-2018-66" else answer
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "gave GHSA-j8r2-6x86-q33q for PYSEC-2018-66" in told.stderr


# A package index ----------------------------------------------------------------------------------------------------


def release(handler: Any, told: dict[str, Any]) -> bool:
    """Answers as an index: *told* by ``/NAME/VERSION/json``; 404 for what is not in there."""
    answer = told.get(handler.path)
    if isinstance(answer, dict) and "vulnerabilities" in answer:
        name, version = handler.path.split("/")[-3:-1]
        answer = {"info": {"name": name.title(), "version": version}, **answer}
    send(handler, answer if answer is not None else {"message": "Not Found"}, status=200 if answer is not None else 404)
    return True


CANARY_TOLD = {"vulnerabilities": [{"id": "PYSEC-2018-66", "aliases": ["CVE-2018-1000656"], "fixed_in": ["0.12.3"]}]}


def test_an_index_tells_it_with_each_release(service: Played, site: Path) -> None:
    withdrawn = {"id": "PYSEC-1", "aliases": [], "fixed_in": [], "withdrawn": "2026-01-01T00:00:00Z"}
    told = {
        "/simple/flask/0.12.2/json": CANARY_TOLD,
        "/simple/flask/0.12/json": {"vulnerabilities": [*CANARY_TOLD["vulnerabilities"], withdrawn]},
        "/simple/requests/2.19.0/json": {"vulnerabilities": []},
    }
    service.instead = lambda handler, sent: release(handler, told)
    said = run(site, "--source", f"index+{service.url}/simple")
    assert said.exit_code == 1
    assert "flask 0.12, fixed in 0.12.3; PYSEC-2018-66, CVE-2018-1000656\n" in said.output
    # It does not have this one, so nobody said that it is well.
    assert f"werkzeug 3.1.6: {service.url}/simple does not have this release.\n" in said.output
    assert "1 error, 1 warning, 0 notes." in said.output
    again = run(site, "--source", f"index+{service.url}/simple")
    assert again.output == said.output.replace("asked now", "answers kept for 0 minutes")


@pytest.mark.parametrize(
    "answer, why",
    [
        ({"vulnerabilities": []}, "cannot be believed"),
        ({"info": {}}, "it is no index that knows them"),
        ([], "it is no index that knows them"),
        ({"vulnerabilities": [{"id": "../x"}]}, "an advisory of flask that is none"),
        ({"vulnerabilities": ["x"]}, "an advisory of flask that is none"),
        (None, "cannot be believed"),
    ],
)
def test_an_index_that_knows_no_advisories_is_an_error(service: Played, site: Path, answer: Any, why: str) -> None:
    service.instead = lambda handler, sent: release(handler, {"/flask/0.12.2/json": answer})
    said = run(site, "--source", f"index+{service.url}")
    assert said.exit_code == 2 and why in said.stderr and said.stdout == ""


@pytest.mark.parametrize(
    "info", [{"name": "flask", "version": "99.0"}, {"name": "other", "version": "0.12.2"}, {}, None]
)
def test_an_index_that_answers_with_another_release_is_an_error(service: Played, site: Path, info: Any) -> None:
    service.instead = lambda handler, sent: release(handler, {"/flask/0.12.2/json": {**CANARY_TOLD, "info": info}})
    said = run(site, "--source", f"index+{service.url}")
    assert said.exit_code == 2 and "with another release" in said.stderr


def test_any_advisory_is_not_yet_the_one_that_is_known(service: Played, site: Path) -> None:
    any_id = {"vulns": [{"id": "ANY-1"}]}
    service.change = lambda answer: {"results": [any_id] * len(answer["results"])} if "results" in answer else answer
    told = run(site, "--source", service.url)
    assert told.exit_code == 2 and "cannot be believed" in told.stderr


def test_of_two_versions_of_one_package_each_is_asked_for_and_judged(service: Played, site: Path) -> None:
    install(site, "requests", "99.0")
    for told in (run(site, "--source", service.url), run(site, "--source", service.url)):
        assert "4 packages compared" in told.output
        assert "requests 2.19.0, fixed in" in told.output and "requests 99.0" not in told.output


def test_an_index_that_fails_in_the_middle_is_an_error(service: Played, site: Path) -> None:
    def answer(handler: Any, sent: Any) -> bool:
        if "requests" in handler.path:
            send(handler, {}, status=503)
            return True
        return release(handler, {"/flask/0.12.2/json": CANARY_TOLD})

    service.instead = answer
    said = run(site, "--source", f"index+{service.url}")
    assert said.exit_code == 2 and "answered 503" in said.stderr


# The cache ----------------------------------------------------------------------------------------------------------


def test_what_was_answered_is_kept_for_this_user_alone_and_its_age_is_told(
    service: Played, site: Path, own_cache: Path
) -> None:
    first = run(site, "--source", service.url)
    asked = len(service.asked)
    second = run(site, "--source", service.url)
    assert len(service.asked) == asked
    (path,) = own_cache.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700
    assert "(answers kept for 0 minutes)" in second.output
    assert second.output.replace("answers kept for 0 minutes", "asked now") == first.output
    run(site, "--source", service.url, "--no-cache")
    assert len(service.asked) == 2 * asked


def test_an_answer_that_is_too_old_is_asked_for_anew_and_never_stands_in(
    service: Played, site: Path, tmp_path: Path
) -> None:
    now = [1_000_000.0]
    cache = Cache(tmp_path / "kept", now=lambda: now[0])
    found, _ = Service(service.url).ask(packages(site))
    cache.write(service.url, packages(site), found, {"own": "why"})
    now[0] += 6 * 3600 - 1
    assert cache.read(service.url, packages(site)) == (found, {"own": "why"}, 6 * 3600 - 1)
    now[0] += 1
    assert cache.read(service.url, packages(site)) is None
    now[0] -= 7 * 3600  # written in the future: a clock was wrong
    assert cache.read(service.url, packages(site)) is None


def test_a_kept_answer_is_of_one_source_and_of_these_versions(service: Played, site: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "kept")
    cache.write(service.url, packages(site), {}, {})
    assert cache.read(service.url, packages(site)) is not None
    assert cache.read("https://elsewhere.example", packages(site)) is None
    install(site, "one-more", "1.0")
    assert cache.read(service.url, packages(site)) is None


@pytest.mark.parametrize("spoil", ["others can write", "a link", "cut off", "not JSON", "another shape"])
def test_a_kept_answer_that_is_not_as_it_was_written_is_not_read(
    service: Played, site: Path, tmp_path: Path, spoil: str
) -> None:
    cache = Cache(tmp_path / "kept")
    cache.write(service.url, packages(site), {"flask": []}, {})
    (path,) = (tmp_path / "kept").iterdir()
    if spoil == "others can write":
        path.chmod(0o666)
    elif spoil == "a link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        text = {"cut off": path.read_text()[:-5], "not JSON": "<html>", "another shape": '{"asked": []}'}[spoil]
        path.write_text(text)
    assert cache.read(service.url, packages(site)) is None


def test_a_cache_that_cannot_be_written_is_done_without(service: Played, site: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Cache(tmp_path / "file").write(service.url, packages(site), {}, {})
    assert Cache(tmp_path / "file").read(service.url, packages(site)) is None


def test_without_a_home_nothing_is_kept(service: Played, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert run(site, "--source", service.url).exit_code == 1
    assert "(asked now)" in run(site, "--source", service.url).output


def test_a_service_is_refused_at_once_if_its_address_is_none() -> None:
    with pytest.raises(SourceFailed):
        Service("https://")
