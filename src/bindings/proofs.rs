//! `Possession` and `BoundToken`: tokens that are bound to their sender, by a key (DPoP) or a certificate.
//!
//! The GIL is released only for proofs by ES384, which take more than half a millisecond.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::clock::Clock;
use super::credentials::{Refused, text, with_bearer, with_token, words};
use super::errors::guarded;
use super::keysets::said;
use super::tokens::{PyVerifiedToken, PyVerifier};
use crate::error::ConfigError;
use crate::tokens::certificate::{from_field, from_pem};
use crate::tokens::possession::{Dpop, Pending, Presented, Refusal};
use crate::tokens::proof::{ALGORITHMS, Fault, Proof, Wanted};
use crate::tokens::target::{Origin, Target};
use crate::tokens::{self, Verified};

/// Decides whether who presents a token may use it: the rules are in ``src/tokens/possession.rs``.
///
/// :param dpop: whether DPoP proofs (RFC 9449) are taken: ``"off"``, ``"allowed"`` or ``"required"``.
/// :param certificates: whether certificates of clients can be had (RFC 8705).
/// :param max_age: how far a proof's ``iat`` may be from now, either way, in seconds.
/// :param origin: an absolute URI whose scheme, host and port are those of this API; None takes the request's own.
/// :raises ValueError: for another word, or an origin that is none.
///
/// >>> Possession(Clock.manual(1_800_000_000.0), dpop="allowed").algorithms[0]
/// 'ES256'
#[pyclass(frozen, name = "Possession", module = "flask_rampart._native")]
pub struct PyPossession {
    core: tokens::Possession,
    origin: Option<Origin>,
    clock: Py<Clock>,
}

#[pymethods]
impl PyPossession {
    #[new]
    #[pyo3(signature = (clock, *, dpop, certificates=false, max_age=60, origin=None))]
    fn new(
        clock: Py<Clock>,
        dpop: &str,
        certificates: bool,
        max_age: u32,
        origin: Option<&str>,
    ) -> PyResult<Self> {
        guarded(|| {
            let dpop = match dpop {
                "off" => Dpop::Off,
                "allowed" => Dpop::Allowed,
                "required" => Dpop::Required,
                _ => return Err(ConfigError::new("dpop is \"off\", \"allowed\" or \"required\"").into()),
            };
            let origin = origin
                .map(|uri| {
                    Origin::of(uri)
                        .ok_or_else(|| ConfigError::new("an origin is an http or https URI with a host"))
                })
                .transpose()?;
            Ok(Self { core: tokens::Possession::new(dpop, certificates, max_age), origin, clock })
        })
    }

    /// Algorithms that a proof may be signed with, the better ones first.
    #[getter]
    fn algorithms(&self) -> Vec<&'static str> {
        ALGORITHMS.to_vec()
    }

    /// Whose token a request carries, by the schemes that are taken.
    ///
    /// *environ* is the request's (PEP 3333). None if it carries none; a :class:`VerifiedToken` if its sender may use it; a
    /// :class:`BoundToken` if he must show more; ``(code, reason)`` if it is refused.
    fn authenticate<'py>(
        &self,
        py: Python<'py>,
        verifier: &PyVerifier,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(|| {
            let taken = |token: &str| -> Result<Verified, Refused> {
                let verified = verifier.trusted(py, token).map_err(|error| (error.code(), error.reason()))?;
                let nobody = verified.claims().subject.as_deref().is_none_or(str::is_empty);
                if nobody { Err(("token.invalid", "subject")) } else { Ok(verified) }
            };
            let bearer = |token: &str| {
                // Nothing that comes so is taken, so none is looked at.
                if self.core.dpop() == Dpop::Required {
                    return Err(("token.invalid", "bearer"));
                }
                self.core.bearer(taken(token)?).map_err(refused)
            };
            let verdict = match self.core.dpop() {
                Dpop::Off => with_bearer(environ, bearer)?,
                _ => match with_token(environ, "dpop", |token| Ok(token.to_owned()))? {
                    None => with_bearer(environ, bearer)?,
                    Some(Err(refused)) => Some(Err(refused)),
                    Some(Ok(token)) => Some(match taken(&token) {
                        Ok(verified) => self.prove(py, environ, &token, verified)?.map_err(refused),
                        Err(refused) => Err(refused),
                    }),
                },
            };
            verdict
                .map(|verdict| match verdict {
                    Ok(Presented::Held(verified)) => {
                        Ok(Bound::new(py, PyVerifiedToken(verified))?.into_any())
                    }
                    Ok(Presented::Pending(pending)) => Ok(Bound::new(py, PyBoundToken(pending))?.into_any()),
                    Err((code, reason)) => Ok(words(py, code, reason)?.into_any()),
                })
                .transpose()
        })
    }

    /// Which issuer the token of a request *says* it is from, as ``bearer_issuer`` does, by the schemes that are taken.
    fn issuer<'py>(
        &self,
        py: Python<'py>,
        environ: &Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(|| {
            let proven = match self.core.dpop() {
                Dpop::Off => None,
                _ => with_token(environ, "dpop", said)?,
            };
            let found = match proven {
                Some(found) => Some(found),
                None => with_bearer(environ, |token| match self.core.dpop() {
                    Dpop::Required => Err(("token.invalid", "bearer")),
                    _ => said(token),
                })?,
            };
            found.map(|said| super::keysets::answer(py, said)).transpose()
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}

fn refused(refusal: Refusal) -> Refused {
    (refusal.code(), refusal.reason())
}

fn not_copied() -> PyErr {
    PyTypeError::new_err("what was shown for a request cannot be pickled or copied")
}

impl PyPossession {
    /// Checks the proof of a request whose token has held.
    fn prove(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        token: &str,
        verified: Verified,
    ) -> PyResult<Result<Presented, Refusal>> {
        let key = match self.core.key(&verified) {
            Ok(key) => key,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let field = text(environ, intern!(py, "HTTP_DPOP"))?;
        let field = field.as_ref().map(|field| field.to_string_lossy()).unwrap_or_default();
        let proof = match Proof::read(&field) {
            Ok(proof) => proof,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let Some(method) = text(environ, intern!(py, "REQUEST_METHOD"))? else {
            return Ok(Err(Fault::Method.into()));
        };
        let (method, target) = (method.to_string_lossy(), self.target(environ)?);
        let wanted = Wanted { key: &key, method: &method, target: target.as_ref(), token: token.as_bytes() };
        let now = self.clock.get().unix();
        let proofs = self.core.proofs();
        let proven = if proof.is_slow() {
            py.detach(|| proofs.check(&proof, &wanted, now))
        } else {
            proofs.check(&proof, &wanted, now)
        };
        Ok(proven
            .map_err(Refusal::from)
            .and_then(|proven| self.core.proven(verified, proven))
            .map(Presented::Pending))
    }

    /// Where a request came; `None` if that cannot be known.
    fn target(&self, environ: &Bound<'_, PyDict>) -> PyResult<Option<Target>> {
        let py = environ.py();
        let get = |name: &Bound<'_, PyString>| -> PyResult<Option<String>> {
            Ok(text(environ, name)?.map(|text| text.to_string_lossy().into_owned()))
        };
        let origin = match &self.origin {
            Some(origin) => Some(origin.clone()),
            None => {
                let scheme = get(intern!(py, "wsgi.url_scheme"))?.unwrap_or_default();
                let host = match get(intern!(py, "HTTP_HOST"))? {
                    Some(host) => host,
                    None => format!(
                        "{}:{}",
                        get(intern!(py, "SERVER_NAME"))?.unwrap_or_default(),
                        get(intern!(py, "SERVER_PORT"))?.unwrap_or_default()
                    ),
                };
                Origin::of_request(&scheme, &host)
            }
        };
        let script = get(intern!(py, "SCRIPT_NAME"))?.unwrap_or_default();
        let path = get(intern!(py, "PATH_INFO"))?.unwrap_or_default();
        // PEP 3333: each character of these is a byte. What is more is no server's.
        let path: Result<Vec<u8>, _> =
            script.chars().chain(path.chars()).map(|letter| u8::try_from(u32::from(letter))).collect();
        let line = match get(intern!(py, "RAW_URI"))? {
            Some(line) => Some(line),
            None => get(intern!(py, "REQUEST_URI"))?,
        };
        Ok(match (origin, path) {
            (Some(origin), Ok(path)) => origin.target(&path, line.as_deref()),
            _ => None,
        })
    }
}

/// A token that is bound to its sender, who has not yet shown everything. It speaks for nobody: see :meth:`admit`.
///
/// Only ``Possession`` makes one.
#[pyclass(frozen, name = "BoundToken", module = "flask_rampart._native")]
pub struct PyBoundToken(Pending);

#[pymethods]
impl PyBoundToken {
    /// Whether it is bound to a certificate.
    #[getter]
    fn needs_certificate(&self) -> bool {
        self.0.needs_certificate()
    }

    /// ``(name of the proof, thumbprint of its key)``, or None if there is no proof. A proof with a name that was used before
    /// is a replay.
    #[getter]
    fn proof(&self) -> Option<(String, String)> {
        self.0.proof().map(|proof| (URL_SAFE_NO_PAD.encode(proof.id()), URL_SAFE_NO_PAD.encode(proof.key())))
    }

    /// The proof's ``nonce``.
    #[getter]
    fn nonce(&self) -> Option<&str> {
        self.0.proof()?.nonce()
    }

    /// The token, if it is bound to no certificate or to the one that is given; else ``(code, reason)``.
    ///
    /// :param der: the certificate as the server has it.
    /// :param pem: the same as PEM.
    /// :param field: a header field: RFC 9440, or percent-encoded PEM.
    #[pyo3(signature = (*, der=None, pem=None, field=None))]
    fn admit<'py>(
        &self,
        py: Python<'py>,
        der: Option<Vec<u8>>,
        pem: Option<&str>,
        field: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let certificate = der.or_else(|| from_pem(pem?)).or_else(|| from_field(field?));
            match self.0.admit(certificate.as_deref()) {
                Ok(verified) => Ok(Bound::new(py, PyVerifiedToken(verified))?.into_any()),
                Err(refusal) => Ok(words(py, refusal.code(), refusal.reason())?.into_any()),
            }
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}
