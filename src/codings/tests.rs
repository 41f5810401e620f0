#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

/// `hello hello hello hello, brotli`, by another implementation.
const BROTLI: &str = "1b1e00f81d09364e746f248657656809c2c2966c696f298925f2d4012aed36e54509";
/// The same with the large windows that RFC 7932 does not have.
const LARGE: &str = "111e3c000268656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f2c2062726f746c6903";
/// A mebibyte of spaces.
const BROTLI_BOMB: &str = "5fffff8f5f02241e0b0472ef1f00";
const PLAIN: &[u8] = b"hello hello hello hello, brotli";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn bounds(max_bytes: u64) -> Bounds {
    Bounds::new(max_bytes, 100, 65_536).unwrap()
}

/// Fed and pulled in pieces of these sizes.
fn pieces(
    coding: Coding,
    coded: &[u8],
    bounds: Bounds,
    fed: usize,
    pulled: usize,
) -> Result<Vec<u8>, (Fault, usize)> {
    let mut decoder = Decoder::new(coding, bounds);
    let mut rest = coded;
    let (mut made, mut out) = (Vec::new(), vec![0; pulled]);
    loop {
        match decoder.pull(&mut out) {
            Ok(Pulled::Again) => {}
            Ok(Pulled::Bytes(count)) => made.extend_from_slice(&out[..count]),
            Ok(Pulled::End) => return Ok(made),
            Ok(Pulled::Hungry) => {
                let (now, later) = rest.split_at(fed.min(rest.len()));
                decoder.feed(now);
                rest = later;
            }
            Err(fault) => {
                // It stays so, whatever comes.
                decoder.feed(b"more");
                assert_eq!(decoder.pull(&mut out), Err(fault));
                return Err((fault, made.len()));
            }
        }
    }
}

fn decode(coding: Coding, coded: &[u8]) -> Result<Vec<u8>, Fault> {
    let whole = pieces(coding, coded, bounds(1 << 20), 1 << 14, 1 << 16).map_err(|(fault, _)| fault);
    for (fed, pulled) in [(1, 1), (1, 1 << 16), (7, 3)] {
        let other = pieces(coding, coded, bounds(1 << 20), fed, pulled).map_err(|(fault, _)| fault);
        assert_eq!(other, whole, "in pieces of {fed} and {pulled}");
    }
    whole
}

#[test]
fn a_body_reads_the_same_in_whatever_pieces_it_comes_and_goes() {
    assert_eq!(decode(Coding::Gzip, &gzip(PLAIN)).unwrap(), PLAIN);
    assert_eq!(decode(Coding::Deflate, &zlib(PLAIN)).unwrap(), PLAIN);
    assert_eq!(decode(Coding::Brotli, &hex(BROTLI)).unwrap(), PLAIN);
    let large: Vec<u8> =
        (0..100_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    assert_eq!(decode(Coding::Gzip, &gzip(&large)).unwrap(), large);
    assert_eq!(decode(Coding::Deflate, &zlib(&large)).unwrap(), large);
}

#[test]
fn nothing_is_nothing_in_every_coding() {
    for coding in [Coding::Brotli, Coding::Deflate, Coding::Gzip] {
        assert_eq!(decode(coding, b"").unwrap(), b"");
    }
    assert_eq!(decode(Coding::Gzip, &gzip(b"")).unwrap(), b"");
    assert_eq!(decode(Coding::Deflate, &zlib(b"")).unwrap(), b"");
}

#[test]
fn every_cut_is_noticed() {
    for (coding, coded) in
        [(Coding::Gzip, gzip(PLAIN)), (Coding::Deflate, zlib(PLAIN)), (Coding::Brotli, hex(BROTLI))]
    {
        for end in 1..coded.len() {
            assert_eq!(decode(coding, &coded[..end]), Err(Fault::Truncated), "{coding:?} cut at {end}");
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for (coding, coded) in
        [(Coding::Gzip, gzip(PLAIN)), (Coding::Deflate, zlib(PLAIN)), (Coding::Brotli, hex(BROTLI))]
    {
        // Padding with zeros, which some tools let pass, and a second body, of which another reader takes the first.
        for tail in [&[0_u8; 32][..], b"garbage, of some length", &zlib(b"more")] {
            let both = [coded.as_slice(), tail].concat();
            assert_eq!(decode(coding, &both), Err(Fault::Trailing), "{coding:?}");
        }
    }
}

#[test]
fn a_check_value_that_does_not_fit_is_noticed() {
    for (coding, coded) in [(Coding::Gzip, gzip(PLAIN)), (Coding::Deflate, zlib(PLAIN))] {
        let checks = if coding == Coding::Gzip { 8 } else { 4 };
        for back in 1..=checks {
            let mut wrong = coded.clone();
            let at = wrong.len() - back;
            wrong[at] ^= 1;
            assert_eq!(decode(coding, &wrong), Err(Fault::Corrupt), "{coding:?}, byte {back} from the end");
        }
    }
}

#[test]
fn bare_deflate_a_preset_dictionary_and_large_windows_are_refused() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(PLAIN).unwrap();
    assert_eq!(decode(Coding::Deflate, &encoder.finish().unwrap()), Err(Fault::Corrupt));
    // RFC 1950 section 2.2: FDICT, with the check bits right.
    let mut preset = zlib(PLAIN);
    preset[1] |= 0x20;
    preset[1] -= u8::try_from((u16::from(preset[0]) * 256 + u16::from(preset[1])) % 31).unwrap();
    preset[1] |= 0x20;
    assert!(decode(Coding::Deflate, &preset).is_err());
    assert_eq!(decode(Coding::Brotli, &hex(LARGE)), Err(Fault::Corrupt));
    assert_eq!(decode(Coding::Gzip, &zlib(PLAIN)), Err(Fault::Corrupt));
    assert_eq!(decode(Coding::Brotli, &[0xff; 64]), Err(Fault::Corrupt));
}

#[test]
fn gzip_members_are_one_body_and_not_too_many() {
    let mut both = gzip(b"one ");
    both.extend(gzip(b""));
    both.extend(gzip(b"two"));
    assert_eq!(decode(Coding::Gzip, &both).unwrap(), b"one two");
    let whole = |count| pieces(Coding::Gzip, &gzip(b"").repeat(count), bounds(1 << 20), 1 << 14, 1 << 16);
    assert_eq!(whole(MEMBERS), Ok(Vec::new()));
    assert_eq!(whole(MEMBERS + 1), Err((Fault::TooManyMembers, 0)));
}

#[test]
fn a_gzip_header_with_every_field_is_read_and_an_endless_one_is_not() {
    let mut encoder = flate2::GzBuilder::new()
        .extra(vec![1, 2, 3])
        .filename("../../etc/passwd")
        .comment("no one reads this")
        .write(Vec::new(), Compression::fast());
    encoder.write_all(PLAIN).unwrap();
    assert_eq!(decode(Coding::Gzip, &encoder.finish().unwrap()).unwrap(), PLAIN);
    // A name without end: RFC 1952 section 2.3.1 has no bound on it.
    let mut endless = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255];
    endless.resize(1 << 20, b'a');
    let made = pieces(Coding::Gzip, &endless, bounds(1 << 20), 1 << 14, 1 << 16);
    assert_eq!(made, Err((Fault::Corrupt, 0)));
}

#[test]
fn the_bound_on_bytes_is_kept_to_the_byte() {
    for (coding, coded) in [(Coding::Gzip, gzip(PLAIN)), (Coding::Brotli, hex(BROTLI))] {
        let length = PLAIN.len() as u64;
        for pulled in [1, 64] {
            assert_eq!(pieces(coding, &coded, bounds(length), 64, pulled).unwrap(), PLAIN);
            let (fault, made) = pieces(coding, &coded, bounds(length - 1), 64, pulled).unwrap_err();
            assert_eq!(fault, Fault::TooLarge);
            assert!(made < PLAIN.len());
        }
    }
}

#[test]
fn a_bomb_is_stopped_at_its_bound_and_not_after_it() {
    // One layer of 42.zip: some 1000 times its size (CWE-409).
    let bomb = gzip(&vec![0; 16 << 20]);
    assert!(bomb.len() < 17_000);
    let (fault, made) = pieces(Coding::Gzip, &bomb, bounds(1 << 20), 1 << 14, 1 << 16).unwrap_err();
    assert_eq!(fault, Fault::TooLarge);
    assert!(made <= 1 << 20);
    // Sixteen kilobytes may not hold sixteen megabytes, even where there is room for them.
    let (fault, made) = pieces(Coding::Gzip, &bomb, bounds(1 << 30), 1 << 14, 1 << 16).unwrap_err();
    assert_eq!(fault, Fault::Dense);
    assert!(made <= 100 * bomb.len());
    let (fault, made) =
        pieces(Coding::Brotli, &hex(BROTLI_BOMB), bounds(1 << 20), 1 << 14, 1 << 16).unwrap_err();
    assert_eq!(fault, Fault::Dense);
    assert!(made <= 65_536);
}

#[test]
fn up_to_the_floor_a_small_body_may_be_as_dense_as_it_likes() {
    let dense = |length| pieces(Coding::Gzip, &gzip(&vec![b' '; length]), bounds(1 << 20), 1 << 14, 1 << 16);
    assert_eq!(dense(65_536).unwrap().len(), 65_536);
    assert_eq!(dense(65_537).unwrap_err().0, Fault::Dense);
}

#[test]
fn another_bound_holds_from_when_it_is_set() {
    let mut decoder = Decoder::new(Coding::Gzip, bounds(1 << 20));
    let mut out = [0; 8];
    decoder.feed(&gzip(PLAIN));
    assert_eq!(decoder.pull(&mut out), Ok(Pulled::Bytes(8)));
    decoder.hold(9);
    assert_eq!(decoder.pull(&mut out), Err(Fault::TooLarge));
}

#[test]
fn codings_are_named_in_any_case_and_bounds_of_zero_are_the_developers_fault() {
    assert_eq!(Coding::named("X-GZIP"), Some(Coding::Gzip));
    assert_eq!(Coding::named("Br"), Some(Coding::Brotli));
    for name in ["", "identity", "zstd", "compress", "gzip;q=1", "*"] {
        assert_eq!(Coding::named(name), None, "{name}");
    }
    assert!(Bounds::new(0, 1, 1).unwrap_err().to_string().starts_with("max_bytes"));
    assert!(Bounds::new(1, 0, 1).unwrap_err().to_string().starts_with("ratio"));
}

/// What a generator of numbers says: it does not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(size)
    .collect()
}

#[test]
fn a_dense_beginning_is_no_matter_if_the_whole_is_not_too_dense_however_it_arrives() {
    let plain = [vec![b' '; 1 << 20], noise(300_000)].concat();
    for (coding, coded) in [(Coding::Gzip, gzip(&plain)), (Coding::Deflate, zlib(&plain))] {
        let whole = plain.len() as u64;
        for (fed, pulled) in [(1, 1 << 16), (1000, 1 << 16), (1 << 14, 100), (usize::MAX, 1 << 16)] {
            let fits = Bounds::new(1 << 21, whole.div_ceil(coded.len() as u64), 1000).unwrap();
            assert_eq!(pieces(coding, &coded, fits, fed, pulled).as_deref(), Ok(&plain[..]));
            let less = Bounds::new(1 << 21, whole / coded.len() as u64, 1000).unwrap();
            let (fault, made) = pieces(coding, &coded, less, fed, pulled).unwrap_err();
            assert_eq!(fault, Fault::Dense);
            // Never more than what came has paid for.
            assert!(made as u64 <= whole / coded.len() as u64 * coded.len() as u64);
        }
    }
}

#[test]
fn a_pull_goes_through_a_slice_of_what_came_and_no_more() {
    // What says nothing: empty members, and empty blocks, stored and coded.
    let members = gzip(b"").repeat(MEMBERS);
    let stored = [&[0x78, 0x9c][..], &[0, 0, 0, 0xff, 0xff].repeat(10_000)].concat();
    let fixed = [&[0x78, 0x9c][..], &[0x02, 0x08, 0x20, 0x80, 0x00].repeat(10_000)].concat();
    for (coding, coded, end) in [
        (Coding::Gzip, members, Ok(Pulled::End)),
        (Coding::Deflate, stored, Err(Fault::Truncated)),
        (Coding::Deflate, fixed, Err(Fault::Truncated)),
    ] {
        let mut decoder = Decoder::new(coding, bounds(1000));
        decoder.feed(&coded);
        decoder.feed(b"");
        let mut pulls = 1;
        let last = loop {
            match decoder.pull(&mut [0; 9]) {
                Ok(Pulled::Again) => pulls += 1,
                other => break other,
            }
        };
        assert_eq!((last, pulls), (end, coded.len().div_ceil(SLICE)), "{coding:?}");
    }
}
