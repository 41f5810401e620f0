//! Decides which headers leave with a response: what is added, what is dropped, what is refused.
//!
//! A [`HeaderPolicy`] is computed once, at start-up, from a profile (`api`, `html` or `mixed`), an
//! optional Content-Security-Policy and overrides. For each response, in this order:
//! 1. a name that is no token or a value with a control character refuses the response
//!    (response splitting, RFC 9110 §5.5);
//! 2. a header that tells strangers what runs here is dropped (OWASP's removal list), unless kept by name;
//! 3. the profile is chosen by `Content-Type` where the policy is `mixed`;
//! 4. each header of the policy is added unless the application set one of that name: the view's
//!    stays. Nothing of the policy is ever sent twice;
//! 5. where the Content-Security-Policy has a nonce, this response gets its own;
//! 6. what belongs to one reader is closed to shared caches ([`closed`]; the rules are in `caching`).
//!
//! What only has a meaning over TLS (`Strict-Transport-Security`, `upgrade-insecure-requests`) is
//! sent over TLS alone. Whether a response goes over TLS is an argument: this room trusts no
//! `X-Forwarded-Proto`. Hosts that are never pinned are told by [`may_be_pinned`].
//!
//! # What it does not do
//! It does not harden cookies, answer CORS, write `Vary` or rate-limit fields, or judge a policy
//! that a view sets itself. Headers that were once useful (`X-XSS-Protection`, `Feature-Policy`,
//! `Public-Key-Pins`, `Expect-CT`) are never sent by a profile; where a view sets one it stays,
//! because the removal list is about disclosure and the view's word stands.
//!
//! # Deployment caveat
//! A WSGI server writes its own `Server` and `Date` after the application has answered: no
//! application can remove those. `docs/headers.md` has each server's setting. A cache in front that
//! ignores `Cache-Control: no-store` would hand one nonce to many readers.
//!
//! # Sources
//! Content Security Policy Level 3 (W3C), RFC 6797 (HSTS), RFC 9110 §5, OWASP Secure Headers
//! Project (lists of 2026-07-19).

mod caching;
mod csp;
mod fields;
mod hsts;
mod names;
mod nonce;
mod permissions;
mod policy;
mod profiles;
mod reporting;

pub use caching::{Reason, Sharing, closed, varies_by_cookie};
pub use csp::{Csp, Setting, Template};
pub use fields::may_be_sent;
pub use hsts::may_be_pinned;
pub use names::REMOVED;
pub use nonce::{Nonce, NonceError};
pub use policy::{Answer, HeaderPolicy, Line, Options, Refusal, Seen, Verdict};
pub use profiles::Profile;
pub use reporting::Reporting;
