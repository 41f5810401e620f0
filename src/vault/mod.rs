//! Seals data so that only a holder of the keys reads it, and finds out when it was changed.
//!
//! Everything is in the formats of Google's Tink: what is sealed here, Tink opens, and the other way round.
//!
//! # The rooms within
//! [`wire`] Tink's messages · [`templates`] the kinds of keys · [`keyset`] which keys there are ·
//! [`streaming`] what is too long for memory

pub mod keyset;
pub mod streaming;
pub mod templates;
pub mod wire;

pub use keyset::{Key, Keyset, Material, OutputPrefix, Random, Status};
pub use templates::{Primitive, TEMPLATES, Template};
