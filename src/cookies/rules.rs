//! The exceptions of an application: which cookies leave otherwise, by name.
//!
//! 1. A rule is for one name, or for all that begin with what stands before a `*` at its end. Case counts, as in names.
//! 2. What the most specific rule leaves open, the next one says: a name before a beginning, a longer before a shorter.
//!    What none says is as in [`Rule::default`].
//! 3. A rule that browsers would answer by dropping the cookie is refused, and so is one that weakens all cookies.

use super::line::{Prefix, SameSite};
use crate::error::ConfigError;

/// What is otherwise of some cookies; `None` leaves it open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// Whether `HttpOnly` is added. True if left open.
    pub http_only: Option<bool>,
    /// What is added where there is no `SameSite`. `Lax` if left open.
    pub same_site: Option<SameSite>,
    /// Whether `Secure` is added: also over plain HTTP, or not even over TLS. Over TLS if left open.
    pub secure: Option<bool>,
    /// Whether `Partitioned` is added. False if left open.
    pub partitioned: Option<bool>,
}

/// With which attributes cookies leave. Immutable; share one per application.
pub struct CookiePolicy {
    /// Sorted by name.
    exact: Vec<(Box<str>, Resolved)>,
    /// Longer ones first.
    starts: Vec<(Box<str>, Resolved)>,
    others: Resolved,
}

/// A rule with nothing left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
    pub(super) secure: Transport,
    pub(super) partitioned: bool,
}

/// Over what `Secure` is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tls,
    Any,
    None,
}

/// The most rules: each line is compared with all that end with `*`.
const MOST: usize = 256;

impl CookiePolicy {
    /// A policy with these rules, each with the name or the beginning that it is for.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong and the cure.
    pub fn new(rules: &[(String, Rule)]) -> Result<Self, ConfigError> {
        if rules.len() > MOST {
            return Err(ConfigError::new(format!("there are more than {MOST} rules; let some end with *")));
        }
        for (at, (pattern, rule)) in rules.iter().enumerate() {
            check(pattern, rule)?;
            if rules.iter().take(at).any(|(known, _)| known == pattern) {
                return Err(ConfigError::new(format!("{pattern:?} stands twice")));
            }
        }
        let mut starts: Vec<(&str, &Rule)> =
            rules.iter().filter_map(|(pattern, rule)| Some((pattern.strip_suffix('*')?, rule))).collect();
        starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        let resolve = |name: &str, own: &Rule| {
            // A beginning is among those that it begins with; the same rule twice changes nothing.
            let wider = starts.iter().filter(|(start, _)| name.starts_with(start)).map(|(_, rule)| *rule);
            let merged = wider.fold(*own, |rule, wider| rule.or(wider));
            possible(name, &merged).map(|()| (Box::from(name), merged.resolved()))
        };
        let mut exact: Vec<(Box<str>, Resolved)> = Vec::new();
        for (name, rule) in rules.iter().filter(|(pattern, _)| !pattern.ends_with('*')) {
            exact.push(resolve(name, rule)?);
        }
        exact.sort_by(|(one, _), (other, _)| one.cmp(other));
        let starts = starts
            .iter()
            .map(|(start, rule)| resolve(start, rule))
            .collect::<Result<Vec<_>, ConfigError>>()?;
        Ok(Self { exact, starts, others: Rule::default().resolved() })
    }

    /// The rule for a cookie of this name.
    #[inline]
    pub(super) fn rule(&self, name: &str) -> &Resolved {
        if let Ok(at) = self.exact.binary_search_by(|(known, _)| (**known).cmp(name))
            && let Some((_, rule)) = self.exact.get(at)
        {
            return rule;
        }
        self.starts
            .iter()
            .find(|(start, _)| name.starts_with(&**start))
            .map_or(&self.others, |(_, rule)| rule)
    }
}

impl Rule {
    fn or(self, wider: &Self) -> Self {
        Self {
            http_only: self.http_only.or(wider.http_only),
            same_site: self.same_site.or(wider.same_site),
            secure: self.secure.or(wider.secure),
            partitioned: self.partitioned.or(wider.partitioned),
        }
    }

    fn resolved(self) -> Resolved {
        Resolved {
            http_only: self.http_only.unwrap_or(true),
            same_site: self.same_site.unwrap_or(SameSite::Lax),
            secure: match self.secure {
                None => Transport::Tls,
                Some(true) => Transport::Any,
                Some(false) => Transport::None,
            },
            partitioned: self.partitioned.unwrap_or(false),
        }
    }
}

fn check(pattern: &str, rule: &Rule) -> Result<(), ConfigError> {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    if pattern.is_empty() || name.len() > 256 || !name.bytes().all(is_token) {
        return Err(ConfigError::new(format!(
            "{pattern:?} is no name of a cookie (letters, digits and !#$%&'+-.^_`|~), and no beginning of names with * at \
             its end"
        )));
    }
    let weakens =
        rule.http_only == Some(false) || rule.secure == Some(false) || rule.same_site == Some(SameSite::None);
    if pattern == "*" && weakens {
        return Err(ConfigError::new(
            "\"*\" is every cookie, the session's too. Name those that are weaker, or how their names begin",
        ));
    }
    Ok(())
}

/// Refuses what browsers drop.
fn possible(name: &str, rule: &Rule) -> Result<(), ConfigError> {
    let refuse = |why: &str| Err(ConfigError::new(format!("{name:?}: {why}")));
    let prefix = Prefix::of(name);
    if rule.secure == Some(false) {
        if prefix != Prefix::None {
            return refuse("the name promises Secure. Leave \"secure\" out, or choose another name");
        }
        if rule.same_site == Some(SameSite::None) {
            return refuse("SameSite=None needs Secure. Leave \"secure\" out");
        }
        if rule.partitioned == Some(true) {
            return refuse("Partitioned needs Secure. Leave \"secure\" out");
        }
    }
    if prefix.is_http() && rule.http_only == Some(false) {
        return refuse("the name promises HttpOnly. Leave \"http_only\" out, or choose another name");
    }
    Ok(())
}

/// RFC 9110 section 5.6.2, which is what a name is made of (RFC 6265 section 4.1.1); `*` is for beginnings.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte)
}
