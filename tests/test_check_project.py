"""Which files are read for secrets, and in how many ways a secret may be written there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from flask_rampart import Rampart, regular
from flask_rampart.check import Finding, Severity
from flask_rampart.check.project import MOST_BYTES, loaded_files, python_files

from .checking import SOUND, SOUND_KEY, Place, checked, of, place

__all__ = ["place"]
LITERAL = "Xk3-nQ9_wTz7Rv5LpHd2"


def in_a_package(folder: Path) -> Flask:
    """A sound app in a package, with room beside it."""
    package = folder / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    app = Flask("shop_of_tests", root_path=str(package), instance_path=str(folder / "instance"))
    app.config.update(SOUND)
    Rampart(app)
    return app


def told(findings: list[Finding]) -> dict[str, Severity]:
    return {str(finding.place.file): finding.weight for finding in findings}


def test_what_lies_beside_the_package_is_read(place: Place) -> None:
    app = in_a_package(place.folder)
    for name in ("config.py", "wsgi.py"):
        (place.folder / name).write_text(f'SECRET_KEY = "{LITERAL}"\n')
    assert set(told(of(app, "RMP-105"))) == {"config.py", "wsgi.py"}


def test_the_project_around_the_package_is_read_where_there_is_one(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = in_a_package(place.folder)
    (place.folder / "settings").mkdir()
    (place.folder / "settings" / "production.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert of(app, "RMP-105") == []
    (place.folder / "pyproject.toml").write_text("")
    assert [Path(str(name)).name for name in told(of(app, "RMP-105"))] == ["production.py"]


def test_a_module_that_the_app_has_loaded_is_read_wherever_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "vars_of_the_host.py"
    file.write_text(f'SECRET_KEY = "{LITERAL}"\n')
    module = ModuleType("vars_of_the_host")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "vars_of_the_host", module)
    found = loaded_files()
    assert file in found and Path(str(pytest.__file__)) not in found and Path(__file__) in found
    monkeypatch.setattr("flask_rampart.check.project.loaded_files", lambda: [file])
    assert set(told(of(place.app(), "RMP-105"))) == {str(file)}


@pytest.mark.parametrize(
    "name, severity",
    [
        ("settings.cfg", Severity.ERROR),
        ("config.json", Severity.ERROR),
        ("app.toml", Severity.ERROR),
        ("deploy/values.yaml", Severity.ERROR),
        ("deploy/k8s/prod/values.yaml", Severity.ERROR),
        (".github/workflows/ci.yml", Severity.ERROR),
        (".vscode/launch.json", Severity.ERROR),
        (".gitlab-ci.yml", Severity.ERROR),
        ("docker-compose.override.yml", Severity.ERROR),
        ("Dockerfile", Severity.ERROR),
        ("docker/web/Dockerfile.prod", Severity.ERROR),
        ("Procfile", Severity.ERROR),
        ("bin/run.sh", Severity.ERROR),
        ("env/prod.env", Severity.ERROR),
        (".env", Severity.NOTE),
        (".env.production", Severity.NOTE),
        ("instance/settings.cfg", Severity.NOTE),
        ("instance/config.py", Severity.NOTE),
    ],
)
def test_a_value_in_use_is_found_in_files_of_settings(place: Place, name: str, severity: Severity) -> None:
    app = in_a_package(place.folder)
    path = place.folder / name
    path.parent.mkdir(exist_ok=True, parents=True, mode=0o700)
    path.write_text(f'# ours\nSECRET_KEY = "{SOUND_KEY}"\n')
    (finding,) = of(app, "RMP-105")
    assert (finding.place.file, finding.place.line, finding.weight) == (name, 2, severity)
    assert SOUND_KEY not in str(finding)


@pytest.mark.parametrize(
    "name",
    [".git/config.json", "vm/etc/x.cfg", "node_modules/a/x.json", ".cache/x.json", "made/x.json", "tests/x.toml"],
)
def test_files_of_settings_of_others_are_not_read(place: Place, name: str) -> None:
    path = place.folder / name
    path.parent.mkdir(parents=True)
    path.write_text(SOUND_KEY)
    (place.folder / "vm").mkdir(exist_ok=True)
    (place.folder / "vm" / "pyvenv.cfg").write_text("")
    (place.folder / "made").mkdir(exist_ok=True)
    (place.folder / "made" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    report = checked(place.app())
    assert report.findings == [] and report.notes == []


def test_files_of_settings_have_bounds_and_what_is_beyond_them_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/b/c/d.yaml", "a/e.json", "a/f.json", "g.json"):
        (place.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.folder / name).write_text("x" * 40)
    module = "flask_rampart.check.project"
    root = place.folder
    for bound, value, note in (
        ("DEEPEST", 2, f"of files with settings below {root}, those more than 2 folders down are not read."),
        ("MOST_SETTINGS", 2, f"only the first 2 files with settings below {root} are read."),
        ("MOST_BYTES_TOGETHER", 100, "only the first 100 bytes of files with settings are read."),
        ("MOST_FOLDERS", 3, f"only the first 3 folders below {root} are read."),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{bound}", value)
            assert checked(place.app()).notes == [note], bound
    assert checked(place.app()).findings == []


def test_a_link_out_of_the_project_to_settings_is_told_and_one_within_is_read_once(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "secrets" / "of" / "the" / "host").mkdir(parents=True)
    (tmp_path / "secrets" / "of" / "the" / "host" / "x.toml").write_text("")
    (place.folder / "outside").symlink_to(tmp_path / "secrets")
    (place.folder / "deploy" / "prod").mkdir(parents=True)
    (place.folder / "deploy" / "prod" / "x.json").write_text(SOUND_KEY)
    (place.folder / "again").symlink_to("deploy")
    report = checked(place.app())
    assert report.notes == ["outside is not read: it is a link that leads out of the folder that is read."]
    assert [finding.rule.id for finding in report.findings] == ["RMP-105", "RMP-009"]


@pytest.mark.parametrize(
    "source",
    [
        f'SECRET_KEY = "{LITERAL[:9]}" + "{LITERAL[9:]}"',
        f'SECRET_KEY = f"{LITERAL}"',
        f'SECRET_KEY = "".join(["{LITERAL}"])',
        f'SECRET_KEY = base64.b64decode("{LITERAL}")',
        f'SECRET_KEY = " {LITERAL} ".strip()',
        f'SECRET_KEY = ""\nSECRET_KEY += "{LITERAL}"',
        f'SECRET_KEY, DEBUG = "{LITERAL}", True',
        f'if (SECRET_KEY := "{LITERAL}"): pass',
        f'def make(*, secret_key="{LITERAL}"): pass',
        f'setattr(Config, "SECRET_KEY", "{LITERAL}")',
        f'SECRET_KEY = getenv("SECRET_KEY", "{LITERAL}")',
        f'key = config("SECRET_KEY", default="{LITERAL}")',
        f'key = env.str("SECRET_KEY", "{LITERAL}")',
        f'class Settings:\n    secret_key: str = Field("{LITERAL}")',
        f'AWS_SECRET_ACCESS_KEY = "{LITERAL}"',
        f'FERNET_KEY = "{LITERAL}"',
        f'jwt_key = "{LITERAL}"',
        f'PAYMENT_TOKEN = "{LITERAL}"',
        f'SECURITY_PASSWORD_SALT = "{LITERAL}"',
        f'connect(password="{LITERAL}")',
        'X = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"',
        'X = """-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"""',
        f'x = "{SOUND_KEY}"  # the one in use',
    ],
)
def test_a_secret_is_found_however_it_is_put_together(place: Place, source: str) -> None:
    (place.folder / "settings.py").write_text(source)
    assert len(of(place.app(), "RMP-105")) == 1


@pytest.mark.parametrize(
    "source",
    [
        'PASSWORD = "password"',
        'RESET_PASSWORD = "reset-password"',
        'ACCESS_TOKEN = "accessToken"',
        'HEADER_API_KEY = "X-API-Key"',
        'WRONG_PASSWORD = "The password isn\'t right: try again."',
        'SALT = "confirm-email"',
        'FORM = {"PASSWORD": "#pw"}',
        'SECRET_KEY = f"{first}-{second}"',
        'U = "redis://user:password@localhost/0"',
        "asyncio.run(main(), debug=True)",
        'asyncio.run(main(), debug=True)  # "SECRET_KEY"',
    ],
)
def test_names_headers_and_sentences_are_no_secrets(place: Place, source: str) -> None:
    (place.folder / "settings.py").write_text(f"import os\n{source}\n")
    assert checked(place.app()).findings == []


def test_an_address_that_is_put_together_has_a_password_in_it_too(place: Place) -> None:
    (place.folder / "settings.py").write_text(f'DB = f"postgresql://app:{LITERAL}@{{HOST}}/shop"\n')
    assert len(of(place.app(), "RMP-106")) == 1


def test_a_sum_of_many_texts_is_read_in_one_go(place: Place) -> None:
    (place.folder / "settings.py").write_text("SECRET_KEY = (" + " + ".join(['"k7"'] * 900) + ")\n")
    assert len(of(place.app(), "RMP-105")) == 1


@pytest.mark.parametrize(
    "line, found",
    [
        ("CMD flask --app shop --debug run --port 80", True),
        ('CMD ["python", "-m", "flask", "run"]', True),
        ('CMD ["python", "main.py"]', True),
        ("web: python3 -u /app/main.py", True),
        ("CMD python other.py", False),
        ("RUN flask db upgrade", False),
        ("# flask run", False),
        ("RUN flask " + "-a  " * 40 + "x", False),
        ('ENTRYPOINT ["flask"' + ', "--a"' * 40 + ', "serve"]', False),
    ],
)
def test_a_development_server_is_found_by_words_and_in_time(place: Place, line: str, found: bool) -> None:
    (place.folder / "main.py").write_text("import shop\n\nshop.app.run(port=80)\n")
    (place.folder / "other.py").write_text("import asyncio\n\nasyncio.run(main())\n")
    (place.folder / "Dockerfile").write_text(f"FROM python\n{line}\n")
    assert bool(of(place.app(), "RMP-008")) is found


def test_what_is_served_and_what_a_group_may_read(place: Place) -> None:
    app = place.app()
    static = place.folder / "static"
    static.mkdir()
    for name in ("backup.sql.gz", "terraform.tfstate", "dump.rdb", "credentials.json", "style.css", "slides.key"):
        (static / name).write_bytes(b"PK\3\4" if name == "slides.key" else b"x")
    found = {Path(str(each.place.file)).name for each in of(app, "RMP-704")}
    assert found == {"backup.sql.gz", "terraform.tfstate", "dump.rdb", "credentials.json"}
    (place.folder / ".env").write_text("A=1\n")
    (place.folder / ".flaskenv").write_text("FLASK_APP=shop\n")
    (place.folder / ".env").chmod(0o640)
    (place.folder / ".flaskenv").chmod(0o644)
    assert told(of(app, "RMP-701")) == {".env": Severity.NOTE}


def test_a_folder_that_links_lead_to_is_read_once_and_a_loop_ends(place: Place) -> None:
    (place.folder / "inner").mkdir()
    (place.folder / "inner" / "settings.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    (place.folder / "inner" / "again").symlink_to(place.folder)
    (place.folder / "other").symlink_to("inner")
    (place.folder / "self.py").symlink_to("self.py")
    (place.folder / "gone.py").symlink_to("nowhere.py")
    report = checked(place.app())
    assert [finding.rule.id for finding in report.findings] == ["RMP-105"] and report.notes == []


def test_links_to_what_is_not_read_hide_nothing_of_the_apps_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = place.folder / "vm" / "lib" / "python3.12" / "lib-of-others"
    packages.mkdir(parents=True)
    (place.folder / "vm" / "pyvenv.cfg").write_text("")
    for folder in ("inner", "inner/tests", ".kept"):
        (place.folder / folder).mkdir()
    for folder in (packages, place.folder / "inner" / "tests", place.folder / ".kept"):
        for number in range(5):
            (folder / f"m{number}.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    (place.folder / "inner" / "settings.py").write_text("")
    # By their names the first that are read.
    (place.folder / "a1").symlink_to(packages)
    (place.folder / "a2").symlink_to("inner/tests")
    (place.folder / "a3").symlink_to(".kept")
    (place.folder / "a4").symlink_to("inner")
    (place.folder / "zz.py").write_text("")
    monkeypatch.setattr("flask_rampart.check.project.MOST_FILES", 3)
    # The folder itself may be reached by a link, from below a hidden one.
    (place.folder / ".hidden").symlink_to(place.folder)
    for root in (place.folder, place.folder / ".hidden"):
        notes: list[str] = []
        assert [str(path.relative_to(root)) for path in python_files(root, notes)] == ["zz.py", "a4/settings.py"]
        assert notes == []


def test_a_link_that_leads_out_of_the_project_is_told_where_there_is_python(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = (
        "code",
        "deep/er/still",
        "linked",
        "data/years",
        "kept/.venv",
        "kept/tests",
        "far",
        "wide/a",
        "wide/b",
        "wide/c",
    )
    for name in deep:
        (tmp_path / name).mkdir(parents=True)
    for name in ("code", "deep", "linked", "data", "kept", "wide"):
        (place.folder / name).symlink_to(tmp_path / name)
    for name in ("code", "deep/er/still", "kept/.venv", "kept/tests", "far"):
        (tmp_path / name / "settings.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    (tmp_path / "data" / "years" / "values.csv").write_text("1\n")
    # Back again, and to what is read where it lies.
    (tmp_path / "data" / "self").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "project").symlink_to(place.folder)
    (tmp_path / "linked" / "again").symlink_to(tmp_path / "far")
    monkeypatch.setattr("flask_rampart.check.project.MOST_OUTSIDE", 3)
    report = checked(place.app())
    why = "is not read: it is a link that leads out of the folder that is read."
    # "wide" has more folders than are looked at.
    assert report.notes == [f"{name} {why}" for name in ("code", "deep", "linked", "wide")]
    assert {finding.rule.id for finding in report.findings} == {"RMP-009"}


def test_pipes_and_devices_under_a_files_name_are_not_waited_for(place: Place) -> None:
    os.mkfifo(place.folder / "pipe.py")
    os.mkfifo(place.folder / "settings.json")
    os.mkfifo(place.folder / "gunicorn.conf.py")
    (place.folder / "zeros.py").symlink_to("/dev/zero")
    report = checked(place.app())
    why = "is not read: it is a pipe, a socket or a device."
    assert report.notes == [f"{name} {why}" for name in ("gunicorn.conf.py", "pipe.py", "zeros.py", "settings.json")]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.mkdir(), "a folder"),
        (lambda path: path.write_bytes(b"x" * 11), "larger than 10 bytes"),
    ],
)
def test_what_a_name_leads_to_by_the_time_it_is_opened_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    make(tmp_path / "app.py")
    with pytest.raises(OSError, match=why):
        regular.read(tmp_path / "app.py", 10)


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(b"x" * 10)
    assert regular.read(tmp_path / "app.py", 10) == b"x" * 10


def test_a_launcher_that_is_not_looked_at_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_rampart.check.starting._MOST_BYTES", 99)
    os.mkfifo(place.folder / "Procfile")
    (place.folder / "fly.toml").write_text("#" * 100)
    (place.folder / "app.yaml").mkdir()
    report = checked(place.app())
    device = "is not read: it is a pipe, a socket, a device or a folder."
    told = {f"Procfile {device}", f"app.yaml {device}", "fly.toml is not read: it is larger than 99 bytes."}
    assert told <= set(report.notes)


def test_of_a_folder_with_very_many_folders_the_first_are_read_and_then_the_rest_of_the_project(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_rampart.check.project.MOST_INSIDE", 3)
    for name in ("data/a", "data/b", "data/c", "data/d", "data/e", "data/tests", "rest"):
        (place.folder / name).mkdir(parents=True)
        (place.folder / name / "x.py").write_text(f'SECRET_KEY = "{LITERAL}"\n')
    asked: list[str] = []
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: asked.append(Path(path).parent.name) or exists(path))
    report = checked(place.app())
    assert report.notes == [f"of the 5 folders in {place.folder / 'data'}, only the first 3 are read."]
    files = {finding.place.file for finding in report.findings if finding.rule.id != "RMP-009"}
    assert files == {"data/a/x.py", "data/b/x.py", "data/c/x.py", "rest/x.py"}
    # Nor are the others looked into: they may be very many.
    assert {"a", "b", "c", "rest"} <= set(asked) and not {"d", "e"} & set(asked)


def test_what_is_too_much_beside_the_package_and_in_the_instance_folder_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_rampart.check.project.MOST_INSIDE", 2)
    monkeypatch.setattr("flask_rampart.check.files._MOST_KEPT", 2)
    app = in_a_package(place.folder)
    instance = Path(app.instance_path)
    for name in ("a", "b", "c"):
        (instance / name).mkdir(parents=True)
    instance.chmod(0o755)
    notes = checked(app).notes
    shown = instance.relative_to(place.folder)
    assert any(
        note.endswith(f" folders in {instance} that may be the app's, only the first 2 are read.") for note in notes
    )
    assert f"only the first 2 files in {shown} are looked at." in notes


def test_what_may_not_be_read_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be allowed to read everything."""
    (place.folder / "closed").mkdir()
    (place.folder / "shut.py").write_text("")
    (place.folder / "large.py").write_text("#" * (MOST_BYTES + 1))
    scandir, stat = os.scandir, Path.stat

    def refused(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    def hidden(self: Path, **given: Any) -> Any:
        if self.name == "shut.py":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **given)

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr(Path, "stat", hidden)
    notes: list[str] = []
    list(python_files(place.folder, notes))
    assert sorted(notes) == [
        "closed is not read: Permission denied.",
        "large.py is not read: it is larger than a megabyte.",
        "shut.py is not read: Permission denied.",
    ]


@pytest.mark.parametrize(
    "source",
    [
        f'\ufeffSECRET_KEY = "{LITERAL}"\n'.encode(),
        f'# -*- coding: latin-1 -*-\nSECRET_KEY = "{LITERAL}\xe4"\n'.encode("latin-1"),
        f'#!/usr/bin/python\n# coding: utf-7\n+AFMARQBDAFIARQBUAF8ASwBFAFk- = "{LITERAL}"\n'.encode(),
    ],
)
def test_a_file_is_read_in_the_coding_that_it_names(place: Place, source: bytes) -> None:
    (place.folder / "settings.py").write_bytes(source)
    (finding,) = of(place.app(), "RMP-105")
    assert finding.place.file == "settings.py"


def test_a_coding_that_is_none_is_told(place: Place) -> None:
    (place.folder / "settings.py").write_bytes(f'# coding: nothing\nSECRET_KEY = "{LITERAL}"\n'.encode())
    assert checked(place.app()).notes == ["settings.py is not read: it is no Python of this version."]


def test_a_file_of_settings_in_utf_16_is_read(place: Place) -> None:
    (place.folder / "settings.ini").write_text(f"key = {SOUND_KEY}\n", encoding="utf-16")
    assert len(of(place.app(), "RMP-105")) == 1
