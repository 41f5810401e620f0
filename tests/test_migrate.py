"""Imports before and after a move, and what stays: by texts, as they stand in files."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_rampart.migrate.imports import Imports, imports_of, parsed
from flask_rampart.migrate.sources import Source

MOVES = {
    "from flask_limiter import Limiter": "from flask_rampart.compat.limiter import Limiter",
    "from flask_limiter import Limiter as L": "from flask_rampart.compat.limiter import Limiter as L",
    "from flask_limiter.util import get_remote_address": (
        "from flask_rampart.compat.limiter.util import get_remote_address"
    ),
    "from flask_limiter import util": "from flask_rampart.compat.limiter import util",
    "from flask_cors import CORS, cross_origin": "from flask_rampart.compat.cors import CORS, cross_origin",
    "from flask_jwt_extended.exceptions import NoAuthorizationError as Gone": (
        "from flask_rampart.compat.jwt_extended.exceptions import NoAuthorizationError as Gone"
    ),
    "from flask_talisman.talisman import GOOGLE_CSP_POLICY": (
        "from flask_rampart.compat.talisman.talisman import GOOGLE_CSP_POLICY"
    ),
    "import flask_limiter": "import flask_rampart.compat.limiter as flask_limiter",
    "import flask_limiter as fl": "import flask_rampart.compat.limiter as fl",
    "import flask_limiter.util": "import flask_rampart.compat.limiter as flask_limiter",
    "import flask_limiter.util as u": "import flask_rampart.compat.limiter.util as u",
    "import os, flask_cors , sys": "import os, flask_rampart.compat.cors as flask_cors , sys",
    "import flask_limiter\n\nlimiter = flask_limiter.Limiter(flask_limiter.util.get_remote_address)": (
        "import flask_rampart.compat.limiter as flask_limiter\n\n"
        "limiter = flask_limiter.Limiter(flask_limiter.util.get_remote_address)"
    ),
    "from flask_cors import (  # all of it\n    CORS,  # for the app\n    cross_origin,\n)": (
        "from flask_rampart.compat.cors import (  # all of it\n    CORS,  # for the app\n    cross_origin,\n)"
    ),
    "from flask_cors import \\\n    CORS": "from flask_rampart.compat.cors import \\\n    CORS",
    "def make():\n\tfrom flask_cors import CORS; return CORS": (
        "def make():\n\tfrom flask_rampart.compat.cors import CORS; return CORS"
    ),
    "try:\n    from flask_cors import CORS\nexcept ImportError:\n    CORS = None": (
        "try:\n    from flask_rampart.compat.cors import CORS\nexcept ImportError:\n    CORS = None"
    ),
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING: from flask_limiter import Limiter": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING: from flask_rampart.compat.limiter import Limiter"
    ),
    "from flask_wtf.csrf import CSRFError, generate_csrf": (
        "from flask_rampart.compat.wtf_csrf import CSRFError, generate_csrf"
    ),
    "import flask_wtf.csrf as protection": "import flask_rampart.compat.wtf_csrf as protection",
    "from flask_wtf import csrf": "from flask_rampart.compat import wtf_csrf as csrf",
    "from flask_wtf import (\n    CSRFProtect,\n    FlaskForm,  # stays\n)": (
        "from flask_rampart.compat.wtf_csrf import (\n    CSRFProtect,\n)\n"
        "from flask_wtf import (\n    FlaskForm,  # stays\n)"
    ),
    "é = 'ß'; from flask_cors import CORS": "é = 'ß'; from flask_rampart.compat.cors import CORS",
}
SPLITS = {
    "from flask_limiter import Limiter, HEADERS": (
        "from flask_rampart.compat.limiter import Limiter\nfrom flask_limiter import HEADERS"
    ),
    "from flask_limiter import HEADERS, Limiter as L  # noqa: F401\n": (
        "from flask_rampart.compat.limiter import Limiter as L  # noqa: F401\n"
        "from flask_limiter import HEADERS  # noqa: F401\n"
    ),
    "from flask_limiter import Limiter, HEADERS  # how much\n": (
        "from flask_rampart.compat.limiter import Limiter\nfrom flask_limiter import HEADERS  # how much\n"
    ),
    "def f():\r\n    from flask_limiter import Limiter, HEADERS\r\n": (
        "def f():\r\n    from flask_rampart.compat.limiter import Limiter\r\n    from flask_limiter import HEADERS\r\n"
    ),
    "if here: from flask_limiter import Limiter, HEADERS\n": (
        "if here: from flask_rampart.compat.limiter import Limiter; from flask_limiter import HEADERS\n"
    ),
    "x = 1; \\\nfrom flask_limiter import Limiter, HEADERS\n": (
        "x = 1; \\\nfrom flask_rampart.compat.limiter import Limiter; from flask_limiter import HEADERS\n"
    ),
    "from flask_limiter import (\n    Limiter,  # ours\n    # old\n    HEADERS,  # theirs\n)\n": (
        "from flask_rampart.compat.limiter import (\n    Limiter,  # ours\n    # old\n)\n"
        "from flask_limiter import (\n    HEADERS,  # theirs\n)\n"
    ),
    "from flask_limiter import (Limiter,\n                           HEADERS)\n": (
        "from flask_rampart.compat.limiter import (Limiter)\nfrom flask_limiter import (HEADERS)\n"
    ),
    "from flask_limiter import (\n    HEADERS,\n    Limiter\n)\n": (
        "from flask_rampart.compat.limiter import (\n    Limiter\n)\nfrom flask_limiter import (\n    HEADERS,\n)\n"
    ),
}
STAYS = {
    "from flask_limiter import *\n\nLimiter(key, __name__)": (
        "from flask_limiter import * stays: write from flask_rampart.compat.limiter import Limiter"
    ),
    "from flask_limiter.contrib.util import get_remote_address_cloudflare": (
        "flask_rampart.compat.limiter has no contrib.util: "
        "from flask_limiter.contrib.util import get_remote_address_cloudflare stays"
    ),
    "from flask_cors.core import parse_resources": (
        "flask_rampart.compat.cors.core has no parse_resources: from flask_cors.core import parse_resources stays"
    ),
    "from flask_limiter import annotations": (
        "flask_rampart.compat.limiter has no annotations: from flask_limiter import annotations stays"
    ),
    "import flask_limiter as fl\n\nfl.HEADERS.RESET": (
        "fl.HEADERS.RESET is not in flask_rampart.compat.limiter: import flask_limiter stays"
    ),
    "import flask_limiter.contrib": "flask_rampart.compat.limiter has no contrib: import flask_limiter.contrib stays",
    "import flask_wtf\n\nflask_wtf.csrf.CSRFProtect(app)": (
        "flask_wtf.csrf.CSRFProtect stays: write from flask_rampart.compat.wtf_csrf import CSRFProtect"
    ),
    "from flask_wtf.csrf import CsrfProtect": (
        "flask_rampart.compat.wtf_csrf has no CsrfProtect: from flask_wtf.csrf import CsrfProtect stays"
    ),
    'importlib.import_module("flask_limiter")': (
        '"flask_limiter" in import_module() stays: write "flask_rampart.compat.limiter" if it means the module'
    ),
    '@mock.patch("flask_jwt_extended.view_decorators.verify_jwt_in_request")\ndef test(): ...': (
        '"flask_jwt_extended.view_decorators.verify_jwt_in_request" in patch() stays: write '
        '"flask_rampart.compat.jwt_extended.view_decorators.verify_jwt_in_request" if it means the module'
    ),
    'patch("flask_limiter.nowhere.at_all")': (
        '"flask_limiter.nowhere.at_all" in patch() stays: flask_rampart.compat.limiter does not have it'
    ),
}
NOTHING = (
    "from flask_rampart.compat.limiter import Limiter",
    "import flask_rampart.compat.limiter as flask_limiter\nflask_limiter.Limiter",
    "from .flask_limiter import Limiter",
    "from . import flask_cors",
    "from flask_limiter_extras import Limiter",
    "import my.flask_limiter",
    '"""flask_limiter"""\nx = "flask_limiter is what we had"',
    "from flask_wtf import FlaskForm",
    "import flask_wtf\n\nclass Login(flask_wtf.FlaskForm): ...",
)


def moved(text: str) -> tuple[str, Imports]:
    """The text after a move, and what was found."""
    source = Source(text.encode())
    found = imports_of(source, parsed(source))
    return source.with_edits(found.edits), found


@pytest.mark.parametrize("before", MOVES)
def test_an_import_of_an_incumbent_becomes_one_of_its_face(before: str) -> None:
    after, found = moved(before)
    assert after == MOVES[before]
    assert not found.left


@pytest.mark.parametrize("before", SPLITS)
def test_names_that_a_face_lacks_stay_behind_in_a_statement_of_their_own(before: str) -> None:
    after, found = moved(before)
    assert after == SPLITS[before]
    assert [each.why.partition(":")[0] for each in found.left] == ["flask_rampart.compat.limiter has no HEADERS"]


@pytest.mark.parametrize("text", STAYS)
def test_what_cannot_be_changed_stays_and_is_told(text: str) -> None:
    after, found = moved(text)
    assert after == text
    assert [each.why for each in found.left] == [STAYS[text]]
    assert found.needed


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_none_of_an_incumbents_is_left_alone_and_not_told(text: str) -> None:
    after, found = moved(text)
    assert after == text
    assert not found.left


@pytest.mark.parametrize(
    "text",
    [
        "from flask_limiter import (\n    Limiter  # keep me\n  , HEADERS  # and me\n)\n",
        "from flask_limiter import (Limiter\n#x\n,\n#y\nHEADERS)\n",
        "from flask_limiter import (  # the limits\n    Limiter,\n    HEADERS,\n)\n",
        "from flask_limiter import (\n    Limiter, HEADERS,  # theirs\n    # the end\n)\n",
    ],
)
def test_a_statement_stays_if_a_comment_could_not_be_kept_with_its_name(text: str) -> None:
    after, found = moved(text)
    if after == text:
        assert "stays, as a comment would not stay with its name" in found.left[-1].why
    assert sorted(re.findall("#.*", after)) == sorted(re.findall("#.*", text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "from flask_wtf import csrf\n\ncsrf._get_config(1)",
            "csrf._get_config is not in flask_rampart.compat.wtf_csrf: from flask_wtf import csrf stays",
        ),
        (
            "from flask_cors import core as c, CORS\n\nc.parse_resources\nc.get_cors_options",
            "c.parse_resources is not in flask_rampart.compat.cors.core: from flask_cors import core stays",
        ),
    ],
)
def test_a_module_stays_by_which_something_is_used_that_its_face_lacks(text: str, why: str) -> None:
    after, found = moved(text)
    assert ast.unparse(ast.parse(text).body[0]).split(", CORS")[0] in after
    assert [(each.line, each.why) for each in found.left][:1] == [(3, why)]


def test_names_in_letters_of_full_width_are_moved_once() -> None:
    after, _ = moved("from flask_cors import \uff23ORS")
    assert after == "from flask_rampart.compat.cors import \uff23ORS"
    assert not moved(after)[1].edits


def test_imports_that_would_give_one_name_two_modules_all_stay() -> None:
    text = "import flask_limiter\nimport flask_limiter.contrib\nimport flask_cors\n"
    after, found = moved(text)
    assert after == text.replace("import flask_cors", "import flask_rampart.compat.cors as flask_cors")
    assert [each.line for each in found.left] == [1, 2]


def test_a_module_of_the_projects_own_is_none_of_an_incumbents() -> None:
    source = Source(b"from flask_cors import CORS\nfrom flask_limiter import Limiter\n")
    found = imports_of(source, parsed(source), frozenset(("flask_cors",)))
    assert source.with_edits(found.edits).startswith("from flask_cors import CORS\nfrom flask_rampart")


def test_a_statement_that_keeps_its_names_changes_in_its_module_alone() -> None:
    text = "from flask_cors import (\n    CORS,\n)\n"
    _, found = moved(text)
    edit = found.edits[0]
    assert text[: edit.start] + edit.text + text[edit.end :] == moved(text)[0]
    assert text[edit.start : edit.end] in "flask_cors"
    assert [line for hunk in Source(text.encode()).hunks(found.edits) for line in hunk] == [
        "@@ -1,3 +1,3 @@",
        "-from flask_cors import (",
        "+from flask_rampart.compat.cors import (",
        "     CORS,",
        " )",
    ]


LINES = st.sampled_from(
    [
        *(f"{before}\n" for before in MOVES if not before.startswith(("def", "try", "from typing"))),
        *(f"{before.rstrip()}\n" for before in SPLITS if not before.startswith(("def", "if", "x"))),
        *("x = 1  # é\n", "\n", "def f(a, b=(1,\n      2)):\n\treturn a\n", "class A:\n    '''flask_cors'''\n"),
        *("\f\n", "y = '''\n  flask_limiter\n'''\n", "import os; import flask_cors; z = 2\n"),
    ]
)
ENDS = st.sampled_from(["\n", "\r\n"])
CODINGS = st.sampled_from(["", "# -*- coding: latin-1 -*-\n", "\ufeff"])


@given(st.lists(LINES, max_size=8), ENDS, CODINGS)
@settings(max_examples=60, deadline=None)
def test_twice_is_once_and_what_changed_parses_and_no_other_byte_changes(lines: list[str], end: str, head: str) -> None:
    raw = (head + "".join(lines)).replace("\n", end).encode("latin-1" if "latin" in head else "utf-8")
    source = Source(raw)
    found = imports_of(source, parsed(source))
    after = source.encoded(source.with_edits(found.edits))
    again = Source(after)
    tree = ast.parse(after)
    assert not imports_of(again, parsed(again)).edits
    # With the imports taken out of both, nothing differs.
    assert without_imports(source, ast.parse(raw)) == without_imports(again, tree)


def without_imports(source: Source, tree: ast.Module) -> list[str]:
    """What stands between imports, without the ends of lines and semicolons that a split adds."""
    text = source.text
    spans = sorted(
        (source.place(node.lineno, node.col_offset), source.place(node.end_lineno or 0, node.end_col_offset or 0))
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    )
    parts, at = [], 0
    for start, stop in spans:
        parts.append(text[at:start])
        at = stop
    return [part for part in (each.strip(" \t\r\n;") for each in (*parts, text[at:])) if part and "noqa" not in part]


def test_a_face_that_is_not_there_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from flask_rampart.migrate import incumbents

    gone = replace(incumbents.BY_MODULE["flask_cors"], face="flask_rampart.compat.nowhere")
    monkeypatch.setitem(incumbents.BY_MODULE, "flask_cors", gone)
    after, found = moved("from flask_cors import CORS")
    assert after == "from flask_cors import CORS"
    assert found.left[0].why == "flask_rampart.compat.nowhere has no flask_cors: from flask_cors import CORS stays"


@pytest.mark.parametrize(
    "text, why",
    [
        ("import flask_wtf as w, flask_wtf.csrf\nw.FlaskForm\n", []),
        (
            "import flask_wtf as w\nw.CSRFProtect(app)\n",
            ["w.CSRFProtect stays: write from flask_rampart.compat.wtf_csrf import CSRFProtect"],
        ),
        ("from flask_wtf import *\nclass F(FlaskForm): ...\n", []),
        (
            "from flask_wtf import *\nCSRFProtect(app)\n",
            [
                "from flask_wtf import * stays, for forms: write from flask_rampart.compat.wtf_csrf import CSRFProtect "
                "below it"
            ],
        ),
    ],
)
def test_forms_by_another_name_or_a_star_are_no_more_told_than_by_their_own(text: str, why: list[str]) -> None:
    after, found = moved(text)
    assert after == text and [each.why for each in found.left] == why
    assert [each.name for each in found.needed] == ["Flask-WTF"]


LIMITER = "from flask_limiter import Limiter\nlimiter = Limiter(key)\n"


@pytest.mark.parametrize(
    "text, what",
    [
        (
            f"{LIMITER}limiter.storage.reset()\nlimiter.reset()\nlimiter.key_func, limiter.enabled\n",
            ["limiter.storage"],
        ),
        (f"{LIMITER}limiter.context\n", ["limiter.context"]),
        ("import flask_limiter as fl\nl = m = fl.Limiter(key)\nm.storage\nl.limit\n", ["m.storage"]),
        ("from flask_jwt_extended import JWTManager as J\njwt: J = J()\njwt.nothing\n", ["jwt.nothing"]),
        ("from flask_talisman import Talisman\nt = Talisman()\nt.content_security_policy\nt.nope\n", ["t.nope"]),
        (
            "from flask_wtf.csrf import CSRFProtect\nc = CSRFProtect()\nc.exempt(v)\nc._exempt_views\nc.nope\n",
            ["c.nope"],
        ),
        (f"{LIMITER}limiter.mine = 1\nlimiter.mine\n", []),
        ("limiter = Limiter(key)\nlimiter.storage\n", []),
        ("from flask_cors import CORS\ncors = CORS(app)\ncors.init_app(other)\n", []),
    ],
)
def test_what_an_extension_of_a_face_does_not_have_is_told_before_and_after_the_change(
    text: str, what: list[str]
) -> None:
    after, found = moved(text)
    assert [each.why.partition(" ")[0] for each in found.left] == what
    assert [each.why for each in moved(after)[1].left] == [each.why for each in found.left]


@pytest.mark.parametrize(
    "text",
    [
        "import flask_limiter\nL = flask_limiter\nL.HEADERS\n",
        "import flask_limiter\ngetattr(flask_limiter, 'HEADERS')\n",
        "import flask_limiter as fl\nL = fl\nclass A:\n    x = getattr(L, 'HEADERS', None)\n",
    ],
)
def test_what_is_used_by_another_name_of_a_module_counts(text: str) -> None:
    after, found = moved(text)
    assert after == text
    assert any("HEADERS is not in flask_rampart.compat.limiter" in each.why for each in found.left)
