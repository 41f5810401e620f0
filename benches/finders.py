"""What finds secrets and personal data in a text: ours, Presidio's pattern recognizers, detect-secrets.

- **Ours** looks for all that it finds by default and for every identifier, at once.
- **Presidio** has every pattern recognizer of an entity that ours has as well, also those that it leaves off by
  default, in one engine: no model, no names of people, no network (its address recognizer would ask for the Public
  Suffix List). Words near by raise its scores, as they should, by a tokenizer without a model. A find counts from a
  score of 0.3 on.
- **detect-secrets** scans files, as its command does, with its default plugins and filters, but verifies nothing: a
  file for each kind, so that its rules for kinds of files hold.
"""

from __future__ import annotations

import contextlib
import inspect
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpus import Text
from corpus.counting import SECRET, Found

from flask_rampart import _native

SCORE = 0.3
PERSONAL = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD", *(row[0] for row in _native.Redactor.identifiers())})
#: Rows for texts of one country: they take its usual writing of a telephone number without a word.
NATIONAL = frozenset({"US_PHONE_NUMBER", "UK_PHONE_NUMBER", "FR_PHONE_NUMBER"})
NAMES = {
    "AWS Access Key": "AWS_ACCESS_KEY",
    "Azure Storage Account access key": "AZURE_KEY",
    "Discord Bot Token": "DISCORD_TOKEN",
    "GitHub Token": "GITHUB_TOKEN",
    "GitLab Token": "GITLAB_TOKEN",
    "JSON Web Token": "JWT",
    "Mailchimp Access Key": "MAILCHIMP_KEY",
    "NPM tokens": "NPM_TOKEN",
    "OpenAI Token": "OPENAI_KEY",
    "Private Key": "PRIVATE_KEY",
    "Public IP (ipv4)": "IP_ADDRESS",
    "PyPI Token": "PYPI_TOKEN",
    "SendGrid API Key": "SENDGRID_KEY",
    "Slack Token": "SLACK_TOKEN",
    "Square OAuth Secret": "SQUARE_KEY",
    "Stripe Access Key": "STRIPE_KEY",
    "Telegram Bot Token": "TELEGRAM_TOKEN",
    "Twilio API Key": "TWILIO_KEY",
}
"""What detect-secrets calls which entity. What it calls otherwise (a keyword, high entropy) is any secret."""


def ours(texts: Sequence[Text]) -> list[list[Found]]:
    """Ours, in one pass."""
    redactor = _native.Redactor(entities=sorted({*_native.Redactor().entities, *PERSONAL} - NATIONAL))
    return [[(entity, start, end) for entity, start, end, _ in redactor.scan(text.text)] for text in texts]


# Presidio.


def engine() -> Any:
    """Presidio with its pattern recognizers for what ours finds too."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, predefined_recognizers
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
    from presidio_analyzer.predefined_recognizers.generic import email_recognizer

    # Its own snapshot of the list: nothing is asked.
    email_recognizer.tldextract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[attr-defined]
    email_recognizer.tldextract.extract = email_recognizer.tldextract.__call__

    class Tokens(NlpEngine):  # type: ignore[misc]
        """Words in small letters, where a model would have lemmas."""

        language = spacy.blank("en")

        def load(self) -> None:
            """Nothing to load."""

        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            doc = self.language(text)
            return NlpArtifacts([], doc, [token.idx for token in doc], [token.lower_ for token in doc], self, language)

        def process_batch(self, texts: Any, language: str, **_: Any) -> Iterator[tuple[str, NlpArtifacts]]:
            yield from ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return bool(self.language.vocab[word].is_stop)

        def is_punct(self, word: str, language: str) -> bool:
            return bool(self.language.vocab[word].is_punct)

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en"]

    registry = RecognizerRegistry(recognizers=[], supported_languages=["en"])
    for _, made in inspect.getmembers(predefined_recognizers, inspect.isclass):
        if not issubclass(made, EntityRecognizer) or inspect.isabstract(made):
            continue
        with contextlib.suppress(Exception):  # What needs a model or a service is no pattern recognizer.
            recognizer = made(supported_language="en")
            if set(recognizer.supported_entities) <= PERSONAL:
                registry.add_recognizer(recognizer)
    return AnalyzerEngine(registry=registry, nlp_engine=Tokens(), supported_languages=["en"])


def presidio(texts: Sequence[Text]) -> tuple[list[list[Found]], list[list[Found]], frozenset[str]]:
    """All finds; those left where they overlap (the best score, then the longest); what there is a recognizer for."""
    analyzer = engine()
    every, left = [], []
    for text in texts:
        finds = analyzer.analyze(text.text, language="en", score_threshold=SCORE)
        every.append([(find.entity_type, find.start, find.end) for find in finds])
        kept: list[Any] = []
        for find in sorted(finds, key=lambda find: (-find.score, find.start - find.end)):
            if all(find.end <= other.start or other.end <= find.start for other in kept):
                kept.append(find)
        left.append([(find.entity_type, find.start, find.end) for find in kept])
    return every, left, frozenset(analyzer.get_supported_entities("en"))


# detect-secrets.


def detect_secrets(texts: Sequence[Text]) -> list[list[Found]]:
    """One file for each kind, each text on lines of its own."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    found: list[list[Found]] = [[] for _ in texts]
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(texts):
        by_kind[text.kind].append(number)
    with tempfile.TemporaryDirectory() as folder, default_settings() as settings:
        settings.disable_filters("detect_secrets.filters.common.is_ignored_due_to_verification_policies")
        for kind, numbers in by_kind.items():
            # A name that no filter takes for a lock or a test's file.
            path = Path(folder, f"texts.{kind}")
            places: list[tuple[int, int, str]] = []  # of each line: which text, where in it, what
            for number in numbers:
                at = 0
                for line in texts[number].text.split("\n"):
                    places.append((number, at, line))
                    at += len(line) + 1
            path.write_text("".join(f"{line}\n" for _, _, line in places), encoding="utf-8")
            for secret in scan_file(str(path)):
                number, at, line = places[secret.line_number - 1]
                start = line.find(secret.secret_value or "")
                if start < 0:
                    start, length = 0, len(line)
                else:
                    length = len(secret.secret_value)
                found[number].append((NAMES.get(secret.type, SECRET), at + start, at + start + length))
    return found
