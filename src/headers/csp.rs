//! A Content-Security-Policy, checked at start-up and cut into pieces so that a nonce is joined in.
//!
//! What is refused, each with the cure:
//! 1. a directive that no browser knows, or that stands twice in whatever spelling;
//! 2. a keyword, nonce or hash without its quotes: a browser reads `self` as a host of that name;
//! 3. `;` `,` a control character or anything outside ASCII in a value: it would end the directive
//!    or the policy and begin another;
//! 4. `'none'` beside another source: browsers then ignore it;
//! 5. a nonce that is fixed at start-up, and hashes of the wrong length: neither protects or matches.
//!
//! Nothing is added that was not asked for: a policy without `base-uri`, `object-src` or
//! `frame-ancestors` stays without. What is sent is what is written, and the profiles' own
//! policies have all three.
//!
//! Source: Content Security Policy Level 3, W3C; Trusted Types, W3C.

mod directives;
mod sources;

use std::borrow::Cow;

use super::nonce::Nonce;
use crate::error::ConfigError;
use directives::{Directive, Grammar};

/// What a directive was given in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Written as `None`: the directive is left out.
    Absent,
    /// `True` sends a directive without value; `False` leaves it out.
    Flag(bool),
    /// One source in each item.
    List(Vec<String>),
    /// Sources with spaces between them.
    Text(String),
}

/// A policy whose every directive was checked. Made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csp {
    plain: Option<Template>,
    tls: Option<Template>,
}

/// The text of a policy, cut where the nonce goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Box<str>]>,
    /// Without its nonces; empty where there are none.
    bare: Box<str>,
}

impl Csp {
    /// The policy of these directives, in their order.
    ///
    /// # Errors
    /// [`ConfigError`] with the directive, what is wrong and what would be right.
    pub fn build(settings: &[(String, Setting)]) -> Result<Self, ConfigError> {
        let mut written: Vec<(&'static Directive, String)> = Vec::new();
        let mut named: Vec<&'static str> = Vec::new();
        for (name, setting) in settings {
            let directive = directives::find(name)?;
            if named.contains(&directive.name) {
                return Err(ConfigError::new(format!(
                    "CSP: {} stands twice (case does not count, and _ is read as -). Browsers use the first and \
                     ignore the second: write one",
                    directive.name
                )));
            }
            named.push(directive.name);
            if let Some(value) = value(directive, setting)? {
                written.push((directive, value));
            }
        }
        if written.is_empty() {
            return Err(ConfigError::new(
                "CSP: a policy without directives allows everything. Write at least \"default-src\"; to send no \
                 policy at all, override Content-Security-Policy with None",
            ));
        }
        let plain: Vec<_> = written.iter().filter(|(directive, _)| !directive.tls_only).collect();
        Ok(Self { plain: Template::cut(&plain), tls: Template::cut(&written.iter().collect::<Vec<_>>()) })
    }

    /// The policy that *text* states, checked as [`Csp::build`] does.
    ///
    /// # Errors
    /// As [`Csp::build`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::build(&Self::split(text))
    }

    /// The directives that *text* states, not yet checked.
    pub fn split(text: &str) -> Vec<(String, Setting)> {
        let mut settings = Vec::new();
        for directive in text.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, value) =
                directive.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((directive, ""));
            let value = value.trim();
            let setting =
                if value.is_empty() { Setting::Flag(true) } else { Setting::Text(value.to_owned()) };
            settings.push((name.to_owned(), setting));
        }
        settings
    }

    /// Whether it names an address for reports itself.
    pub fn reports(&self) -> bool {
        let named =
            |directive: &str| directive.starts_with("report-uri ") || directive.starts_with("report-to ");
        let texts = [&self.plain, &self.tls];
        let parts = texts.into_iter().flatten().flat_map(|template| template.parts.iter());
        parts.flat_map(|part| part.split("; ")).any(named)
    }

    /// The policy with these directives at its end, by transport.
    pub(super) fn with(&self, plain: &str, tls: &str) -> Self {
        let longer = |template: &Option<Template>, more: &str| {
            let mut parts = template.as_ref()?.parts.to_vec();
            if let Some(last) = parts.last_mut() {
                *last = format!("{last}; {more}").into();
            }
            let bare = match &*template.as_ref()?.bare {
                "" => String::new(),
                bare => format!("{bare}; {more}"),
            };
            Some(Template { parts: parts.into(), bare: bare.into() })
        };
        Self { plain: longer(&self.plain, plain), tls: longer(&self.tls, tls) }
    }

    /// The text for this transport; `None` where nothing of the policy has a meaning on it.
    pub fn template(&self, tls: bool) -> Option<&Template> {
        if tls { self.tls.as_ref() } else { self.plain.as_ref() }
    }
}

impl Template {
    /// Whether each response needs a nonce of its own.
    pub fn uses_nonce(&self) -> bool {
        self.parts.len() > 1
    }

    /// The header's value with *nonce* in all its places.
    pub fn render(&self, nonce: &Nonce<'_>) -> String {
        let nonce = nonce.as_str();
        let length = self.parts.iter().map(|part| part.len() + nonce.len()).sum();
        let mut value = String::with_capacity(length);
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                value.push_str(nonce);
            }
            value.push_str(part);
        }
        value
    }

    /// The header's value for an answer that has no nonce: nothing runs by one.
    pub fn bare(&self) -> &str {
        self.fixed().unwrap_or(&self.bare)
    }

    /// The header's value where no nonce is used.
    pub fn fixed(&self) -> Option<&str> {
        match &*self.parts {
            [only] => Some(only),
            _ => None,
        }
    }

    fn cut(written: &[&(&'static Directive, String)]) -> Option<Self> {
        if written.is_empty() {
            return None;
        }
        let joined = |value: &dyn Fn(&str) -> String| {
            let directives = written.iter().map(|(directive, given)| match given.as_str() {
                "" => Cow::Borrowed(directive.name),
                given => Cow::Owned(format!("{} {}", directive.name, value(given))),
            });
            directives.collect::<Vec<_>>().join("; ")
        };
        // The mark cannot come from a setting: control characters are refused in every value.
        let parts: Box<[Box<str>]> =
            joined(&str::to_owned).split(sources::NONCE_MARK).map(Box::from).collect();
        let bare = if parts.len() > 1 { joined(&without_nonces) } else { String::new() };
        Some(Self { parts, bare: bare.into() })
    }
}

fn without_nonces(value: &str) -> String {
    let others: Vec<&str> = value.split(' ').filter(|source| !source.contains(sources::NONCE_MARK)).collect();
    if others.is_empty() { "'none'".to_owned() } else { others.join(" ") }
}

/// The directive's value as it will be sent; `None` where it is left out.
fn value(directive: &'static Directive, setting: &Setting) -> Result<Option<String>, ConfigError> {
    let name = directive.name;
    let valueless_allowed = matches!(directive.grammar, Grammar::Valueless | Grammar::Sandbox);
    let tokens: Vec<&str> = match setting {
        Setting::Absent | Setting::Flag(false) => return Ok(None),
        Setting::Flag(true) if valueless_allowed => return Ok(Some(String::new())),
        Setting::Flag(true) => {
            return Err(ConfigError::new(format!(
                "CSP: {name} needs a value. To forbid everything write \"'none'\"; to leave it out, None"
            )));
        }
        Setting::List(items) => items.iter().map(String::as_str).collect(),
        Setting::Text(text) => {
            sources::check_characters(name, text)?;
            text.split(' ').filter(|token| !token.is_empty()).collect()
        }
    };
    for token in &tokens {
        sources::check_characters(name, token)?;
        if token.contains(' ') {
            return Err(ConfigError::new(format!(
                "CSP: {name} has {token:?} as one item of its list: write one source in each item"
            )));
        }
    }
    if matches!(directive.grammar, Grammar::Valueless) {
        return Err(ConfigError::new(format!(
            "CSP: {name} takes no value: write True, or None to leave it out"
        )));
    }
    if tokens.is_empty() || tokens == [""] {
        return Err(ConfigError::new(format!(
            "CSP: {name} is empty, which browsers read as 'none'. Write \"'none'\" to forbid everything, or None to \
             leave it out"
        )));
    }
    let mut checked: Vec<String> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let token = sources::check(directive, token)?;
        if !checked.contains(&token) {
            checked.push(token);
        }
    }
    if checked.len() > 1 && checked.iter().any(|token| token == "'none'") {
        return Err(ConfigError::new(format!(
            "CSP: {name} has 'none' beside other sources. Browsers then ignore 'none': write it alone, or drop it"
        )));
    }
    let trusts = |token: &String| token.starts_with("'nonce-") || token.starts_with("'sha");
    if checked.iter().any(|token| token == "'strict-dynamic'") && !checked.iter().any(trusts) {
        return Err(ConfigError::new(format!(
            "CSP: {name} has 'strict-dynamic' without a nonce or hash, which forbids every script. Add \"'nonce'\""
        )));
    }
    Ok(Some(checked.join(" ")))
}

#[cfg(test)]
mod tests;
