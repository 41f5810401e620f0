//! Cookies: a browser reads what leaves as the same cookie, with what it lacked, and twice is once.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::cookies::{Cookie, CookiePolicy, Note, Prefix, Rule, SameSite};

static PLAIN: LazyLock<CookiePolicy> = LazyLock::new(|| CookiePolicy::new(&[]).expect("a policy"));
static RULES: LazyLock<CookiePolicy> = LazyLock::new(|| {
    let rule = |http_only, same_site, secure, partitioned| Rule { http_only, same_site, secure, partitioned };
    let rules = [
        ("*", rule(None, Some(SameSite::Strict), None, None)),
        ("a*", rule(Some(false), None, None, None)),
        ("ab*", rule(None, Some(SameSite::None), None, Some(true))),
        ("c", rule(None, None, Some(false), None)),
    ];
    CookiePolicy::new(&rules.map(|(name, rule)| (name.to_owned(), rule))).expect("a policy")
});

fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else { return };
    let was = Cookie::read(line);
    for policy in [&*PLAIN, &*RULES] {
        for tls in [true, false] {
            let hardened = policy.harden(line, tls);
            let Some(sent) = hardened.line else {
                assert!(was.name.is_empty() && hardened.notes.has(Note::Nameless));
                continue;
            };
            assert_eq!(policy.harden(&sent, tls).line.as_deref(), Some(&*sent));
            let now = Cookie::read(&sent);
            assert_eq!((now.name, now.value, now.domain), (was.name, was.value, was.domain));
            // Nothing is taken away, and what was said is not said otherwise.
            assert!(now.secure >= was.secure && now.http_only >= was.http_only && now.partitioned >= was.partitioned);
            assert!(now.same_site.is_some() && (was.same_site.is_none() || now.same_site == was.same_site));
            let prefix = Prefix::of(was.name);
            assert!(prefix == Prefix::None || now.secure);
            assert!(!prefix.is_http() || now.http_only);
            assert!(now.path == was.path || prefix.is_host());
            if std::ptr::eq(policy, &*PLAIN) {
                assert!(now.http_only && now.secure >= tls && !hardened.excepted);
            }
            assert_eq!(hardened.excepted, !now.http_only || (tls && !now.secure));
            // What is added for other sites is never what browsers drop.
            assert!(now.secure || was.same_site == now.same_site || now.same_site != Some(SameSite::None));
            assert!(now.secure || was.partitioned == now.partitioned);
        }
    }
});
