//! Decides with which attributes a cookie leaves.
//!
//! A [`CookiePolicy`] is made once, at start-up, from the exceptions of an application. Each `Set-Cookie` line is
//! read as a browser reads it ([`line`]), and then, in this order:
//! 1. a line without a name does not leave: a browser would keep its value, and send it back as if it were a pair of
//!    another cookie's (`Set-Cookie: =session=1` comes back as `session=1`);
//! 2. `Secure` is added over TLS, and wherever the cookie's own name, or `SameSite=None` or `Partitioned` over TLS,
//!    demands it;
//! 3. `HttpOnly` is added, unless the rule for the name says that scripts read it;
//! 4. `SameSite=Lax`, or what the rule says, is added where there is none that a browser knows;
//! 5. `Partitioned` is added where the rule says so and the cookie is `Secure`;
//! 6. `Path=/` is added to a `__Host-` cookie without a path.
//!
//! What the application wrote stays as it wrote it: attributes are added behind, and only such as the line does not
//! have. So a line that passes twice is the same as one that passed once. A cookie that is taken back (`Max-Age=0`)
//! gets what it got when it was set, or browsers would not find it.
//!
//! What browsers will drop all the same is told, as [`Note`]s: once is for the caller to see to.
//!
//! # What it does not do
//! It does not judge values, domains or lifetimes, make cookies, or read those of a request. It does not split a line
//! in which two cookies were joined by a comma: no reader could, since values and dates have commas.
//!
//! # Deployment caveat
//! Whether an answer goes over TLS is an argument. Behind a proxy that ends TLS and was not declared, it looks like
//! plain HTTP, and no `Secure` is added.
//!
//! # Sources
//! RFC 6265bis (draft-ietf-httpbis-rfc6265bis) sections 4.1.3, 5.6 and 5.7; the `__Http-` prefixes from its successor;
//! CHIPS (draft-cutler-httpbis-partitioned-cookies) for `Partitioned`.

mod line;
mod notes;
mod rules;

pub use line::{Cookie, Path, Prefix, SameSite};
pub use notes::{Note, Notes};
pub use rules::{CookiePolicy, Rule};

use std::borrow::Cow;

use rules::{Resolved, Transport};

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardened<'a> {
    /// What leaves; `None` if nothing does.
    pub line: Option<Cow<'a, str>>,
    /// Of the line as it was; for people to know which cookie a note is about.
    pub name: &'a str,
    /// What should be told.
    pub notes: Notes,
    /// Whether it leaves weaker than without rules: whoever hardens it again, with other rules, should let it be.
    pub excepted: bool,
}

impl CookiePolicy {
    /// What leaves instead of *line*, the value of one `Set-Cookie` field.
    ///
    /// Linear in the length of the line; nothing is copied where nothing is added.
    pub fn harden<'a>(&self, line: &'a str, tls: bool) -> Hardened<'a> {
        let cookie = Cookie::read(line);
        let mut notes = Notes::default();
        if cookie.name.is_empty() {
            notes.add(Note::Nameless);
            return Hardened { line: None, name: "", notes, excepted: false };
        }
        let rule = self.rule(cookie.name);
        let ends = decide(&cookie, rule, tls);
        if cookie.is_oversized() {
            notes.add(Note::Oversized);
        }
        if cookie.joined {
            notes.add(Note::Joined);
        }
        let prefix = Prefix::of(cookie.name);
        if prefix.is_host() {
            match cookie.path {
                Path::Root => {}
                Path::Absent => notes.add(Note::Repaired),
                Path::Other => notes.add(Note::PrefixPath),
            }
            if cookie.domain {
                notes.add(Note::PrefixDomain);
            }
        }
        if prefix != Prefix::None && !cookie.secure && !tls {
            notes.add(Note::Repaired);
        }
        if !ends.secure && cookie.same_site == Some(SameSite::None) {
            notes.add(Note::NoneInsecure);
        }
        if !ends.secure && cookie.partitioned {
            notes.add(Note::PartitionedInsecure);
        }
        Hardened {
            line: Some(ends.written(&cookie, line)),
            name: cookie.name,
            notes,
            excepted: !ends.http_only || (tls && !ends.secure),
        }
    }
}

/// The attributes that a cookie ends with.
struct Ends {
    root: bool,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
}

fn decide(cookie: &Cookie<'_>, rule: &Resolved, tls: bool) -> Ends {
    let prefix = Prefix::of(cookie.name);
    let crosses = cookie.same_site == Some(SameSite::None) || cookie.partitioned;
    let by_rule = match rule.secure {
        Transport::Tls => tls,
        Transport::Any => true,
        Transport::None => false,
    };
    let secure = cookie.secure || by_rule || prefix != Prefix::None || (tls && crosses);
    let same_site = match cookie.same_site {
        Some(own) => own,
        // Without `Secure` browsers drop it: in development over plain HTTP, less is more.
        None if rule.same_site == SameSite::None && !secure => SameSite::Lax,
        None => rule.same_site,
    };
    Ends {
        root: prefix.is_host() && cookie.path == Path::Absent,
        secure,
        http_only: cookie.http_only || rule.http_only || prefix.is_http(),
        same_site,
        partitioned: cookie.partitioned || (rule.partitioned && secure),
    }
}

impl Ends {
    fn written<'a>(&self, cookie: &Cookie<'_>, line: &'a str) -> Cow<'a, str> {
        let more = [
            (self.root, "; Path=/"),
            (self.secure && !cookie.secure, "; Secure"),
            (self.http_only && !cookie.http_only, "; HttpOnly"),
            (cookie.same_site.is_none(), self.same_site.written()),
            (self.partitioned && !cookie.partitioned, "; Partitioned"),
        ];
        let size: usize = more.iter().filter(|(add, _)| *add).map(|(_, text)| text.len()).sum();
        if size == 0 {
            return Cow::Borrowed(line);
        }
        // A line that ends with `;` has an empty attribute at its end, which says nothing.
        let kept = line.trim_end_matches([' ', '\t', ';']);
        let mut written = String::with_capacity(kept.len() + size);
        written.push_str(kept);
        for (_, text) in more.iter().filter(|(add, _)| *add) {
            written.push_str(text);
        }
        Cow::Owned(written)
    }
}

#[cfg(test)]
mod tests;
