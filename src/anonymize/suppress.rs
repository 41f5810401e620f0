//! Takes a value away: the column, the value, or all but that there was one.
//!
//! These are the only rules that look at no value, so they fit any, with parts or without, and none is refused.

use super::value::Made;

/// How a value is taken away.
#[derive(Debug, Clone, PartialEq)]
pub enum Suppress {
    /// One and the same stands in the place of each, also of nothing.
    Constant(Made),
    /// The column is gone.
    Drop,
    /// Nothing stands in the place of each.
    Null,
}
