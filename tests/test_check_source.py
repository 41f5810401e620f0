"""Secrets and debuggers in the source, and files that others may read, change or fetch."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Blueprint

from flask_rampart.check import Finding, Severity
from flask_rampart.check.keys import bits_of, is_public
from flask_rampart.check.source import MOST_FILES, python_files

from .checking import SOUND_KEY, Place, checked, of, place
from .living import pem

__all__ = ["place"]
LITERAL = "Xk3-nQ9_wTz7Rv5LpHd2"


def lines(findings: list[Finding]) -> list[tuple[str | None, int | None]]:
    return [(finding.place.setting, finding.place.line) for finding in findings]


@pytest.mark.parametrize(
    "source, setting",
    [
        (f'SECRET_KEY = "{LITERAL}"', "SECRET_KEY"),
        (f'SECRET_KEY: str = b"{LITERAL}"', "SECRET_KEY"),
        (f'class Config:\n    DB_PASSWORD = "{LITERAL}"', "DB_PASSWORD"),
        (f'app.secret_key = "{LITERAL}"', "SECRET_KEY"),
        (f'app.config["STRIPE_API_KEY"] = "{LITERAL}"', "STRIPE_API_KEY"),
        (f'app.config.update(SECRET_KEY="{LITERAL}", DEBUG=False)', "SECRET_KEY"),
        (f'app.config.from_mapping({{"RAMPART_LIMIT_SECRET": "{LITERAL}"}})', "RAMPART_LIMIT_SECRET"),
        (f'SECRET_KEY = os.environ.get("SECRET_KEY", "{LITERAL}")', "SECRET_KEY"),
        (f'key = os.getenv("SECRET_KEY", "{LITERAL}")', "SECRET_KEY"),
        (f'SECRET_KEY = os.environ.get("KEY") or "{LITERAL}"', "SECRET_KEY"),
        (f'SECRET_KEY = "{LITERAL}" if DEV else os.environ["KEY"]', "SECRET_KEY"),
        (f'SECRET_KEY = "{LITERAL}".encode()', "SECRET_KEY"),
        (f'SECRET_KEY_FALLBACKS = [os.environ["OLD"], "{LITERAL}"]', "SECRET_KEY_FALLBACKS"),
        (f'RAMPART_JWT_KEYS = [{{"kid": "a", "alg": "HS256", "secret": "{LITERAL}"}}]', None),
        (f'KEYS = [{{"kty": "oct", "k": "{LITERAL}"}}]', None),
        (f'anything = "{SOUND_KEY}"', "SECRET_KEY"),  # the value that is in use
        ('DB_PASSWORD = "/kX3nQ9/wTz7+Rv5LpHd2="', "DB_PASSWORD"),  # base64, and no path
        ('DB_PASSWORD = "$ecret-x{3nQ9}wTz7"', "DB_PASSWORD"),
        ('KEYS = [{"alg": "ES256", "pem": "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEI"}]', None),
    ],
)
def test_a_secret_in_the_source_is_found_with_its_line(place: Place, source: str, setting: str | None) -> None:
    (place.folder / "settings.py").write_text(f"import os\n\n{source}\n")
    (finding,) = of(place.app(), "RMP-105")
    assert (finding.place.setting, finding.place.file) == (setting, "settings.py")
    assert finding.place.line == 3 + source.count("\n", 0, max(source.find(LITERAL), 0))
    assert LITERAL not in str(finding)


@pytest.mark.parametrize(
    "source",
    [
        'SECRET_KEY = os.environ["SECRET_KEY"]',
        'SECRET_KEY = ""',
        "SECRET_KEY = None",
        'API_KEY = "API_KEY"',  # a name of one
        'API_KEY = "rk_live_"',  # what they begin with
        'PASSWORD = "/run/secrets/password"',
        'PASSWORD = "./keys/Password.txt"',
        'PASSWORD = "$DB_PASSWORD"',
        'PASSWORD = "${DB_PASSWORD}"',
        'PASSWORD = "<your password>"',
        'KEYS = [{"kid": "a", "alg": "HS256", "secret": os.environ["KEY"]}]',
        'KEYS = [{"alg": "ES256", "pem": "-----BEGIN PUBLIC KEY-----\\nMFkw"}]',
        '"""SECRET_KEY = "Xk3-nQ9_wTz7Rv5LpHd2" is what you should not write."""',
        'DB = "postgresql://app:{password}@db/shop"',
        'DB = "postgresql://db/shop"',
        'DB = "https://example.com:8080/a@b"',
        '"""postgresql://app:hunter2@db/shop"""',
    ],
)
def test_what_is_no_secret_is_not_found(place: Place, source: str) -> None:
    (place.folder / "settings.py").write_text(f"import os\n{source}\n")
    assert checked(place.app()).findings == []


def test_a_password_in_an_address_is_found(place: Place) -> None:
    (place.folder / "settings.py").write_text('DB = "postgresql+psycopg://app:hunter2@db.internal/shop"\n')
    (finding,) = of(place.app(), "RMP-106")
    assert str(finding.place) == "settings.py:1" and "hunter2" not in finding.message


@pytest.mark.parametrize(
    "source, found",
    [
        ("SECRET_KEY = os.urandom(24)", True),
        ("app.secret_key = secrets.token_hex(32)", True),
        ('app.config["SECRET_KEY"] = os.urandom(24).hex()', True),
        ("SECRET_KEY = str(uuid.uuid4())", True),
        ("SECRET_KEY = uuid4().hex", True),
        ('SECRET_KEY = os.environ["SECRET_KEY"]', False),
        ("NONCE_SECRET = os.urandom(24)", False),  # perhaps of one process
        ("SECRET_KEY = read_or_make()", False),
    ],
)
def test_a_secret_that_each_worker_makes_is_found(place: Place, source: str, found: bool) -> None:
    (place.folder / "settings.py").write_text(f"import os\n{source}\n")
    assert lines(of(place.app(), "RMP-107")) == ([("SECRET_KEY", 2)] if found else [])


def test_a_debugger_that_the_source_starts_is_found(place: Place) -> None:
    (place.folder / "main.py").write_text(
        "if __name__ == '__main__':\n    app.run(debug=True)\n    app.run(debug=False)\n"
    )
    (finding,) = of(place.app(), "RMP-007")
    assert str(finding.place) == "main.py:2"


def test_tests_environments_and_packages_of_others_are_not_read(place: Place) -> None:
    for folder in ("tests", ".venv", "site-packages", "own-env", "node_modules"):
        (place.folder / folder).mkdir()
        (place.folder / folder / "settings.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    (place.folder / "own-env" / "pyvenv.cfg").write_text("")
    (place.folder / "test_settings.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    assert checked(place.app()).findings == []


def test_what_is_not_read_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder / "old.py").write_text(f'print "SECRET_KEY"\nSECRET_KEY = "{LITERAL}"\n')
    (place.folder / "zero.py").write_bytes(b"SECRET_KEY = '\0'\n")
    (place.folder / "deep.py").write_text("SECRET_KEY = " + "(" * 5000 + ")" * 5000)
    report = checked(place.app())
    assert [(finding.rule.id, finding.place.file) for finding in report.findings] == [
        ("RMP-009", name) for name in ("deep.py", "old.py", "zero.py")
    ]
    assert checked(place.app(), ignore=["RMP-009:*.py"]).findings == []
    assert sorted(report.notes) == [
        f"{name} is not read: it is no Python of this version." for name in ("deep.py", "old.py", "zero.py")
    ]
    monkeypatch.setattr("flask_rampart.check.project.MOST_FILES", 1)
    notes: list[str] = []
    assert len(list(python_files(place.folder, notes))) == 1
    assert notes == [f"only the first 1 Python files below {place.folder} are read."]
    assert MOST_FILES > 1


# Secrets that can be guessed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        b"dev",
        b"secret",
        b"changeme",
        b"change-me!",
        b"super-secret-key",
        b"your-256-bit-secret",
        b"django-insecure-k3j4h5k3j4h5",
        b"my_flask_app_secret_key_123",
        b'_5#y2L"F4Q8z\n\xec]/',
    ],
)
def test_what_manuals_print_is_public(secret: bytes) -> None:
    assert is_public(secret)


def test_what_is_made_at_random_never_is_and_has_bits_enough() -> None:
    # The sizes that people use, hundreds of each: a rule that cries wolf is switched off.
    import random

    chance = random.Random(7)
    hexadecimal, letters = "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for _ in range(800):
        for text in (
            "".join(chance.choices(hexadecimal, k=64)),
            "".join(chance.choices(letters, k=43)),
            "".join(chance.choices(letters, k=64)),
            "".join(chance.choices(hexadecimal, k=32)),  # token_hex(16), uuid4().hex
            "".join(chance.choices(letters, k=22)),  # token_urlsafe(16)
            "".join(chance.choices(letters[:-2], k=22)),
        ):
            assert not is_public(text.encode()) and bits_of(text.encode()) >= 112, text
        value = chance.randbytes(24)
        assert not is_public(value) and bits_of(value) >= 112, value


@pytest.mark.parametrize(
    "secret",
    [
        b"a" * 64,
        b"abcabcabcabcabcabcabcabcabcabcabcabcabc",
        b"0000000000000000000000000000000000000000000000000000000000000001",
        b"abcdefghijklmnopqrstuvwxyz0123456789",
        b"correct horse battery staple",
        b"orders-of-2024-for-the-shop",
        b"\0" * 64,
        b"CorrectHorseBatteryStaple",
        b"correcthorsebatterystaple",
        b"acmecorporationinvoicingplatform2024",
        b"thequickbrownfoxjumpsoverthelazydog",
        b"MyCompanyNameSuperSecretKey2024!",
        b"P@ssw0rdP@ssw0rdP@ss",
        b"asdfghjklasdfghjkl;zxcvbnm",
        b"Summer2024!Winter2025?Autumn",
        b"\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
        "überaus-geheimes-passwort".encode(),
        "café-secret-key-change-me".encode(),
    ],
)
def test_what_is_long_and_not_random_has_few_bits(secret: bytes) -> None:
    assert bits_of(secret) < 112


# Files --------------------------------------------------------------------------------------------------------------


def test_a_key_that_others_can_read_is_found(place: Place) -> None:
    key = place.folder / "key.pem"
    key.write_bytes(pem())
    key.chmod(0o644)
    app = place.app(
        RAMPART_JWT_KEYS=[{"kid": "a", "alg": "ES256", "path": "key.pem"}], RAMPART_STORE="sqlite:///r.sqlite3"
    )
    (finding,) = of(app, "RMP-701")
    assert str(finding.place) == "RAMPART_JWT_KEYS[0], key.pem" and "0644" in finding.message
    assert finding.weight is Severity.ERROR
    key.chmod(0o600)
    assert of(app, "RMP-701") == []


def test_an_environment_file_that_others_can_read_is_a_warning(place: Place) -> None:
    (place.folder / ".env").write_text("SECRET_KEY=x\n")
    (place.folder / ".env").chmod(0o644)
    (finding,) = of(place.app(), "RMP-701")
    assert (finding.weight, finding.place.file) == (Severity.WARNING, ".env")


def test_code_and_templates_that_others_can_change_are_found(place: Place) -> None:
    (place.folder / "views.py").write_text("")
    (place.folder / "templates").mkdir()
    (place.folder / "templates" / "home.html").write_text("")
    app = place.app()
    assert of(app, "RMP-702") == []
    (place.folder / "templates" / "home.html").chmod(0o666)
    (finding,) = of(app, "RMP-702")
    assert finding.place.file == "templates/home.html"
    (place.folder / "views.py").chmod(0o666)
    (finding,) = of(app, "RMP-702")
    assert "So may 1 others" in finding.message or "and 1 more" in finding.message


def test_a_log_that_everybody_can_read_is_found(place: Place) -> None:
    log = place.folder / "access.log"
    log.write_text("")
    log.chmod(0o644)
    (finding,) = of(place.app(RAMPART_ACCESS_LOG=str(log)), "RMP-703")
    assert finding.place.setting == "RAMPART_ACCESS_LOG"


def test_files_of_the_instance_folder_that_everybody_can_read_or_replace_are_found(place: Place) -> None:
    app = place.app()
    assert checked(app).findings == []
    instance = Path(app.instance_path)
    (instance / "config.py").write_text("")
    (instance / "config.py").chmod(0o644)
    instance.chmod(0o700)
    assert checked(app).findings == []  # nobody else gets there
    instance.chmod(0o755)
    (finding,) = checked(app).findings
    assert (finding.rule.id, finding.place.file) == ("RMP-703", "instance/config.py")
    (instance / "config.py").chmod(0o600)
    instance.chmod(0o757)
    (finding,) = checked(app).findings
    assert (finding.rule.id, finding.place.file) == ("RMP-702", "instance")


@pytest.mark.parametrize("name", [".env", "key.pem", "dump.sql", "app.py", "id_rsa", "backup/site.bak", ".git/config"])
def test_a_secret_in_a_static_folder_is_found(place: Place, name: str) -> None:
    path = place.folder / "static" / name
    path.parent.mkdir(parents=True)
    path.write_text("x")
    found = of(place.app(), "RMP-704", deploy=False)
    assert [finding.place.file for finding in found] == [f"static/{name}" if name != ".git/config" else "static/.git"]


def test_what_may_be_served_is_not_found(place: Place) -> None:
    static = place.folder / "static"
    static.mkdir()
    for name, text in (("site.css", "x"), ("site.js", "x"), ("cert.pem", "-----BEGIN CERTIFICATE-----\nMII")):
        (static / name).write_text(text)
    blueprint = Blueprint("files", "flask_app", static_folder=str(place.folder / "more"), root_path=str(place.folder))
    (place.folder / "more").mkdir()
    (place.folder / "more" / "server.key").write_text("x")
    app = place.app()
    app.register_blueprint(blueprint)
    assert [finding.place.file for finding in of(app, "RMP-704")] == ["more/server.key"]


def test_a_folder_with_more_files_than_are_looked_at_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.files._MOST", 2)
    static = place.folder / "static"
    static.mkdir()
    for name in "abc":
        (static / f"{name}.css").write_text("")
    (finding,) = checked(place.app()).findings
    assert finding.rule.id == "RMP-009" and "only the first 2 files and folders in" in finding.message


def test_a_path_outside_is_told_in_full(place: Place, tmp_path: Path) -> None:
    log = tmp_path / "elsewhere.log"
    log.write_text("")
    log.chmod(0o644)
    (finding,) = of(place.app(RAMPART_ACCESS_LOG=str(log)), "RMP-703")
    assert finding.place.file == str(log)
