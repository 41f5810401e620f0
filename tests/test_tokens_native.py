"""The tokens room at the border: what Python gives, what Python gets, and who else can read it."""

import base64
import copy
import gc
import hmac
import json
import pickle
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwt as jose
from joserfc.jwk import import_key

from flask_rampart import _native
from flask_rampart._native import Clock, Key, TokenRejected, VerifiedToken, Verifier
from flask_rampart.tokens import weak_key

NOW = 1_800_000_000
SECRET = bytes(range(7, 71))


def pem(private):
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(private):
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = {
    **dict.fromkeys(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], RSA_KEY),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
SYMMETRIC = ["HS256", "HS384", "HS512"]
ALGORITHMS = [*SYMMETRIC, *PRIVATE]
CLAIMS = {"sub": "ada", "exp": NOW + 60, "iat": NOW, "jti": "t1", "scope": "read write", "roles": ["staff"]}


def our_key(alg, kid=None):
    if alg in SYMMETRIC:
        return Key.from_secret(SECRET, alg, kid)
    return Key.from_pem(pem(PRIVATE[alg]), alg, kid)


def verifier(*keys, **rules):
    return Verifier(list(keys), Clock.manual(float(NOW)), **rules)


def token(claims=None, alg="HS256", **headers):
    key = SECRET if alg in SYMMETRIC else pem(PRIVATE[alg])
    return jwt.encode(CLAIMS if claims is None else claims, key, alg, headers=headers)


def refuse(verifier, token):
    with pytest.raises(TokenRejected) as caught:
        verifier.verify(token)
    return caught.value.code, caught.value.reason


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_of_pyjwt_is_read_here(alg):
    verified = verifier(our_key(alg)).verify(token(alg=alg))
    assert (verified.subject, verified.token_id, verified.algorithm) == ("ada", "t1", alg)
    assert verified.claims == CLAIMS


KINDS = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_made_here_is_read_by_pyjwt_and_joserfc(alg):
    key = our_key(alg, "k1")
    ours = key.sign(json.dumps(CLAIMS), "at+jwt")
    theirs = SECRET if alg in SYMMETRIC else public_pem(PRIVATE[alg])
    assert jwt.decode(ours, theirs, [alg], options={"verify_exp": False, "verify_iat": False}) == CLAIMS
    assert jwt.get_unverified_header(ours) == {"alg": alg, "kid": "k1", "typ": "at+jwt"}
    read = jose.decode(ours, import_key(theirs, KINDS[alg[:2]]), algorithms=[alg])
    assert read.claims == CLAIMS


@pytest.mark.parametrize("alg", [alg for alg in ALGORITHMS if alg not in SYMMETRIC])
def test_a_public_jwk_goes_to_pyjwt_and_a_private_one_comes_from_it(alg):
    published = our_key(alg, "k1").public_jwk()
    ours = our_key(alg).sign(json.dumps(CLAIMS))
    assert (
        jwt.decode(ours, jwt.PyJWK.from_json(published), options={"verify_exp": False, "verify_iat": False}) == CLAIMS
    )
    algorithm = jwt.get_algorithm_by_name(alg)
    private = algorithm.to_jwk(PRIVATE[alg])
    loaded = Key.from_jwk(private, alg)
    assert loaded.can_sign and loaded.public_jwk() == our_key(alg).public_jwk()
    assert not Key.from_jwk(private, alg, verify_only=True).can_sign
    assert json.loads(published)["kid"] == "k1" and Key.from_jwk(published).kid == "k1"


def test_a_verified_token_has_every_field_and_none_for_what_is_absent():
    key = our_key("HS256", "k1")
    full = dict(CLAIMS, iss="us", nbf=NOW, auth_time=NOW - 5.5, scp=["a", "b"])
    verified = verifier(key, issuers=["us"]).verify(key.sign(json.dumps(full)))
    assert (verified.subject, verified.issuer, verified.token_id, verified.kid) == ("ada", "us", "t1", "k1")
    assert (verified.expires_at, verified.issued_at, verified.authenticated_at) == (NOW + 60, NOW, NOW - 5.5)
    assert isinstance(verified.expires_at, float)
    assert verified.scopes == frozenset({"read", "write", "a", "b"}) and verified.roles == frozenset({"staff"})
    assert type(verified.scopes) is frozenset and type(verified.roles) is frozenset
    bare = verifier(our_key("HS256"), require_exp=False).verify(token({}))
    names = ["subject", "issuer", "token_id", "kid", "expires_at", "issued_at", "authenticated_at"]
    assert [getattr(bare, name) for name in names] == [None] * 7
    assert bare.scopes == bare.roles == frozenset()


def test_every_setting_does_what_it_says():
    key = our_key("HS256")
    nested = token({"exp": NOW + 60, "realm_access": {"roles": ["admin"]}, "https://a.example/s": "x y"})
    rules = {"roles_claims": ["realm_access.roles"], "scopes_claims": ["https://a.example/s"]}
    verified = verifier(key, **rules).verify(nested)
    assert verified.roles == {"admin"} and verified.scopes == {"x", "y"}
    assert refuse(verifier(key, audiences=["us"]), token()) == ("token.invalid", "audience")
    assert refuse(verifier(key), token(dict(CLAIMS, aud="us"))) == ("token.invalid", "audience")
    assert verifier(key, audiences=("us",)).verify(token(dict(CLAIMS, aud=["x", "us"])))
    assert refuse(verifier(key, issuers=["us"]), token()) == ("token.invalid", "issuer")
    assert refuse(verifier(key, types=["at+jwt"]), token()) == ("token.invalid", "type")
    assert refuse(verifier(key, require_type=True), token(typ=None)) == ("token.invalid", "type")
    assert refuse(verifier(key, max_bytes=64), token()) == ("token.invalid", "length")
    assert refuse(verifier(key, leeway=0), token({"exp": NOW})) == ("token.expired", "expired")
    assert refuse(verifier(key), token({})) == ("token.invalid", "no-expiry")
    assert refuse(verifier(key), token({"exp": NOW + 60, "nbf": NOW + 31})) == ("token.invalid", "not-yet-valid")
    assert refuse(verifier(key), token({"exp": NOW + 60, "iat": NOW + 31})) == ("token.invalid", "issued-in-future")
    assert refuse(verifier(key), token(kid="k" * 129)) == ("token.invalid", "header")
    assert refuse(verifier(our_key("HS256", "a")), token(kid="b")) == ("token.invalid", "key")
    assert refuse(verifier(key), token(crit=["exp"])) == ("token.invalid", "critical")


@pytest.mark.parametrize("seen", [0, 1, 16384])
def test_a_token_expires_as_the_clock_advances_remembered_or_not(seen):
    clock = Clock.manual(float(NOW))
    verifier = Verifier([our_key("HS256")], clock, seen=seen)
    text = token()
    assert verifier.verify(text) and verifier.verify(text)
    clock.advance(89)
    assert verifier.verify(text)
    clock.advance(1)
    assert refuse(verifier, text) == refuse(verifier, text) == ("token.expired", "expired")


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "..", "a.b.c", "\ud800", "a.\udfff.c", "\x00", "é.é.é", "日本", "\U0001f600" * 99, "a" * 20_000,
     "\ud800" * 20_000, "." * 16_384, "." * 1_000_000, "[]", "{}", '{"payload":""}'],
)  # fmt: skip
def test_any_text_that_is_not_a_token_is_rejected_and_nothing_else_is_raised(text):
    assert refuse(verifier(our_key("HS256")), text)[0] == "token.invalid"
    good = token()
    for mixed in (good + text, text + good, good.replace(".", "." + text)):
        if mixed != good:
            assert refuse(verifier(our_key("HS256")), mixed)[0] == "token.invalid"


def test_a_subclass_of_str_cannot_lie_about_itself():
    class Liar(str):
        def __len__(self):
            return 1

        def __str__(self):
            return token()

        def encode(self, *_):
            return token().encode()

    class Thrower(str):
        def __len__(self):
            raise RuntimeError("no length")

    assert refuse(verifier(our_key("HS256")), Liar("x" * 20_000)) == ("token.invalid", "length")
    assert refuse(verifier(our_key("HS256")), Liar("x"))[0] == "token.invalid"
    assert refuse(verifier(our_key("HS256")), Thrower(token()))[0] == "token.invalid"
    assert verifier(our_key("HS256")).verify(Liar(token())).subject == "ada"


@pytest.mark.parametrize("wrong", [None, b"a.b.c", 7, ["a.b.c"], object()])
def test_what_is_no_text_is_a_programming_error(wrong):
    with pytest.raises(TypeError):
        verifier(our_key("HS256")).verify(wrong)


def test_a_rejection_has_a_code_and_a_reason_and_nothing_of_the_token():
    with pytest.raises(TokenRejected) as caught:
        verifier(our_key("HS256"), audiences=["us"]).verify(token(dict(CLAIMS, sub="hunter2")))
    error = caught.value
    assert isinstance(error, Exception) and error.args == ("token.invalid", "audience")
    assert (error.code, error.reason) == error.args
    assert "hunter2" not in repr(error) + str(error) and error.__cause__ is None and error.__context__ is None
    assert TokenRejected("token.expired", "expired").code == "token.expired"


def test_claims_are_made_anew_each_time_so_that_no_one_can_poison_the_next_request():
    verifier_ = verifier(our_key("HS256"))
    text = token(dict(CLAIMS, nested={"list": [1]}))
    first = verifier_.verify(text)
    mine = first.claims
    mine["sub"] = "root"
    mine["nested"]["list"].append(2)
    mine["roles"].append("admin")
    second = verifier_.verify(text)
    for verified in (first, second):
        assert verified.claims == dict(CLAIMS, nested={"list": [1]})
        assert verified.subject == "ada" and verified.roles == {"staff"}
    assert first.claims is not first.claims


def test_sets_are_made_once_for_a_token_that_is_remembered():
    verifier_ = verifier(our_key("HS256"))
    text = token()
    assert verifier_.verify(text).scopes is verifier_.verify(text).scopes
    forgetful = verifier(our_key("HS256"), seen=0)
    assert forgetful.verify(text).roles is not forgetful.verify(text).roles


def test_numbers_come_through_exactly():
    numbers = [
        0,
        -1,
        2**53,
        2**53 + 1,
        2**63,
        2**64 - 1,
        -(2**63),
        0.1,
        1e-7,
        1.5e300,
        True,
        False,
        None,
        "é\U0001f600",
    ]
    exact = verifier(our_key("HS256")).verify(token({"exp": NOW + 60, "n": numbers})).claims["n"]
    assert exact == numbers and [type(n) for n in exact] == [type(n) for n in numbers]
    wide = [2**64, -(2**63) - 1, 10**40, 10**40 + 1, 9007199254740993.5]
    assert verifier(our_key("HS256")).verify(token({"exp": NOW + 60, "n": wide})).claims["n"] == wide


def test_two_ids_that_a_double_cannot_tell_apart_stay_different():
    read = [
        verifier(our_key("HS256")).verify(token({"exp": NOW + 60, "id": n})).claims["id"] for n in (10**30, 10**30 + 1)
    ]
    assert read == [10**30, 10**30 + 1]


def test_nothing_here_is_made_copied_subclassed_or_changed_from_python():
    verified = verifier(our_key("HS256")).verify(token())
    with pytest.raises(TypeError):
        VerifiedToken()
    with pytest.raises(TypeError):
        VerifiedToken.__new__(VerifiedToken)
    with pytest.raises(TypeError):
        Key()
    for made in (VerifiedToken, Key, Verifier):
        with pytest.raises(TypeError):
            object.__new__(made)
    for thing in (verified, our_key("HS256"), verifier(our_key("HS256"))):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError):
                pickle.dumps(thing, protocol)
        for duplicate in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                duplicate(thing)
        with pytest.raises(TypeError):
            type("Sub", (type(thing),), {})
        with pytest.raises((AttributeError, TypeError)):
            thing.subject = "root"
        with pytest.raises((AttributeError, TypeError)):
            object.__setattr__(thing, "extra", 1)


def test_a_key_shows_its_name_and_never_its_material():
    key = Key.from_secret(SECRET, "HS256", 'a"b')
    assert repr(key) == r'Key(kid="a\"b", alg="HS256")'
    assert repr(our_key("ES256")) == 'Key(kid=None, alg="ES256")'
    assert (key.kid, key.alg, key.can_sign, key.symmetric, key.public_jwk()) == ('a"b', "HS256", True, True, None)
    assert not our_key("RS256").symmetric


def test_a_verify_only_key_refuses_to_sign_and_still_verifies():
    for key in (
        Key.from_secret(SECRET, "HS256", verify_only=True),
        Key.from_pem(pem(RSA_KEY), "RS256", verify_only=True),
        Key.from_pem(public_pem(RSA_KEY), "RS256"),
    ):
        assert not key.can_sign
        with pytest.raises(ValueError, match="only verifies"):
            key.sign(json.dumps(CLAIMS))
        assert verifier(key).verify(token(alg=key.alg)).subject == "ada"


def test_keys_and_rules_that_cannot_be_used_are_value_errors_at_start_up():
    good = our_key("HS256")
    for make in (
        lambda: Key.from_secret(b"", "HS256"),
        lambda: Key.from_secret(b"short", "HS256"),
        lambda: Key.from_secret(public_pem(RSA_KEY), "HS256"),  # CVE-2022-29217
        lambda: Key.from_secret(b"\xef\xbb\xbf\n" + base64.b64encode(public_pem(RSA_KEY)), "HS256"),
        lambda: Key.from_secret(SECRET, "none"),
        lambda: Key.from_pem(pem(PRIVATE["ES384"]), "ES256"),
        lambda: Key.from_jwk("{}"),
        lambda: Key.from_jwk("\U0001f600"),
        lambda: verifier(),
        lambda: verifier(good, good),
        lambda: verifier(good, our_key("RS256")),
        lambda: verifier(good, leeway=-1),
        lambda: verifier(good, leeway=2**40),
        lambda: verifier(good, max_bytes=0),
        lambda: verifier(good, seen=-1),
        lambda: verifier(good, types=[]),
        lambda: verifier(good, issuers=[""]),
        lambda: verifier(good, roles_claims=["sub"]),
        lambda: good.sign("[]"),
        lambda: good.sign('{"exp":"soon"}'),
        lambda: good.sign("{}", ""),
    ):
        with pytest.raises(ValueError):
            make()
    for make in (
        lambda: verifier(good, issuers="https://us.example"),  # a string is not a list of its letters
        lambda: verifier(good, audiences=None),
        lambda: verifier(SECRET),
        lambda: Key.from_secret("text" * 20, "HS256"),
        lambda: Verifier([good], None),
    ):
        with pytest.raises(TypeError):
            make()


def test_threads_that_share_a_verifier_never_see_each_others_tokens():
    verifier_ = verifier(our_key("ES256"), our_key("ES384"), seen=8)  # small: entries are displaced all the time
    ours = {n: token(dict(CLAIMS, sub=f"user-{n}", roles=[f"role-{n}"]), ["ES256", "ES384"][n % 2]) for n in range(24)}
    wrong = []

    def hammer(start):
        for turn in range(100):
            n = (start * 5 + turn) % 24
            verified = verifier_.verify(ours[n])
            if (verified.subject, verified.roles, verified.claims["sub"]) != (
                f"user-{n}",
                {f"role-{n}"},
                f"user-{n}",
            ):
                wrong.append(n)
            try:
                verifier_.verify(ours[n][:-8] + "AAAAAAAA")
                wrong.append(n)
            except TokenRejected as error:
                if error.reason != "signature":
                    wrong.append(error)

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_a_token_outlives_its_verifier():
    verified = verifier(our_key("HS256")).verify(token())
    gc.collect()
    assert verified.subject == "ada" and verified.claims == CLAIMS and verified.scopes == {"read", "write"}


def test_the_room_exports_its_names():
    assert {"Key", "Verifier", "VerifiedToken", "TokenRejected"} <= set(dir(_native))
    assert TokenRejected.__module__ == Key.__module__ == "flask_rampart._native"


def test_a_number_of_any_length_in_a_verified_token_can_be_read() -> None:
    number = "0." + "1" * 5000
    claims = f'{{"sub": "ada", "exp": {NOW + 60}, "n": {number}}}'
    assert verifier(our_key("HS256")).verify(our_key("HS256").sign(claims)).claims["n"] == float(number)


@pytest.mark.parametrize("alg, block", [("HS256", 64), ("HS384", 128), ("HS512", 128)])
def test_a_weak_key_is_the_secret_itself_and_never_an_empty_one(alg: str, block: int) -> None:
    for secret in (b"x", b"secret" * 5, bytes(range(1, block + 1))):
        signed, _, signature = weak_key(secret, alg).sign('{"sub":"ada"}').rpartition(".")
        # RFC 2104 section 2.
        digest = hmac.new(secret, signed.encode(), f"sha{alg[2:]}").digest()
        assert signature == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    with pytest.raises(ValueError, match="empty"):
        weak_key(b"", alg)
    with pytest.raises(ValueError, match="no shared secret"):
        weak_key(b"x" * 64, "RS256")
