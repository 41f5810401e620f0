//! The directives that browsers know, and what each takes.

use crate::error::ConfigError;
use crate::suggest::nearest;

/// One directive of CSP Level 3 or of a specification that extends it.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: &'static str,
    pub(super) grammar: Grammar,
    /// Whether `'nonce-…'` has a meaning in it: a nonce that nobody reads is a mistake.
    pub(super) nonce: bool,
    /// Sent over TLS alone.
    pub(super) tls_only: bool,
}

/// What a directive's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// Hosts, schemes, `'self'`, `'none'`: no keyword of scripts (CSP3 §6.4.2).
    Ancestors,
    /// One name of the `Reporting-Endpoints` header.
    Endpoint,
    /// `'script'`, the only sink group there is.
    Sinks,
    /// `allow-…` flags of the iframe sandbox, or none at all.
    Sandbox,
    /// The source list of CSP3 §2.3.1.
    Sources,
    /// Names of Trusted Types policies, `*`, `'allow-duplicates'`, `'none'`.
    TypePolicies,
    /// Addresses that take reports.
    Uris,
    /// No value at all.
    Valueless,
    /// `'allow'` or `'block'`.
    Webrtc,
}

/// The directive of this name: `script_src` is read as `script-src`, and case does not count.
pub(super) fn find(name: &str) -> Result<&'static Directive, ConfigError> {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    if let Some(directive) = DIRECTIVES.iter().find(|directive| directive.name == lower) {
        return Ok(directive);
    }
    if let Some((_, cure)) = GONE.iter().find(|(gone, _)| *gone == lower) {
        return Err(ConfigError::new(format!(
            "CSP: {lower} was taken out of CSP and browsers ignore it. {cure}"
        )));
    }
    Err(ConfigError::new(match nearest(&lower, DIRECTIVES.iter().map(|directive| directive.name)) {
        Some(meant) => format!("CSP: {name:?} is not a directive. Did you mean {meant:?}?"),
        None => format!("CSP: {name:?} is not a directive of CSP Level 3"),
    }))
}

const fn of(name: &'static str, grammar: Grammar) -> Directive {
    Directive { name, grammar, nonce: false, tls_only: false }
}

const fn with_nonce(name: &'static str) -> Directive {
    Directive { name, grammar: Grammar::Sources, nonce: true, tls_only: false }
}

static DIRECTIVES: [Directive; 27] = [
    of("base-uri", Grammar::Sources),
    of("child-src", Grammar::Sources),
    of("connect-src", Grammar::Sources),
    with_nonce("default-src"),
    of("fenced-frame-src", Grammar::Sources),
    of("font-src", Grammar::Sources),
    of("form-action", Grammar::Sources),
    of("frame-ancestors", Grammar::Ancestors),
    of("frame-src", Grammar::Sources),
    of("img-src", Grammar::Sources),
    of("manifest-src", Grammar::Sources),
    of("media-src", Grammar::Sources),
    of("object-src", Grammar::Sources),
    of("report-to", Grammar::Endpoint),
    of("report-uri", Grammar::Uris),
    of("require-trusted-types-for", Grammar::Sinks),
    of("sandbox", Grammar::Sandbox),
    with_nonce("script-src"),
    // Attributes such as onclick have no nonce to carry (CSP3 §6.1.13).
    of("script-src-attr", Grammar::Sources),
    with_nonce("script-src-elem"),
    with_nonce("style-src"),
    of("style-src-attr", Grammar::Sources),
    with_nonce("style-src-elem"),
    of("trusted-types", Grammar::TypePolicies),
    // Over plain HTTP it sends the browser to a TLS port that a development server does not have, and
    // the page loads without scripts (helmetjs/helmet#429 is one of many reports).
    Directive {
        name: "upgrade-insecure-requests",
        grammar: Grammar::Valueless,
        nonce: false,
        tls_only: true,
    },
    of("webrtc", Grammar::Webrtc),
    of("worker-src", Grammar::Sources),
];

/// What older policies still carry, and the cure.
static GONE: [(&str, &str); 8] = [
    ("block-all-mixed-content", "Write \"upgrade-insecure-requests\": True instead"),
    ("navigate-to", "There is no replacement; \"form-action\" bounds where forms go"),
    ("plugin-types", "Write \"object-src\": \"'none'\" instead"),
    ("prefetch-src", "Prefetches follow \"default-src\""),
    ("reflected-xss", "There is no replacement: a strict \"script-src\" does its work"),
    ("referrer", "Use the header Referrer-Policy, which the profiles send"),
    ("require-sri-for", "Browsers never shipped it: give scripts an integrity attribute"),
    ("policy-uri", "Write the directives themselves"),
];
