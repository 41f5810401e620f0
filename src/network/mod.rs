//! Decides what of a request's way here is true: who the peer is, by which scheme and host it came.
//!
//! - [`node`]: what one entry of a forwarding header names;
//! - [`walk`]: whom a chain of proxies speaks for, as far as each of them is trusted;
//! - [`forwarded`]: the elements of `Forwarded` (RFC 7239), from the right;
//! - [`fields`]: which header fields forward, and which of several values counts.
//!
//! It opens no socket and asks no resolver.

pub mod fields;
pub mod forwarded;
pub mod node;
pub mod walk;
