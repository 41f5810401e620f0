use super::*;
use crate::limits::address::AddressKey;

fn key(text: &str) -> Option<AddressKey> {
    Prefix::default().key(text)
}

#[test]
fn rotating_through_a_64_is_one_client() {
    // Flask-Limiter counts every /128 apart, so one customer has 2^64 quotas.
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
}

#[test]
fn the_prefix_is_configurable_between_32_and_128() {
    let of = |bits: u32, text: &str| Prefix::new(bits).unwrap().key(text);
    assert_eq!(of(56, "2001:db8:0:1ff::"), of(56, "2001:db8:0:100::"));
    assert_ne!(of(56, "2001:db8:0:200::"), of(56, "2001:db8:0:100::"));
    assert_ne!(of(128, "2001:db8::1"), of(128, "2001:db8::2"));
    assert_eq!(of(32, "2001:db8:ffff::1"), of(32, "2001:db8::"));
    for bits in [0, 31, 129, u32::MAX] {
        assert!(Prefix::new(bits).unwrap_err().to_string().contains("32 to 128"));
    }
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_that_ipv4_address() {
    // CVE-2026-30827 (GHSA-46wh-pxpv-q5gq): masked like IPv6, all IPv4 clients were one.
    let plain = key("1.2.3.4").unwrap();
    assert_eq!(plain, AddressKey::V4([1, 2, 3, 4]));
    for text in
        ["::ffff:1.2.3.4", "::FFFF:102:304", "[::ffff:1.2.3.4]:80", "64:ff9b::1.2.3.4", "64:ff9b::102:304"]
    {
        assert_eq!(key(text), Some(plain), "{text}");
    }
    assert_ne!(key("::ffff:1.2.3.4"), key("::ffff:1.2.3.5"));
}

#[test]
fn zones_ports_brackets_and_space_are_dropped() {
    for text in ["1.2.3.4", "1.2.3.4:567", " 1.2.3.4 "] {
        assert_eq!(key(text), key("1.2.3.4"), "{text}");
    }
    for text in ["fe80::1", "fe80::1%eth0", "[fe80::1]", "[fe80::1%eth0]:80", "[fe80::2]:65535"] {
        assert_eq!(key(text), key("fe80::1"), "{text}");
    }
}

#[test]
fn what_is_no_address_is_none() {
    for text in [
        "",
        " ",
        "unix:",
        "unknown",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:port",
        "1.2.3.4:123456",
        "1.2.3.4%eth0",
        "::g",
        ":::",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[1.2.3.4]",
        "1.2.3.4, 5.6.7.8",
        "fe80::1%",
        "1.2.3.4/8",
        "１.2.3.4",
    ] {
        assert_eq!(key(text), None, "{text:?}");
    }
}

#[test]
fn an_ipv4_key_is_never_an_ipv6_key() {
    assert_ne!(key("1.2.3.4").unwrap().as_bytes().len(), key("102:304::").unwrap().as_bytes().len());
}
