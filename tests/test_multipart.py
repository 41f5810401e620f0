"""Forms: every view's ``request.form`` and ``request.files`` come from one strict, bounded parser."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from flask import Flask, Request, jsonify, request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_rampart import ConfigError, Rampart, Upload, validate, validated
from flask_rampart._native import FormRejected, MultipartForm, form_fields

Make = Callable[..., Flask]
KIND = "multipart/form-data; boundary=x"
END = b"--x--\r\n"


def field(name: str, text: str, *more: str) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{name}"', *more]
    return "--x\r\n{}\r\n\r\n{}\r\n".format("\r\n".join(lines), text).encode()


def file(name: str, content: bytes = b"1", filename: str = "f.txt") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def post(app: Flask, body: bytes, kind: str = KIND, path: str = "/") -> Any:
    return app.test_client().post(path, input_stream=io.BytesIO(body), content_length=len(body), content_type=kind)


def echo() -> Any:
    files = [(name, one.filename, one.read().decode("latin-1")) for name, one in request.files.items(multi=True)]
    return jsonify(form=list(request.form.items(multi=True)), files=files)


@pytest.fixture(name="app")
def an_app(make_app: Make) -> Flask:
    app = make_app(RAMPART_MAX_BODY=300_000)
    app.post("/")(echo)
    return app


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_plain_view_reads_fields_and_files(app: Flask) -> None:
    answer = post(app, field("a", "1") + file("f", b"\x00\r\n--y", "C:\\x.png") + field("a", "\u00e9") + END)
    assert answer.json == {"form": [["a", "1"], ["a", "é"]], "files": [["f", "C:\\x.png", "\x00\r\n--y"]]}
    assert app.test_client().post("/", data={"a": ["1", "2"]}).json["form"] == [["a", "1"], ["a", "2"]]


MALFORMED = {
    "a preamble": b"hello\r\n" + field("a", "1") + END,
    "an epilogue": field("a", "1") + END + b"bye",
    "cut off": field("a", "1"),
    "no part": b"",
    "a name twice": field('a"; name="b', "1") + END,
    "two file names": file("a", filename='b"; filename="c') + END,
    "a file name of RFC 5987": file("a", filename="b\"; filename*=\"UTF-8''c") + END,
    "a quotation mark behind a backslash": field('a\\"; filename=\\"b', "1") + END,
    "another boundary that begins as ours": field("a", "1") + b"--xy\r\n" + END,
    "bare LF": (field("a", "1") + END).replace(b"\r\n", b"\n"),
    "NUL in a name": field("a\0", "1") + END,
    "base64": field("a", "MQ==", "Content-Transfer-Encoding: base64") + END,
    "latin-1": field("a", "1").replace(b"1", b"\xe9") + END,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_form_is_400_for_a_plain_view_and_never_an_empty_form(app: Flask, case: str) -> None:
    body = MALFORMED[case]
    # In werkzeug's own parser some of these are empty forms, and others are read in one of two ways.
    assert code(post(app, body)) == (400, "request.malformed")


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x; boundary=y",
        "multipart/form-data; boundary=x; boundary=x",
        "multipart/form-data; boundary*0=x",
        f"multipart/form-data; boundary={'x' * 101}",
        'multipart/form-data; boundary="x\\""',
        "multipart/form-data; boundary=x\xe9",
    ],
)
def test_a_boundary_that_is_not_one_is_refused(app: Flask, kind: str) -> None:
    assert code(post(app, field("a", "1") + END, kind)) == (400, "request.malformed")


@pytest.mark.parametrize("body", [b"a=%", b"a=%zz", b"a=\xff", b"a=%ff", b"_charset_=utf-7&a=1"])
def test_an_encoded_form_that_cannot_be_read_is_400(app: Flask, body: bytes) -> None:
    assert code(post(app, body, "application/x-www-form-urlencoded")) == (400, "request.malformed")


def test_what_is_no_form_stays_in_the_stream(make_app: Make) -> None:
    app = make_app()
    app.post("/")(lambda: jsonify(len(request.form), request.stream.read().decode()))
    assert post(app, b"--x", "multipart/mixed; boundary=x").json == [0, "--x"]
    assert post(app, b"abc", "text/plain").json == [0, "abc"]


def test_a_refused_form_is_not_read_on_by_who_asks_again(make_app: Make) -> None:
    # What is left of a refused form may be a form as well.
    app = make_app()
    seen: list[Any] = []

    @app.post("/")
    def view() -> Any:
        for _ in range(2):
            try:
                seen.append(dict(request.form))
            except Exception as error:
                seen.append(error.problem.code)  # type: ignore[attr-defined]
        return "ok"

    body = b"?" * (64 * 1024) + field("a", "1") + END
    assert post(app, body).status_code == 200
    assert seen == ["request.malformed"] * 2


def test_bounds_are_inclusive_and_beyond_them_is_413(make_app: Make) -> None:
    app = make_app(
        RAMPART_FORM_MAX_FIELDS=3,
        RAMPART_FORM_MAX_FIELD=10,
        RAMPART_MAX_FILES=2,
        RAMPART_MAX_FILE=50,
        RAMPART_MAX_BODY=9000,
    )
    app.post("/")(echo)
    within = [
        field("a", "1") * 3,
        field("a", "x" * 10),
        file("a") * 2 + field("a", "1") * 3,
        file("a", b"x" * 50),
    ]
    beyond = [field("a", "1") * 4, field("a", "x" * 11), file("a") * 3, file("a", b"x" * 51), field("x" * 1025, "1")]
    assert [post(app, body + END).status_code for body in within] == [200] * 4
    assert [code(post(app, body + END)) for body in beyond] == [(413, "body.too_large")] * 5
    encoded = "application/x-www-form-urlencoded"
    assert [post(app, body, encoded).status_code for body in (b"a&a&a", b"a=123456789")] == [200] * 2
    assert [code(post(app, body, encoded))[0] for body in (b"a&a&a&a", b"a=1234567890")] == [413] * 2
    assert code(post(app, field("a", "1") * 200 + END)) == (413, "body.too_large")


def test_what_werkzeug_bounds_for_a_request_holds_beside_it_and_the_stricter_wins(make_app: Make) -> None:
    app = make_app(RAMPART_FORM_MAX_FIELD=10)

    @app.post("/<int:parts>/<int:size>")
    def view(parts: int, size: int) -> Any:
        request.max_form_parts, request.max_form_memory_size = parts, size
        return echo()

    two = field("a", "12345") + file("f", b"x" * 500) + END
    assert post(app, two, path="/2/5").status_code == 200
    assert code(post(app, two, path="/1/5")) == (413, "body.too_large")
    assert code(post(app, two, path="/2/4")) == (413, "body.too_large")
    assert code(post(app, field("a", "x" * 11) + END, path="/2/500")) == (413, "body.too_large")


def test_a_form_of_undeclared_length_is_read_and_bounded(app: Flask) -> None:
    def send(body: bytes) -> Any:
        chunked = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        environ = EnvironBuilder("/", method="POST", content_type=KIND, input_stream=io.BytesIO()).get_environ()
        environ.pop("CONTENT_LENGTH", None)
        told, status, headers = run_wsgi_app(app, {**environ, **chunked})
        return app.response_class(told, status, headers)

    assert send(field("a", "1") + END).json["form"] == [["a", "1"]]
    assert code(send(file("a", b"x" * 300_000) + END)) == (413, "body.too_large")


def test_a_body_that_is_shorter_than_it_says_is_incomplete(app: Flask) -> None:
    body = field("a", "1") + END
    for length in (len(body) + 1, 1000):
        longer = {"CONTENT_LENGTH": str(length)}
        stream = io.BytesIO(body)
        answer = app.test_client().post("/", input_stream=stream, content_type=KIND, environ_overrides=longer)
        assert code(answer) == (400, "body.incomplete")


def test_half_a_body_that_somebody_read_is_refused_and_a_whole_one_is_empty_as_in_werkzeug(make_app: Make) -> None:
    app = make_app()

    @app.post("/<int:size>")
    def view(size: int) -> Any:
        request.stream.read(size)
        return echo()

    body = field("a", "1") + END
    # What is left of it is a form.
    assert code(post(app, body + body, path=f"/{len(body)}")) == (500, "body.consumed")
    assert post(app, body, path=f"/{len(body)}").json == {"form": [], "files": []}

    app = make_app()
    app.post("/")(lambda: jsonify(request.get_data().decode("latin-1")[:3], request.form["a"]))
    assert post(app, body).json == ["--x", "1"]


def test_files_share_the_memory_of_their_request(make_app: Make) -> None:
    app = make_app(RAMPART_UPLOAD_MEMORY=1000)
    app.post("/")(lambda: jsonify([one.stream.on_disk for one in request.files.getlist("f")]))
    sizes = [400, 400, 400, 200, 1]
    assert post(app, b"".join(file("f", b"x" * size) for size in sizes) + END).json == [False, False, True, False, True]
    app = make_app(RAMPART_UPLOAD_MEMORY=0)
    app.post("/")(lambda: jsonify([one.stream.on_disk for one in request.files.getlist("f")]))
    assert post(app, file("f", b"x") + END).json == [True]


def test_files_are_closed_when_a_form_is_refused_and_when_its_request_ends(make_app: Make) -> None:
    app = make_app()
    opened: list[Any] = []

    class Watched(Request):
        def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
            opened.append(io.BytesIO())
            return opened[-1]

    app = make_app(rampart=False)
    app.request_class = Watched
    Rampart(app)
    app.post("/")(echo)
    assert post(app, file("f") + END).json["files"] == [["f", "f.txt", "1"]]
    assert post(app, file("f") * 3).status_code == 400
    assert [one.closed for one in opened] == [True] * 4


def test_a_disk_that_is_full_is_not_the_peers_fault(make_app: Make) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    class Watched(Request):
        def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
            return Full()

    app = make_app(rampart=False)
    app.request_class = Watched
    Rampart(app)
    seen: list[str] = []

    @app.post("/")
    def view() -> Any:
        for _ in range(2):
            try:
                seen.append(str(dict(request.form)))
            except OSError:
                seen.append("full")
            except HTTPException as error:
                seen.append(error.problem.code)  # type: ignore[attr-defined]
        raise OSError("full")

    # What is left of it is a form, and is not read as one.
    body = file("f", b"x" * 65_536)[:65_536] + field("a", "1") + END
    assert post(app, body).status_code == 500
    assert seen == ["full", "body.consumed"]


def test_an_app_with_a_parser_of_its_own_is_told_where_a_form_is_validated(make_app: Make) -> None:
    class Lenient(FormDataParser):
        pass

    class Own(Request):
        form_data_parser_class = Lenient

    app = make_app(rampart=False)
    app.request_class = Own
    Rampart(app)
    app.post("/")(validate(form={"properties": {"a": {}}})(lambda: "ok"))
    app.testing = True
    with pytest.raises(ConfigError, match="form_data_parser_class"):
        app.test_client().post("/", data={"a": "1"})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"RAMPART_MAX_FILE": 2_000_000}, "raise RAMPART_MAX_BODY"),
        ({"RAMPART_MAX_FILES": -1}, "a whole number of files"),
        ({"RAMPART_FORM_MAX_FIELD": 0}, "a whole number of bytes"),
    ],
)
def test_a_bound_that_cannot_be_meant_stops_the_start_up(make_app: Make, config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_app(**config)


FORM = {"properties": {"name": {"type": "string"}, "a/b": {"type": "string"}}}


@pytest.mark.parametrize("unknown", ["reject", "ignore", "strip"])
def test_a_file_where_a_field_should_be_is_not_taken_for_absent(make_app: Make, unknown: Any) -> None:
    app = make_app()
    app.post("/")(validate(form=FORM, unknown=unknown)(lambda: jsonify(validated.form)))
    answer = post(app, file("name") + file("a/b") + END)
    assert (answer.status_code, answer.json["code"]) == (422, "form.invalid")
    assert [(one["pointer"], one["rule"]) for one in answer.json["errors"]] == [("/name", "type"), ("/a~1b", "type")]
    other = post(app, field("name", "1") + file("avatar") + END)
    assert other.status_code == (422 if unknown == "reject" else 200)


def test_the_view_reads_what_validate_has_judged(make_app: Make) -> None:
    app = make_app()
    view = validate(form={"properties": {"a": {"type": "array"}}})(
        lambda: jsonify(validated.form, request.form.to_dict(flat=False))
    )
    app.post("/")(view)
    for kind, body in (
        (KIND, field("a", "1") + field("a", "2") + END),
        ("application/x-www-form-urlencoded", b"a=1&a=2"),
    ):
        assert post(app, body, kind).json == [{"a": ["1", "2"]}] * 2


# Without backslashes: werkzeug takes two for one, and browsers write two for two.
NAMES = st.text(alphabet="abz_-[]. é;=", min_size=1, max_size=8)
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


def encoded(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    body = b""
    for name, filename, content in parts:
        told = f'; filename="{filename}"' if filename is not None else ""
        body += f'--x\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'.encode() + content + b"\r\n"
    return body + END


@given(
    st.lists(
        st.one_of(
            st.tuples(NAMES, st.none(), TEXTS.map(str.encode)),
            st.tuples(st.just("f"), st.sampled_from(["", "a.png", "é é"]), st.binary(max_size=60)),
        ),
        max_size=5,
    ),
    st.integers(1, 40),
)
def test_a_well_formed_form_is_read_as_werkzeug_reads_it(parts: list[tuple[str, str | None, bytes]], size: int) -> None:
    if any(mark in content for _, _, content in parts for mark in (b"\n--x", b"\r--x")) or any(
        content.startswith(b"--x") for _, _, content in parts
    ):
        return  # a boundary in the content: no longer the same form
    body = encoded(parts)
    ours = MultipartForm(KIND, parts=99, fields=99, files=99, field=9999, file=9999)
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, str, bytes]] = []
    for at in range(0, len(body), size):
        for event in ours.feed(body[at : at + size]):
            if isinstance(event, bytes):
                files[-1] = (*files[-1][:2], files[-1][2] + event)
            elif event is not None:
                if len(event) == 2:
                    fields.append(event)
                else:
                    files.append((event[0], event[1], b""))
    ours.finish()
    form, theirs = MultiPartParser().parse(io.BytesIO(body), b"x", len(body))
    read = [(name, one.filename, one.read()) for name, one in theirs.items(multi=True)]
    for one in theirs.getlist("f"):
        one.close()
    assert fields == [(name, content.decode()) for name, filename, content in parts if filename is None]
    assert sorted(fields) == sorted(form.items(multi=True))
    assert files == read


@given(st.binary(max_size=200), st.integers(1, 9))
def test_whatever_is_sent_as_a_form_is_read_or_refused_and_never_an_error(body: bytes, size: int) -> None:
    form = MultipartForm(KIND, parts=3, fields=3, files=3, field=9, file=9)
    with contextlib.suppress(FormRejected):
        for at in range(0, len(body), size):
            form.feed(body[at : at + size])
        form.finish()
    with contextlib.suppress(FormRejected):
        form_fields(body, most=3, longest=9)


@pytest.fixture(name="address")
def a_served_app(make_app: Make) -> Iterator[str]:
    app = make_app(RAMPART_MAX_BODY=300_000, RAMPART_LIMITS=...)
    app.post("/")(echo)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_real_clients_are_read(address: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    wanted = {
        "form": [["name", "Ada é"], ["empty", ""]],
        "files": [["f", "ä b.bin", content.decode("latin-1")]],
    }
    fields = {"name": "Ada é", "empty": ""}
    for send in (requests.post, httpx.post):
        answer = send(address, data=fields, files={"f": ("ä b.bin", content, "image/png")})
        assert answer.json() == wanted, send
    curl = shutil.which("curl")
    if curl is not None:
        (tmp_path / "ä b.bin").write_bytes(content)
        given = ["-F", "name=Ada é", "-F", "empty=", "-F", f"f=@{tmp_path}/ä b.bin"]
        ran = subprocess.run([curl, "-s", *given, address], capture_output=True, check=True)
        assert httpx.Response(200, content=ran.stdout).json() == wanted


def head(*lines: str) -> bytes:
    return "--x\r\n{}\r\n\r\n".format("\r\n".join(lines)).encode()


@pytest.mark.parametrize(
    ("told", "filename"),
    [
        ("filename=a.txt; filename*=utf-8''a.txt", "a.txt"),
        ("filename=\"=?utf-8?B?w6kudHh0?=\"; filename*=utf-8''%C3%A9.txt", "é.txt"),
    ],
    ids=["ASCII", "beyond"],
)
def test_files_are_read_as_dotnet_sends_them(app: Flask, told: str, filename: str) -> None:
    # HttpClient's MultipartFormDataContent.Add(content, name, fileName) writes the name in two ways.
    answer = post(app, head(f"Content-Disposition: form-data; name=f; {told}") + b"1\r\n" + END)
    assert answer.json["files"] == [["f", filename, "1"]]


def test_fields_are_read_as_apaches_client_sends_them(app: Flask) -> None:
    # MultipartEntityBuilder.addTextBody(name, text) takes ContentType.DEFAULT_TEXT.
    told = ("Content-Type: text/plain; charset=ISO-8859-1", "Content-Transfer-Encoding: 8bit")
    body = head('Content-Disposition: form-data; name="a"', *told) + "é\r\n".encode("latin-1") + END
    assert post(app, body).json["form"] == [["a", "é"]]


def test_a_boundary_is_as_long_as_those_of_known_clients_are(app: Flask) -> None:
    # RFC 2046 says 70; werkzeug's test client puts the time and a random number into it, and comes to 76 now and then.
    long = "-" * 15 + "WerkzeugFormPart_1795912345.12345671.2345678901234567e-05"
    long += "0" * (76 - len(long))
    body = f'--{long}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{long}--\r\n'.encode()
    assert post(app, body, f"multipart/form-data; boundary={long}").json["form"] == [["a", "1"]]


def test_a_boundary_of_asterisks_is_read(app: Flask) -> None:
    body = field("a", "1").replace(b"--x", b"--*****") + b"--*****--\r\n"
    assert post(app, body, "multipart/form-data;boundary=*****").json["form"] == [["a", "1"]]


def test_a_file_input_that_nobody_used_is_no_unknown_file(make_app: Make) -> None:
    app = make_app()
    app.post("/form")(validate(form=FORM)(lambda: jsonify(validated.form)))
    app.post("/files")(validate(files={"a": Upload(types=("text/plain",))})(lambda: jsonify(validated.files["a"].size)))
    unused = file("other", b"", "")
    assert post(app, field("name", "1") + unused + END, path="/form").json == {"name": "1"}
    assert post(app, file("a") + unused + END, path="/files").json == 1
    for chosen in (file("other", b"1", ""), file("other", b"", "f")):
        assert post(app, field("name", "1") + chosen + END, path="/form").status_code == 422
        assert post(app, file("a") + unused + chosen + END, path="/files").status_code == 422


def test_a_form_that_came_compressed_is_read(make_app: Make) -> None:
    app = make_app(RAMPART_REQUEST_CODINGS=("gzip",))
    app.post("/")(echo)
    body = gzip.compress(field("a", "1") + END)
    answer = app.test_client().post("/", data=body, content_type=KIND, headers={"Content-Encoding": "gzip"})
    assert answer.json["form"] == [["a", "1"]]


def test_a_peer_that_hangs_up_in_the_middle_of_a_file_leaves_nothing_behind(address: str) -> None:
    host, port = address[len("http://") : -1].split(":")
    with socket.create_connection((host, int(port))) as peer:
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {KIND}\r\nContent-Length: 1000\r\n\r\n"
        peer.sendall(head.encode() + file("f", b"x" * 10))
        peer.shutdown(socket.SHUT_WR)
        said = peer.makefile("rb").read()
    assert b"body.incomplete" in said
