//! How much of the thread's stack a body can make the engine use.
//!
//! The engine calls itself for each subschema, those for the same value included, so its stack grows
//! with the longest chain of them. A body decides how often a recursive chain is gone through, and
//! running out of stack ends the process: no guard catches it (CWE-674).

use super::graph::Node;

/// What may be used, in units of about 100 bytes of a release build: 320 KiB.
///
/// It leaves a thread of 512 KiB, such as gunicorn's `gthread` workers may have, more than a third for
/// Python. A debug build takes four times as much and needs 2 MiB. The 128 KiB of musl are too little.
const MOST: u64 = 3_200;

/// To follow a reference: 208 bytes at most were measured, in the search for errors.
const REFERENCE: u64 = 2;

/// To go on to another subschema for the same value: 770 bytes at most were measured, for `oneOf`.
const HOP: u64 = 8;

/// To go on to a value in it: 750 bytes at most were measured, for `properties`.
const STEP: u64 = 9;

/// How deep a body may be before the engine could use more than [`MOST`]; `None` if `max_depth` is
/// not too deep.
///
/// `order` has each subschema after those that it applies to the same value.
pub(super) fn too_deep(nodes: &[Node], order: &[usize], max_depth: usize) -> Option<usize> {
    let mut below: Vec<u64> = Vec::new();
    for depth in 0..=max_depth {
        let mut longest: Vec<u64> = vec![0; nodes.len()];
        for &index in order {
            let node = &nodes[index];
            let here = node.here.iter().map(|&inner| {
                longest[inner] + if node.references.contains(&inner) { REFERENCE } else { HOP }
            });
            let down = node.down.iter().filter_map(|(_, inner)| below.get(*inner).map(|far| far + STEP));
            longest[index] = here.chain(down).max().unwrap_or(0);
        }
        // The root is the first.
        if longest.first().is_some_and(|&far| far > MOST) {
            return Some(depth);
        }
        if longest == below {
            return None;
        }
        below = longest;
    }
    None
}
