//! Anonymisation: what can be undone is undone, what is made coarser is not itself, a plan is read or refused.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::anonymize::{
    Alphabet, Cell, Dates, DateFormat, Ff1, Hands, Made, MasterKey, Measure, Networks, Numbers, Plan, Postcodes,
    Tokenizer, Unit,
};

static KEY: LazyLock<MasterKey> = LazyLock::new(|| MasterKey::new((0..32).collect()).expect("a key"));
static TOKENS: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::new(&KEY, "fuzz").expect("a tokenizer"));
static FF1: LazyLock<Ff1> = LazyLock::new(|| {
    let alphabet = Alphabet::new("alphanumeric").expect("an alphabet");
    Ff1::scoped(&KEY, "fuzz", alphabet, " -", b"").expect("ff1")
});
static DATES: LazyLock<Dates> =
    LazyLock::new(|| Dates::new(Unit::Month, DateFormat::default(), None).expect("dates"));
static NUMBERS: LazyLock<Numbers> = LazyLock::new(|| Numbers::width("0.25", "0").expect("numbers"));
static POSTCODES: LazyLock<Postcodes> = LazyLock::new(|| Postcodes::new(2, None, &[], "").expect("postcodes"));
static NETWORKS: LazyLock<Networks> = LazyLock::new(|| Networks::new(24, 48).expect("networks"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let cell = Cell::Text(text);
    if let Ok(Made::Text(token)) = TOKENS.apply(cell) {
        assert_eq!(TOKENS.open(&token).as_deref(), Ok(text));
    }
    // Nobody made it here.
    assert!(TOKENS.open(text).is_err());
    if let Ok(sealed) = FF1.encrypt(text) {
        assert_eq!(FF1.decrypt(&sealed).as_deref(), Ok(text));
        assert_eq!(sealed.chars().count(), text.chars().count());
    }
    for made in [DATES.apply(cell), NUMBERS.apply(cell), POSTCODES.apply(cell), NETWORKS.apply(cell)] {
        // What cannot be read is refused, and what is made is never the text itself.
        assert!(made.is_err() || matches!(made, Ok(Made::Text(made)) if made != text));
    }
    let hands = Hands { key: Some(&KEY), ..Hands::default() };
    if let Ok(plan) = Plan::parse(text, &hands) {
        for column in plan.columns() {
            let _ = column.treat(cell);
        }
    }
    let mut measure = Measure::new([1; 16], 1, 1, 1000).expect("a measure");
    for word in text.split(' ').take(300) {
        if measure.add(&[Cell::Text(word)], &[Cell::Null]).is_err() {
            return;
        }
    }
    let privacy = measure.privacy().expect("few entries");
    assert!(privacy.k >= 1 && privacy.k * privacy.classes <= privacy.rows);
});
