//! `VerifiedToken`: what Python sees of a token that was verified.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyFrozenSet, PyString};

use super::errors::guarded;
use super::json::{Names, PyBuilder};
use super::tokens::not_copied;
use crate::error::ConfigError;
use crate::tokens::Verified;
use crate::validation::Bounds;
use crate::validation::parser::{ParseError, parse};

/// A token that was verified. Only ``Verifier.verify`` makes one.
///
/// Times are seconds since 1970-01-01 UTC.
#[pyclass(frozen, name = "VerifiedToken", module = "flask_rampart._native")]
pub struct PyVerifiedToken(pub(super) Verified);

/// Names of claims that most tokens have (IANA's registry of JWT claims, and those of the large providers), made once.
static CLAIMS: PyOnceLock<Names> = PyOnceLock::new();

const REGISTERED: [&str; 32] = [
    "acr",
    "amr",
    "aud",
    "auth_time",
    "azp",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "exp",
    "family_name",
    "fresh",
    "given_name",
    "groups",
    "iat",
    "iss",
    "jti",
    "name",
    "nbf",
    "nonce",
    "oid",
    "permissions",
    "preferred_username",
    "roles",
    "scope",
    "scp",
    "sid",
    "sub",
    "tenant",
    "tid",
    "type",
    "ver",
];

/// What Python made of a token, kept with it for as long as it is remembered. Immutable, so it may be shared.
struct Made {
    scopes: PyOnceLock<Py<PyFrozenSet>>,
    roles: PyOnceLock<Py<PyFrozenSet>>,
}

impl PyVerifiedToken {
    fn made(&self) -> PyResult<&Made> {
        // No Python runs in here, so no thread can wait for the GIL while another waits for this.
        let made = self
            .0
            .attachment()
            .get_or_init(|| Box::new(Made { scopes: PyOnceLock::new(), roles: PyOnceLock::new() }));
        made.downcast_ref().ok_or_else(|| ConfigError::new("the attachment of a token is not ours").into())
    }
}

fn frozen_set(py: Python<'_>, names: &[Box<str>]) -> PyResult<Py<PyFrozenSet>> {
    PyFrozenSet::new(py, names.iter().map(|name| &**name)).map(Bound::unbind)
}

#[pymethods]
impl PyVerifiedToken {
    /// ``sub``: whom the token is about.
    #[getter]
    fn subject(&self) -> Option<&str> {
        self.0.claims().subject.as_deref()
    }

    /// ``iss``: who made it.
    #[getter]
    fn issuer(&self) -> Option<&str> {
        self.0.claims().issuer.as_deref()
    }

    /// ``jti``: its own name.
    #[getter]
    fn token_id(&self) -> Option<&str> {
        self.0.claims().token_id.as_deref()
    }

    /// ``sid``: what all tokens of one login share.
    #[getter]
    fn family(&self) -> Option<&str> {
        self.0.claims().session.as_deref()
    }

    /// The mark under which this very token is revoked: see ``Revoked``.
    #[getter]
    fn revocation_mark<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| Ok(PyBytes::new(py, self.0.marks().token().bytes())))
    }

    /// The name of the key that verified it, or ``None`` if that key has none.
    #[getter]
    fn kid(&self) -> Option<&str> {
        self.0.kid()
    }

    /// The algorithm of the key that verified it.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.algorithm()
    }

    /// The scopes in the configured claims.
    #[getter]
    fn scopes(&self, py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        let made = self.made()?.scopes.get_or_try_init(py, || frozen_set(py, &self.0.claims().scopes))?;
        Ok(made.clone_ref(py))
    }

    /// The roles in the configured claims.
    #[getter]
    fn roles(&self, py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        let made = self.made()?.roles.get_or_try_init(py, || frozen_set(py, &self.0.claims().roles))?;
        Ok(made.clone_ref(py))
    }

    /// ``exp``.
    #[getter]
    fn expires_at(&self) -> Option<f64> {
        self.0.claims().expires_at
    }

    /// ``iat``.
    #[getter]
    fn issued_at(&self) -> Option<f64> {
        self.0.claims().issued_at
    }

    /// ``auth_time``: when the user last proved who they are (OpenID Connect Core §2).
    #[getter]
    fn authenticated_at(&self) -> Option<f64> {
        self.0.claims().authenticated_at
    }

    /// ``cnf`` (RFC 7800): what its sender has shown, ``"key"``, ``"certificate"``, both or nothing.
    #[getter]
    fn bound_to(&self) -> Vec<&'static str> {
        let bound = self.0.claims().confirmation.as_deref();
        let key = bound.and_then(|bound| bound.key).map(|_| "key");
        key.into_iter().chain(bound.and_then(|bound| bound.certificate).map(|_| "certificate")).collect()
    }

    /// All claims, as a dict that is made anew each time: changing it changes nothing else.
    #[getter]
    fn claims<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let text = self.0.json();
            let bounds =
                Bounds::new(text.len().max(1), Bounds::DEEPEST, text.len().max(1), Bounds::LONGEST_NUMBER)?;
            let names = CLAIMS.get_or_init(py, || Names::new(py, REGISTERED.iter().copied()));
            match parse(text, &bounds, &mut PyBuilder::new(py, Some(names))) {
                Ok(parsed) => Ok(parsed.value),
                Err(ParseError::Fault(error)) => Err(error),
                // The text was read before, by rules that are stricter but for one: how long a number may be.
                Err(ParseError::Rejected(_)) => {
                    py.import("json")?.call_method1("loads", (PyBytes::new(py, text),))
                }
            }
        })
    }

    /// ``sub``, or ``""``: whom a request with this token is made by.
    #[getter]
    fn id(&self) -> &str {
        self.0.claims().subject.as_deref().unwrap_or_default()
    }

    /// The scheme of the credential: ``"jwt"``.
    #[getter]
    fn kind(&self, py: Python<'_>) -> Py<PyString> {
        intern!(py, "jwt").clone().unbind()
    }

    fn __repr__(&self) -> String {
        format!("<VerifiedToken {:?}>", self.id())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}
