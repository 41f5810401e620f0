"""Requests that schemathesis makes from the document of ``examples/predict_api``, against the app itself.

    python -m tests.generated --cases 10000

Prints how many there were for each operation, which statuses they got, and every failure of every check. Exits with 1 if
there is one. Half of the cases are of the shape that the document demands, half break it; all carry a credential that
their operation takes, so that they reach the view. The clock is advanced before each: quotas are others' tests.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response

from examples.predict_api import app as example
from examples.predict_api import forge
from examples.predict_api.accounts import new_account, save
from examples.predict_api.attacks.files import BOUNDARY, form, png, zipped
from flask_rampart import Clock, Rampart, clean_text
from flask_rampart.errors import PROBLEMS

NOW = 1_800_000_000
STEP = 120.0
KEY = forge.new_key()
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
UPLOADS = {"screenshot": png(8, 8), "log": zipped(1000)}
PASSWORD = "correct horse battery"
_NO_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\\/]|\A\.\.?\Z")


class Open:
    """An app that asks nobody who they are."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.clock = Clock.manual(NOW)

    def credentials(self) -> dict[str, str]:
        """None are needed."""
        return {}

    def is_told(self, case: Any, mode: GenerationMode) -> bool:
        """Whether a document can say that a case is good, or bad: not that some texts stand in no path whatever its route."""
        texts = [text for text in (case.path_parameters or {}).values() if isinstance(text, str)]
        return mode is GenerationMode.NEGATIVE or not any(_NO_PATH.search(unquote(text)) for text in texts)

    def form_of(self, case: Any) -> bytes | None:
        """The form of a good case, where a document cannot say what is good; None where it can."""
        return None


class Fleeting(Open):
    """The example, with a clock that the cases advance, and callers for all its routes."""

    def __init__(self, folder: Path, **config: Any) -> None:
        (folder / "key.pem").write_bytes(forge.private_pem(KEY))
        save(
            folder / "users.json",
            [new_account("u-ada", "ada@mail.example", PASSWORD, scopes=["predict"], roles=["admin"])],
        )
        clock = Clock.manual(NOW)
        with _told_by(clock) as rampart:
            app = example.create_app(
                {
                    "PREDICT_KEY_PEM": str(folder / "key.pem"),
                    "PREDICT_USERS": str(folder / "users.json"),
                    "RAMPART_ACCESS_LOG": "off",
                    "RAMPART_STORE": f"sqlite:///{folder}/records.sqlite3",
                    "RAMPART_LIMIT_STORE": "memory://",
                    **config,
                }
            )
        super().__init__(app)
        self.clock, self.rampart = clock, rampart
        self.app.logger.setLevel("CRITICAL")

    def is_told(self, case: Any, mode: GenerationMode) -> bool:
        """Of a text (x-clean), what is left is judged: good if that is something, bad if it is all of it."""
        if case.media_type == "multipart/form-data" and not isinstance(case.body, dict):
            return False  # no form can be written of it
        if not super().is_told(case, mode):
            return False
        text = case.body.get("text") if isinstance(case.body, dict) else None
        if not isinstance(text, str):
            return True
        clean = clean_text(text)
        return bool(clean) if mode is GenerationMode.POSITIVE else clean == text

    def form_of(self, case: Any) -> bytes | None:
        """With files that are what they should be, and that have names (RFC 7578 section 4.2)."""
        if case.media_type != "multipart/form-data":
            return None
        files = {name: (name, "application/octet-stream", UPLOADS[name]) for name in case.body.keys() & UPLOADS.keys()}
        return form(case.body["text"], **files)

    def credentials(self) -> dict[str, str]:
        """A token that opens every route, and that nobody has logged out yet."""
        with self.app.app_context():
            pair = self.rampart.tokens.issue_pair("u-ada", scopes=["predict"], roles=["admin"])
        return {"Authorization": f"Bearer {pair.access}"}


@contextmanager
def _told_by(clock: Clock) -> Iterator[Rampart]:
    """The example's own extension, by this clock while an app is made."""
    rampart = example.rampart
    before = rampart._given.clock
    rampart._given.clock = clock
    try:
        yield rampart
    finally:
        rampart._given.clock = before


class Run:
    """What became of the cases."""

    def __init__(self, target: Open, document: dict[str, Any] | None = None) -> None:
        """
        :param document: what is promised; what the app serves, if not given.
        """
        self.target = target
        # We bring a good credential ourselves: beside one that was made up, it would be one of two.
        config = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
        if document is None:
            self.schema = schemathesis.openapi.from_wsgi("/openapi.json", target.app, config=config)
        else:
            self.schema = schemathesis.openapi.from_dict(document, config=config)
            self.schema.app = target.app
        self.tally: Counter[tuple[str, int]] = Counter()
        self.failures: dict[str, str] = {}

    def operations(self) -> list[Any]:
        """All operations of the document."""
        return [result.ok() for result in self.schema.get_all_operations()]

    def cases(self, operation: Any, mode: GenerationMode, count: int, start: int = 0) -> None:
        """Sends this many cases of one operation, and checks each answer by every check there is."""

        @seed(start)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            self.send(operation, case, mode)

        try:
            send()
        except Exception as error:
            # No case can be made that breaks a schema which nothing breaks.
            if type(error).__name__ not in ("Unsatisfiable", "SkipTest", "Skipped"):
                raise

    def send(self, operation: Any, case: Any, mode: GenerationMode) -> None:
        """Sends one case."""
        needs = bool(operation.definition.raw.get("security"))
        assume(self.target.is_told(case, mode))
        self.target.clock.advance(STEP)
        headers = self.target.credentials() if needs else {}
        body = self.target.form_of(case) if mode is GenerationMode.POSITIVE else None
        if body is None:
            response = case.call(headers=headers)
        else:
            # By ourselves: not every version lets its own form be replaced.
            client = self.target.app.test_client()
            given = {**headers, **FORM}
            response = Response.from_any(client.open(case.formatted_path, method=case.method, headers=given, data=body))
        self.tally[operation.label, response.status_code] += 1
        try:
            case.validate_response(response, headers=headers)
        except BaseException as failures:
            # A group of them, which Python 3.10 has no name for.
            if not isinstance(failures, AssertionError) and not hasattr(failures, "exceptions"):
                raise
            for failure in getattr(failures, "exceptions", (failures,)):
                self.note(operation, failure, case)
        self.own_checks(operation, response, case)

    def own_checks(self, operation: Any, response: Any, case: Any) -> None:
        """A refusal of ours has a code that the document names for this status."""
        if "problem+json" not in response.headers.get("content-type", [""])[0]:
            return
        code = response.json().get("code", "")
        named = operation.definition.raw.get("x-rampart-codes", {}).get(str(response.status_code), [])
        if code in PROBLEMS and code not in named:
            self.note(operation, AssertionError(f"{response.status_code} {code} is not in x-rampart-codes"), case)

    def note(self, operation: Any, failure: BaseException, case: Any) -> None:
        """Remembers one failure of each kind for each operation."""
        title = getattr(failure, "title", type(failure).__name__)
        key = f"{operation.label}: {title}: {str(failure)[:300]}"
        self.failures.setdefault(key, case.as_curl_command()[:2000])


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--cases", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=1)
    given_ = words.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Fleeting(Path(folder)))
        operations = run.operations()
        each = -(-given_.cases // (2 * len(operations)))
        round_ = 0
        # A view without a body has few cases: what they leave is made of the others.
        while (missing := given_.cases - run.tally.total()) > 0 and round_ < 8:
            before = run.tally.total()
            for operation in operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    run.cases(operation, mode, max(each if round_ == 0 else -(-missing // 8), 1), given_.seed + round_)
            round_ += 1
            if run.tally.total() == before:
                break
    for (label, status), count in sorted(run.tally.items()):
        print(f"{count:7} {status} {label}")
    print(f"{run.tally.total()} cases, {len(run.failures)} kinds of failures")
    for failure, curl in run.failures.items():
        print(f"\n{failure}\n    {curl}")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
