//! Arrays of numpy's (NEP 1): whether their items are objects, which only pickle reads.
//!
//! The head of such a file is a dict as Python writes it. It is read as numpy writes it, and anything that Python would read and numpy does not
//! write counts as objects: a text with an escape in it or in pieces, a prefix before one, a comment. Then an item is an object if some text
//! names numpy's type of them in any spelling: alone, with a count or an order, or among others.

use super::super::source::{le16, le32};

/// What an array says of its items: whether some of them are objects, or may be. Nothing of what is no array.
pub(in crate::uploads) fn npy_has_objects(head: &[u8]) -> Option<bool> {
    if !head.starts_with(b"\x93NUMPY") {
        return None;
    }
    let (at, size): (usize, usize) = match head.get(6)? {
        1 => (10, usize::from(le16(head, 8))),
        _ => (12, usize::try_from(le32(head, 8)).ok()?),
    };
    // What is longer than we look is not seen.
    let Some(text) = head.get(at..at.saturating_add(size)) else { return Some(true) };
    Some(has_objects(text).unwrap_or(true))
}

/// Nothing of what numpy does not write.
fn has_objects(text: &[u8]) -> Option<bool> {
    let mut rest = text;
    let mut found = false;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\'' | b'"' => {
                let end = memchr::memchr2(byte, b'\\', rest)?;
                if rest.get(end) == Some(&b'\\') {
                    return None;
                }
                found |= names_objects(rest.get(..end)?);
                rest = rest.get(end + 1..)?;
                // Two texts side by side are one.
                let next = rest.iter().find(|byte| !byte.is_ascii_whitespace())?;
                if !b",:)]}".contains(next) {
                    return None;
                }
            }
            // A letter before a text changes how it is read; True, False and 3L of Python 2 are followed by other signs.
            _ if byte.is_ascii_alphanumeric() && !matches!(rest.first(), Some(b'\'' | b'"')) => {}
            _ if byte.is_ascii_whitespace() || b"{}[](),:-".contains(&byte) => {}
            _ => return None,
        }
    }
    Some(found)
}

/// Whether a word of it is `O`, `object` or `object_`. Names of fields are texts as well: one that is called so is refused with them.
fn names_objects(text: &[u8]) -> bool {
    text.split(|byte| !byte.is_ascii_alphabetic() && *byte != b'_').any(|word| {
        matches!(word, b"O") || word.eq_ignore_ascii_case(b"object") || word.eq_ignore_ascii_case(b"object_")
    })
}

#[cfg(test)]
mod tests {
    use super::npy_has_objects;

    fn says(descr: &str) -> Option<bool> {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
        let length = u16::try_from(text.len()).unwrap_or(0).to_le_bytes();
        npy_has_objects(&[b"\x93NUMPY\x01\x00", length.as_slice(), text.as_bytes()].concat())
    }

    #[test]
    fn objects_are_seen_in_whatever_way_python_reads_them() {
        for plain in [
            "'<f8'",
            "'|u1'",
            "'<U10'",
            "'<M8[ns]'",
            "'|V16'",
            "[('Open', '<f8'), ('Object_of', '<i4', (2, 3))]",
            "[(('title', 'name'), '<f8')]",
            "[('a', [('b', '|S5')])]",
        ] {
            assert_eq!(says(plain), Some(false), "{plain}");
        }
        for objects in [
            "'O'",
            "'|O'",
            "'|O8'",
            "'>O'",
            "'2O'",
            "'(2,)O'",
            "'O,i4'",
            "'i4, O'",
            "'object'",
            "'object_'",
            "[('a', 'O')]",
            "[('a', '|O')]",
            r"'|\x4f'",
            r"'\117'",
            "'ob' 'ject'",
            "('ob'\n'ject')",
            "u'O'",
            "b'O'",
            "'''O'''",
            "# \n'O'",
            "'O",
        ] {
            assert_eq!(says(objects), Some(true), "{objects}");
        }
        assert_eq!(npy_has_objects(b"\x93NUMPY\x01\x00\xff\xff{}"), Some(true));
        assert_eq!(npy_has_objects(b"NUMPY"), None);
    }
}
