"""Sealing and opening values of a row's size, beside cryptography's AES-GCM, Fernet and Tink.

Run ``python benches/vault.py`` with the group ``bench``. All draw a nonce, seal under associated data (Fernet has
none) and give the bytes that are stored; that they open again is checked first. AESGCM is used as it is by hand: a
key prepared once, a nonce of ``os.urandom`` in front. Ours is called as an app does (``Vault.seal``: by the keyset's
name, in Tink's format, with the key's number in front), and as the keyset alone.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from common import Row, Subject, conclude, figure, goal, heading, lacking, loop, mark, measure, options, table, versions

from flask_rampart.vault import Keyset, Vault

SIZES = {"64 bytes": 64, "1 KB": 1024, "16 KB": 16 * 1024}
JUDGED = "1 KB"
BOUND = b"users.address:7"

Pair = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


def ours(template: str) -> Pair:
    """As an app calls it."""
    vault = Vault({"default": Keyset.generate(template)})
    return (lambda data: vault.seal(data, associated_data=BOUND)), (
        lambda data: vault.open(data, associated_data=BOUND)
    )


def keyset(template: str) -> Pair:
    """Without the names."""
    keys = Keyset.generate(template)
    return (lambda data: keys.seal(data, BOUND)), (lambda data: keys.open(data, BOUND))


def aesgcm() -> Pair:
    """What is written by hand."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, urandom = AESGCM(AESGCM.generate_key(256)), os.urandom

    def seal(data: bytes) -> bytes:
        nonce = urandom(12)
        return nonce + key.encrypt(nonce, data, BOUND)

    return seal, lambda sealed: key.decrypt(sealed[:12], sealed[12:], BOUND)


def fernet() -> Pair:
    """AES-CBC and HMAC, in base64; it binds to nothing."""
    from cryptography.fernet import Fernet

    key = Fernet(Fernet.generate_key())
    return key.encrypt, key.decrypt


def tink() -> Pair:
    """The format's own implementation."""
    import tink as module
    from tink import aead

    aead.register()
    primitive = module.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    return (lambda data: primitive.encrypt(data, BOUND)), (lambda data: primitive.decrypt(data, BOUND))


def subjects() -> list[tuple[Row, Subject]]:
    """Each row and what measures it, beside AESGCM."""
    if importlib.util.find_spec("cryptography") is None:
        lacking("all rows", "bench")
        return []
    rows: dict[str, Pair] = {
        "ours": ours("AES256_GCM"),
        "ours, the keyset alone": keyset("AES256_GCM"),
        "ours, XChaCha20-Poly1305": ours("XCHACHA20_POLY1305"),
        "ours, AES-GCM-SIV": ours("AES256_GCM_SIV"),
        "cryptography, Fernet": fernet(),
    }
    if importlib.util.find_spec("tink") is None:
        lacking("Tink", "bench")
    else:
        rows["Tink, AES256_GCM"] = tink()
    rows["cryptography, AESGCM again (control)"] = aesgcm()
    peer = aesgcm()
    made = []
    for size, length in SIZES.items():
        data = [random.Random(number).randbytes(length) for number in range(64)]
        for name, pair in rows.items():
            for verb, number in (("seal", 0), ("open", 1)):
                subject = loop(name, pair[number], _given(pair, data)[number])
                subject.against = loop("AESGCM", peer[number], _given(peer, data)[number])
                target = 1.0 if name == "ours" and size == JUDGED else None
                made.append((Row(f"{verb} {size}", name, None, "x AESGCM", target), subject))
    return made


def _given(pair: Pair, data: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What is sealed, and what is opened; after all of it was opened once."""
    sealed = [pair[0](one) for one in data]
    if [pair[1](one) for one in sealed] != data:
        raise SystemExit("something else is opened than was sealed; it is not measured")
    return data, sealed


def main() -> int:
    parser = options(__doc__, rounds=31)
    arguments = parser.parse_args()
    about: dict[str, Any] = versions("cryptography", "tink")
    heading("Sealing and opening values", about)
    measured = subjects()
    measure([subject for _, subject in measured], rounds=arguments.rounds)
    rows: list[Row] = []
    lines: list[list[str]] = []
    for row, subject in sorted(measured, key=lambda one: one[0].group, reverse=True):
        row.value, row.micros = subject.ratio, subject.median
        if not rows or rows[-1].group != row.group:
            lines.append([row.group])
        rows.append(row)
        lines.append([f"  {row.name}", figure(row.micros), figure(row.value), goal(row), mark(row.met)])
    print(table(("", "us", "x AESGCM", "target", ""), lines))
    print(f"\n{arguments.rounds} rounds; medians.")
    return conclude(arguments, about, rows)


if __name__ == "__main__":
    sys.exit(main())
