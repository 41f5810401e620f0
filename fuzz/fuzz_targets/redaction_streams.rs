//! Streams of redaction: however a text is cut, the stream says what the whole would, and holds back what it says.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rampart::redaction::{Allow, Detector, Finding, Options, Receiver, Redactor, Stream};

static REDACTORS: LazyLock<[Arc<Redactor>; 3]> = LazyLock::new(|| {
    let base = Detector { name: "badge", entity: "BADGE", pattern: "BDG-[0-9]{4,6}", ..Detector::default() };
    let detectors = [
        base,
        Detector { name: "case", pattern: "[a-z]{1,9}/case/.{0,9}", literals: &["/case/"], ..base },
        Detector { name: "any", pattern: "abc[^x]{4,40}", context: &["room"], before: 20, after: 20, ..base },
    ];
    let options = Options {
        names: &["customer"],
        allow: &[Allow::Text("hunter2"), Allow::Pattern("[a-z]+@[a-z.]+")],
        deny: &[("bluebird", "CODENAME")],
        detectors: &detectors,
        ..Options::default()
    };
    let mut entities: Vec<&str> = Redactor::identifiers().map(|row| row.entity).collect();
    entities.extend(["CREDIT_CARD", "EMAIL_ADDRESS", "PASSWORD", "BEARER"]);
    [Options::default(), options, Options { entities: Some(&entities), ..Options::default() }]
        .map(|options| Arc::new(Redactor::build(options).expect("a redactor")))
});

struct Marked<'a> {
    redactor: &'a Redactor,
    out: Vec<u8>,
    found: Vec<(usize, usize)>,
}

impl Receiver for Marked<'_> {
    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn find(&mut self, finding: &Finding, _: Option<&[u8]>) {
        self.redactor.mark(finding, &mut self.out);
    }

    fn end(&mut self, _: &Finding, bytes: (usize, usize), _: (usize, usize)) {
        self.found.push(bytes);
    }
}

fuzz_target!(|data: &[u8]| {
    // The first byte says how it is cut: the size of the chunks, which varies with what is in them.
    let Some((cut, text)) = data.split_first() else { return };
    for redactor in REDACTORS.iter() {
        let mut stream = Stream::new(Arc::clone(redactor), usize::from(*cut & 1) * 100);
        let mut marked = Marked { redactor, out: Vec::new(), found: Vec::new() };
        let mut left = text;
        while let Some(first) = left.first() {
            let size = 1 + usize::from(cut >> 1) * usize::from(*first) / 256;
            let (chunk, rest) = left.split_at(size.min(left.len()));
            stream.feed(chunk, &mut marked).expect("it is not over");
            assert!(stream.held().len() <= stream.hold());
            left = rest;
        }
        stream.finish(&mut marked).expect("it is not over");
        assert_eq!(marked.out, &*redactor.redact_bytes(text));
        let found: Vec<_> = redactor.scan_bytes(text).iter().map(|found| (found.start, found.end)).collect();
        assert_eq!(marked.found, found);
    }
});
