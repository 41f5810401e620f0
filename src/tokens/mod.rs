//! Decides whether a bearer token may be trusted *now*, and signs tokens (RFC 7515, 7518, 7519, 8725, 9068).
//!
//! A token is accepted when all of these hold, checked in this order:
//! 1. it is at most `max_bytes` long, which is looked at before anything is decoded;
//! 2. it has exactly three parts, each strict base64url without padding (RFC 7515 §2);
//! 3. its header is one JSON object without duplicate members, within bounds, without `crit`, `b64`, `zip` or `enc`;
//! 4. its `kid` names a key that we hold, and its `alg` is *that key's* (RFC 8725 §3.1);
//! 5. the signature verifies;
//! 6. its claims are one JSON object without duplicate members at any depth, and the registered ones
//!    have their registered types (RFC 7519 §4.1): a wrong type refuses, it never counts as absent;
//! 7. its `typ` (RFC 8725 §3.11), its issuer and its audience are configured ones;
//! 8. `nbf - leeway <= now < exp + leeway`, and `iat <= now + leeway`;
//! 9. it was not revoked, as far as the list of the revoked that it is checked against knows.
//!
//! Only then is there a [`Verified`], which nothing else can make. One with `cnf` is no bearer token: its sender must show
//! the key (DPoP, RFC 9449) or the certificate (RFC 8705) that it is bound to, or it is refused ([`possession`]).
//!
//! # What it refuses to do
//! It fetches no key: `jku`, `x5u`, `jwk` and `x5c` of a header are never followed nor trusted (but for the `jwk` of
//! a DPoP proof, which must be the key that the token names). It knows
//! no JSON serialization, no encrypted token (JWE), no `none`. It takes no algorithm from a token, and
//! no public key as a shared secret. It reads no clock and keeps no token: the [`seen`] cache holds digests.
//!
//! # The rooms within
//! [`bearer`] where a request carries a token · [`unverified`] which verifier a token is for · [`key`] one key with one
//! algorithm · [`keyring`] several, by `kid` · [`keyset`] those that an issuer publishes · `header`, `claims`, `json` the
//! strict parsers · [`verify`] the rules · [`revoked`] what ended before its time · [`seen`] tokens that were checked
//! before · [`issue`] signing · [`confirmation`] what a token is bound to · [`possession`] whether its sender may use it ·
//! [`proof`] DPoP proofs · [`thumbprint`] names of keys · [`target`] whether two URIs are the same · [`certificate`]
//! certificates as servers and proxies write them.
//!
//! # What can break it in deployment
//! - Workers whose clocks differ by more than `leeway` disagree.
//! - A verifier without audiences refuses every token that has one (RFC 7519 §4.1.3): configure it.
//! - A signature can often be changed into another valid one (ECDSA), so two different tokens may carry
//!   the same claims: replay is detected by `jti`, never by the token's bytes.

pub mod bearer;
pub mod certificate;
pub mod claims;
pub mod confirmation;
pub mod error;
mod header;
pub mod issue;
mod json;
pub mod key;
pub mod keyring;
pub mod keyset;
mod paths;
pub mod possession;
pub mod proof;
pub mod revoked;
pub mod rules;
pub mod seen;
pub mod target;
pub mod thumbprint;
pub mod unverified;
pub mod verify;

#[cfg(test)]
mod tests;

pub use error::{Reason, TokenError};
pub use key::Key;
pub use keyring::Keyring;
pub use keyset::KeySet;
pub use possession::Possession;
pub use revoked::Revoked;
pub use rules::Rules;
pub use verify::{Verified, Verifier};
