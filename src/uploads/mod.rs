//! Decides whether a form is well formed, and whether a file in it is what it may be.
//!
//! 1. A form is taken apart strictly and within bounds, as its bytes come in: [`Multipart`], [`fields`].
//!
//! # What it does not do
//! It opens no file and reads no request: it is given bytes.
//!
//! Sources: RFC 7578, RFC 2046 section 5.1, WHATWG HTML and URL.

mod fields;
mod multipart;

pub use self::fields::fields;
pub use self::multipart::{Event, FileHead, Flaw, FormBounds, Multipart, Stop, boundary};
