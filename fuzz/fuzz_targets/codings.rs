//! Content codings: what is decoded is within its bounds, and the same in whatever pieces it came.

#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use libfuzzer_sys::fuzz_target;
use rampart::codings::{Bounds, Coding, Decoder, Fault, Pulled};

const MAX: u64 = 1 << 20;

fn decode(coding: Coding, coded: &[u8], ratio: u64, fed: usize, pulled: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, Bounds::new(MAX, ratio, 4096).expect("bounds"));
    let (mut made, mut out, mut rest) = (Vec::new(), vec![0; pulled], coded);
    loop {
        match decoder.pull(&mut out)? {
            Pulled::Bytes(count) => {
                made.extend_from_slice(&out[..count]);
                assert!(made.len() as u64 <= MAX.min(4096.max(coded.len() as u64 * ratio)));
            }
            Pulled::Again => {}
            Pulled::End => return Ok(made),
            Pulled::Hungry => {
                let (now, later) = rest.split_at(fed.min(rest.len()));
                decoder.feed(now);
                rest = later;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((how, body)) = data.split_first() else { return };
    let coding = [Coding::Gzip, Coding::Deflate, Coding::Brotli][usize::from(how % 3)];
    let fed = 1 + usize::from(how / 3);
    let _ = decode(coding, body, 2, fed, 64);
    // Beyond the reach of its ratio, only what it is decides.
    assert_eq!(decode(coding, body, MAX, fed, 7), decode(coding, body, MAX, usize::MAX, 65_536));

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).expect("memory");
    zlib.write_all(body).expect("memory");
    for (coding, coded) in [
        (Coding::Gzip, gzip.finish().expect("memory")),
        (Coding::Deflate, zlib.finish().expect("memory")),
    ] {
        assert_eq!(decode(coding, &coded, MAX, fed, 64).as_deref(), Ok(body));
    }
});
