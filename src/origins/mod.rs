//! Decides which pages of other origins are meant when origins are listed.
//!
//! [`Origin`] reads one origin; [`Origins`] is a list of them, with stars and regular expressions, and says whether an
//! origin that a browser sent is in it. Whatever is no origin is in no list. [`Page`] says whose page made a browser send a
//! request.
//!
//! # What it does not do
//! It knows no requests and answers none: what a page of a listed origin may do is decided above.
//!
//! # Sources
//! RFC 6454 (the web origin concept), Fetch (CORS), the Public Suffix List.

mod listed;
mod origin;
mod page;

pub use listed::{MOST, Origins};
pub use origin::{LONGEST, Origin};
pub use page::{Page, Told};
