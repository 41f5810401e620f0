"""Published vectors: RFC 7520 section 4, and Wycheproof's JSON Web Signatures.

They sign texts that are no claims. So "the signature holds" is seen in the reason of the refusal, which the log alone is
told: claims are looked at only once the signature held (``src/tokens``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flask_rampart._native import Clock, Key, TokenRejected, Verifier

VECTORS = Path(__file__).parent / "vectors"
HELD = ("token.invalid", "claims")


def verdict(key: Key, token: str) -> tuple[str, str]:
    with pytest.raises(TokenRejected) as caught:
        Verifier([key], Clock.manual(1_800_000_000)).verify(token)
    return caught.value.code, caught.value.reason


# --- RFC 7520 ---

RFC7520 = {case["section"]: case for case in json.loads((VECTORS / "rfc7520" / "jws.json").read_text())}


def parts(section: str) -> tuple[str, str, str]:
    case = RFC7520[section]
    return case["protected"], case["payload"], case["signature"]


@pytest.mark.parametrize("section", ["4.1", "4.2", "4.4"])
def test_signatures_of_rfc_7520_hold(section: str) -> None:
    case = RFC7520[section]
    key = Key.from_jwk(json.dumps(case["key"]), case["alg"])
    header, payload, signature = parts(section)
    assert verdict(key, f"{header}.{payload}.{signature}") == HELD
    assert verdict(key, f"{header}.{payload[:-1]}k.{signature}") != HELD
    other = "B" if signature[0] != "B" else "C"
    assert verdict(key, f"{header}.{payload}.{other}{signature[1:]}") == ("token.invalid", "signature")


def test_rsa_keys_of_rfc_7520_are_for_one_algorithm_each() -> None:
    header, payload, signature = parts("4.2")
    key = Key.from_jwk(json.dumps(RFC7520["4.2"]["key"]), "PS256")
    assert verdict(key, f"{header}.{payload}.{signature}") == ("token.invalid", "algorithm")
    with pytest.raises(ValueError, match="say which algorithm"):
        Key.from_jwk(json.dumps(RFC7520["4.1"]["key"]))


def test_es512_of_rfc_7520_is_refused_by_name() -> None:
    case = RFC7520["4.3"]
    with pytest.raises(ValueError, match="P-256, P-384 and Ed25519"):
        Key.from_jwk(json.dumps(case["key"]))
    with pytest.raises(ValueError, match="use ES256 or ES384"):
        Key.from_jwk(json.dumps(case["key"]), "ES512")
    rsa = Key.from_jwk(json.dumps(RFC7520["4.1"]["key"]), "RS256")  # of the same kid
    assert verdict(rsa, ".".join(parts("4.3"))) == ("token.invalid", "algorithm")


def test_content_that_is_elsewhere_is_refused() -> None:
    # Section 4.5 is 4.4 without its payload; RFC 7797 has names for more of it.
    header, _, signature = parts("4.4")
    key = Key.from_jwk(json.dumps(RFC7520["4.4"]["key"]))
    assert verdict(key, f"{header}..{signature}") != HELD


@pytest.mark.parametrize("section", ["4.1", "4.4", "4.6"])
def test_json_serializations_are_refused(section: str) -> None:
    # CVE-2022-39227, CVE-2026-96760: a verifier that reads both can be led from one to the other.
    case = RFC7520[section]
    key = Key.from_jwk(json.dumps(case["key"]), case["alg"])
    header, payload, signature = parts(section)
    one = {"protected": header, "header": {"kid": case["key"]["kid"]}, "signature": signature}
    assert verdict(key, json.dumps({"payload": payload, "signatures": [one]})) != HELD
    assert verdict(key, json.dumps({"payload": payload, **one})) != HELD
    # Section 4.7 protects no header at all.
    assert (
        verdict(key, json.dumps({"payload": payload, "header": {"alg": case["alg"]}, "signature": signature})) != HELD
    )


def test_a_header_that_names_no_key_finds_the_one_of_its_algorithm() -> None:
    # The protected part of section 4.6; its kid is outside of it, and not looked at.
    assert verdict(Key.from_jwk(json.dumps(RFC7520["4.6"]["key"])), ".".join(parts("4.6"))) == HELD


# --- Wycheproof ---

WYCHEPROOF = json.loads((VECTORS / "wycheproof" / "json_web_signature_test.json").read_text())
CASES = [(group["key"], case) for group in WYCHEPROOF["testGroups"] for case in group["tests"]]

MISLABELLED = {
    350: "valid, but the key says PS256 and the token PS384 (RFC 8725 section 3.1): refused",
    351: "valid, but the key says ES521, which is no algorithm: refused",
    367: "invalid, but the same token as 357, which is valid: taken",
    370: "invalid, but the same token as 357, which is valid: taken",
    372: "valid, but with a character that base64url does not have (RFC 7515 section 2): refused",
    373: "valid, but with a character that base64url does not have (RFC 7515 section 2): refused",
}


@pytest.mark.parametrize(("key", "case"), CASES, ids=[f"{case['tcId']}-{case['comment']}" for _, case in CASES])
def test_wycheproof(key: dict[str, Any], case: dict[str, Any]) -> None:
    expected = case["result"] == "valid"
    if case["tcId"] in MISLABELLED:
        expected = not expected
    assert holds(key, case["jws"]) is expected


def holds(key: dict[str, Any], token: str) -> bool:
    """Whether the key is one that can be used, and the signature of the token is its own."""
    try:
        made = Key.from_jwk(json.dumps(key), None if "alg" in key or key["kty"] != "RSA" else "RS256")
    except ValueError:
        return False
    return verdict(made, token) == HELD


def test_every_deviation_is_about_a_case_that_is_there() -> None:
    assert set(MISLABELLED) <= {case["tcId"] for _, case in CASES}
    assert len(CASES) == 96
    by_number = {case["tcId"]: case["jws"] for _, case in CASES}
    assert by_number[357] == by_number[367] == by_number[370]


@pytest.mark.parametrize("number", [353, 354, 355, 356])
def test_keys_for_something_else_are_refused_at_start_up(number: int) -> None:
    key = next(key for key, case in CASES if case["tcId"] == number)
    with pytest.raises(ValueError, match="not for signatures"):
        Key.from_jwk(json.dumps(key), "RS256" if key["kty"] == "RSA" else None)
