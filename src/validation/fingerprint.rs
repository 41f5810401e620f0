//! A hash of 64 bits that equal values share, taken in one walk and without memory.
//!
//! Two values of one canonical form ([`super::form`]) have one fingerprint. So where fingerprints
//! differ, values do; where they agree, nothing is known, and the forms are compared. A collision
//! therefore costs time, never a wrong answer, and the hash need not be cryptographic. Its key is
//! random all the same, so that a peer cannot prepare collisions (CWE-407).
//!
//! The walk goes [`DEEPEST`] containers down and gives up below. Of all the arrays that a value
//! stands in, at any depth, only the nearest few walk over it, so a body costs a small constant for
//! each byte however many `uniqueItems` are above one another.

use std::hash::{BuildHasher, RandomState};

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, Object};

/// How many containers, one in another, a fingerprint may be taken of.
const DEEPEST: usize = 4;

/// Starts of the kinds of values, so that `"a"` and `["a"]` differ.
const TEXT: u64 = 0x8B72_7A1B_19C4_E6D5;
const NUMBER: u64 = 0x5D6D_C1F0_3A3F_27B9;
const OTHER: u64 = 0xC3A5_C85C_97CB_3127;
const ARRAY: u64 = 0xB492_B66F_BE98_F273;
const OBJECT: u64 = 0x9AE1_6A3B_2F90_404F;

/// A key to take fingerprints with; those of two keys have nothing in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprints {
    key: [u64; 2],
}

impl Fingerprints {
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        Self { key: [random.hash_one(0_u8), random.hash_one(1_u8)] }
    }

    /// The fingerprint of `value`; `None` where only its form says what it is equal to.
    pub(super) fn of<'a, F: Json>(&self, value: &F::Node<'a>) -> Option<u64> {
        self.at::<F>(value, 0)
    }

    /// The fingerprint of one member of `value`, which is one value for all without such a member and
    /// for all whose member is a container.
    ///
    /// The name is a peer's: it is searched for, because preparing a look-up would make Python keep the
    /// name for ever (`PyUnicode_InternInPlace`). Records of one kind have it in one place.
    pub(super) fn of_member<'a, F: Json>(&self, value: &F::Node<'a>, name: &str) -> u64 {
        let mut members = value.as_object().map(|object| object.members()).into_iter().flatten();
        let member = members.find(|(other, _)| other.as_ref() == name);
        member.and_then(|(_, member)| self.at::<F>(&member, DEEPEST)).unwrap_or(OBJECT)
    }

    fn at<'a, F: Json>(&self, value: &F::Node<'a>, depth: usize) -> Option<u64> {
        match value.json_type() {
            JsonType::String => Some(self.text(&value.as_string()?)),
            JsonType::Number | JsonType::Integer => self.number(&value.as_number()?),
            JsonType::Object if depth < DEEPEST => {
                // Added up: members have no order.
                let mut sum = OBJECT;
                for (name, member) in value.as_object()?.members() {
                    let member = self.at::<F>(&member, depth + 1)?;
                    sum = sum.wrapping_add(self.mix(self.text(name.as_ref()), member));
                }
                Some(self.mix(OBJECT, sum))
            }
            JsonType::Array if depth < DEEPEST => {
                let array = value.as_array()?;
                let mut hash = self.mix(ARRAY, array.len() as u64);
                for element in array.elements() {
                    hash = self.mix(hash, self.at::<F>(&element, depth + 1)?);
                }
                Some(hash)
            }
            JsonType::Boolean => Some(self.mix(OTHER, value.as_boolean()?.into())),
            JsonType::Null => Some(self.mix(OTHER, 2)),
            JsonType::Array | JsonType::Object => None,
        }
    }

    /// Most texts are short: up to 16 bytes are read as two words that may overlap.
    fn text(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let mut hash = TEXT ^ bytes.len() as u64;
        let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(head), Some(tail)) => {
                // None up to 16 bytes. The last word, whole or not, is the tail.
                let (words, _) = bytes.get(8..bytes.len() - 1).unwrap_or_default().as_chunks::<8>();
                for word in words {
                    hash = self.mix(hash, u64::from_le_bytes(*word));
                }
                (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
            }
            _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(head), Some(tail)) => {
                    (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
                }
                // At most three bytes; the length is in the hash already.
                _ => (bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
            },
        };
        self.mix(self.mix(hash, head), tail)
    }

    /// Numbers of one value, however they are written: an integer of 64 bits or a double that has a
    /// fraction. The rest, which is rare, is left to the forms.
    fn number<N: JsonNumber>(&self, number: &N) -> Option<u64> {
        if let Some(value) = number.as_i64() {
            return Some(self.mix(NUMBER, value as u64));
        }
        let value = number.as_f64()?;
        if value.fract() != 0.0 {
            return Some(self.mix(!NUMBER, value.to_bits()));
        }
        // The range of 64 bits, whose ends are doubles. `-0.0` becomes 0.
        let is_small = (-(2_f64.powi(63))..2_f64.powi(63)).contains(&value);
        is_small.then(|| self.mix(NUMBER, value as i64 as u64))
    }

    /// Both halves of a long product. Each factor hides one input behind its half of the key, so which
    /// pairs collide depends on the key.
    #[inline]
    fn mix(&self, left: u64, right: u64) -> u64 {
        let product = u128::from(left ^ self.key[0]) * u128::from(right ^ self.key[1]);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use jsonschema::json::SerdeJson;
    use serde_json::{Map, Value, json};

    use super::super::form::with_forms;
    use super::*;

    fn form(value: &Value) -> Vec<u8> {
        let mut form = Vec::new();
        // All forms of one test count their containers from one start, so that they compare.
        with_forms(|forms| forms.write::<SerdeJson>(&value, &mut form));
        form
    }

    /// Numbers, drawn by a small generator, so that a failure repeats.
    fn dice() -> impl Fn(usize) -> usize {
        let state = Cell::new(0x2545_F491_4F6C_DD1D_u64);
        move |sides| {
            let mut next = state.get();
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            state.set(next);
            (next >> 11) as usize % sides
        }
    }

    fn scalars() -> Vec<Value> {
        let mut scalars: Vec<Value> = [
            "0",
            "-0",
            "-0.0",
            "0.0",
            "1",
            "1.0",
            "1e0",
            "10e-1",
            "-1",
            "-1.0",
            "0.5",
            "5e-1",
            "-0.5",
            "0.25",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9007199254740992.0",
            "9223372036854775807",
            "9223372036854775808",
            "9223372036854775808.0",
            "-9223372036854775808",
            "-9223372036854775808.0",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "-1e300",
            "1e-300",
            "100",
            "1e2",
            "4.9e-324",
            "1.7976931348623157e308",
        ]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
        for text in ["", "1", "a", "abcdefg", "abcdefgh", "abcdefghi", "\0", "\0\0", "null", "é"] {
            scalars.push(json!(text));
        }
        scalars.extend([json!(null), json!(true), json!(false)]);
        scalars
    }

    fn random(scalars: &[Value], dice: &impl Fn(usize) -> usize, depth: usize) -> Value {
        match dice(if depth == 0 { 4 } else { 7 }) {
            4 => Value::Array((0..dice(4)).map(|_| random(scalars, dice, depth - 1)).collect()),
            5 | 6 => {
                let names = ["a", "b", "name", "", "a longer name"];
                let members = (0..dice(4)).map(|_| (names[dice(5)].into(), random(scalars, dice, depth - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            _ => scalars[dice(scalars.len())].clone(),
        }
    }

    #[test]
    fn values_of_one_form_have_one_fingerprint_and_others_do_not() {
        let (dice, scalars) = (dice(), scalars());
        let mut values = scalars.clone();
        values.extend((0..1_500).map(|_| random(&scalars, &dice, 3)));
        let fingerprints = Fingerprints::new();
        let (mut equal, mut unlike) = (0, 0);
        super::super::form::remembering(|| {
            let seen: Vec<_> =
                values.iter().map(|value| (form(value), fingerprints.of::<SerdeJson>(&value))).collect();
            for (index, (form, print)) in seen.iter().enumerate() {
                for (other_form, other) in &seen[..index] {
                    let (Some(print), Some(other)) = (print, other) else {
                        continue;
                    };
                    if form == other_form {
                        assert_eq!(print, other, "{}", values[index]);
                        equal += 1;
                    } else {
                        // One of a million pairs would collide by chance in 2^44 runs.
                        assert_ne!(print, other, "{}", values[index]);
                        unlike += 1;
                    }
                }
            }
        });
        assert!(equal > 1_000 && unlike > 100_000, "{equal} {unlike}");
    }

    #[test]
    fn members_have_no_order_and_elements_do() {
        let prints = Fingerprints::new();
        let of = |text: &str| prints.of::<SerdeJson>(&&serde_json::from_str::<Value>(text).unwrap()).unwrap();
        assert_eq!(of(r#"{"a": 1, "b": [2, {}]}"#), of(r#"{"b": [2.0, {}], "a": 1.0}"#));
        assert_ne!(of("[1, 2]"), of("[2, 1]"));
        assert_ne!(of(r#"{"a": 1, "b": 2}"#), of(r#"{"a": 2, "b": 1}"#));
        assert_ne!(of(r#"{"a": {"b": 1}}"#), of(r#"{"b": {"a": 1}}"#));
    }

    #[test]
    fn each_byte_of_a_text_counts_at_every_length() {
        let prints = Fingerprints::new();
        let mut seen = std::collections::HashSet::new();
        for length in 0..40 {
            let text = "a".repeat(length);
            assert!(seen.insert(prints.text(&text)), "{length}");
            for at in 0..length {
                let mut other = text.clone();
                other.replace_range(at..=at, "b");
                assert!(seen.insert(prints.text(&other)), "{at} of {length}");
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_has_none() {
        let prints = Fingerprints::new();
        let of = |text: &str| prints.of::<SerdeJson>(&&serde_json::from_str::<Value>(text).unwrap());
        assert!(of("[[[[1]]]]").is_some());
        assert!(of("[[[[[1]]]]]").is_none());
        assert!(of(r#"[{"a": [{"b": []}]}]"#).is_none());
    }

    #[test]
    fn a_second_key_gives_other_fingerprints() {
        let (one, two) = (Fingerprints::new(), Fingerprints::new());
        let value = json!({"a": [1, "text"]});
        assert_ne!(one.of::<SerdeJson>(&&value), two.of::<SerdeJson>(&&value));
    }
}
