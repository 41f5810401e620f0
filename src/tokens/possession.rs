//! Decides whether who presents a token may use it: bearer tokens, and those that are bound to their sender.
//!
//! | the token is | presented as `Bearer` | presented as `DPoP` |
//! |---|---|---|
//! | bound to nothing | taken, unless DPoP is required | refused |
//! | bound to a key (`jkt`, RFC 9449) | refused: that would be a downgrade (§7.2) | taken with a proof of that key |
//! | bound to a certificate (`x5t#S256`, RFC 8705) | taken with that certificate, unless DPoP is required | refused |
//! | bound to both | refused | taken with both |
//!
//! What is not configured cannot be shown, so it refuses: without DPoP the scheme is unknown, without certificates
//! nothing that is bound to one is taken.

use super::confirmation::Confirmation;
use super::error::{Reason, TokenError};
use super::proof::{Fault, Proofs, Proven};
use super::seen::Digest;
use super::verify::Verified;
use crate::crypto::{same, sha256};

/// Whether DPoP proofs are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dpop {
    /// Beside bearer tokens.
    Allowed,
    /// The scheme is unknown.
    Off,
    /// And nothing else.
    Required,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its proof is at fault.
    Proof(Fault),
    /// Its token is.
    Token(TokenError),
}

impl Refusal {
    /// The stable code that the peer is told.
    pub fn code(self) -> &'static str {
        match self {
            Self::Proof(_) => "proof.invalid",
            Self::Token(error) => error.code(),
        }
    }

    /// The stable word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Proof(fault) => fault.word(),
            Self::Token(error) => error.reason(),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Token(reason.into())
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Proof(fault)
    }
}

/// What an app asks of who presents a token.
pub struct Possession {
    dpop: Dpop,
    certificates: bool,
    proofs: Proofs,
}

/// A token whose sender has shown what could be shown at once.
#[derive(Debug)]
pub enum Presented {
    /// Its sender may use it.
    Held(Verified),
    /// Its sender must show more.
    Pending(Pending),
}

/// A bound token, of which its sender must still show something. Only [`Possession`] makes one.
#[derive(Debug)]
pub struct Pending {
    verified: Verified,
    certificate: Option<Digest>,
    proven: Option<Proven>,
}

impl Possession {
    /// Whether certificates of clients can be had, and how old a proof may be, in seconds.
    pub fn new(dpop: Dpop, certificates: bool, max_age: u32) -> Self {
        Self { dpop, certificates, proofs: Proofs::new(max_age) }
    }

    /// Whether proofs are taken.
    pub fn dpop(&self) -> Dpop {
        self.dpop
    }

    /// What checks proofs.
    pub fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// A token that came as `Bearer`.
    pub fn bearer(&self, verified: Verified) -> Result<Presented, Refusal> {
        if self.dpop == Dpop::Required {
            return Err(Reason::Unbound.into());
        }
        match verified.claims().confirmation.as_deref().copied() {
            None => Ok(Presented::Held(verified)),
            Some(Confirmation { certificate: Some(digest), key: None }) if self.certificates => {
                Ok(Presented::Pending(Pending { verified, certificate: Some(digest), proven: None }))
            }
            Some(_) => Err(Reason::Bound.into()),
        }
    }

    /// The thumbprint of the key that a token which came as `DPoP` is bound to: what its proof must be of.
    pub fn key(&self, verified: &Verified) -> Result<Digest, Refusal> {
        match verified.claims().confirmation.as_deref() {
            // The scheme was not to be understood.
            _ if self.dpop == Dpop::Off => Err(Reason::Bound.into()),
            Some(Confirmation { certificate: Some(_), .. }) if !self.certificates => {
                Err(Reason::Bound.into())
            }
            Some(Confirmation { key: Some(key), .. }) => Ok(*key),
            _ => Err(Reason::Unbound.into()),
        }
    }

    /// The same token, with its proof.
    pub fn proven(&self, verified: Verified, proven: Proven) -> Result<Pending, Refusal> {
        if self.key(&verified)? != *proven.key() {
            return Err(Fault::Thumbprint.into());
        }
        let certificate = verified.claims().confirmation.as_deref().and_then(|bound| bound.certificate);
        Ok(Pending { verified, certificate, proven: Some(proven) })
    }
}

impl Pending {
    /// Whether a certificate must be shown.
    pub fn needs_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// The proof, whose `jti` and `nonce` are still to be looked at.
    pub fn proof(&self) -> Option<&Proven> {
        self.proven.as_ref()
    }

    /// The token, if *certificate*, in DER, is the one that it is bound to, or none is needed.
    pub fn admit(&self, certificate: Option<&[u8]>) -> Result<Verified, Refusal> {
        let held = match (&self.certificate, certificate) {
            (None, _) => true,
            (Some(wanted), Some(der)) => same(wanted, &sha256(der)),
            (Some(_), None) => false,
        };
        if held { Ok(self.verified.clone()) } else { Err(Reason::Certificate.into()) }
    }
}
