//! A Permissions-Policy: which origins may use a feature of the browser, built from names and checked.
//!
//! What is refused: a feature whose name was probably misspelt, the older syntax of `Feature-Policy`
//! (`camera 'none'`), keywords in quotes, and what is no origin. Browsers drop a member that they cannot
//! read, and leave the feature at its default, which for most is the page's own origin.
//!
//! Features that no list knows pass: browsers add them faster than any list.
//!
//! Source: Permissions Policy, W3C; Structured Fields, RFC 8941.

use crate::error::ConfigError;
use crate::suggest::nearest;

/// The value of the header: *base*, the profile's, with these features another way. `None` leaves one out.
///
/// # Errors
/// [`ConfigError`] with the feature, what is wrong and what would be right.
pub(super) fn build(base: &str, given: &[(String, Option<Vec<String>>)]) -> Result<String, ConfigError> {
    let mut members: Vec<(String, String)> = base
        .split(',')
        .filter_map(|member| member.trim().split_once('='))
        .map(|(name, allowed)| (name.to_owned(), allowed.to_owned()))
        .collect();
    let mut named: Vec<String> = Vec::new();
    for (name, allowed) in given {
        let name = name.to_ascii_lowercase().replace('_', "-");
        feature(&name)?;
        if named.contains(&name) {
            return Err(ConfigError::new(format!("permissions: {name} stands twice (_ is read as -)")));
        }
        let written = allowed.as_ref().map(|allowed| list(&name, allowed)).transpose()?;
        let place = members.iter().position(|(known, _)| *known == name);
        match (place, written) {
            (Some(place), Some(written)) => members[place].1 = written,
            (Some(place), None) => drop(members.remove(place)),
            (None, Some(written)) => members.push((name.clone(), written)),
            (None, None) => {}
        }
        named.push(name);
    }
    if members.is_empty() {
        return Err(ConfigError::new(
            "permissions: nothing is left of the header. To send none, override Permissions-Policy with None",
        ));
    }
    Ok(members.iter().map(|(name, allowed)| format!("{name}={allowed}")).collect::<Vec<_>>().join(", "))
}

/// Checks the text of the whole header.
pub(super) fn check(value: &str) -> Result<(), String> {
    let mut seen: Vec<&str> = Vec::new();
    for member in value.split(',').map(str::trim) {
        let Some((name, allowed)) = member.split_once('=') else {
            return Err(format!(
                "{member:?} is not feature=(allowlist), as in \"camera=(), geolocation=(self)\""
            ));
        };
        feature(name).map_err(|error| error.to_string())?;
        if seen.contains(&name) {
            return Err(format!("{name} stands twice"));
        }
        seen.push(name);
        let inner = match allowed.strip_prefix('(').map(|rest| rest.strip_suffix(')')) {
            Some(Some(inner)) => inner,
            Some(None) => return Err(format!("{member:?} does not end its list with )")),
            None => allowed,
        };
        for item in inner.split(' ').filter(|item| !item.is_empty()) {
            let is_origin = item
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .is_some_and(|origin| origin_of(origin).is_some());
            if !is_origin && !matches!(item, "self" | "src" | "*") {
                return Err(format!(
                    "{name} has {item:?}: it takes self, src, * and origins in double quotes"
                ));
            }
        }
    }
    Ok(())
}

fn feature(name: &str) -> Result<(), ConfigError> {
    let well = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !well {
        return Err(ConfigError::new(format!(
            "permissions: {name:?} is not a feature's name: lower-case letters, digits and -"
        )));
    }
    if FEATURES.contains(&name) {
        return Ok(());
    }
    match nearest(name, FEATURES) {
        Some(meant) => {
            Err(ConfigError::new(format!("permissions: {name:?} is not a feature. Did you mean {meant:?}?")))
        }
        None => Ok(()),
    }
}

/// An allowlist as the header has it: `()`, `*`, or words and quoted origins between brackets.
fn list(name: &str, allowed: &[String]) -> Result<String, ConfigError> {
    if let [only] = allowed
        && only == "*"
    {
        return Ok("*".to_owned());
    }
    let mut items = Vec::with_capacity(allowed.len());
    for item in allowed {
        items.push(match item.as_str() {
            "self" | "src" => item.clone(),
            "*" => {
                return Err(ConfigError::new(format!("permissions: {name} has * beside others: write it alone")));
            }
            "none" | "'none'" | "()" | "" => {
                return Err(ConfigError::new(format!("permissions: {name}: for nobody write an empty list, []")));
            }
            quoted if quoted.starts_with(['\'', '"']) => {
                let cure = quoted.trim_matches(['\'', '"']);
                return Err(ConfigError::new(format!(
                    "permissions: {name} has {quoted:?}: no quotes here, write {cure:?}"
                )));
            }
            origin => match origin_of(origin) {
                Some(origin) => format!("\"{origin}\""),
                None => {
                    return Err(ConfigError::new(format!(
                        "permissions: {name} has {origin:?}: it takes \"self\", \"src\", \"*\" and origins such as \
                         \"https://maps.example.com\""
                    )));
                }
            },
        });
    }
    Ok(format!("({})", items.join(" ")))
}

/// `scheme://host[:port]`, the host perhaps beginning with `*.`; nothing after it.
fn origin_of(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(':').next()?;
    let host = host.strip_prefix("*.").unwrap_or(host);
    let port = rest.split_once(':').map(|(_, port)| port);
    let well = matches!(scheme, "https" | "http")
        && !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    well.then_some(text)
}

/// What browsers know, or are about to.
const FEATURES: [&str; 52] = [
    "accelerometer",
    "ambient-light-sensor",
    "attribution-reporting",
    "autoplay",
    "battery",
    "bluetooth",
    "browsing-topics",
    "camera",
    "captured-surface-control",
    "clipboard-read",
    "clipboard-write",
    "compute-pressure",
    "cross-origin-isolated",
    "deferred-fetch",
    "digital-credentials-get",
    "display-capture",
    "document-domain",
    "encrypted-media",
    "execution-while-not-rendered",
    "execution-while-out-of-viewport",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "interest-cohort",
    "keyboard-map",
    "language-detector",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "navigation-override",
    "otp-credentials",
    "payment",
    "picture-in-picture",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "speaker-selection",
    "storage-access",
    "summarizer",
    "sync-xhr",
    "translator",
    "unload",
    "usb",
    "web-share",
    "window-management",
    "xr-spatial-tracking",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn built(name: &str, allowed: &[&str]) -> Result<String, String> {
        let allowed = allowed.iter().map(|item| (*item).to_owned()).collect();
        build("camera=(), usb=()", &[(name.to_owned(), Some(allowed))]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_feature_is_opened_and_the_others_stay_shut() {
        assert_eq!(built("camera", &["self"]).unwrap(), "camera=(self), usb=()");
        assert_eq!(
            built("camera", &["self", "https://a.example:8443"]).unwrap(),
            "camera=(self \"https://a.example:8443\"), usb=()"
        );
        assert_eq!(built("geolocation", &["*"]).unwrap(), "camera=(), usb=(), geolocation=*");
        assert_eq!(built("screen_wake_lock", &[]).unwrap(), "camera=(), usb=(), screen-wake-lock=()");
        assert_eq!(build("camera=(), usb=()", &[("usb".to_owned(), None)]).unwrap(), "camera=()");
        assert!(build("usb=()", &[("usb".to_owned(), None)]).is_err());
    }

    #[test]
    fn what_browsers_would_drop_is_refused() {
        for (name, item, why) in [
            ("camara", "self", "Did you mean \"camera\"?"),
            ("camera", "'self'", "write \"self\""),
            ("camera", "none", "[]"),
            ("camera", "a.example", "origins such as"),
            ("camera", "https://a.example/path", "origins such as"),
            ("camera", "https://a.example\"), usb=(*", "origins such as"),
            ("camera", "https://", "origins such as"),
            ("cam era", "self", "not a feature's name"),
            ("camera=*, usb", "self", "not a feature's name"),
        ] {
            let message = built(name, &[item]).unwrap_err();
            assert!(message.contains(why), "{name} {item}: {message}");
        }
        assert!(built("camera", &["*", "self"]).unwrap_err().contains("alone"));
    }

    #[test]
    fn a_whole_header_is_read_as_browsers_read_it() {
        for good in ["camera=()", "camera=(self \"https://a.example\"), usb=*", "made-up=(src)"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "camera 'none'",
            "camera=('self')",
            "camera=(",
            "camera=none",
            "camera=(), camera=()",
            "camera=(), ",
            "camara=()",
            "camera=(https://a.example)",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
