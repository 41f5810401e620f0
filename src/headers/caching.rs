//! Who may keep an answer, and when that is said anew.
//!
//! An answer is closed to shared caches, whatever the view or the policy said, where
//! 1. a nonce was asked for: who else got the page would know it, and could run scripts in it. It becomes
//!    `private, no-store`;
//! 2. it refuses, or is a 500: kept, one stranger's 401 would be everybody's. The same; and so any error (400 and up)
//!    for which the view itself says nothing: what a declaration says of a place is about what it serves;
//! 3. the request was authenticated, by a guard or by `Authorization`: a cache asks nobody who they are;
//! 4. the answer sets a cookie, or says by `Vary: Cookie` that it depends on one that came (the class of
//!    CVE-2023-30861: a proxy handed one user's session to the next). In 3 and 4 it becomes `private`, and
//!    how long the reader's own browser may keep it stays.
//!
//! An answer for which no nonce was asked and which others may keep is sent without one: whoever has a copy of it would
//! know the nonce of all the others.
//!
//! Fields that speak to one cache alone and overrule `Cache-Control` there (RFC 9213, nginx's
//! `X-Accel-Expires`) are dropped with it.
//!
//! It does not close what merely came with a cookie: a style sheet with `public` stays one. A view that
//! reads a cookie by itself says so with `Vary: Cookie`, as Flask does for its session.
//!
//! # Deployment caveat
//! A cache that is set up to ignore `Cache-Control` keeps everything.
//!
//! Sources: RFC 9111 §3, §5.2; RFC 9213.

use crate::suggest::nearest;

/// Who may use an answer again, the strictest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Sharing {
    /// The reader's own browser at most (`private`, `no-store`).
    Private,
    /// Shared caches, if they ask each time (`no-cache`): whoever is not let in gets nothing of it.
    Asked,
    /// Anybody, perhaps by a guess of the cache's own where nothing was said (RFC 9111 §4.2.2).
    #[default]
    Shared,
}

/// Why an answer may not be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It belongs to whoever asked.
    Personal,
    /// It answers this one request and no other: it has a nonce, refuses, or failed.
    Once,
}

impl Sharing {
    /// What one value of `Cache-Control` allows.
    #[inline]
    pub(super) fn of(value: &str) -> Self {
        let mut sharing = Self::Shared;
        for directive in directives(value) {
            // `private="Set-Cookie"` is about that field alone, and `no-cache="…"` as well.
            if directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store") {
                return Self::Private;
            }
            if directive.eq_ignore_ascii_case("no-cache") {
                sharing = Self::Asked;
            }
        }
        sharing
    }

    /// Whether an answer of this reach must be closed for that reason.
    #[must_use]
    pub fn is_too_wide(self, reason: Reason) -> bool {
        match reason {
            Reason::Personal => self == Self::Shared,
            // A cache that asks may be told 304, and gives away the old page with its nonce.
            Reason::Once => self != Self::Private,
        }
    }
}

/// Whether somebody may keep an answer with this `Cache-Control`, if only the reader's own browser.
pub(super) fn is_kept(value: &str) -> bool {
    !directives(value).any(|directive| directive.eq_ignore_ascii_case("no-store"))
}

/// The value of `Cache-Control` instead of *given*, all the values that there were.
#[must_use]
pub fn closed(given: &[&str], reason: Reason) -> String {
    let mut closed = "private".to_owned();
    if reason == Reason::Once {
        closed.push_str(", no-store");
        return closed;
    }
    for directive in given.iter().flat_map(|value| directives(value)) {
        let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !matches!(name.as_str(), "" | "public" | "private" | "s-maxage" | "proxy-revalidate") {
            closed.push_str(", ");
            closed.push_str(directive);
        }
    }
    closed
}

/// Whether a response with this `Vary` depends on cookies.
#[must_use]
pub fn varies_by_cookie(value: &str) -> bool {
    value.split(',').map(str::trim).any(|field| field == "*" || field.eq_ignore_ascii_case("cookie"))
}

/// Checks what a declaration says of caches.
pub(super) fn check(value: &str) -> Result<(), String> {
    let mut seen: Vec<String> = Vec::new();
    for directive in directives(value) {
        let (name, argument) =
            directive.split_once('=').map_or((directive, None), |(name, argument)| (name, Some(argument)));
        let name = name.trim().to_ascii_lowercase();
        if TIMES.contains(&name.as_str()) {
            let seconds = argument.unwrap_or_default();
            if seconds.is_empty() || seconds.len() > 10 || !seconds.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("{directive:?} needs whole seconds: {name}=60"));
            }
        } else if WORDS.contains(&name.as_str()) {
            if argument.is_some() {
                return Err(format!("{directive:?}: {name} takes no value"));
            }
        } else {
            return Err(match nearest(&name, TIMES.into_iter().chain(WORDS)) {
                Some(meant) => format!("{directive:?} means nothing to caches. Did you mean {meant:?}?"),
                None => format!("{directive:?} is not a directive of Cache-Control (RFC 9111 §5.2.2)"),
            });
        }
        if seen.contains(&name) {
            return Err(format!("{name} stands twice"));
        }
        seen.push(name);
    }
    let has = |name: &str| seen.iter().any(|known| known == name);
    if has("public") && (has("private") || has("no-store")) {
        return Err("public contradicts private and no-store".to_owned());
    }
    Ok(())
}

/// The directives of a value; a comma between quotes parts none, and a quote behind a backslash ends none (RFC 9110 §5.6.4).
fn directives(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |c| {
            quoted ^= c == '"' && !escaped;
            escaped = quoted && c == '\\' && !escaped;
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

/// Fields that tell one cache, or those of one company, what `Cache-Control` tells all. Lower-cased.
pub(super) const TARGETED: [&str; 7] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "edge-control",
    "netlify-cdn-cache-control",
    "surrogate-control",
    "vercel-cdn-cache-control",
    "x-accel-expires",
];

const TIMES: [&str; 4] = ["max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"];

const WORDS: [&str; 9] = [
    "immutable",
    "must-revalidate",
    "must-understand",
    "no-cache",
    "no-store",
    "no-transform",
    "private",
    "proxy-revalidate",
    "public",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_what_is_said_of_the_whole_answer_keeps_it_private() {
        for (value, expected) in [
            ("private", Sharing::Private),
            ("max-age=60, PRIVATE", Sharing::Private),
            ("no-store, max-age=0", Sharing::Private),
            ("no-cache", Sharing::Asked),
            ("no-cache, private", Sharing::Private),
            ("public, max-age=60", Sharing::Shared),
            ("max-age=60", Sharing::Shared),
            ("", Sharing::Shared),
            ("private=\"set-cookie\"", Sharing::Shared),
            ("no-cache=\"a, private, b\"", Sharing::Shared),
            // A cache reads one directive here, and may share the answer.
            (r#"x="a\", private, b", max-age=60"#, Sharing::Shared),
            (r#"x="a\\", private"#, Sharing::Private),
            ("xprivate", Sharing::Shared),
        ] {
            assert_eq!(Sharing::of(value), expected, "{value}");
        }
    }

    #[test]
    fn a_response_that_depends_on_cookies_says_so_in_vary() {
        for (value, expected) in [
            ("Cookie", true),
            ("Accept, cookie", true),
            ("*", true),
            ("Accept-Cookie", false),
            ("Origin", false),
            ("", false),
        ] {
            assert_eq!(varies_by_cookie(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_closed_keeps_how_long_a_browser_may_keep_it() {
        let personal = |given: &[&str]| closed(given, Reason::Personal);
        assert_eq!(personal(&["public, max-age=60, s-maxage=600"]), "private, max-age=60");
        assert_eq!(personal(&["max-age=60", "must-revalidate"]), "private, max-age=60, must-revalidate");
        assert_eq!(personal(&["private=\"x\", no-cache=\"a, b\""]), "private, no-cache=\"a, b\"");
        assert_eq!(personal(&[]), "private");
        assert_eq!(closed(&["public, max-age=60"], Reason::Once), "private, no-store");
        for value in ["public", "s-maxage=1", "private=\"x\"", "max-age=1, public"] {
            assert_eq!(Sharing::of(&personal(&[value])), Sharing::Private);
        }
    }

    #[test]
    fn a_declaration_that_caches_would_not_understand_is_refused() {
        for good in ["no-store", "public, max-age=31536000, immutable", "private, max-age=0"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("no-stor", "no-store"),
            ("maxage=60", "max-age"),
            ("max-age", "whole seconds"),
            ("max-age=1h", "whole seconds"),
            ("public, private", "contradicts"),
            ("private=\"set-cookie\"", "no value"),
            ("public, Public", "twice"),
        ] {
            assert!(check(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
