//! Why a token is refused: two codes for the peer, one word for the audit log.
//!
//! The peer learns that its token has expired, which it can act on and which is said only after the
//! signature held; everything else is one code, so that a forger is not told what to mend. Neither
//! the code nor the word contains anything of the token.

use std::fmt;

/// A token that is not trusted. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenError {
    /// Everything held but `exp`, which is past. Code `token.expired`.
    Expired,
    /// Anything else: told apart in the audit log only. Code `token.invalid`.
    Invalid(Reason),
}

impl TokenError {
    /// The stable code that the peer is told.
    pub fn code(self) -> &'static str {
        match self {
            Self::Expired => "token.expired",
            Self::Invalid(_) => "token.invalid",
        }
    }

    /// The stable word for the audit log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Invalid(reason) => reason.word(),
        }
    }
}

impl From<Reason> for TokenError {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.reason())
    }
}

impl std::error::Error for TokenError {}

/// What was wrong with an invalid token. For the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// `alg` is not that of the key, or of no key that we hold. Includes `none`.
    Algorithm,
    /// No configured audience is in `aud`, or there is an `aud` and none is configured.
    Audience,
    /// It is bound to a key or a certificate (RFC 7800), and nothing that could show it came with it.
    Bound,
    /// It is bound to a certificate (RFC 8705), and another one came with it, or none.
    Certificate,
    /// The claims are not one strict JSON object, or one has the wrong type.
    Claims,
    /// Our own clock cannot be right.
    Clock,
    /// `crit` or `b64` is present (RFC 7515 §4.1.11, RFC 7797).
    Critical,
    /// A part is not strict base64url, or the text is not Unicode.
    Encoding,
    /// `exp` is required and absent.
    Expiry,
    /// `iat` is in the future.
    Future,
    /// The header is not one strict JSON object, is too large, or has a member that is not for us.
    Header,
    /// `iss` is not a configured issuer.
    Issuer,
    /// No key, or more than one, fits the header.
    Key,
    /// The token is longer than allowed.
    Length,
    /// `nbf` is in the future.
    NotYet,
    /// There are not exactly three parts.
    Parts,
    /// It was revoked: itself, its family, or what its subject had until then.
    Revoked,
    /// The signature is not the key's.
    Signature,
    /// `typ` is not a configured one.
    Type,
    /// It is bound to no key, where one must be.
    Unbound,
}

impl Reason {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm",
            Self::Audience => "audience",
            Self::Bound => "bound",
            Self::Certificate => "certificate",
            Self::Claims => "claims",
            Self::Clock => "clock",
            Self::Critical => "critical",
            Self::Encoding => "encoding",
            Self::Expiry => "no-expiry",
            Self::Future => "issued-in-future",
            Self::Header => "header",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Length => "length",
            Self::NotYet => "not-yet-valid",
            Self::Parts => "parts",
            Self::Revoked => "revoked",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Unbound => "unbound",
        }
    }
}
