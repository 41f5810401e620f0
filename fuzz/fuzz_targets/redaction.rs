//! Redaction: it stays text, it is done once and for all, and what it finds lies within, whatever was chosen.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::redaction::{Allow, Detector, Options, Redactor};

static REDACTORS: LazyLock<[Redactor; 3]> = LazyLock::new(|| {
    let base = Detector { name: "badge", entity: "BADGE", pattern: "BDG-[0-9]{4,6}", ..Detector::default() };
    let detectors = [
        base,
        Detector { name: "case", pattern: "[a-z]{1,9}/case/.{0,9}", literals: &["/case/"], ..base },
        Detector { name: "any", pattern: "abc[^x]{4,40}", context: &["room"], before: 20, after: 20, ..base },
    ];
    let allow = [Allow::Text("hunter2"), Allow::Pattern("[a-z]+@[a-z.]+")];
    let options = Options {
        names: &["customer"],
        allow: &allow,
        deny: &[("bluebird", "CODENAME")],
        detectors: &detectors,
        ..Options::default()
    };
    let entities = ["BADGE", "EMAIL_ADDRESS", "JWT", "CREDIT_CARD"];
    [
        Redactor::new(&["customer"]).expect("a redactor"),
        Redactor::build(options).expect("a redactor"),
        Redactor::build(Options { entities: Some(&entities), ..options }).expect("a redactor"),
    ]
});

fuzz_target!(|data: &[u8]| {
    for redactor in REDACTORS.iter() {
        let entities = redactor.entities();
        let mut end = 0;
        for found in redactor.scan_bytes(data) {
            assert!(end <= found.start && found.start < found.end && found.end <= data.len());
            assert!(entities.contains(&redactor.entity(&found)) && !redactor.rule(&found).is_empty());
            end = found.end;
        }
        if let Ok(text) = std::str::from_utf8(data) {
            let once = redactor.redact(text);
            assert_eq!(once.as_bytes(), &*redactor.redact_bytes(data));
        }
    }
});
