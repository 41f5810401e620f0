//! The rules against the standards' vectors, and what they refuse: by subject, in files of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

mod coarse;
mod keyed;
mod measures;
mod plans;

fn key() -> MasterKey {
    MasterKey::new((0..32).collect()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn text(made: Result<Made, Refused>) -> String {
    match made.unwrap() {
        Made::Text(text) => text,
        other => panic!("{other:?}"),
    }
}
