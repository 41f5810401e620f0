"""What ``flask rampart migrate`` tells besides imports: settings, options, differences, requirements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flask_rampart.cli import commands
from flask_rampart.migrate import Report, look
from flask_rampart.migrate.concerns import CONCERNS
from flask_rampart.migrate.differences import concerning, differences
from flask_rampart.migrate.incumbents import BY_MODULE, INCUMBENTS
from flask_rampart.migrate.judging import options_of, settings_of
from tests.migrating import ROOT, ROWS, rows

JWT, LIMITER = BY_MODULE["flask_jwt_extended"], BY_MODULE["flask_limiter"]
SECRET = "hunter2-hunter2"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def looked(project: Path, **files: str) -> Report:
    """What is found in a project with these files; ``__`` in a name is a dot."""
    for name, text in files.items():
        path = project / name.replace("__", ".")
        path.write_text(text)
    return look(project)


def refused(report: Report) -> dict[str, str]:
    """What a face refuses, by setting or call."""
    found = {}
    for incumbent in INCUMBENTS:
        for judged in (*settings_of(report.facts, incumbent), *options_of(report.facts, incumbent)):
            if judged.refused and judged.is_known:
                found[judged.name] = judged.refused
    return found


def told(report: Report, name: str) -> list[str]:
    """The differences that concern a project, by their first cell."""
    return [each.difference.what for each in concerning(BY_MODULE[name], report.facts)]


# The pages.


def test_the_rows_that_are_told_are_those_of_the_pages() -> None:
    assert ROWS.read_text("utf-8") == rows(), "python -m tests.migrating writes them anew"


def test_each_reason_to_tell_a_row_is_one_of_a_row() -> None:
    assert {page for page in CONCERNS if CONCERNS[page]} <= {each.page for each in INCUMBENTS}
    for incumbent in INCUMBENTS:
        assert set(CONCERNS.get(incumbent.page, {})) <= {each.what for each in differences(incumbent)}


# Differences.


@pytest.mark.parametrize(
    "module, source, row",
    [
        ("flask_limiter", "limiter.limit('1/day', deduct_when=judge)", "`deduct_when`, and many requests at once"),
        ("flask_limiter", "Limiter(key, storage_uri='redis://h')", "`redis://`"),
        ("flask_limiter", "limiter.limit('0 per minute')", "`0 per minute`"),
        ("flask_limiter", "def static(): ...", "a view of yours that is called `static`"),
        ("flask_jwt_extended", "config['JWT_TOKEN_LOCATION'] = ['json']", "a JSON body that is no object"),
        (
            "flask_jwt_extended",
            "class C:\n    JWT_CSRF_METHODS = METHODS",
            '`JWT_CSRF_METHODS` as a text, such as `"POST"`',
        ),
        (
            "flask_jwt_extended",
            "JWT_ACCESS_TOKEN_EXPIRES = timedelta(0)",
            "`JWT_ACCESS_TOKEN_EXPIRES` or `JWT_REFRESH_TOKEN_EXPIRES` of no time: `0`, `timedelta(0)`",
        ),
        ("flask_talisman", "Talisman(app, referrer_policy=None)", "`referrer_policy=None`"),
        (
            "flask_wtf.csrf",
            "config['WTF_CSRF_ENABLED'] = False",
            "`WTF_CSRF_ENABLED = False` or an empty `WTF_CSRF_METHODS` in production",
        ),
        ("flask_cors", "CORS(app, origins=r'https://.*\\.a\\.example')", "a pattern of an origin"),
        ("flask_cors", "CORS(app, origins=ORIGINS)", "a pattern of an origin"),
        ("flask_cors", "@cross_origin()\ndef view(): ...", "a field that the view set, under `@cross_origin`"),
    ],
)
def test_a_difference_is_told_with_its_place_only_where_the_project_has_what_it_is_about(
    project: Path, module: str, source: str, row: str
) -> None:
    report = looked(project, app__py=f"import {module}\n\n{source}\n", other__py="x = 1\n")
    found = {each.difference.what: each.place for each in concerning(BY_MODULE[module.partition(".")[0]], report.facts)}
    assert str(found[row]).startswith("app.py:")
    (project / "app.py").write_text(f"import {module}\n")
    assert row not in told(look(project), module.partition(".")[0])


def test_a_default_that_nobody_set_is_told_and_one_that_is_set_is_not(project: Path) -> None:
    cookies = "from flask_jwt_extended import JWTManager\nJWT_TOKEN_LOCATION = 'cookies'\n"
    unset, shared = "`JWT_COOKIE_SECURE`, not set", "`memory://`, with several workers"
    report = looked(project, app__py=cookies, limits__py="from flask_limiter import Limiter\n")
    assert unset in told(report, "flask_jwt_extended")
    assert shared in told(report, "flask_limiter")
    assert not next(each for each in concerning(LIMITER, report.facts) if each.difference.what == shared).place
    report = looked(project, config__py="JWT_COOKIE_SECURE = True\nRATELIMIT_STORAGE_URI = 'redis://h'\n")
    assert unset not in told(report, "flask_jwt_extended")
    assert shared not in told(report, "flask_limiter")


def test_what_tests_set_hides_no_difference_of_production(project: Path) -> None:
    app = (
        "from flask_jwt_extended import JWTManager\nfrom flask_limiter import Limiter\nJWT_TOKEN_LOCATION = 'cookies'\n"
    )
    config = "dict(JWT_COOKIE_SECURE=False, RATELIMIT_STORAGE_URI='redis://h')\n"
    report = looked(project, app__py=app, conftest__py=config)
    assert "`JWT_COOKIE_SECURE`, not set" in told(report, "flask_jwt_extended")
    assert "`memory://`, with several workers" in told(report, "flask_limiter")


def test_what_the_face_has_judged_is_not_told_once_more(project: Path) -> None:
    row = "`;` in the value of a directive"
    whole = "from flask_talisman import Talisman\nTalisman(app, content_security_policy={'img-src': \"'self'\"})\n"
    assert row not in told(looked(project, app__py=whole), "flask_talisman")
    half = whole.replace("\"'self'\"", "IMAGES")
    assert row in told(looked(project, app__py=half), "flask_talisman")


# Settings and options.


@pytest.mark.parametrize(
    "source, name, words",
    [
        (f"JWT_SECRET_KEY = '{SECRET}'", "JWT_SECRET_KEY", "RAMPART_JWT_WEAK_SECRET = True keeps this one"),
        ("app.config.update(JWT_ALGORITHM='ES512')", "JWT_ALGORITHM", "ES512 is not supported"),
        ("app.config.from_mapping({'JWT_CSRF_METHODS': 'POST'})", "JWT_CSRF_METHODS", "is a list of methods"),
        ("class C:\n  JWT_DECODE_AUDIENCE: list = []", "JWT_DECODE_AUDIENCE", "JWT_DECODE_AUDIENCE is empty"),
        ("c.setdefault('RATELIMIT_ENABLED', '')", "RATELIMIT_ENABLED", "is True or False"),
        ("RATELIMIT_STORAGE_URI = 'mongodb://h'", "RATELIMIT_STORAGE_URI", "is not one of memory://"),
        (f"RATELIMIT_STORAGE_URI = '{SECRET}'", "RATELIMIT_STORAGE_URI", "a text without :// is not one of memory://"),
        ("RATELIMIT_STRATEGY = 'moving-windows'", "RATELIMIT_STRATEGY", "Did you mean moving-window?"),
        ("JWT_DECODE_LEEWAY = 10**9", "JWT_DECODE_LEEWAY", "from 0 to 86400"),
        ("JWT_DECODE_LEEWAY = 60 * 60 * 48", "JWT_DECODE_LEEWAY", "from 0 to 86400"),
        ("JWT_ALGORITHM = 'none'", "JWT_ALGORITHM", "none is not supported"),
        ("JWT_DECODE_ALGORITHMS = ['HS256', 'RS256']", "JWT_DECODE_ALGORITHMS", "one key cannot be"),
        ("JWT_DECODE_ALGORITHMS = ['ES512']", "JWT_DECODE_ALGORITHMS", "ES512 is not supported"),
        ("JWT_COOKIE_SECURE = 0", "JWT_COOKIE_SECURE", "True or False"),
        ("JWT_CSRF_METHODS = ['post']", "JWT_CSRF_METHODS", "Write 'POST'"),
        ("CORS_RESOURCES = {'/x': {'origins': 'null'}}", "CORS_RESOURCES", "every page in a sandbox"),
        ("a, app.config['JWT_COOKIE_SECURE'] = 1, 'x'", "JWT_COOKIE_SECURE", "not 'x'"),
        ("[[app.config['JWT_COOKIE_SECURE']], a] = [['x'], 1]", "JWT_COOKIE_SECURE", "not 'x'"),
        ("CORS_SUPPORTS_CREDENTIALS = True", "CORS_SUPPORTS_CREDENTIALS", "List the origins"),
        ("CORS_SUPPORTS_CREDENTIALS = 'False'", "CORS_SUPPORTS_CREDENTIALS", "not the text 'False'"),
        ("CORS_ORIGINS = ['null']", "CORS_ORIGINS", "every page in a sandbox"),
        ("WTF_CSRF_METHODS = 'POST'", "WTF_CSRF_METHODS", "WTF_CSRF_METHODS"),
        ("CORS(app, origin='https://a.example')", "CORS(...)", "Did you mean 'origins'?"),
        ("cors = CORS()\ncors.init_app(app, supports_credentials=True)", "CORS(...)", "List the origins"),
        ("CORS(app, resources={'/a': {'origins': '*', 'supports_credentials': True}})", "CORS(...)", "List the origins"),
        ("@cross_origin(origins='null')\ndef f(): ...", "cross_origin(...)", "sandbox"),
        ("Limiter(key, strategy='fixed')", "Limiter(...)", "is not one of fixed-window"),
        ("Talisman(app, content_security_policy={'default-src': 'self'})", "Talisman(...)", "without single quotes"),
    ],
)  # fmt: skip
def test_what_a_face_refuses_is_told_in_the_words_of_its_start_up(
    project: Path, source: str, name: str, words: str
) -> None:
    found = refused(looked(project, app__py=source))
    assert list(found) == [name]
    assert words in found[name]
    assert SECRET not in found[name]


@pytest.mark.parametrize(
    "source",
    [
        "JWT_SECRET_KEY = os.environ['JWT_SECRET_KEY']",
        f"JWT_SECRET_KEY = '{'x' * 32}'",
        "CORS_ORIGINS = ['https://a.example']\nCORS_SUPPORTS_CREDENTIALS = True",
        "CORS(app, origins=ORIGINS, supports_credentials=True)",
        "CORS(app, supports_credentials=True, **options)",
        "CORS_ORIGINS = ORIGINS\nCORS(app, supports_credentials=True)",
        "Talisman(app, content_security_policy=POLICY)",
        "Limiter(key, storage_uri=os.environ['STORE'])",
        "JWT_ACCESS_TOKEN_EXPIRES = timedelta(hours=hours)",
        "JWT_DECODE_ALGORITHMS = ['HS256', 'RS256']\n@jwt.decode_key_loader\ndef key(header, claims): ...",
        "JWT_DECODE_ALGORITHMS = ['RS256']",
        "JWT_DECODE_LEEWAY = 10 ** 10 ** 10",
        "JWT_DECODE_LEEWAY = 2 * 'x'",
        "CORS_RESOURCES = {'/x': {'supports_credentials': True}}\nCORS(app, origins=ORIGINS)",
        "a, app.config['JWT_COOKIE_SECURE'] = values",
        "a, *app.config['JWT_COOKIE_SECURE'] = 1, 'x'",
        "class Dev:\n  CORS_ORIGINS = '*'\nclass Live:\n  CORS_ORIGINS = ['https://a.example']\n"
        "  CORS_SUPPORTS_CREDENTIALS = True",
    ],
)
def test_what_is_not_written_in_the_project_is_not_judged(project: Path, source: str) -> None:
    assert refused(looked(project, app__py=source)) == {}


@pytest.mark.parametrize(
    "line, name, words",
    [
        ("FLASK_WTF_CSRF_ENABLED=False", "WTF_CSRF_ENABLED", "not 'False'"),
        ("export FLASK_JWT_COOKIE_SECURE='no'  # later", "JWT_COOKIE_SECURE", "not 'no'"),
        ('FLASK_JWT_CSRF_METHODS=["post"]', "JWT_CSRF_METHODS", "Write 'POST'"),
        ("FLASK_WTF_CSRF_ENABLED=true", "", ""),
        ("FLASK_JWT_COOKIE_SECURE=false # here", "", ""),
        ("FLASK_JWT_COOKIE_SECURE=$SECURE", "JWT_COOKIE_SECURE", None),
        ("FLASK_JWT_COOKIE_SECURE='a'b", "JWT_COOKIE_SECURE", None),
        ("WTF_CSRF_ENABLED=False", "WTF_CSRF_ENABLED", None),
    ],
)
def test_a_setting_of_the_environment_is_judged_as_flask_reads_it_or_not_at_all(
    project: Path, line: str, name: str, words: str | None
) -> None:
    report = looked(project, __flaskenv=f"{line}\n", app__py="import flask_jwt_extended, flask_wtf.csrf\n")
    found = [judged for each in INCUMBENTS for judged in settings_of(report.facts, each)]
    assert [judged.is_judged for judged in found] == [words is not None]
    assert {key: words in value for key, value in refused(report).items() if words} == ({name: True} if words else {})
    if words is None:
        source = "from flask_jwt_extended import JWTManager\nfrom flask_wtf.csrf import CSRFProtect\n"
        (project / "app.py").write_text(source)
        assert "not judged" in CliRunner().invoke(commands, ["migrate"], env={"COLUMNS": "100"}).output


def test_a_weak_secret_of_tests_is_taken_as_the_face_takes_it(project: Path) -> None:
    assert refused(looked(project, conftest__py="JWT_SECRET_KEY = 'test'")) == {}


def test_settings_are_found_in_files_of_every_kind_and_no_value_is_shown(project: Path) -> None:
    report = looked(
        project,
        app__py="from flask_jwt_extended import JWTManager\nfrom flask_cors import CORS\n",
        settings__cfg=f"JWT_SECRET_KEY = '{SECRET}'\n",
        __env=f"export FLASK_JWT_SECRET_KEY={SECRET}\nOTHER=1\n",
        setup__cfg=f"[app]\nJWT_ALGORITHM = {SECRET}\n",
        config__toml='JWT_VERIFY_SUB = false\nCORS_ORIGINS = ["https://a.example"]\n',
        config__json='{\n  "JWT_COOKIE_SECURE": true,\n  "JWT_FOO": 1\n}\n',
        compose__yaml=f"environment:\n  - JWT_PUBLIC_KEY={SECRET}\n  JWT_PRIVATE_KEY: {SECRET}\n",
    )
    found = {judged.name: str(judged.place) for judged in settings_of(report.facts, JWT)}
    assert found == {
        "JWT_SECRET_KEY": "settings.cfg:1",
        "JWT_ALGORITHM": "setup.cfg:2",
        "JWT_VERIFY_SUB": "config.toml:1",
        "JWT_COOKIE_SECURE": "config.json:2",
        "JWT_FOO": "config.json:3",
        "JWT_PUBLIC_KEY": "compose.yaml:2",
        "JWT_PRIVATE_KEY": "compose.yaml:3",
    }
    assert [str(judged.place) for judged in settings_of(report.facts, JWT) if judged.name == "JWT_SECRET_KEY"] == [
        ".env:1",
        "settings.cfg:1",
    ]
    assert set(refused(report)) == {"JWT_SECRET_KEY"}
    output = CliRunner().invoke(commands, ["migrate"]).output
    assert SECRET not in output


def test_a_setting_that_nobody_reads_is_told_with_the_nearest_that_is_read(project: Path) -> None:
    looked(project, app__py="from flask_limiter import Limiter\nRATELIMIT_STORAGE_URL = 'memory://'\n")
    output = " ".join(CliRunner().invoke(commands, ["migrate"]).output.split())
    assert "RATELIMIT_STORAGE_URL app.py:2 none of Flask-Limiter's. Did you mean RATELIMIT_STORAGE_URI?" in output


# Requirements.


def test_requirements_are_told_that_can_go_and_none_is_changed(project: Path) -> None:
    files = {
        "requirements-dev.txt": "-e .\nFlask_Limiter[redis]==3.8 \\\n    --hash=sha256:00\n# flask-cors\n",
        "pyproject.toml": '[project]\ndependencies = [\n  "flask-cors>=5", "Flask.Talisman",\n  "flask-corset",\n]\n',
        "Pipfile": '[packages]\nflask-jwt-extended = "*"\nflask-wtf = "*"\n',
        "notes.txt": "flask-cors\n",
    }
    source = "from flask_cors import CORS\nfrom flask_limiter import *\nfrom flask_wtf import FlaskForm\n"
    looked(project, app__py=source, **{name.replace(".", "__"): text for name, text in files.items()})
    output = " ".join(CliRunner().invoke(commands, ["migrate", "--write"]).output.split())
    for words in (
        "Pipfile:2 flask-jwt-extended: can go",
        "Pipfile:3 flask-wtf: stays: app.py:3 needs it",
        "pyproject.toml:3 flask-cors>=5: can go",
        "pyproject.toml:3 Flask.Talisman: can go",
        "requirements-dev.txt:2 Flask_Limiter[redis]==3.8: stays: app.py:2 needs it",
        "flask-rampart is in none of these files: add it.",
    ):
        assert words in output, output
    assert "notes.txt" not in output and "corset" not in output
    for name, text in files.items():
        assert (project / name).read_text() == text


def test_a_package_that_goes_is_told_of_what_it_brings_and_the_project_imports(project: Path) -> None:
    looked(
        project,
        forms__py="x = 1\nfrom wtforms import Form\n",
        tokens__py="def f():\n    import os, jwt as j\n",
        requirements__txt="Flask-WTF\nFlask-JWT-Extended\nFlask-Cors\n",
    )
    output = " ".join(CliRunner().invoke(commands, ["migrate"]).output.split())
    for words in (
        "Flask-WTF: can go, nothing here imports it; add WTForms then, which it brings and forms.py:2 imports",
        "Flask-JWT-Extended: can go, nothing here imports it; add PyJWT then, which it brings and tokens.py:2 imports",
    ):
        assert words in output
    assert output.count("which it brings") == 2
    looked(project, requirements__txt="Flask-WTF\nwtforms>=3\nflask-jwt-extended\n", jwt__py="")
    assert "brings" not in CliRunner().invoke(commands, ["migrate"]).output


def test_of_a_requirement_its_name_and_version_are_shown_and_no_address(project: Path) -> None:
    lines = (
        f"flask-cors @ git+https://oauth2:{SECRET}@git.example/o/x.git",
        f"git+https://{SECRET}@git.example/o/flask-limiter.git@v3",
        f"--extra-index-url https://me:{SECRET}@index.example Flask-Talisman >= 1.1, <2 ; python_version > '3.9'",
        f"flask-wtf=={SECRET}",
    )
    looked(project, requirements__txt="\n".join(lines))
    output = " ".join(CliRunner().invoke(commands, ["migrate"]).output.split())
    assert SECRET not in output
    for shown in ("1 flask-cors: can", "2 flask-limiter: can", "3 Flask-Talisman >= 1.1, <2: can", "4 flask-wtf: can"):
        assert f"requirements.txt:{shown} go" in output


def test_lines_are_no_wider_than_the_terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "\n".join(
        f"from {each.module} import *\nimport {each.module} as my_{each.page[:2]}" for each in INCUMBENTS
    )
    looked(
        project, app__py=f"{source}\nJWT_SECRET_KEY = 'x'\nCORS(app, origin='*')\n", requirements__txt="flask-cors\n"
    )
    for columns in (80, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        output = CliRunner().invoke(commands, ["migrate"]).output
        assert "What will behave differently" in output
        told = output[output.index("Stays, and is for you to change") :]
        assert max(map(len, told.splitlines())) <= columns


def test_the_page_shows_what_the_command_prints(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "migrate" / "README.md").read_text("utf-8")
    parts = re.findall(r"```(?:python|console)\n(.*?)```", page, re.S)
    looked(project, app__py=parts[0], requirements__txt="Flask-Cors==6.0.1\nFlask-Talisman==1.1.0\n")
    monkeypatch.setenv("COLUMNS", "80")
    assert "$ flask rampart migrate\n" + CliRunner().invoke(commands, ["migrate"]).output == parts[1]
