"""Stands in for a language model: drafts a reply to a ticket, word by word, and takes its time.

What matters here is the same for a real one: how long the reply gets is known when it is written, and each word costs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

# Seconds between two words.
PAUSE = 0.01


def write(label: str, at_most: int) -> Iterator[str]:
    """The words of a reply to a ticket about *label*, as they come.

    >>> " ".join(write("billing", 6))
    'Thank you for writing to us.'
    """
    for word in f"Thank you for writing to us. {_REPLIES[label]} Yours, the help desk".split()[:at_most]:
        time.sleep(PAUSE)
        yield word


_REPLIES = {
    "account": "We have sent you a link with which you can set a new password within the next hour.",
    "billing": "We are looking into the charge, and will pay back what was too much.",
    "shipping": "We have asked the carrier where your parcel is, and will tell you by tomorrow.",
    "technical": "We are looking for what went wrong, and will write again when it is mended.",
}
