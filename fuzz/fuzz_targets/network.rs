//! Forwarding: nobody is the peer but who a listed proxy wrote down, and what is read of hosts and prefixes is what was
//! written.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::network::walk::{End, MOST, Party, Proxies};
use rampart::network::{fields, forwarded, node};

static PROXIES: LazyLock<Proxies> = LazyLock::new(|| {
    let mut proxies = Proxies::new();
    assert!(proxies.add("10.0.0.0".parse().expect("an address"), 8));
    assert!(proxies.add("2001:db8:1::".parse().expect("an address"), 48));
    proxies.add_unix();
    proxies
});
const CLIENT: &str = "192.0.2.77";

fuzz_target!(|data: &[u8]| {
    // As WSGI shows bytes.
    let shown: String = data.iter().map(|&b| char::from(b)).collect();
    let (first, text) = shown.split_at(shown.chars().next().map_or(0, char::len_utf8));
    let hops = first.chars().next().map_or(MOST, |c| u32::from(c) as usize % 80);

    list(text, hops);
    elements(text, hops);
    values(text, hops);
});

fn list(text: &str, hops: usize) {
    let walk = PROXIES.walk(Party::Unix, text.rsplit(',').map(Some), hops);
    let entries: Vec<_> = text.rsplit(',').collect();
    assert!(walk.depth <= entries.len().min(hops).min(MOST));
    // Each that was believed about somebody is listed; the last one who was named is the peer.
    for entry in entries.iter().take(walk.depth.saturating_sub(1)) {
        assert!(PROXIES.has(Party::Address(node::address(entry).expect("an address"))));
    }
    if let Some(last) = walk.depth.checked_sub(1) {
        assert_eq!(Some(walk.peer), node::address(entries[last]).map(Party::Address));
    } else {
        assert_eq!(walk.peer, Party::Unix);
    }
    match walk.end {
        End::Malformed => assert!(node::address(entries[walk.depth]).is_none() && PROXIES.has(walk.peer)),
        End::Client => assert!(walk.depth == hops.min(MOST) || !PROXIES.has(walk.peer)),
        End::Short => assert!(walk.depth == entries.len() && PROXIES.has(walk.peer)),
    }
    // Whatever a client wrote, a proxy that adds to it is believed about the client, and about nothing else.
    if hops > 0 {
        let forwarded = format!("{text}, {CLIENT}");
        let walk = PROXIES.walk(Party::Unix, forwarded.rsplit(',').map(Some), hops);
        assert_eq!((walk.peer, walk.depth, walk.end), (Party::Address(client()), 1, End::Client));
    }
}

fn elements(text: &str, hops: usize) {
    let found: Vec<_> = forwarded::from_right(text).take(MOST).collect();
    assert!(found.iter().rev().skip(1).all(Option::is_some), "what is malformed ends the reading");
    for element in found.iter().flatten() {
        for value in [&element.r#for, &element.proto, &element.host].into_iter().flatten() {
            assert!(value.len() <= text.len());
        }
    }
    if hops == 0 {
        return;
    }
    let forwarded = format!("{text}, for={CLIENT};proto=https;host=\"a, b\"");
    let mut found = forwarded::from_right(&forwarded);
    let last = found.next().flatten().expect("the proxy's own element");
    assert_eq!((last.r#for.as_deref(), last.proto.as_deref()), (Some(CLIENT), Some("https")));
    assert_eq!(last.host.as_deref(), Some("a, b"));
    let entries: Vec<_> = forwarded::from_right(&forwarded).take(MOST).collect();
    let entries = entries.iter().map(|it| it.as_ref().and_then(|it| it.r#for.as_deref()));
    let walk = PROXIES.walk(Party::Unix, entries, hops);
    assert_eq!((walk.peer, walk.depth), (Party::Address(client()), 1));
}

fn values(text: &str, depth: usize) {
    if let Some(address) = node::address(text) {
        assert_eq!(node::address(&address.to_string()), Some(address), "it is another in its own spelling");
        assert!(!matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some()));
    }
    if let Ok((name, port)) = fields::host(text) {
        assert_eq!(port.map_or(name.to_owned(), |port| format!("{name}:{port}")), text);
        assert!(port.is_none_or(node::is_port));
        assert!(!text.contains(['/', '\\', '@', '?', '#', ',', ' ', '%']) && text.is_ascii());
    }
    if let Ok(path) = fields::prefix(text) {
        assert!(path.is_empty() || (path.starts_with('/') && !path.starts_with("//") && !path.ends_with('/')));
        assert!(!path.split('/').any(|segment| segment == "." || segment == ".."));
        assert!(!path.contains(['\\', '%', '?', '#', ';']) && path.is_ascii());
        assert_eq!(fields::prefix(if path.is_empty() { "/" } else { path }), Ok(path));
    }
    if let Ok(picked) = fields::pick(text, depth) {
        assert!(!picked.contains(',') || !text.contains(','));
        assert_eq!(picked, picked.trim_matches([' ', '\t']));
    } else {
        assert!(text.contains(',') && depth > text.split(',').count());
    }
    if fields::scheme(text).is_ok() {
        assert!(matches!(&*text.to_ascii_lowercase(), "http" | "https"));
    }
    let name = text.to_ascii_uppercase();
    if name.starts_with("X_FORWARDED") {
        assert!(fields::role(&name).is_some());
    }
}

fn client() -> IpAddr {
    CLIENT.parse().expect("an address")
}
