//! Files: each is judged, is what it was judged to be, and is nothing that is never taken.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::uploads::{ArchiveBounds, Wanted, boundary, fields, judge, kinds};

const ARCHIVE: ArchiveBounds =
    ArchiveBounds { entries: 16, bytes: 1 << 20, entry: 1 << 19, ratio: 100, nested: false };

static ALL: LazyLock<Wanted> = LazyLock::new(|| {
    let names: Vec<String> = kinds().iter().map(|kind| kind.name.to_owned()).collect();
    Wanted::new(&names, ARCHIVE, 1 << 24, 64).expect("all types")
});

fuzz_target!(|data: &[u8]| {
    let length = data.len() as u64;
    let judged = judge(&mut { data }, length, &ALL).expect("it is there");
    match judged {
        Ok(kind) => {
            // What begins as pickles do is never taken, and what was taken for one type is taken where that alone is wanted.
            assert!(!matches!(data, [0x80, 2..=5, b'(' | b'c' | b'N' | b']' | b'}', ..]));
            let one = Wanted::new(&[kind.name.to_owned()], ARCHIVE, 1 << 24, 64).expect("a type");
            assert_eq!(judge(&mut { data }, length, &one), Ok(Ok(kind)));
        }
        Err(refused) => assert!(["type", "pixels", "frames", "archive"].contains(&refused.rule)),
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(found) = boundary(text) {
            assert!((1..=70).contains(&found.len()) && found.is_ascii());
        }
    }
    if let Ok(read) = fields(data, 8, 64) {
        assert!(read.len() <= 8 && read.iter().all(|(name, text)| name.len() + text.len() <= 64));
    }
});
