//! The detectors, as a table. A new secret is a new row; its two samples are its tests.
//!
//! A token's row has the literals that it is found by, and the *head* of its pattern: bounded in length, so
//! that a try at a literal costs a bounded number of steps wherever it is made (a test holds every row to
//! it). What follows the head in the same alphabet is swallowed once the head has matched, and is not read
//! again. Rows without literals are found by shape, by name, or by a provider's name near by; their pattern says what
//! they look like. Rows whose head is a long word are found by its first three letters (`prefixes.rs`), so that their
//! number costs nothing; the others are few (a test counts them).
//!
//! A checksum never clears what a provider's own prefix convicts: a token with a typing error, of an older sort or cut
//! off by a log is hidden as well. Where there is no prefix, the checksum decides (`wallets.rs`).
//!
//! One file for each sort of provider. Formats are facts, as the providers and the secret scanners' public tables state
//! them; expressions and samples are our own.
//!
//! Samples are joined from pieces so that no scanner of source code takes them for leaked secrets.

mod ai;
mod business;
mod clouds;
mod code_hosts;
mod databases;
mod identity;
mod messaging;
mod monitoring;
mod payments;
mod pipelines;
mod registries;
mod shapes;
mod standards;
mod wallets;

use super::checks;
use super::text::base64url;

/// One kind of secret.
pub(super) struct Rule {
    /// The row's own name.
    pub(super) name: &'static str,
    /// What replaces the secret: `[REDACTED:<entity>]`.
    pub(super) entity: &'static str,
    /// One of these occurs in every match, *before* bytes after its start. Three bytes at least.
    pub(super) literals: &'static [&'static str],
    pub(super) before: usize,
    /// Whether it counts only where a word may start. Off for literals that no word contains.
    pub(super) alone: bool,
    /// The head, matched where the literal puts it (Rust `regex`: linear, no look-around).
    pub(super) pattern: &'static str,
    /// What is hidden once the head has matched.
    pub(super) extent: Extent,
    /// The last word, on what would be hidden.
    pub(super) check: fn(&[u8]) -> bool,
    /// For the tests: must be found, and wholly hidden but for what the extent leaves readable.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) secret: &'static str,
    /// For the tests: must not be touched.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) harmless: &'static str,
}

/// How far a match reaches beyond its head.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    /// On through this alphabet.
    Run(fn(u8) -> bool),
    /// Not at all: if the alphabet goes on, it is something else.
    Exactly(fn(u8) -> bool),
    /// From the head's last blank on: the scheme's name stays readable.
    Credentials,
    /// Three to five parts with dots.
    Jwt,
    /// To the END line.
    Pem,
    /// To the `Private-MAC` line.
    Putty,
    /// A word of exactly one of these lengths, with the provider's name near by (`nearby.rs`).
    Near { lengths: &'static [usize], alphabet: fn(u8) -> bool, keywords: &'static [&'static str] },
    /// Found by shape or by name, in `shapes.rs` and `fields.rs`.
    Shape,
}

const TOKEN: Rule = Rule {
    name: "",
    entity: "",
    literals: &[],
    before: 0,
    alone: true,
    pattern: "",
    extent: Extent::Run(base64url),
    check: checks::any,
    secret: "",
    harmless: "",
};

const SHAPE: Rule = Rule { extent: Extent::Shape, ..TOKEN };

/// All rows. Where several match at one place, the first decides.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().copied().flatten()
}

/// The row of a find that has no other: a shape, or the value of a name.
pub(super) fn shape(entity: &str) -> &'static str {
    let shape = |rule: &&Rule| {
        matches!(rule.extent, Extent::Shape) && rule.entity == entity && rule.name != "url_password"
    };
    all().find(shape).map_or("named", |rule| rule.name)
}

/// How tokens are sorted. What is more general comes later.
const FAMILIES: &[&[Rule]] = &[
    shapes::RULES,
    standards::STANDARDS,
    clouds::RULES,
    code_hosts::RULES,
    registries::RULES,
    ai::RULES,
    payments::RULES,
    messaging::RULES,
    monitoring::RULES,
    pipelines::RULES,
    databases::RULES,
    identity::RULES,
    business::RULES,
    wallets::RULES,
    standards::OTHERS,
];

/// A token by its prefix, `secret` and `harmless` its samples.
const fn token(
    name: &'static str,
    entity: &'static str,
    literals: &'static [&'static str],
    pattern: &'static str,
    secret: &'static str,
    harmless: &'static str,
) -> Rule {
    Rule { name, entity, literals, pattern, secret, harmless, ..TOKEN }
}

/// A secret without a form of its own, with a name of the provider's near by.
#[allow(clippy::too_many_arguments)] // The columns of a table.
const fn near(
    name: &'static str,
    entity: &'static str,
    keywords: &'static [&'static str],
    lengths: &'static [usize],
    alphabet: fn(u8) -> bool,
    pattern: &'static str,
    secret: &'static str,
    harmless: &'static str,
) -> Rule {
    let extent = Extent::Near { lengths, alphabet, keywords };
    Rule { name, entity, extent, pattern, check: checks::is_random, secret, harmless, ..TOKEN }
}

impl Rule {
    /// Hides what follows in this alphabet.
    const fn run(self, alphabet: fn(u8) -> bool) -> Self {
        Self { extent: Extent::Run(alphabet), ..self }
    }

    /// Is something else if this alphabet goes on.
    const fn exactly(self, alphabet: fn(u8) -> bool) -> Self {
        Self { extent: Extent::Exactly(alphabet), ..self }
    }

    /// The literal stands this many bytes after the start.
    const fn before(self, before: usize) -> Self {
        Self { before, ..self }
    }

    /// May start inside a word.
    const fn inside(self) -> Self {
        Self { alone: false, ..self }
    }

    const fn check(self, check: fn(&[u8]) -> bool) -> Self {
        Self { check, ..self }
    }
}
