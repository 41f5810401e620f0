//! Decides whether a form is well formed, and whether a file in it is what it may be.
//!
//! 1. A form is taken apart strictly and within bounds, as its bytes come in: [`Multipart`], [`fields`].
//! 2. A file is of a type that is wanted, by what is in it and neither by its name nor by what its sender calls it; it is no pickle; an image
//!    has so many pixels, and an archive unpacks to so much: [`judge`].
//!
//! # What it does not do
//! It opens no file and reads no request: it is given bytes. It does not decode images, look for viruses, or clean what it finds.
//!
//! # Deployment caveat
//! A type that came up later than the table is no type, and is refused.
//!
//! Sources: RFC 7578, RFC 2046 section 5.1, WHATWG HTML, URL and MIME Sniffing; OWASP ASVS 5.0 V5.2, V5.3; CWE-434.

mod archives;
mod fields;
mod judge;
mod kinds;
mod multipart;
mod pickle;
mod pixels;
mod source;

pub use self::archives::ArchiveBounds;
pub use self::fields::fields;
pub use self::judge::{Refused, Wanted, judge};
pub use self::kinds::{Family, Kind, kinds};
pub use self::multipart::{Event, FileHead, Flaw, FormBounds, Multipart, Stop, boundary};
pub use self::source::{Gone, Source};
