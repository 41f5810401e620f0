//! A request's facts, packed until they are rendered: texts as they came, one after another.
//!
//! To redact and render a line in the middle of a request costs several times what it costs among others,
//! where the tables that it needs are in the processor's caches. So a request only leaves its facts.

use super::Access;
use crate::time::UnixTime;

/// Stands for a text that is not there.
const ABSENT: u32 = u32::MAX;

/// Appends what `access` says, and when.
pub(super) fn pack(out: &mut Vec<u8>, access: &Access<'_>, now: UnixTime) {
    out.extend_from_slice(&now.0.to_le_bytes());
    out.extend_from_slice(&access.status.to_le_bytes());
    out.extend_from_slice(&access.micros.to_le_bytes());
    out.extend_from_slice(&access.size.unwrap_or(-1).to_le_bytes());
    out.push(u8::from(access.complete));
    let texts = [
        Some(access.request_id),
        access.client,
        Some(access.method),
        access.route,
        Some(access.target),
        access.principal,
    ];
    for text in texts {
        match text {
            Some(text) => put(out, text),
            None => out.extend_from_slice(&ABSENT.to_le_bytes()),
        }
    }
    out.extend_from_slice(&length(access.codes.len()).to_le_bytes());
    for code in access.codes {
        put(out, code);
    }
}

/// Takes one request off the front of `packed`, and calls `with` with it. `None` at the end.
pub(super) fn unpack<T>(packed: &mut &[u8], with: impl FnOnce(&Access<'_>, UnixTime) -> T) -> Option<T> {
    let now = UnixTime(f64::from_le_bytes(take(packed)?));
    let (status, micros) = (i64::from_le_bytes(take(packed)?), i64::from_le_bytes(take(packed)?));
    let size = i64::from_le_bytes(take(packed)?);
    let complete = take::<1>(packed)? != [0];
    let (request_id, client, method) = (text(packed)?, text(packed)?, text(packed)?);
    let (route, target, principal) = (text(packed)?, text(packed)?, text(packed)?);
    let count = u32::from_le_bytes(take(packed)?);
    let codes = (0..count).map(|_| text(packed)?).collect::<Option<Vec<&str>>>()?;
    let access = Access {
        request_id: request_id.unwrap_or_default(),
        client,
        method: method.unwrap_or_default(),
        route,
        target: target.unwrap_or_default(),
        status,
        micros,
        size: (size >= 0).then_some(size),
        principal,
        codes: &codes,
        complete,
    };
    Some(with(&access, now))
}

fn put(out: &mut Vec<u8>, text: &str) {
    // What is longer than 4 GiB was cut by every server before.
    let text = &text.as_bytes()[..text.len().min(ABSENT as usize - 1)];
    out.extend_from_slice(&length(text.len()).to_le_bytes());
    out.extend_from_slice(text);
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(ABSENT - 1)
}

fn take<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = packed.split_first_chunk::<N>()?;
    *packed = rest;
    Some(*head)
}

/// `Some(None)` is a text that is not there.
fn text<'p>(packed: &mut &'p [u8]) -> Option<Option<&'p str>> {
    let length = u32::from_le_bytes(take(packed)?);
    if length == ABSENT {
        return Some(None);
    }
    let (text, rest) = packed.split_at_checked(length as usize)?;
    *packed = rest;
    Some(Some(std::str::from_utf8(text).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_packed_comes_out_as_it_went_in() {
        let full = Access {
            request_id: "1",
            client: Some("::1"),
            method: "GET",
            route: Some("/ü"),
            target: "/ü?a=\u{0}",
            status: 200,
            micros: i64::MAX,
            size: Some(0),
            principal: Some(""),
            codes: &["a.b", ""],
            complete: true,
        };
        let bare = Access {
            client: None,
            route: None,
            size: None,
            principal: None,
            codes: &[],
            complete: false,
            target: "",
            ..full
        };
        let mut out = Vec::new();
        pack(&mut out, &full, UnixTime(1.5));
        pack(&mut out, &bare, UnixTime(2.5));
        let mut packed = out.as_slice();
        for (expected, when) in [(full, 1.5), (bare, 2.5)] {
            let told = unpack(&mut packed, |access, now| (format!("{access:?}"), now.0)).unwrap();
            assert_eq!(told, (format!("{expected:?}"), when));
        }
        assert!(unpack(&mut packed, |_, _| ()).is_none());
    }

    #[test]
    fn what_was_cut_off_ends_the_unpacking() {
        let mut out = Vec::new();
        let access = Access {
            request_id: "1",
            client: None,
            method: "GET",
            route: None,
            target: "/",
            status: 200,
            micros: 1,
            size: None,
            principal: None,
            codes: &["x"],
            complete: true,
        };
        pack(&mut out, &access, UnixTime(1.0));
        for end in 0..out.len() {
            assert!(unpack(&mut &out[..end], |_, _| ()).is_none(), "{end}");
        }
    }
}
