//! Limits: a quota that is read is sound, and an address has one key.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::limits::Quota;
use rampart::limits::address::Prefix;

static PREFIX: LazyLock<Prefix> = LazyLock::new(|| Prefix::new(64).expect("a prefix"));

fuzz_target!(|text: &str| {
    if let Ok(quotas) = Quota::parse(text) {
        assert!(!quotas.is_empty());
        for quota in quotas {
            assert!(quota.count() > 0 && quota.burst() > 0 && quota.interval() > 0);
            // Never faster than it says: so many intervals are no less than the period.
            assert!(u128::from(quota.interval()) * u128::from(quota.count()) >= u128::from(quota.period()));
            let again = Quota::parse(quota.text()).expect("what it says of itself can be read");
            assert_eq!(again.len(), 1);
            assert_eq!((again[0].interval(), again[0].burst()), (quota.interval(), quota.burst()));
        }
    }
    if let Some(key) = PREFIX.key(text) {
        assert!(matches!(key.as_bytes().len(), 4 | 16));
        assert_eq!(PREFIX.key(&format!(" {} ", text.trim_ascii())).map(|k| k.as_bytes().to_vec()), Some(key.as_bytes().to_vec()));
    }
});
