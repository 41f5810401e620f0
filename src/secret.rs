//! Bytes that must not outlive their use: zeroed on drop, never printed.
//!
//! A [`Secret`] has no `Display`, and its `Debug` says only that there is one, so that a struct
//! that holds it cannot leak it through `{:?}`. It is not compared with `==`, which would take
//! time that depends on the content.
//!
//! # What can break it
//! Copies that others made are theirs: the Python object that the bytes came from, and the
//! expanded key inside *ring*, which does not wipe its memory.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes, wiped when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over *bytes*; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the length of a borrow. The name is long so that each use is seen in review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
