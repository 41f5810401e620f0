//! Decides whether a body is JSON that may be looked at, and whether it is what the view declared.
//!
//! The rules, in order:
//! 1. the body is at most `max_bytes` long and is UTF-8 without a byte order mark (RFC 8259 §8.1);
//! 2. it is one JSON text by the strict grammar of RFC 8259, no deeper than `max_depth`, with at
//!    most `max_keys` object members in all, no number longer than `max_digits`, no member named
//!    twice, no number that is not finite, no half of a surrogate pair: [`parser`];
//! 3. it is valid under a JSON Schema, of draft 4, 6, 7, 2019-09 or 2020-12: [`schema`].
//!
//! A schema is examined once, when it is registered. One whose cost could grow faster than the
//! body is refused then ([`lint`]), as are references that leave the document, unknown formats and
//! patterns that only a backtracking engine can match.
//!
//! Names that the schema does not know are refused, ignored or taken out (`closing.rs`, [`outline`]); texts are cleaned before they are
//! judged, and defaults put in after.
//!
//! What is text in a request is read as the types that a schema names, and then judged like a body: [`parts`].
//!
//! It does not fetch references, change what the schema does not tell it to or build messages: a rejection is a
//! list of (JSON Pointer, keyword) that holds nothing the peer sent ([`explain`]).
//!
//! Sources: RFC 8259 (JSON), RFC 6901 (JSON Pointer), JSON Schema drafts as named, CWE-400, CWE-674.

pub mod bounds;
mod choice;
pub mod cleaners;
mod closing;
pub mod explain;
mod fingerprint;
mod form;
mod formats;
pub mod lint;
mod multiple;
mod order;
pub mod outline;
pub mod parser;
pub mod parts;
pub mod rejection;
mod scanner;
pub mod schema;
mod unique;
pub mod value;

pub use bounds::Bounds;
pub use cleaners::Cleaners;
pub use explain::{Broken, Explanation};
pub use outline::{EachElement, EachMember, Fate, Tree};
pub use parser::{Builder, Parsed, parse, weight};
pub use parts::{Parts, Place, Read, Unknown};
pub use rejection::{JsonRejection, Reason};
pub use schema::Schema;
