"""Makes ``model.json`` from ``corpus.jsonl``, and says how good it is.

    python -m examples.predict_api.train

The corpus has two parts. The model counts words in the lines marked ``train``; the lines marked
``held-out`` were written apart, are never counted, and tell how well it does on tickets that it has not
seen. There is no chance in it: the same corpus gives the same file, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

# Run as a file, Python looks for modules in this folder alone; the repository's root is two above.
if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.predict_api.classifier import MODEL, Classifier, features

CORPUS = Path(__file__).with_name("corpus.jsonl")


class Line(TypedDict):
    """One ticket of the corpus."""

    text: str
    label: str
    split: str


def read(path: Path = CORPUS) -> tuple[list[Line], list[Line]]:
    """The lines to train on, and those that are held out."""
    lines: list[Line] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [x for x in lines if x["split"] == "train"], [x for x in lines if x["split"] == "held-out"]


def train(lines: Sequence[Line]) -> dict[str, Any]:
    """The model: for each feature, how many lines of each label have it."""
    labels = sorted({line["label"] for line in lines})
    seen: dict[str, Counter[str]] = {}
    for line in lines:
        # A set: a word counts once for each ticket, however often the ticket repeats it.
        for feature in set(features(line["text"])):
            seen.setdefault(feature, Counter())[line["label"]] += 1
    # What was seen in one ticket alone is more often an accident than a sign, if it is a pair.
    kept = {feature: row for feature, row in seen.items() if row.total() > 1 or " " not in feature}
    counts = {feature: [kept[feature][label] for label in labels] for feature in sorted(kept)}
    return {
        # Names the model by its content, so that an answer can be traced to the model that gave it.
        "version": hashlib.sha256(json.dumps(counts).encode()).hexdigest()[:12],
        "labels": labels,
        "lines": [sum(line["label"] == label for line in lines) for label in labels],
        "counts": counts,
    }


def render(model: dict[str, Any]) -> str:
    """The model as the text of its file: one feature a line, so that a change can be reviewed."""
    head = "".join(f"{json.dumps(name)}: {json.dumps(model[name])},\n" for name in ("version", "labels", "lines"))
    rows = ",\n".join(f"{json.dumps(feature)}: {json.dumps(row)}" for feature, row in model["counts"].items())
    return f'{{\n{head}"counts": {{\n{rows}\n}}\n}}\n'


def accuracy(classifier: Classifier, lines: Sequence[Line]) -> float:
    """The share of *lines* that get the right label, from 0 to 1."""
    return sum(classifier.classify(line["text"]).label == line["label"] for line in lines) / len(lines)


def main() -> None:
    """Trains, writes the file, and prints what came out."""
    training, held_out = read()
    text = render(train(training))
    MODEL.write_text(text, encoding="utf-8")
    classifier = Classifier.load()
    print(f"{MODEL.name}: version {classifier.version}, {len(text):,} bytes, from {len(training)} lines")
    print(f"accuracy on {len(held_out)} held-out lines: {accuracy(classifier, held_out):.1%}")


if __name__ == "__main__":
    main()
