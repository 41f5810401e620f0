//! `Key`, `Verifier` and `TokenRejected`.
//!
//! Verifying keeps the GIL: it takes microseconds, and taking the GIL back costs more. It is released
//! for signing with RSA or ES384 and for first sight of a token where a key is for ES384, each above half a millisecond.

use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyString, PyTuple, PyType};

use super::clock::Clock;
use super::credentials::{with_bearer, words};
use super::errors::guarded;
use super::keysets::Keys;
use super::revoked::PyRevoked;
use super::verified::PyVerifiedToken;
use crate::error::ConfigError;
use crate::tokens::{self, Reason, Rules, TokenError, Verified};

create_exception!(
    flask_rampart._native,
    TokenRejected,
    PyException,
    "A token that is not trusted. Its text contains nothing of the token.\n\n\
     ``code`` is what the peer may be told: ``\"token.expired\"`` or ``\"token.invalid\"``.\n\
     ``reason`` is one stable word for the audit log: ``\"signature\"``, ``\"audience\"``, ``\"claims\"``, …\n\
     ``args`` is ``(code, reason)``."
);

/// Gives `TokenRejected` its `code` and `reason`. Called once, when the module is made.
pub(super) fn describe_rejection(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let property = py.import("builtins")?.getattr("property")?;
    for (place, name) in ["code", "reason"].into_iter().enumerate() {
        let read = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
            let rejection = args.get_item(0)?.getattr("args")?.cast_into::<PyTuple>()?;
            rejection.get_item(place).map(Bound::unbind)
        };
        let getter = PyCFunction::new_closure(py, None, None, read)?;
        PyType::new::<TokenRejected>(py).setattr(name, property.call1((getter,))?)?;
    }
    Ok(())
}

fn rejected(error: TokenError) -> PyErr {
    TokenRejected::new_err((error.code(), error.reason()))
}

/// Pickle's oldest protocols would write any object down: a key would lose its secrecy, a proof its meaning.
pub(super) fn not_copied() -> PyErr {
    PyTypeError::new_err("keys, verifiers and verified tokens cannot be pickled or copied")
}

/// One key with one algorithm (RFC 8725 §3.1), for verifying and perhaps for signing.
///
/// HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA (Ed25519).
///
/// >>> import secrets
/// >>> key = Key.from_secret(secrets.token_bytes(32), "HS256", "2026-11")
/// >>> key
/// Key(kid="2026-11", alg="HS256")
#[pyclass(frozen, name = "Key", module = "flask_rampart._native")]
pub struct PyKey(pub(super) Arc<tokens::Key>);

#[pymethods]
impl PyKey {
    /// A shared secret of random bytes: at least 32 for HS256, 48 for HS384, 64 for HS512 (RFC 7518 §3.2).
    ///
    /// :param kid: the name that tokens carry; 1 to 128 bytes.
    /// :param verify_only: never sign with it, as for a key that is being retired.
    /// :raises ValueError: if it is short, or looks like a public key or certificate in any encoding.
    #[staticmethod]
    #[pyo3(signature = (secret, alg, kid=None, *, verify_only=false))]
    fn from_secret(secret: &[u8], alg: &str, kid: Option<&str>, verify_only: bool) -> PyResult<Self> {
        guarded(|| Ok(Self(Arc::new(tokens::Key::from_secret(secret, alg, kid, verify_only)?))))
    }

    /// A key from a PEM: private (PKCS#8, PKCS#1 for RSA, or SEC 1 for EC) or public (SPKI, or PKCS#1 for RSA).
    ///
    /// :raises ValueError: if it is not a key for *alg*: another family or curve, RSA below 2048 bits, a certificate,
    ///     an encrypted key, several blocks. The message says how to convert it.
    #[staticmethod]
    #[pyo3(signature = (pem, alg, kid=None, *, verify_only=false))]
    fn from_pem(pem: &[u8], alg: &str, kid: Option<&str>, verify_only: bool) -> PyResult<Self> {
        guarded(|| Ok(Self(Arc::new(tokens::Key::from_pem(pem, alg, kid, verify_only)?))))
    }

    /// A key from a JWK (RFC 7517), given as JSON text. Its ``use``, ``key_ops``, ``alg``, ``kid`` and ``crv`` are honoured.
    ///
    /// :param alg: may be left out where the JWK's ``alg`` or curve says it; must agree where both do.
    /// :raises ValueError: if it cannot be used as it says, or is a set of keys.
    #[staticmethod]
    #[pyo3(signature = (jwk, alg=None, kid=None, *, verify_only=false))]
    fn from_jwk(jwk: &str, alg: Option<&str>, kid: Option<&str>, verify_only: bool) -> PyResult<Self> {
        guarded(|| Ok(Self(Arc::new(tokens::Key::from_jwk(jwk.as_bytes(), alg, kid, verify_only)?))))
    }

    /// The name of the key, or ``None``.
    #[getter]
    fn kid(&self) -> Option<&str> {
        self.0.kid().map(|kid| &**kid)
    }

    /// Its one algorithm.
    #[getter]
    fn alg(&self) -> &'static str {
        self.0.alg()
    }

    /// Whether it can sign: it is secret or private, and not ``verify_only``.
    #[getter]
    fn can_sign(&self) -> bool {
        self.0.can_sign()
    }

    /// Whether it is a shared secret.
    #[getter]
    fn symmetric(&self) -> bool {
        self.0.is_symmetric()
    }

    /// A compact JWS over *claims*, which is a JSON object as text and is signed as it is.
    ///
    /// :param typ: the type in the header: ``"JWT"``, or ``"at+jwt"`` for an access token (RFC 9068).
    /// :param numeric_subject: for verifiers that take a whole number as ``sub``.
    /// :raises ValueError: if the key cannot sign, or the claims are not what a verifier could read.
    #[pyo3(signature = (claims, typ="JWT", *, numeric_subject=false))]
    fn sign(&self, py: Python<'_>, claims: &str, typ: &str, numeric_subject: bool) -> PyResult<String> {
        guarded(|| {
            let signed = if self.0.signs_slowly() {
                py.detach(|| self.0.sign_for(claims, typ, numeric_subject))
            } else {
                self.0.sign_for(claims, typ, numeric_subject)
            };
            Ok(signed?)
        })
    }

    /// The public half as a JWK in JSON text, or ``None`` for a shared secret.
    fn public_jwk(&self) -> Option<String> {
        self.0.public_jwk()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }

    fn __repr__(&self) -> String {
        match self.0.kid() {
            Some(kid) => format!("Key(kid={kid:?}, alg={:?})", self.0.alg()),
            None => format!("Key(kid=None, alg={:?})", self.0.alg()),
        }
    }
}

/// Decides whether a token may be trusted now (RFC 7519, 8725, 9068).
///
/// :param keys: at least one, or a :class:`KeySet`; a token's ``kid`` chooses among them, never its ``alg``. Secrets and
///     public keys do not mix.
/// :param issuers: of which ``iss`` must be one, exactly. Empty: not checked.
/// :param audiences: of which ``aud`` must contain one. Empty: a token with ``aud`` is refused.
/// :param types: accepted ``typ``, in any case, with or without ``application/``.
/// :param require_type: refuse a token without ``typ``.
/// :param leeway: clock skew tolerated either way, in seconds; at most 86,400.
/// :param require_exp: refuse a token without ``exp``.
/// :param max_bytes: longest token, looked at before anything is decoded.
/// :param scopes_claims: where scopes are: a claim, a path such as ``"realm_access.roles"``, or a JSON Pointer.
/// :param roles_claims: where roles are, likewise.
/// :param revoked: what was revoked before its time; asked at each call.
/// :param realm: in which the tokens' names are listed there: for our own tokens; if not given, their issuer.
/// :param numeric_subject: whether ``sub`` may be a whole number, which counts as its digits.
/// :param seen: most tokens remembered as checked; 0 for none. Everything but signature and form is still checked each time.
/// :raises ValueError: if a rule cannot be used.
///
/// >>> import json, secrets
/// >>> key = Key.from_secret(secrets.token_bytes(32), "HS256")
/// >>> verifier = Verifier([key], Clock.manual(1_800_000_000.0))
/// >>> token = key.sign(json.dumps({"sub": "ada", "exp": 1_800_000_060, "scope": "read"}))
/// >>> verifier.verify(token).scopes
/// frozenset({'read'})
#[pyclass(frozen, name = "Verifier", module = "flask_rampart._native")]
pub struct PyVerifier {
    core: tokens::Verifier,
    clock: Py<Clock>,
}

#[pymethods]
impl PyVerifier {
    #[new]
    #[pyo3(signature = (keys, clock, *, issuers=vec![], audiences=vec![], types=Rules::default().types, require_type=false, leeway=30,
        require_exp=true, max_bytes=16_384, scopes_claims=Rules::default().scopes_claims, roles_claims=Rules::default().roles_claims, seen=16_384, revoked=None, realm=None, numeric_subject=false))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        keys: Keys<'_>,
        clock: Py<Clock>,
        issuers: Vec<String>,
        audiences: Vec<String>,
        types: Vec<String>,
        require_type: bool,
        leeway: i64,
        require_exp: bool,
        max_bytes: i64,
        scopes_claims: Vec<String>,
        roles_claims: Vec<String>,
        seen: i64,
        revoked: Option<PyRef<'_, PyRevoked>>,
        realm: Option<&str>,
        numeric_subject: bool,
    ) -> PyResult<Self> {
        guarded(|| {
            let rules = Rules {
                numeric_subject,
                audiences,
                issuers,
                leeway: natural("leeway", leeway)?,
                max_bytes: natural("max_bytes", max_bytes)?,
                require_exp,
                require_type,
                roles_claims,
                scopes_claims,
                seen: natural("seen", seen)?,
                types,
            };
            let revoked = revoked.map(|revoked| revoked.shared());
            Ok(Self { core: tokens::Verifier::new(keys.ring()?, rules)?.unless(revoked, realm), clock })
        })
    }

    /// A verifier with the same rules and memory, and other keys: tokens of a key that is gone are no longer trusted.
    fn with_keys(&self, py: Python<'_>, keys: Keys<'_>) -> PyResult<Self> {
        guarded(|| Ok(Self { core: self.core.with_keys(keys.ring()?), clock: self.clock.clone_ref(py) }))
    }

    /// The token's content, if it may be trusted now. One that is bound to its sender (``cnf``, RFC 7800) may not: there is no
    /// sender here to show anything.
    ///
    /// :raises TokenRejected: if not, whatever the text contains; never another exception for any ``str``.
    fn verify(&self, py: Python<'_>, token: &Bound<'_, PyString>) -> PyResult<PyVerifiedToken> {
        guarded(|| self.verdict(py, token).map(PyVerifiedToken).map_err(rejected))
    }

    /// The same without an exception, which costs as much as the verdict: ``(code, reason)`` where :meth:`verify`
    /// raises.
    fn judge<'py>(&self, py: Python<'py>, token: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| match self.verdict(py, token) {
            Ok(verified) => Ok(Bound::new(py, PyVerifiedToken(verified))?.into_any()),
            Err(error) => Ok(words(py, error.code(), error.reason())?.into_any()),
        })
    }

    /// Whose bearer token a request carries (RFC 6750 §2.1): the token, None if it carries none, or
    /// ``(code, reason)`` if it is refused.
    ///
    /// *environ* is the request's (PEP 3333). A second token, in the field or in the query, is ``auth.ambiguous``. A
    /// token without ``sub`` is refused: all such tokens would be one principal. So is one that is bound to its sender: see
    /// :class:`Possession`.
    fn authenticate<'py>(
        &self,
        py: Python<'py>,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(|| {
            let verdict =
                with_bearer(environ, |token| match self.trusted(py, token).and_then(Verified::bearer) {
                    Ok(verified) if verified.claims().subject.as_deref().is_none_or(str::is_empty) => {
                        Err(("token.invalid", "subject"))
                    }
                    Ok(verified) => Ok(verified),
                    Err(error) => Err((error.code(), error.reason())),
                })?;
            verdict
                .map(|verdict| match verdict {
                    Ok(verified) => Ok(Bound::new(py, PyVerifiedToken(verified))?.into_any()),
                    Err((code, reason)) => Ok(words(py, code, reason)?.into_any()),
                })
                .transpose()
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}

impl PyVerifier {
    fn verdict(&self, py: Python<'_>, token: &Bound<'_, PyString>) -> Result<Verified, TokenError> {
        // The length in characters comes first: making UTF-8 of it takes memory. A subclass may lie about its
        // length or fail; the core measures the bytes again.
        if !token.len().is_ok_and(|length| length <= self.core.max_bytes()) {
            return Err(Reason::Length.into());
        }
        self.trusted(py, token.to_str().map_err(|_| Reason::Encoding)?)?.bearer()
    }

    /// A token that may be trusted; whether its sender may use it, is for the caller to ask.
    pub(super) fn trusted(&self, py: Python<'_>, token: &str) -> Result<Verified, TokenError> {
        let now = self.clock.get().unix();
        match self.core.recall(token.as_bytes(), now)? {
            Ok(verified) => Ok(verified),
            Err(unseen) => {
                let proven = if self.core.is_slow() {
                    py.detach(|| self.core.prove(&unseen))?
                } else {
                    self.core.prove(&unseen)?
                };
                self.core.conclude(&unseen, proven, now)
            }
        }
    }
}

/// Refuses what is negative or beyond the type.
fn natural<T: TryFrom<i64>>(setting: &str, value: i64) -> Result<T, ConfigError> {
    T::try_from(value).map_err(|_| ConfigError::new(format!("{setting} cannot be {value}")))
}
