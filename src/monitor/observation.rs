//! What a request was, as the rules count it.
//!
//! [`Signs`] are read of the answer's status and of the codes of our refusals. A status without a code was the app's own
//! word, and counts as such.

use crate::error::ConfigError;

use super::rule::Subject;
use super::sent::Source;

/// What can be said of a request: any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs(pub u32);

impl Signs {
    /// Every request.
    pub const REQUEST: Self = Self(1);
    /// Somebody said which account they are of, and proved it or not.
    pub const LOGIN: Self = Self(1 << 1);
    /// They did not prove it.
    pub const LOGIN_FAILED: Self = Self(1 << 2);
    /// A credential was refused; not one that was missing, has expired, or is not recent.
    pub const AUTHENTICATION_FAILED: Self = Self(1 << 3);
    /// No route has this path.
    pub const NOT_FOUND: Self = Self(1 << 4);
    /// The route is there; what was asked for is not, or not theirs.
    pub const OBJECT_REFUSED: Self = Self(1 << 5);
    /// What they may do does not reach so far.
    pub const FORBIDDEN: Self = Self(1 << 6);
    /// The input is not as the schema says.
    pub const INVALID: Self = Self(1 << 7);
    /// No client that means well sends such a request.
    pub const MALFORMED: Self = Self(1 << 8);
    /// A quota is spent, or they are banned.
    pub const LIMITED: Self = Self(1 << 9);
    /// The app's own failure, 5xx.
    pub const SERVER_ERROR: Self = Self(1 << 10);
    /// 4xx, but 401 and 429, which have signs of their own.
    pub const CLIENT_ERROR: Self = Self(1 << 11);
    /// A refresh token came a second time.
    pub const REFRESH_REUSED: Self = Self(1 << 12);
    /// The audit log was changed.
    pub const AUDIT_TAMPERED: Self = Self(1 << 13);
    /// Something was given out: 2xx on a route.
    pub const READ: Self = Self(1 << 14);

    /// Each with the name that rules call it by.
    pub const NAMES: [(&'static str, Self); 15] = [
        ("request", Self::REQUEST),
        ("login", Self::LOGIN),
        ("login_failed", Self::LOGIN_FAILED),
        ("authentication_failed", Self::AUTHENTICATION_FAILED),
        ("not_found", Self::NOT_FOUND),
        ("object_refused", Self::OBJECT_REFUSED),
        ("forbidden", Self::FORBIDDEN),
        ("invalid", Self::INVALID),
        ("malformed", Self::MALFORMED),
        ("limited", Self::LIMITED),
        ("server_error", Self::SERVER_ERROR),
        ("client_error", Self::CLIENT_ERROR),
        ("refresh_reused", Self::REFRESH_REUSED),
        ("audit_tampered", Self::AUDIT_TAMPERED),
        ("read", Self::READ),
    ];

    /// The sign of a name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, sign)| *sign).ok_or_else(|| {
            let known: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            ConfigError::new(format!("{name:?} is no sign of a request; these are: {}", known.join(", ")))
        })
    }

    /// Whether any sign is in both.
    #[inline]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and those.
    #[inline]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The signs of an answer.
    pub fn of<'a>(outcome: &Outcome, codes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut signs = Self::REQUEST;
        let mut coded = false;
        for code in codes {
            coded = true;
            signs = signs.with(of_code(code));
        }
        match outcome.status {
            200..=299 if outcome.has_route => signs = signs.with(Self::READ),
            401 if !coded && outcome.has_credential => signs = signs.with(Self::AUTHENTICATION_FAILED),
            404 if !outcome.has_route => signs = signs.with(Self::NOT_FOUND),
            403 | 404 if !coded => signs = signs.with(Self::OBJECT_REFUSED),
            429 if !coded => signs = signs.with(Self::LIMITED),
            500.. => signs = signs.with(Self::SERVER_ERROR),
            _ => {}
        }
        if matches!(outcome.status, 400 | 402..=428 | 430..=499) {
            signs = signs.with(Self::CLIENT_ERROR);
        }
        match outcome.login {
            Some(true) => signs.with(Self::LOGIN),
            // A login that failed is not counted as a refused credential once more.
            Some(false) => {
                Self(signs.with(Self::LOGIN).with(Self::LOGIN_FAILED).0 & !Self::AUTHENTICATION_FAILED.0)
            }
            None => signs,
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The answer's, 0 if there was none.
    pub status: u16,
    /// Whether a route matched.
    pub has_route: bool,
    /// Whether a login that it was succeeded; none if it was none.
    pub login: Option<bool>,
    /// Whether it carried a credential, or what may be one: a 401 of the app's own says of no other that it was refused.
    pub has_credential: bool,
}

/// What a refusal of ours says. What is about the app itself (a store that is away) says nothing of who asks.
fn of_code(code: &str) -> Signs {
    match code {
        "auth.invalid" | "token.invalid" | "key.invalid" | "proof.invalid" | "auth.ambiguous" => {
            Signs::AUTHENTICATION_FAILED
        }
        "auth.policy" => Signs::OBJECT_REFUSED,
        "auth.permission" | "auth.role" | "auth.scope" | "auth.audience" | "auth.issuer"
        | "route.undeclared" => Signs::FORBIDDEN,
        "csrf.invalid" | "csrf.origin" | "cors.refused" => Signs::FORBIDDEN,
        "limit.exceeded" | "limit.banned" | "limit.too_costly" => Signs::LIMITED,
        "request.malformed" | "path.malformed" | "method.refused" | "head.too_large" | "path.too_long"
        | "host.unknown" | "url.refused" => Signs::MALFORMED,
        _ if code.ends_with(".invalid") && !code.starts_with("response.") => Signs::INVALID,
        _ if code.starts_with("json.") || code.starts_with("body.") && code != "body.consumed" => {
            Signs::INVALID
        }
        "query.too_long" | "expectation.refused" => Signs::INVALID,
        _ if code.starts_with("ai.") => Signs::INVALID,
        _ => Signs(0),
    }
}

/// One request, in keyed hashes; 0 is nobody or nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observation {
    /// When it was: seconds since boot, or of any clock that never goes back.
    pub at: u64,
    /// When it is counted, by the same clock.
    pub now: u64,
    /// Seconds since 1970-01-01 UTC: which hour of the week it is.
    pub unix: u64,
    /// How it ended.
    pub signs: Signs,
    /// Where it came from.
    pub address: u64,
    /// The network of that.
    pub network: u64,
    /// The wide network of that, which has a share of the table, and the narrow one in it.
    pub source: u32,
    /// Whether the address is of IPv6: somebody with both has two networks at once.
    pub is_v6: bool,
    /// Who it was.
    pub principal: u64,
    /// Which credential.
    pub token: u64,
    /// Which account a login named.
    pub account: u64,
    /// What was asked for: the path.
    pub place: u64,
    /// What was asked for: the path and the query.
    pub object: u64,
    /// Whose doing it was.
    pub sent_by: Source,
    /// Whether its principal is known by what no browser adds by itself: that is then who had it sent.
    pub is_deliberate: bool,
    /// What was wrong with it.
    pub kind: u64,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

impl Observation {
    /// Whether it is no doing of this subject's, but of a page: the browser sends along what it has of its user.
    #[inline]
    pub(super) fn is_apart(&self, subject: Subject) -> bool {
        match subject {
            Subject::Address | Subject::Network => self.sent_by != Source::Sender,
            Subject::Principal => self.sent_by != Source::Sender && !self.is_deliberate,
            _ => false,
        }
    }
}
