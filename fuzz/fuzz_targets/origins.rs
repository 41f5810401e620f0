//! Origins: what is read has the one form in which browsers send it, and a list has no stranger in it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::origins::{LONGEST, Origin, Origins};
use url::Url;

static LISTED: LazyLock<Origins> = LazyLock::new(|| {
    let listed = ["https://app.example.com", "https://*.example.org", "http://localhost:*", "capacitor://localhost"];
    Origins::new(listed, [r"https://pr-[0-9]+\.example\.net(:8443)?"]).expect("origins")
});

/// What a URL of this origin has for its origin, to a browser.
fn as_browsers_say(origin: &str) -> String {
    Url::parse(origin).expect("an address").origin().ascii_serialization()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };

    if let Some(origin) = Origin::parse(text) {
        let sent = origin.as_str();
        assert!(sent.len() <= LONGEST * 4 && sent.is_ascii());
        assert_eq!(Origin::parse(sent).as_ref(), Some(&origin), "read once more, it is another");
        assert_eq!(Origin::sent(sent).as_ref(), Some(&origin), "no browser sends what was read");
        assert!(sent.starts_with(&format!("{}://{}", origin.scheme(), origin.host())));
        if matches!(origin.scheme(), "http" | "https") {
            assert_eq!(as_browsers_say(sent), sent, "a browser writes it otherwise");
            // Nothing was in the text but an origin: the same page is named by the whole of it.
            assert_eq!(as_browsers_say(text), sent);
        }
    }

    if let Some(origin) = Origin::sent(text) {
        assert_eq!(origin.as_str(), text);
        // What a browser sends is what a developer may list.
        let is_web = matches!(origin.scheme(), "http" | "https");
        if is_web && as_browsers_say(text) == text {
            assert_eq!(Origin::parse(text), Some(origin));
        }
    }

    if LISTED.has(text) {
        let origin = Origin::sent(text).expect("what is in no form of an origin is in a list");
        let host = origin.host();
        let ours = host == "app.example.com"
            || host.ends_with(".example.org")
            || host == "localhost"
            || (host.starts_with("pr-") && host.ends_with(".example.net"));
        assert!(ours, "{text:?} is a stranger");
        if matches!(origin.scheme(), "http" | "https") {
            assert_eq!(as_browsers_say(text), text);
        }
    }

    // As a developer's list. What is taken has no secret in its words, and does not let in everybody.
    let (listed, patterns) = text.split_once('\n').unwrap_or((text, ""));
    let patterns = (!patterns.is_empty()).then_some(patterns);
    if let Ok(origins) = Origins::new([listed], patterns) {
        for stranger in ["null", "", "*", "https://", "https://evil.test.", "https://evil.test/", "https://a@b.test"] {
            assert!(!origins.has(stranger), "{text:?} has {stranger:?}");
        }
    } else if let Err(error) = Origins::new([listed], None)
        && let Some((before, _)) = listed.rsplit_once('@')
        && let Some((_, secret)) = before.rsplit_once(':')
        && secret.len() > 12
    {
        assert!(!error.to_string().contains(secret), "{error}");
    }
});
