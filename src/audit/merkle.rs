//! Merkle trees over a log: one hash that stands for all records, and short proofs about it.
//!
//! - [`leaf`] and [`node`] hash with different prefixes, so that no record can pass for an inner node (RFC 6962 section 2.1).
//! - A [`Frontier`] grows by one leaf at a time and keeps only the roots of the complete subtrees: at most 64 hashes.
//! - [`inclusion`] and [`consistency`] make proofs from the leaves; [`includes`] and [`extends`] check them without.
//!
//! # What it does not do
//! It signs nothing: a root is worth what the checkpoint around it is (`note.rs`).
//!
//! Sources: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and 2.1.4.2 (how proofs are checked).

use ring::digest::{Context, SHA256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a record.
pub fn leaf(record: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(record);
    finish(context)
}

/// The hash of two subtrees.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut joined = [1; 65];
    joined[1..33].copy_from_slice(left);
    joined[33..].copy_from_slice(right);
    let mut context = Context::new(&SHA256);
    context.update(&joined);
    finish(context)
}

/// The tree of no leaves.
pub fn empty() -> Hash {
    finish(Context::new(&SHA256))
}

fn finish(context: Context) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A growing tree, without its leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, the largest first: one for each bit that is set in `size`.
    roots: Vec<Hash>,
}

impl Frontier {
    /// A tree of `size` leaves whose complete subtrees have these roots. None if there are too few or too many of them.
    pub fn resume(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the complete subtree of `size` leaves that begins with leaf `from`, if it is one of those that are kept.
    fn subtree(&self, from: u64, size: u64) -> Option<Hash> {
        let mut start = 0;
        let widths = (0..u64::BITS).rev().map(|bit| 1 << bit).filter(|width| self.size & width != 0);
        for (width, root) in widths.zip(&self.roots) {
            if start == from && width == size {
                return Some(*root);
            }
            start += width;
        }
        None
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        let Some(last) = from_right.next() else { return empty() };
        from_right.fold(*last, |right, left| node(left, &right))
    }
}

/// The root of the tree over `leaves`.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// The proof that leaf `index` is in the tree over `leaves`: the siblings from the leaf up. None if there is no such leaf.
pub fn inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    inclusion_after(&Frontier::default(), leaves, index as u64)
}

/// The proof that leaf `index` is in the tree over the leaves of `before` and, behind them, `leaves`. None if it is none of `leaves`.
///
/// Of what stands before, the complete subtrees are enough: the siblings of a later leaf are made of them.
pub fn inclusion_after(before: &Frontier, leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let size = before.size.checked_add(leaves.len() as u64)?;
    if !(before.size..size).contains(&index) {
        return None;
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + half(to - from);
        if index < middle {
            path.push(root_of(before, leaves, middle, to)?);
            to = middle;
        } else {
            path.push(root_of(before, leaves, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The root over the leaves from one number up to another. None if it takes more of what stands before than its complete subtrees.
fn root_of(before: &Frontier, leaves: &[Hash], from: u64, to: u64) -> Option<Hash> {
    if let (Some(first), Some(last)) = (from.checked_sub(before.size), to.checked_sub(before.size)) {
        return leaves.get(usize::try_from(first).ok()?..usize::try_from(last).ok()?).map(root);
    }
    if let Some(known) = before.subtree(from, to - from) {
        return Some(known);
    }
    if to - from <= 1 {
        return None;
    }
    let middle = from + half(to - from);
    Some(node(&root_of(before, leaves, from, middle)?, &root_of(before, leaves, middle, to)?))
}

/// Whether `proof` shows that `leaf` is number `index` of the tree of `size` leaves with this `root`.
pub fn includes(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // A right edge that has no sibling on these levels.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the tree over the first `earlier` leaves is the beginning of that over all. None if there are fewer.
pub fn consistency(leaves: &[Hash], earlier: usize) -> Option<Vec<Hash>> {
    if earlier > leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    if earlier == 0 || earlier == leaves.len() {
        return Some(path);
    }
    let (mut rest, mut count, mut is_whole) = (leaves, earlier, true);
    while count < rest.len() {
        let (left, right) = rest.split_at(half(rest.len() as u64) as usize);
        if count <= left.len() {
            path.push(root(right));
            rest = left;
        } else {
            path.push(root(left));
            count -= left.len();
            rest = right;
            is_whole = false;
        }
    }
    if !is_whole {
        path.push(root(rest));
    }
    path.reverse();
    Some(path)
}

/// Whether `proof` shows that the tree of `earlier` leaves with root `before` is the beginning of that of `size` leaves with root `after`.
pub fn extends(earlier: u64, before: &Hash, size: u64, after: &Hash, proof: &[Hash]) -> bool {
    if earlier > size {
        return false;
    }
    if earlier == size {
        return proof.is_empty() && before == after;
    }
    if earlier == 0 {
        return proof.is_empty() && *before == empty();
    }
    let mut proof = proof.iter();
    let start = if earlier.is_power_of_two() { Some(before) } else { proof.next() };
    let Some(start) = start else { return false };
    let (mut at, mut last) = (earlier - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*start, *start);
    for hash in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node(hash, &old);
            new = node(hash, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *before && new == *after
}

/// The largest power of two below `count`, which is at least 2.
fn half(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn hex(text: &str) -> Hash {
        let mut hash = [0; 32];
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        }
        hash
    }

    /// The leaves of the reference tests of certificate-transparency, as all implementations share them.
    fn reference() -> Vec<Hash> {
        let leaves: [&[u8]; 8] = [
            &[],
            &[0],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        leaves.iter().map(|data| leaf(data)).collect()
    }

    #[test]
    fn the_roots_are_those_of_the_reference_trees() {
        let leaves = reference();
        assert_eq!(empty(), hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        assert_eq!(
            root(&leaves[..1]),
            hex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
        );
        assert_eq!(
            root(&leaves[..2]),
            hex("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")
        );
        assert_eq!(
            root(&leaves[..3]),
            hex("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")
        );
        assert_eq!(root(&leaves), hex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"));
    }

    #[test]
    fn every_leaf_of_every_tree_is_proved_and_nothing_else_is() {
        let leaves: Vec<Hash> = (0..40_u8).map(|i| leaf(&[i])).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let top = root(tree);
            for index in 0..size {
                let proof = inclusion(tree, index).unwrap();
                let (at, count) = (index as u64, size as u64);
                assert!(includes(&tree[index], at, count, &proof, &top));
                assert!(!includes(&leaf(b"other"), at, count, &proof, &top));
                assert!(!includes(&tree[index], at, count, &proof, &leaf(b"other")));
                assert!(size == 1 || !includes(&tree[index], (at + 1) % count, count, &proof, &top));
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!includes(&tree[index], at, count, &longer, &top));
                assert!(proof.is_empty() || !includes(&tree[index], at, count, &proof[1..], &top));
            }
            assert_eq!(inclusion(tree, size), None);
            assert!(!includes(&tree[0], size as u64, size as u64, &[], &top));
        }
    }

    #[test]
    fn a_leaf_behind_a_tree_of_which_only_the_subtrees_are_left_is_proved_as_ever() {
        let leaves: Vec<Hash> = (0..40_u8).map(|i| leaf(&[i])).collect();
        let mut before = Frontier::default();
        for gone in 0..=leaves.len() {
            for size in gone..=leaves.len() {
                for index in 0..size + 1 {
                    let proof = inclusion_after(&before, &leaves[gone..size], index as u64);
                    let whole = inclusion(&leaves[..size], index).filter(|_| index >= gone);
                    assert_eq!(proof, whole, "{index} of {size} behind {gone}");
                }
            }
            leaves.get(gone).into_iter().for_each(|leaf| before.push(*leaf));
        }
    }

    #[test]
    fn every_tree_is_shown_to_begin_every_later_one_and_no_other() {
        let leaves: Vec<Hash> = (0..40_u8).map(|i| leaf(&[i])).collect();
        for size in 0..=leaves.len() {
            let after = root(&leaves[..size]);
            for earlier in 0..=size {
                let before = root(&leaves[..earlier]);
                let proof = consistency(&leaves[..size], earlier).unwrap();
                let (from, to) = (earlier as u64, size as u64);
                assert!(extends(from, &before, to, &after, &proof), "{earlier} of {size}");
                assert!(!extends(from, &leaf(b"other"), to, &after, &proof));
                // The empty tree begins all trees, so nothing is said of what follows.
                assert!(earlier == 0 || !extends(from, &before, to, &leaf(b"other"), &proof));
                let mut longer = proof.clone();
                longer.push(after);
                assert!(!extends(from, &before, to, &after, &longer));
            }
            assert_eq!(consistency(&leaves[..size], size + 1), None);
        }
    }

    #[test]
    fn a_tree_that_is_taken_up_again_grows_as_if_it_had_never_been_left() {
        let leaves: Vec<Hash> = (0..70_u8).map(|i| leaf(&[i])).collect();
        let mut whole = Frontier::default();
        for (i, leaf) in leaves.iter().enumerate() {
            let mut again = Frontier::resume(whole.size(), whole.roots().to_vec()).unwrap();
            again.push(*leaf);
            whole.push(*leaf);
            assert_eq!(again, whole);
            assert_eq!(whole.root(), root(&leaves[..=i]));
        }
        assert_eq!(Frontier::resume(3, vec![empty()]), None);
    }
}
