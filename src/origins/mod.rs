//! Decides which pages of other origins are meant when origins are listed.
//!
//! [`Origin`] reads one origin.
//!
//! # Sources
//! RFC 6454 (the web origin concept), Fetch (CORS), the Public Suffix List.

mod origin;

pub use origin::{LONGEST, Origin};
