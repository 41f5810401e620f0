//! JSON as a token may contain it: no duplicate member at any depth, at most 32 levels deep.
//!
//! A duplicate lets two parsers read two different values out of one signed text (RFC 8725 §2.4,
//! RFC 7519 §4 allows refusing), and depth is paid for by whoever converts the value later
//! (CVE-2025-53864). What serde_json refuses by itself stays refused: numbers beyond a double,
//! lone surrogates, text after the value.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Levels of arrays and objects, the outermost included.
pub(super) const MAX_DEPTH: u8 = 32;

/// Whether *text* is one JSON object within the rules of this page.
pub(super) fn is_strict_object(text: &[u8]) -> bool {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let skipped = Skip { depth: 1 }.deserialize(&mut deserializer);
    first == Some(&b'{') && skipped.is_ok() && deserializer.end().is_ok()
}

/// The names seen so far in one object.
pub(super) struct Members<'de> {
    few: [Cow<'de, str>; FEW],
    /// What tells most of them apart without looking at them.
    marks: [u64; FEW],
    count: usize,
    // Beyond a few, comparing each with each would be quadratic in what a peer sent.
    many: Option<HashSet<Cow<'de, str>>>,
}

const FEW: usize = 16;

impl<'de> Members<'de> {
    pub(super) fn new() -> Self {
        Self { few: [const { Cow::Borrowed("") }; FEW], marks: [0; FEW], count: 0, many: None }
    }

    /// Remembers *name*; refuses it if it was there.
    pub(super) fn insert<E: de::Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        let fresh = if let Some(many) = &mut self.many {
            many.insert(name)
        } else if self.holds(&name) {
            false
        } else if let Some(place) = self.few.get_mut(self.count) {
            self.marks[self.count] = mark(&name);
            *place = name;
            self.count += 1;
            true
        } else {
            let mut many: HashSet<_> =
                std::mem::replace(&mut self.few, [const { Cow::Borrowed("") }; FEW]).into();
            let fresh = many.insert(name);
            self.many = Some(many);
            fresh
        };
        if fresh { Ok(()) } else { Err(E::custom("duplicate member")) }
    }

    /// Whether *name* is among the few.
    fn holds(&self, name: &str) -> bool {
        let wanted = mark(name);
        let held = self.marks.iter().zip(&self.few).take(self.count);
        held.into_iter().any(|(mark, known)| *mark == wanted && *known == name)
    }
}

/// The length of a name and its first seven bytes.
fn mark(name: &str) -> u64 {
    let head = name.bytes().take(7).fold(0, |mark, byte| mark << 8 | u64::from(byte));
    head << 8 | (name.len() & 0xFF) as u64
}

/// Reads a string, borrowed from the input where it has no escapes. Refuses every other type.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Reads past a value of any type, holding it to the rules of this page.
///
/// `depth` is the level that an array or object here would have.
#[derive(Clone, Copy)]
pub(super) struct Skip {
    pub(super) depth: u8,
}

impl Skip {
    /// The same, one level down; refused below the deepest level.
    pub(super) fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth > MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut members = Members::new();
        while let Some(name) = object.next_key_seed(Text)? {
            members.insert(name)?;
            object.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_strict_object;

    fn nested(levels: usize) -> String {
        let inner = levels - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
    }

    #[test]
    fn an_object_may_be_32_levels_deep_and_not_33() {
        assert!(is_strict_object(nested(32).as_bytes())); // CVE-2025-53864
        assert!(!is_strict_object(nested(33).as_bytes()));
    }

    #[test]
    fn a_duplicate_is_found_at_every_depth_escaped_or_not_and_among_many() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[0,{"y":[{"a":1,"b":2,"a":1}]}]}"#,
        ] {
            assert!(!is_strict_object(text.as_bytes()), "{text}");
        }
        let many: Vec<_> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(is_strict_object(format!("{{{}}}", many.join(",")).as_bytes()));
        for again in [0, 7, 15, 16, 17, 499] {
            assert!(
                !is_strict_object(format!("{{{},\"k{again}\":0}}", many.join(",")).as_bytes()),
                "{again}"
            );
        }
        assert!(!is_strict_object(br#"{"":1,"":2}"#));
        assert!(is_strict_object(br#"{"":1,"a":2}"#));
    }

    #[test]
    fn only_one_whole_object_is_an_object() {
        for text in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "\"{}\"",
            "{} {}",
            "{}x",
            "{\"a\":1e400}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{a:1}",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            assert!(!is_strict_object(text.as_bytes()), "{text}");
        }
        assert!(!is_strict_object(b"{\"a\":\"\xff\"}"));
        assert!(is_strict_object(b" {} \n"));
    }
}
