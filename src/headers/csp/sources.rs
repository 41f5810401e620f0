//! What may stand in a directive's value: CSP3 §2.3.1, and stricter where browsers are silent.

use super::directives::{Directive, Grammar};
use crate::error::ConfigError;
use crate::suggest::nearest;

/// Stands in a value where the response's own nonce goes. No setting can contain it.
pub(super) const NONCE_MARK: &str = "\u{1}";

/// Refuses what would end the directive or the policy (CSP3 §2.2.1), or split the response.
pub(super) fn check_characters(name: &str, value: &str) -> Result<(), ConfigError> {
    let Some(bad) = value.chars().find(|c| matches!(c, ';' | ',') || !matches!(c, ' '..='~')) else {
        return Ok(());
    };
    let why = match bad {
        ';' => "it would begin another directive. Write each directive under its own name",
        ',' => "it would begin another policy. Write one source in each item of a list",
        '\t' | '\n' | '\r' => "sources are parted by single spaces, or given as a list",
        c if c.is_control() => "no source has a control character",
        _ => "a policy is ASCII: write a host in its xn-- form and a path with %-escapes",
    };
    Err(ConfigError::new(format!("CSP: {name} has {bad:?} in its value: {why}")))
}

/// One token of the directive's value as it will be sent.
pub(super) fn check(directive: &Directive, token: &str) -> Result<String, ConfigError> {
    let name = directive.name;
    match directive.grammar {
        Grammar::Sources => source(directive, token),
        Grammar::Ancestors => match source(directive, token)? {
            known if !known.starts_with('\'') || known == "'self'" || known == "'none'" => Ok(known),
            other => Err(ConfigError::new(format!(
                "CSP: {name} has {other}, but takes only 'self', 'none', hosts and schemes"
            ))),
        },
        Grammar::Sinks => one_of(name, token, &["'script'"]),
        Grammar::Webrtc => one_of(name, token, &["'allow'", "'block'"]),
        Grammar::Sandbox => one_of(name, token, &SANDBOX),
        Grammar::TypePolicies => match token {
            "*" => Ok(token.to_owned()),
            _ if token.starts_with('\'') => one_of(name, token, &["'none'", "'allow-duplicates'"]),
            "none" | "allow-duplicates" => Err(unquoted(name, token)),
            _ if token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-#=_/@.%".contains(&b)) => {
                Ok(token.to_owned())
            }
            _ => Err(ConfigError::new(format!(
                "CSP: {name} has {token:?}: a policy's name has letters, digits and - # = _ / @ . %"
            ))),
        },
        Grammar::Endpoint | Grammar::Uris => {
            if token.contains(['\'', '"', '<', '>', '\\']) {
                return Err(ConfigError::new(format!("CSP: {name} has {token:?}: it takes no quotes")));
            }
            Ok(token.to_owned())
        }
        // A value was refused before.
        Grammar::Valueless => Ok(String::new()),
    }
}

fn source(directive: &Directive, token: &str) -> Result<String, ConfigError> {
    let name = directive.name;
    if let Some(inner) = token.strip_prefix('\'') {
        let Some(inner) = inner.strip_suffix('\'').filter(|inner| !inner.is_empty()) else {
            return Err(ConfigError::new(format!("CSP: {name} has {token}, whose quotes do not match")));
        };
        return quoted(directive, inner);
    }
    let bare = token.trim_matches('"');
    let lower = bare.to_ascii_lowercase();
    let is_keyword = KEYWORDS.contains(&lower.as_str()) || lower == "nonce";
    let is_hash = HASHES.iter().any(|(prefix, _)| lower.starts_with(prefix));
    if is_keyword || is_hash || lower.starts_with("nonce-") {
        return Err(unquoted(name, bare));
    }
    if SCHEMES.contains(&lower.as_str()) {
        return Err(ConfigError::new(format!(
            "CSP: {name} has {token:?}, which browsers read as a host. Write \"{lower}:\" for the scheme"
        )));
    }
    host_or_scheme(token).map(|()| token.to_owned()).map_err(|why| {
        let meant = nearest(&lower, KEYWORDS)
            .map(|meant| format!(" Did you mean \"'{meant}'\"?"))
            .unwrap_or_default();
        ConfigError::new(format!("CSP: {name} has {token:?}: {why}.{meant}"))
    })
}

/// The cure for the commonest mistake: without quotes it is the name of a host, and protects nothing.
fn unquoted(name: &str, bare: &str) -> ConfigError {
    let cure = if bare.to_ascii_lowercase().starts_with("nonce") { "nonce" } else { bare };
    ConfigError::new(format!(
        "CSP: {name} has {bare} without single quotes, which browsers read as a host of that name. Write \"'{cure}'\""
    ))
}

fn quoted(directive: &Directive, inner: &str) -> Result<String, ConfigError> {
    let name = directive.name;
    let lower = inner.to_ascii_lowercase();
    if lower == "nonce" {
        if !directive.nonce {
            return Err(ConfigError::new(format!(
                "CSP: a nonce has no meaning in {name}; it stands in script-src, script-src-elem, style-src, \
                 style-src-elem or default-src"
            )));
        }
        return Ok(format!("'nonce-{NONCE_MARK}'"));
    }
    if lower.starts_with("nonce-") {
        // CSP3 §7.1: a nonce that does not change is a password printed on every page.
        return Err(ConfigError::new(format!(
            "CSP: {name} has a nonce that would be the same in every response, which protects nothing. Write \
             \"'nonce'\": each response then gets its own"
        )));
    }
    if let Some((prefix, length)) = HASHES.iter().find(|(prefix, _)| lower.starts_with(prefix)) {
        let digest = inner.get(prefix.len()..).unwrap_or_default();
        let digits = digest.trim_end_matches('=');
        let of_alphabet = |b: u8| b.is_ascii_alphanumeric() || b"+/-_".contains(&b);
        // The digits without padding: 43, 64, 86. A hash that was not padded never matches in some browsers.
        if digest.len() != *length
            || digest.len() - digits.len() != padding(*length)
            || !digits.bytes().all(of_alphabet)
        {
            return Err(ConfigError::new(format!(
                "CSP: {name} has a '{prefix}…' whose digest is not {length} characters of padded base64, so it matches \
                 nothing"
            )));
        }
        return Ok(format!("'{prefix}{digest}'"));
    }
    if KEYWORDS.contains(&lower.as_str()) {
        return Ok(format!("'{lower}'"));
    }
    let meant = nearest(&lower, KEYWORDS.into_iter().chain(["nonce"]));
    Err(ConfigError::new(match meant {
        Some(meant) => {
            format!("CSP: {name} has '{inner}', which is not a keyword. Did you mean \"'{meant}'\"?")
        }
        None => format!(
            "CSP: {name} has '{inner}', which is not a keyword. Hosts and schemes stand without quotes"
        ),
    }))
}

fn one_of(name: &str, token: &str, allowed: &[&str]) -> Result<String, ConfigError> {
    let lower = token.to_ascii_lowercase();
    if allowed.contains(&lower.as_str()) {
        return Ok(lower);
    }
    if allowed.iter().any(|allowed| allowed.trim_matches('\'') == lower) {
        return Err(unquoted(name, &lower));
    }
    Err(ConfigError::new(match nearest(&lower, allowed.iter().copied()) {
        Some(meant) => format!("CSP: {name} has {token:?}. Did you mean \"{meant}\"?"),
        None => format!("CSP: {name} has {token:?}; it takes {}", allowed.join(" ")),
    }))
}

/// `scheme:`, `*`, or `[scheme://]host[:port][/path]`.
fn host_or_scheme(token: &str) -> Result<(), &'static str> {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    if let Some(scheme) = token.strip_suffix(':') {
        return if is_scheme(scheme) { Ok(()) } else { Err("that is not a scheme") };
    }
    let rest = match token.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        Some(_) => return Err("that is not a scheme"),
        None => token,
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    if path.contains(['?', '#', '\'', '"', '<', '>', '\\']) {
        return Err("a source's path has no query, fragment or quotes");
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port == "*" || (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if port.is_some_and(|port| !is_port(port)) {
        return Err("its port is neither digits nor *");
    }
    let labels = match host.strip_prefix('*') {
        Some("") => return Ok(()),
        Some(labels) => {
            labels.strip_prefix('.').ok_or("a * stands for whole labels, and only first: *.example.com")?
        }
        None => host,
    };
    let of_label = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if labels.contains('*') {
        return Err("a * stands for whole labels, and only first: *.example.com");
    }
    if labels.split('.').all(|label| !label.is_empty() && label.bytes().all(of_label)) {
        return Ok(());
    }
    Err("that is neither a host, a scheme with its colon, nor a keyword in single quotes")
}

const fn padding(length: usize) -> usize {
    match length {
        44 => 1,
        88 => 2,
        _ => 0,
    }
}

/// Prefix of each kind of hash, and how long its digest is in base64.
const HASHES: [(&str, usize); 3] = [("sha256-", 44), ("sha384-", 64), ("sha512-", 88)];

const KEYWORDS: [&str; 13] = [
    "inline-speculation-rules",
    "none",
    "report-sample",
    "report-sha256",
    "report-sha384",
    "report-sha512",
    "self",
    "strict-dynamic",
    "trusted-types-eval",
    "unsafe-eval",
    "unsafe-hashes",
    "unsafe-inline",
    "wasm-unsafe-eval",
];

/// Schemes that people write without their colon.
const SCHEMES: [&str; 8] = ["blob", "data", "filesystem", "http", "https", "mediastream", "ws", "wss"];

/// The flags of HTML's iframe sandbox.
const SANDBOX: [&str; 14] = [
    "allow-downloads",
    "allow-forms",
    "allow-modals",
    "allow-orientation-lock",
    "allow-pointer-lock",
    "allow-popups",
    "allow-popups-to-escape-sandbox",
    "allow-presentation",
    "allow-same-origin",
    "allow-scripts",
    "allow-storage-access-by-user-activation",
    "allow-top-navigation",
    "allow-top-navigation-by-user-activation",
    "allow-top-navigation-to-custom-protocols",
];
