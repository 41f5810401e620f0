//! What a verifier asks of a token beside its signature; checked once, when the verifier is made.
//!
//! No rule is turned off by being empty or misspelt: an empty issuer, an empty list of types or a leeway of a year is
//! a `ConfigError`. Without audiences, tokens that name one are refused (RFC 7519 §4.1.3).

use super::claims::Places;
use super::error::{Reason, TokenError};
use super::paths::ClaimPath;
use crate::error::ConfigError;
use crate::time::UnixTime;

/// The rules, as configured.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Audiences of which a token must name one. Empty: a token must name none.
    pub audiences: Vec<String>,
    /// Issuers of which a token must name one, compared byte by byte. Empty: not checked.
    pub issuers: Vec<String>,
    /// Clock skew tolerated either way, in seconds. Default 30, at most 86,400.
    pub leeway: u32,
    /// Longest token, in bytes. Default 16,384.
    pub max_bytes: usize,
    /// Whether `sub` may be a whole number, which then counts as its digits: `7` and `"7"` are one subject. Default
    /// false (RFC 7519 §4.1.2).
    pub numeric_subject: bool,
    /// Whether a token without `exp` is refused. Default true.
    pub require_exp: bool,
    /// Whether a token without `typ` is refused. Default false.
    pub require_type: bool,
    /// Claims that hold roles, by name, dotted path or JSON Pointer. Default `roles`.
    pub roles_claims: Vec<String>,
    /// Claims that hold scopes, likewise. Default `scope` and `scp`.
    pub scopes_claims: Vec<String>,
    /// Most tokens remembered as checked. Default 16,384; 0 turns the cache off.
    pub seen: usize,
    /// Types (`typ`) accepted, without `application/`, in any case. Default `JWT` and `at+jwt`.
    pub types: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            audiences: Vec::new(),
            issuers: Vec::new(),
            leeway: 30,
            max_bytes: 16_384,
            numeric_subject: false,
            require_exp: true,
            require_type: false,
            roles_claims: owned(&["roles"]),
            scopes_claims: owned(&["scope", "scp"]),
            seen: 16_384,
            types: owned(&["JWT", "at+jwt"]),
        }
    }
}

impl Rules {
    /// Checks the rules; returns where scopes and roles are found.
    pub(super) fn check(&self) -> Result<Places, ConfigError> {
        let wrong = |message: &str| Err(ConfigError::new(message));
        if self.issuers.iter().chain(&self.audiences).any(String::is_empty) {
            return wrong("an issuer or audience cannot be empty");
        }
        if self.types.is_empty() || self.types.iter().any(|name| bare_type(name).is_empty()) {
            return wrong("types names the accepted values of typ, for example (\"JWT\", \"at+jwt\")");
        }
        if self.leeway > 86_400 {
            return wrong("leeway is at most 86400 seconds");
        }
        if !(64..=1 << 20).contains(&self.max_bytes) {
            return wrong("max_bytes is between 64 and 1048576");
        }
        if self.seen > 1 << 20 {
            return wrong("seen is at most 1048576 tokens");
        }
        Ok(Places {
            numeric_subject: self.numeric_subject,
            scopes: ClaimPath::parse_all("scopes_claims", &self.scopes_claims)?,
            roles: ClaimPath::parse_all("roles_claims", &self.roles_claims)?,
        })
    }

    /// Whether `typ` is acceptable (RFC 8725 §3.11, RFC 9068 §4).
    pub(super) fn admit_type(&self, typ: Option<&str>) -> Result<(), Reason> {
        let held = match typ {
            None => !self.require_type,
            Some(typ) => {
                let typ = bare_type(typ);
                self.types.iter().any(|accepted| bare_type(accepted).eq_ignore_ascii_case(typ))
            }
        };
        if held { Ok(()) } else { Err(Reason::Type) }
    }

    /// Whether `iss` is a configured issuer: equal to it, never a part of it.
    pub(super) fn admit_issuer(&self, issuer: Option<&str>) -> Result<(), Reason> {
        let held = self.issuers.is_empty()
            || issuer.is_some_and(|own| self.issuers.iter().any(|known| known == own));
        if held { Ok(()) } else { Err(Reason::Issuer) }
    }

    /// Whether `aud` names us, or is absent where none is configured.
    pub(super) fn admit_audience(&self, audience: Option<&[Box<str>]>) -> Result<(), Reason> {
        let held = match audience {
            None => self.audiences.is_empty(),
            Some(named) => named.iter().any(|name| self.audiences.iter().any(|own| **own == **name)),
        };
        if held { Ok(()) } else { Err(Reason::Audience) }
    }

    /// Whether the token is valid at *now*. Each comparison is written so that a NaN refuses.
    pub(super) fn admit_times(
        &self,
        not_before: Option<f64>,
        issued_at: Option<f64>,
        expires_at: Option<f64>,
        UnixTime(now): UnixTime,
    ) -> Result<(), TokenError> {
        let leeway = f64::from(self.leeway);
        // A clock that was never set reads as zero; against it, nothing would be expired.
        if !(now.is_finite() && now >= 1.0) {
            return Err(Reason::Clock.into());
        }
        let held = |limit: Option<f64>, test: &dyn Fn(f64) -> bool| limit.is_none_or(test);
        if !held(not_before, &|nbf| nbf - leeway <= now) {
            return Err(Reason::NotYet.into());
        }
        if !held(issued_at, &|iat| iat <= now + leeway) {
            return Err(Reason::Future.into());
        }
        match expires_at {
            None if self.require_exp => Err(Reason::Expiry.into()),
            Some(exp) if now < exp + leeway => Ok(()),
            Some(_) => Err(TokenError::Expired),
            None => Ok(()),
        }
    }
}

/// *name* without the `application/` that RFC 7515 §4.1.9 lets a sender leave out.
fn bare_type(name: &str) -> &str {
    const PREFIX: &str = "application/";
    match name.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &name[PREFIX.len()..],
        _ => name,
    }
}
